"""The answers of Chat Completions that nearly all are, told apart by their type alone: a text and nothing else.

Whatever does not fit is read the long way (decode.py), with the same outcome: what is said here holds there too. A chunk costs 2 µs
instead of 4 so, a whole answer 8 instead of 30.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from headgate.dialects.openai_chat.tables import STOPS
from headgate.dialects.openai_chat.usage import read_usage
from headgate.model.events import Event, Finished, PartDelta, PartEnded, PartStarted, Path, Slot, Started, UsageSeen


class _Delta(Struct, forbid_unknown_fields=True):
    content: str


class Choice(Struct, forbid_unknown_fields=True):
    delta: _Delta
    index: int = 0
    finish_reason: None = None
    logprobs: None = None


class _Chunk(Struct, forbid_unknown_fields=True):
    """A chunk that goes on with a text."""

    choices: tuple[Choice]
    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    obfuscation: str | None = None
    usage: None = None


class _Message(Struct, forbid_unknown_fields=True):
    content: Annotated[str, Meta(min_length=1)]
    role: str | None = None
    refusal: None = None
    annotations: Annotated[list[Any], Meta(max_length=0)] = []


class _Said(Struct, forbid_unknown_fields=True):
    message: _Message
    finish_reason: Annotated[str, Meta(min_length=1)]
    index: Annotated[int, Meta(ge=0, lt=1024)] = 0
    logprobs: None = None


class _Answer(Struct, forbid_unknown_fields=True):
    """A whole answer."""

    choices: tuple[_Said]
    id: str = ""
    object: Literal["chat.completion"] = "chat.completion"
    created: int = 0
    model: str = ""
    system_fingerprint: str | None = None
    service_tier: str | None = None
    usage: dict[str, Any] | None = None


_chunk = msgspec.json.Decoder(_Chunk).decode
_answer = msgspec.json.Decoder(_Answer).decode
_UNFIT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
DELTA: Path = ("choices", 0, "delta", "content")
MESSAGE: Path = ("choices", 0, "message", "content")


def chunk(data: bytes) -> Choice | None:
    try:
        return _chunk(data).choices[0]
    except _UNFIT:
        return None


def whole(data: bytes) -> tuple[Event, ...] | None:
    """Raises UpstreamMalformed for usage that is none."""
    try:
        answer = _answer(data)
    except _UNFIT:
        return None
    (said,) = answer.choices
    index, finish = said.index, said.finish_reason
    kept = {}
    if answer.system_fingerprint:
        kept["system_fingerprint"] = answer.system_fingerprint
    if answer.service_tier:
        kept["service_tier"] = answer.service_tier
    events: tuple[Event, ...] = (
        Started(
            id=answer.id,
            model=answer.model,
            created=answer.created or None,
            extras={"openai": kept} if kept else {},
        ),
        PartStarted(choice=index, part=0, kind="text"),
        PartDelta(choice=index, part=0, kind="text", text=said.message.content, slot=Slot(MESSAGE), whole=True),
        PartEnded(choice=index, part=0),
        Finished(
            choice=index,
            stop=STOPS.get(finish.lower(), "other"),
            native=finish,
            extras={"openai": {"finish_reason": finish}},
        ),
    )
    if answer.usage:
        return (*events, UsageSeen(usage=read_usage(answer.usage, answer.service_tier)))
    return events
