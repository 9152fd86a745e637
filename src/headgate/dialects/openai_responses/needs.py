"""What a Responses request asks of a model beside text, read by typed partial decode.

Rules of this file:
- Only where the API looks for it: a key inside somebody's text is text.
- Tools that the provider runs itself (searches, code, MCP) ask nothing of the model's function calling: models without it
  are offered with them. https://platform.openai.com/docs/models/o3-deep-research
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


class _Part(Struct):
    type: str | None = None
    file_data: Raw = _NOTHING


class _Item(Struct):
    type: str | None = None
    content: list[_Part] | _Part | str | None = None
    output: list[_Part] | _Part | str | None = None
    tools: list[_Typed] | None = None


class _Text(Struct):
    format: _Typed | None = None


class _Reasoning(Struct):
    effort: str | None = None


class _Body(Struct):
    input: str | list[_Item] | None = None
    tools: list[_Typed] | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None


_body = msgspec.json.Decoder(_Body).decode

_MEDIA: dict[str | None, Need] = {
    "input_image": "images",
    "computer_screenshot": "images",
    "input_audio": "audio",
}
_CALLED = frozenset(("function", "custom", "namespace"))
"""Tools that the caller runs."""


def needs(head: Head) -> set[Need]:
    try:
        read = _body(head.body)
    except (msgspec.DecodeError, RecursionError):
        return set()
    found: set[Need] = set()
    if read.text is not None and read.text.format is not None and read.text.format.type == "json_schema":
        found.add("schema")
    if read.reasoning is not None and read.reasoning.effort not in (None, "none"):
        found.add("reasoning")
    tools = read.tools or []
    for item in read.input if isinstance(read.input, list) else ():
        for held in (item.content, item.output):
            if held is not None and not isinstance(held, str):
                found.update(_held(held if isinstance(held, list) else [held]))
        if item.tools:
            tools = tools + item.tools
    if any(tool.type in _CALLED for tool in tools):
        found.add("tools")
    return found


def _held(parts: list[_Part]) -> Iterator[Need]:
    for part in parts:
        if part.type in _MEDIA:
            yield _MEDIA[part.type]
        elif part.type == "input_file":
            image = bytes(memoryview(part.file_data)[:12]) == b'"data:image/'
            yield "images" if image else "documents"
