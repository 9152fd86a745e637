"""What a chat request asks of a model beside text, read by typed partial decode.

Rules of this file:
- Only where the API looks for it: a key inside somebody's text is text.
- What has another shape needs nothing that we know of: the upstream judges it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from headgate.dialects.base import Head
from headgate.model.ability import Need

_NOTHING = Raw(b"null")


class _File(Struct):
    file_data: Raw = _NOTHING


class _Source(Struct):
    type: str | None = None


class _Part(Struct):
    type: str | None = None
    file: _File | None = None
    source: _Source | str | None = None


class _Message(Struct):
    content: list[_Part | str] | str | None = None


class _Format(Struct):
    type: str | None = None


class _Body(Struct):
    messages: list[_Message] | None = None
    response_format: _Format | None = None
    reasoning_effort: str | None = None


_body = msgspec.json.Decoder(_Body).decode

_MEDIA: dict[str | None, Need] = {
    "image_url": "images",
    "image": "images",
    "input_audio": "audio",
    "video_url": "video",
    "document_url": "documents",
}


def needs(head: Head) -> set[Need]:
    found: set[Need] = {"tools"} if head.tools else set()
    try:
        read = _body(head.body)
    except (msgspec.DecodeError, RecursionError):
        return found
    for message in read.messages or ():
        if isinstance(message.content, list):
            found.update(_held(message.content))
    if read.response_format is not None and read.response_format.type == "json_schema":
        found.add("schema")
    if read.reasoning_effort not in (None, "none"):
        found.add("reasoning")
    return found


def _held(parts: list[_Part | str]) -> Iterator[Need]:
    for part in parts:
        if isinstance(part, str):
            continue
        if part.type in _MEDIA:
            yield _MEDIA[part.type]
        elif part.type == "file":
            image = part.file is not None and bytes(memoryview(part.file.file_data)[:12]) == b'"data:image/'
            yield "images" if image else "documents"
        elif part.type == "document" and not (isinstance(part.source, _Source) and part.source.type == "text"):
            yield "documents"
