"""Answers of the legacy completions API: a text for each choice, and its end.

Log probabilities stand in parallel lists here (tokens, token_logprobs, top_logprobs, text_offset) and are brought to the form of
chat. What is no text (a call, a thought, an image) has no place in a completion: a listed loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from headgate.dialects.base import Ask, Json
from headgate.dialects.openai_chat.errors import failed
from headgate.dialects.openai_chat.message import leaves
from headgate.dialects.openai_chat.tables import FINISHES, STOPS
from headgate.dialects.openai_chat.usage import read_usage, write_usage
from headgate.errors import UpstreamMalformed
from headgate.model.events import (
    Answer,
    Decoded,
    Event,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Repeat,
    Slot,
    Started,
    UsageSeen,
)
from headgate.model.prompt import Loss
from headgate.model.usage import Usage

_DOCUMENT = frozenset(
    (
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "system_fingerprint",
        "service_tier",
        "error",
        "warning",
        "provider",
    )
)
_CHOICE = frozenset(
    ("text", "index", "logprobs", "finish_reason", "stop_reason", "token_ids", "prompt_logprobs", "prompt_token_ids")
)
_USAGE_FRAME = frozenset(
    ("id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier", "provider")
)
_DONE = b"[DONE]"


class Decoder:
    """See dialects.base.Decoder."""

    def __init__(self) -> None:
        self.complete = False
        self._started = False
        self._open: set[int] = set()
        self._finished: set[int] = set()

    def feed(self, event: str, data: bytes) -> Decoded:
        if not data.strip():
            return Decoded()
        if data.strip() == _DONE:
            self.complete = True
            return Decoded(events=self.end())
        document = self._parsed(data)
        alone = not document.get("choices") and bool(document.get("usage")) and document.keys() <= _USAGE_FRAME
        return self._read(document, whole=False, usage_only=alone)

    def whole(self, data: bytes) -> Decoded:
        document = self._parsed(data)
        if document.get("choices") is None and not document.get("error"):
            raise UpstreamMalformed("the upstream's answer has no choices")
        decoded = self._read(document, whole=True, usage_only=False)
        self.complete = True
        return msgspec.structs.replace(decoded, events=(*decoded.events, *self.end()))

    def end(self) -> tuple[Event, ...]:
        events: list[Event] = []
        for index in sorted(self._open):
            events.append(PartEnded(choice=index, part=0))
            if self.complete and index not in self._finished:
                events.append(Finished(choice=index, stop="stop"))
        self._open.clear()
        return tuple(events)

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            document = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamMalformed("the upstream's answer is not JSON") from error
        if not isinstance(document, dict) or not isinstance(document.get("choices") or [], list):
            raise UpstreamMalformed("the upstream's answer is not a completion")
        return document

    def _read(self, document: dict[str, Any], whole: bool, usage_only: bool) -> Decoded:
        events: list[Event] = []
        repeats: list[Repeat] = []
        if not self._started and not document.get("error"):
            self._started = True
            created = document.get("created")
            events.append(
                Started(
                    id=str(document.get("id") or ""),
                    model=str(document.get("model") or ""),
                    created=created if isinstance(created, int) else None,
                )
            )
        for place, choice in enumerate(document.get("choices") or ()):
            self._choice(choice, place, whole, events, repeats)
        for key in document.keys() - _DOCUMENT:
            leaves(document[key], (key,), 0, events)
        usage = document.get("usage")
        if usage:
            if not isinstance(usage, dict):
                raise UpstreamMalformed("the upstream's usage is not an object")
            events.append(UsageSeen(usage=read_usage(usage, document.get("service_tier"))))
        if document.get("error"):
            self.complete = True
            events += [*self.end(), failed(document)]
        return Decoded(events=tuple(events), repeats=tuple(repeats), usage_only=usage_only)

    def _choice(self, choice: Any, place: int, whole: bool, events: list[Event], repeats: list[Repeat]) -> None:
        if not isinstance(choice, dict):
            raise UpstreamMalformed("a choice of the upstream is not an object")
        index = choice.get("index", place)
        said = choice.get("text")
        if not isinstance(index, int) or not 0 <= index < 1024 or not (said is None or isinstance(said, str)):
            raise UpstreamMalformed("a choice of the upstream has no usable index or text")
        if index not in self._open and index not in self._finished:
            self._open.add(index)
            events.append(PartStarted(choice=index, part=0, kind="text"))
        path = ("choices", place)
        logprobs = _read_logprobs(choice.get("logprobs"))
        if logprobs:
            repeats.append(Repeat(path=(*path, "logprobs"), choice=index, part=0, kind="drop"))
        if said:
            events.append(
                PartDelta(
                    choice=index,
                    part=0,
                    kind="text",
                    text=said,
                    slot=Slot((*path, "text")),
                    whole=whole,
                    logprobs=logprobs,
                )
            )
        for key in choice.keys() - _CHOICE:
            leaves(choice[key], (*path, key), index, events)
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish and index not in self._finished:
            self._finished.add(index)
            self._open.discard(index)
            events += (
                PartEnded(choice=index, part=0),
                Finished(choice=index, stop=STOPS.get(finish.lower(), "other"), native=finish),
            )


def _read_logprobs(found: Any) -> tuple[dict[str, Any], ...]:
    if not isinstance(found, dict) or not isinstance(found.get("tokens"), list):
        return ()
    values, tops = found.get("token_logprobs") or [], found.get("top_logprobs") or []
    told = []
    for number, token in enumerate(found["tokens"]):
        top = tops[number] if number < len(tops) and isinstance(tops[number], dict) else {}
        told.append(
            {
                "token": token,
                "logprob": values[number] if number < len(values) else None,
                "bytes": None,
                "top_logprobs": [{"token": key, "logprob": value, "bytes": None} for key, value in top.items()],
            }
        )
    return tuple(told)


def _write_logprobs(tokens: Iterable[dict[str, Any]], offset: int = 0) -> Json | None:
    listed = list(tokens)
    if not listed:
        return None
    offsets = []
    for token in listed:
        offsets.append(offset)
        offset += len(str(token.get("token", "")))
    return {
        "tokens": [token.get("token") for token in listed],
        "token_logprobs": [token.get("logprob") for token in listed],
        "top_logprobs": [
            {top.get("token"): top.get("logprob") for top in token.get("top_logprobs") or ()} for token in listed
        ],
        "text_offset": offsets,
    }


def _finish(stop: str, native: str) -> str:
    return native if STOPS.get(native.lower()) == stop else FINISHES.get(stop, "stop")  # type: ignore[call-overload]


class Encoder:
    """See dialects.base.Encoder."""

    def __init__(self, ask: Ask) -> None:
        self.losses: list[Loss] = []
        self._ask = ask
        self._head: Json = {
            "id": f"cmpl-{ask.id}",
            "object": "text_completion",
            "created": ask.created,
            "model": ask.model,
        }
        self._usage: Usage | None = None
        self._offsets: dict[int, int] = {}

    def feed(self, events: Iterable[Event]) -> bytes:
        return b"".join(self._event(event) for event in events)

    def _event(self, event: Event) -> bytes:
        match event:
            case PartDelta(kind="text"):
                offset = self._offsets.get(event.choice, 0)
                self._offsets[event.choice] = offset + len(event.text)
                return (
                    self._chunk(event.choice, event.text, _write_logprobs(event.logprobs, offset), None)
                    if event.text
                    else b""
                )
            case PartStarted() if event.kind != "text":
                self.losses.append(Loss(f"answer.{event.kind}", "a completion is text"))
            case Finished():
                return self._chunk(event.choice, "", None, _finish(event.stop, event.native))
            case UsageSeen():
                self._usage = event.usage
            case Started():
                self._head["id"] = event.id or self._head["id"]
                self._head["model"] = event.model or self._head["model"]
                self._head["created"] = event.created or self._head["created"]
        return b""

    def _chunk(self, choice: int, said: str, logprobs: Json | None, finish: str | None) -> bytes:
        one = {"text": said, "index": choice, "logprobs": logprobs, "finish_reason": finish}
        return b"data: " + msgspec.json.encode({**self._head, "choices": [one]}) + b"\n\n"

    def end(self) -> bytes:
        last = b""
        if self._usage is not None and self._ask.include_usage:
            last = (
                b"data: "
                + msgspec.json.encode({**self._head, "choices": [], "usage": write_usage(self._usage)})
                + b"\n\n"
            )
        return last + b"data: [DONE]\n\n"


def whole(answer: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
    losses: list[Loss] = []
    choices = []
    for index, choice in enumerate(answer.choices):
        texts = [part for part in choice.parts if part.kind == "text"]
        losses += [
            Loss(f"answer.{part.kind}", "a completion is text", part.text)
            for part in choice.parts
            if part.kind != "text"
        ]
        logprobs = [token for part in texts for token in part.logprobs]
        choices.append(
            {
                "text": "".join(part.text for part in texts),
                "index": index,
                "logprobs": _write_logprobs(logprobs),
                "finish_reason": _finish(choice.stop or "stop", choice.native),
            }
        )
    json: Json = {
        "id": answer.id or f"cmpl-{ask.id}",
        "object": "text_completion",
        "created": answer.created or ask.created,
        "model": answer.model or ask.model,
        "choices": choices,
    }
    if answer.usage is not None:
        json["usage"] = write_usage(answer.usage)
    return json, losses
