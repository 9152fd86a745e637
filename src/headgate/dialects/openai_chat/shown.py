"""Pieces of an answer in chat form, the same in a stream and in one document."""

from __future__ import annotations

import msgspec

from headgate.dialects.base import Ask, Json
from headgate.dialects.finish import beside
from headgate.dialects.openai_chat.tables import FINISHES, UNSAID
from headgate.model.events import PartDelta, Stop
from headgate.model.prompt import Citation, Extras, Loss


def answer_id(given: str, ask: Ask) -> str:
    return given or "chatcmpl-" + ask.id.removeprefix("req_")


def legacy(ask: Ask) -> bool:
    return ask.prompt is not None and ask.prompt.legacy_functions


def finish_word(stop: Stop, extras: Extras) -> tuple[str, list[Loss]]:
    """finish_reason, and what it leaves unsaid. This dialect's own word passes verbatim."""
    losses = beside(extras)
    own = extras.get("openai", {}).get("finish_reason")
    if isinstance(own, str):
        return own, losses
    word = FINISHES[stop]
    if stop in UNSAID:
        losses.append(Loss("finish_reason", f"only {word!r} can be said here", stop))
    return word, losses


def annotation(citation: Citation, base: int) -> Json | None:
    """`url_citation`, whose offsets count in the whole content; None for a citation without a URL."""
    if citation.url is None:
        return None
    found: Json = {
        "end_index": base + (citation.end or 0),
        "start_index": base + (citation.start or 0),
        "title": citation.title or "",
        "url": citation.url,
    }
    if citation.quote:
        found["content"] = citation.quote
    return {"type": "url_citation", "url_citation": found}


def text_extras(extras: Extras) -> tuple[Extras, list[Loss]]:
    """What of a text's extras a client can bring back in a carrier. The transcript mark is told by its place."""
    kept = {family: fields for family, fields in extras.items() if family != "openai" and fields}
    rest = {key: value for key, value in extras.get("openai", {}).items() if key != "transcript"}
    return kept, [Loss(f"answer.{key}", "a text here has no such member", value) for key, value in rest.items()]


def audio(mime: str, data: str, extras: Extras, answer: str) -> Json | None:
    """A sound as `message.audio` without its transcript; None for what is no sound."""
    if not mime.startswith("audio/"):
        return None
    held = extras.get("openai", {}).get("audio")
    held = held if isinstance(held, dict) else {}
    return {"id": held.get("id", "audio_" + answer), "data": data, "expires_at": held.get("expires_at", 0)}


def image(mime: str, data: str, extras: Extras) -> Json | None:
    """An image as an entry of `images`; None for what is no image."""
    url = f"data:{mime};base64,{data}" if data else extras.get("openai", {}).get("url")
    return {"type": "image_url", "image_url": {"url": url}} if mime.startswith("image/") and url else None


def native(name: str, extras: Extras) -> list[Loss]:
    """An item of one family's own (a server tool's call or result): it has no place in a chat answer."""
    return [
        Loss(f"answer.{name or 'native'}", f"only {family} has it", fields.get("item", fields))
        for family, fields in extras.items()
    ]


def logprobs_of(event: PartDelta, key: str) -> bytes:
    """A chunk's `logprobs` (JSON), b"" for none. `key`: content or refusal."""
    if not event.logprobs:
        return b""
    return msgspec.json.encode({"content": None, "refusal": None, key: list(event.logprobs)})
