"""What an answer's JSON is decoded to: the members that are read, typed; the rest is decoded only when asked for.

Rules of this file:
- `Raw` keeps the exact bytes of a value: a tool's input stays as the model wrote it.
- Every member may be absent or null where some relay leaves it out; a wrong type is a ValidationError.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

NONE = Raw(b"null")


class Typed(Struct):
    type: str


class Block(Struct):
    """A content block of a kind in tables.PARTS."""

    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = NONE
    citations: list[dict[str, Any]] | None = None


class Delta(Struct):
    """The delta of a block or, with its stop members, of the message."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: dict[str, Any] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class Message(Struct):
    id: str | None = None
    model: str | None = None
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: dict[str, Any] | None = None


class StreamEvent(Struct):
    """Any event of the stream."""

    type: str = ""
    index: int = -1
    delta: Delta | None = None
    content_block: Raw = NONE
    message: Raw = NONE
    usage: dict[str, Any] | None = None


stream_event = msgspec.json.Decoder(StreamEvent).decode
message = msgspec.json.Decoder(Message).decode
block = msgspec.json.Decoder(Block).decode
typed = msgspec.json.Decoder(Typed).decode
fields = msgspec.json.Decoder(dict[str, Any]).decode
anything = msgspec.json.Decoder().decode
