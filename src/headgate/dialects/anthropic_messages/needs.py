"""What a Messages request asks of a model beside text, read by typed partial decode.

Rules of this file:
- Only where the API looks for it: a key inside somebody's text is text.
- A tool's result, and a document made of blocks, may hold images as a message does. A document of plain text is text.
- What has another shape needs nothing that we know of: the upstream judges it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from headgate.dialects.base import Head
from headgate.model.ability import Need


class _Typed(Struct):
    type: str | None = None


class _Config(Struct):
    format: _Typed | None = None


class _Source(Struct):
    type: str | None = None
    content: list[_Block] | str | None = None


class _Block(Struct):
    """The `content` of a server tool's result may be an object."""

    type: str | None = None
    source: _Source | str | None = None
    content: list[_Block] | _Block | str | None = None


class _Message(Struct):
    content: list[_Block] | str | None = None


class _Body(Struct):
    messages: list[_Message] | None = None
    output_config: _Config | None = None
    output_format: _Typed | None = None
    thinking: _Typed | None = None


_body = msgspec.json.Decoder(_Body).decode


def needs(head: Head) -> set[Need]:
    found: set[Need] = {"tools"} if head.tools else set()
    try:
        read = _body(head.body)
    except (msgspec.DecodeError, RecursionError):
        return found
    bound = read.output_format or (read.output_config and read.output_config.format)
    if bound and bound.type == "json_schema":
        found.add("schema")
    if read.thinking is not None and read.thinking.type in ("enabled", "adaptive"):
        found.add("reasoning")
    for message in read.messages or ():
        if isinstance(message.content, list):
            found.update(_held(message.content))
    return found


def _held(blocks: list[_Block]) -> Iterator[Need]:
    for block in blocks:
        inside = block.content
        if block.type == "image":
            yield "images"
        elif block.type == "document":
            source = block.source
            if not isinstance(source, _Source) or source.type not in ("text", "content"):
                yield "documents"
                continue
            inside = source.content
        if isinstance(inside, list):
            yield from _held(inside)
