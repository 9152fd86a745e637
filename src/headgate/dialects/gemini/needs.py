"""What a generateContent request asks of a model beside text, read by typed partial decode, in both spellings.

Rules of this file:
- Only where the API looks for it: a key inside somebody's text is text. A bare object counts as its own only element.
- Blobs and files go by their MIME type, as everywhere in this dialect; textual ones are text.
- Of tools, function declarations alone ask for function calling: searches and code are run by Google.
- What has another shape needs nothing that we know of: the upstream judges it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from headgate.dialects.base import Head
from headgate.model.ability import Need

from .read_parts import media_kind

T = TypeVar("T")
_NOTHING = Raw(b"null")


class _Blob(Struct):
    mimeType: str | None = None
    mime_type: str | None = None
    fileUri: str | None = None
    file_uri: str | None = None


class _Response(Struct):
    parts: list[_Part] | _Part | None = None


class _Part(Struct):
    inlineData: _Blob | None = None
    inline_data: _Blob | None = None
    fileData: _Blob | None = None
    file_data: _Blob | None = None
    functionResponse: _Response | None = None
    function_response: _Response | None = None


class _Content(Struct):
    parts: list[_Part] | _Part | None = None


class _Thinking(Struct):
    thinkingBudget: int | str | None = None
    thinking_budget: int | str | None = None
    thinkingLevel: str | None = None
    thinking_level: str | None = None


class _Settings(Struct):
    responseSchema: Raw = _NOTHING
    response_schema: Raw = _NOTHING
    responseJsonSchema: Raw = _NOTHING
    response_json_schema: Raw = _NOTHING
    thinkingConfig: _Thinking | None = None
    thinking_config: _Thinking | None = None


class _Tool(Struct):
    functionDeclarations: Raw = _NOTHING
    function_declarations: Raw = _NOTHING


class _Body(Struct):
    contents: list[_Content] | _Content | None = None
    generationConfig: _Settings | None = None
    generation_config: _Settings | None = None
    tools: list[_Tool] | _Tool | None = None


_body = msgspec.json.Decoder(_Body).decode
_KINDS: dict[str, Need] = {"image": "images", "audio": "audio", "video": "video", "document": "documents"}


def needs(head: Head) -> set[Need]:
    try:
        read = _body(head.body)
    except (msgspec.DecodeError, RecursionError):
        return set()
    found: set[Need] = set()
    for content in _each(read.contents):
        found.update(_held(_each(content.parts)))
    settings = read.generationConfig or read.generation_config
    if settings is not None:
        found.update(_asked(settings))
    if any(_said(tool.functionDeclarations, tool.function_declarations) for tool in _each(read.tools)):
        found.add("tools")
    return found


def _each(value: list[T] | T | None) -> Sequence[T]:
    return value if isinstance(value, list) else () if value is None else (value,)


def _said(*values: Raw) -> bool:
    return any(bytes(memoryview(value)[:4]) not in (b"null", b"[]") for value in values)


def _held(parts: Sequence[_Part]) -> Iterator[Need]:
    for part in parts:
        blob = part.inlineData or part.inline_data or part.fileData or part.file_data
        if blob is not None:
            mime = blob.mimeType or blob.mime_type or ""
            if not mime.startswith("text/"):
                yield _KINDS[media_kind(mime, blob.fileUri or blob.file_uri or "")]
        response = part.functionResponse or part.function_response
        if response is not None:
            yield from _held(_each(response.parts))


def _asked(settings: _Settings) -> Iterator[Need]:
    if _said(
        settings.responseSchema,
        settings.response_schema,
        settings.responseJsonSchema,
        settings.response_json_schema,
    ):
        yield "schema"
    thinking = settings.thinkingConfig or settings.thinking_config
    if thinking is not None:
        budget = thinking.thinkingBudget if thinking.thinkingBudget is not None else thinking.thinking_budget
        if (thinking.thinkingLevel or thinking.thinking_level) or budget not in (None, 0, "0"):
            yield "reasoning"
