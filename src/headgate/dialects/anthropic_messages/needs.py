"""What a Messages request asks of a model beside text, read by typed partial decode.

Rules of this file:
- Only where the API looks for it: a key inside somebody's text is text.
- A tool's result, and a document made of blocks, may hold images as a message does. A document of plain text is text.
- What has another shape needs nothing that we know of: the upstream judges it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from headgate.dialects.base import Head
from headgate.model.ability import Need

_NOTHING = Raw(b"null")


class _Typed(Struct):
    type: str | None = None


class _Config(Struct):
    format: _Typed | None = None


class _Message(Struct):
    content: Raw = _NOTHING


class _Body(Struct):
    messages: list[_Message] | None = None
    output_config: _Config | None = None
    output_format: _Typed | None = None
    thinking: _Typed | None = None


class _Block(Struct):
    type: str | None = None
    source: Raw = _NOTHING
    content: Raw = _NOTHING


class _Source(Struct):
    type: str | None = None
    content: Raw = _NOTHING


_body = msgspec.json.Decoder(_Body).decode
_blocks = msgspec.json.Decoder(list[_Block]).decode
_source = msgspec.json.Decoder(_Source).decode


def needs(head: Head) -> set[Need]:
    found: set[Need] = {"tools"} if head.tools else set()
    try:
        read = _body(head.body)
        bound = read.output_format or (read.output_config and read.output_config.format)
        if bound and bound.type == "json_schema":
            found.add("schema")
        if read.thinking is not None and read.thinking.type in ("enabled", "adaptive"):
            found.add("reasoning")
        for message in read.messages or ():
            found.update(_held(message.content))
    except (msgspec.DecodeError, RecursionError):
        return found
    return found


def _held(content: Raw) -> Iterator[Need]:
    if memoryview(content)[0] != ord("["):
        return
    for block in _blocks(content):
        if block.type == "image":
            yield "images"
        elif block.type == "tool_result":
            yield from _held(block.content)
        elif block.type == "document":
            source = _source(block.source)
            if source.type == "content":
                yield from _held(source.content)
            elif source.type != "text":
                yield "documents"
