"""Content parts of a request, one reader for each form.

Rules of this file:
- Besides the API's own parts, those of other APIs that clients send here are read as what they mean: Mistral's
  `thinking` and `document_url`, Anthropic's tool_use, image, document and thinking blocks, OpenRouter's
  `video_url`.
- Members no reader knows ride in the part's extras; `cache_control` in Anthropic's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from headgate.dialects.openai_chat.fields import Member, listing, mapping, refuse, string, text, unsaid
from headgate.dialects.openai_chat.tables import AUDIO_MIMES
from headgate.errors import BadRequest
from headgate.model.prompt import Extras, Media, Native, Part, Refusal, Text, Thinking, ToolCall


def pieces(content: Any, path: str) -> Iterator[tuple[Any, str]]:
    """(part, path) of each part; a string is one text."""
    if content is None or content == "":
        return
    if isinstance(content, str):
        yield content, f"{path}.content"
        return
    if not isinstance(content, list):
        raise refuse(f"{path}.content", "a string or an array", content)
    for index, part in enumerate(content):
        here = f"{path}.content[{index}]"
        yield (part if isinstance(part, str) else mapping(part, here)), here


def extras_besides(item: Member, known: frozenset[str]) -> Extras:
    extras: Extras = {}
    for key, value in item.items():
        if key not in known and not unsaid(value) and value is not False:
            extras.setdefault("anthropic" if key == "cache_control" else "openai", {})[key] = value
    return extras


def _inside(item: Member, holder: str, known: frozenset[str]) -> Extras:
    """Extras of a part that keeps what it says in a member of its own: those beside that, and those within it."""
    extras = extras_besides(item, frozenset(("type", "text", holder)))
    held = item.get(holder)
    for family, fields in extras_besides(held if isinstance(held, dict) else {}, known).items():
        extras.setdefault(family, {}).update({f"{holder}.{name}": value for name, value in fields.items()})
    return extras


def _read_text(item: Member, path: str) -> Part:
    return Text(
        text=text(item, "text", path) or "", extras=extras_besides(item, frozenset(("type", "text", "image_url")))
    )


def _data_url(url: str) -> tuple[str | None, str | None, str | None]:
    """(mime, data, url): a base64 data URL is taken apart."""
    if url.startswith("data:") and ";base64," in url:
        mime, data = url[5:].split(";base64,", 1)
        return mime or None, data, None
    return None, None, url


def _read_image(item: Member, path: str) -> Part:
    held = item.get("image_url")
    detail = None
    if isinstance(held, dict):
        detail = text(held, "detail", f"{path}.image_url")
        held = held.get("url")
    mime, data, url = _data_url(string(held, f"{path}.image_url.url"))
    extras = _inside(item, "image_url", frozenset(("url", "detail")))
    return Media(kind="image", mime=mime, data=data, url=url, detail=detail, extras=extras)


def _read_video(item: Member, path: str) -> Part:
    held = item.get("video_url")
    mime, data, url = _data_url(string(held.get("url") if isinstance(held, dict) else held, f"{path}.video_url.url"))
    return Media(
        kind="video", mime=mime, data=data, url=url, extras=extras_besides(item, frozenset(("type", "video_url")))
    )


def _read_document(item: Member, path: str) -> Part:
    mime, data, url = _data_url(string(item.get("document_url"), f"{path}.document_url"))
    name = text(item, "document_name", path)
    known = frozenset(("type", "document_url", "document_name"))
    return Media(kind="document", mime=mime, data=data, url=url, name=name, extras=extras_besides(item, known))


def _read_sound(item: Member, path: str) -> Part:
    held = item.get("input_audio")
    if isinstance(held, str):  # Mistral
        held = {"data": held}
    here = f"{path}.input_audio"
    sound = mapping(held, here)
    style = text(sound, "format", here)
    mime, data, url = _data_url(string(sound.get("data"), f"{here}.data"))
    if url is not None and not url.startswith(("http://", "https://")):
        data, url = url, None
    mime = AUDIO_MIMES.get(style, f"audio/{style}") if style else mime
    extras = _inside(item, "input_audio", frozenset(("data", "format")))
    return Media(kind="audio", mime=mime, data=data, url=url, extras=extras)


def _read_file(item: Member, path: str) -> Part:
    here = f"{path}.file"
    file = mapping(item.get("file"), here)
    extras = _inside(item, "file", frozenset(("filename", "file_data", "file_id")))
    name, held, id = (text(file, key, here) for key in ("filename", "file_data", "file_id"))
    if id:
        return Media(kind="document", file_id=id, name=name, extras=extras)
    if held is None:
        raise BadRequest(f"{here} needs file_data or file_id", param=here)
    mime, data, url = _data_url(held)
    if url is not None and not url.startswith(("http://", "https://", "gs://")):
        data, url = url, None
    kind = "image" if (mime or "").startswith("image/") else "document"
    return Media(kind=kind, mime=mime, data=data, url=url, name=name, extras=extras)  # type: ignore[arg-type]


def _read_refusal(item: Member, path: str) -> Part:
    return Refusal(text=string(item.get("refusal"), f"{path}.refusal"))


def _read_thinking(item: Member, path: str) -> Part:
    thinking = item.get("thinking")
    signature = item.get("signature")
    extras: Extras = {"anthropic": {"signature": signature}} if isinstance(signature, str) and signature else {}
    if isinstance(thinking, str):
        return Thinking(text=thinking, extras=extras)
    pieces = []
    for index, piece in enumerate(listing(thinking, f"{path}.thinking")):
        pieces.append(text(mapping(piece, f"{path}.thinking[{index}]"), "text", f"{path}.thinking[{index}]") or "")
    return Thinking(text="".join(pieces), extras=extras)


def _read_redacted(item: Member, path: str) -> Part:
    return Thinking(text="", extras={"anthropic": {"redacted": string(item.get("data"), f"{path}.data")}})


def _read_tool_use(item: Member, path: str) -> Part:
    return ToolCall(
        id=string(item.get("id"), f"{path}.id"),
        name=string(item.get("name"), f"{path}.name"),
        arguments=msgspec.json.encode(mapping(item.get("input", {}), f"{path}.input")).decode(),
    )


def _read_source(item: Member, path: str) -> Part:
    """Anthropic's image and document blocks."""
    source = mapping(item.get("source"), f"{path}.source")
    known = frozenset(("type", "source", "title"))
    kind = "image" if item.get("type") == "image" else "document"
    fields = {"base64": "data", "url": "url", "file": "file_id", "text": "text"}
    field = fields.get(string(source.get("type"), f"{path}.source.type"))
    if field is None:
        return Native(family="openai", name=f"content.{item['type']}", json=item)
    value = source.get({"text": "data"}.get(field, field))
    media = Media(kind=kind, mime=text(source, "media_type", f"{path}.source"), extras=extras_besides(item, known))  # type: ignore[arg-type]
    setattr(media, field, string(value, f"{path}.source.{field}"))
    media.name = text(item, "title", path)
    return media


READERS: dict[str, Callable[[Member, str], Part]] = {
    "text": _read_text,
    "input_text": _read_text,
    "output_text": _read_text,
    "image_url": _read_image,
    "video_url": _read_video,
    "document_url": _read_document,
    "input_audio": _read_sound,
    "file": _read_file,
    "refusal": _read_refusal,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
    "tool_use": _read_tool_use,
    "image": _read_source,
    "document": _read_source,
}
