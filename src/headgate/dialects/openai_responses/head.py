"""What routing, limits and guards need of a request, and the named edits, without a Prompt.

Rules of this file:
- The head is read by typed partial decode: what is not named here is skipped, not parsed. Only a body that may name held files
  is parsed in full, to find their ids.
- Every string of the conversation that may be text is a slot; of tools, their descriptions and grammars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from headgate.dialects.base import Edit, Head, Json, Target, TextSlot
from headgate.dialects.held import held
from headgate.dialects.splice import bulk
from headgate.errors import BadRequest
from headgate.model.events import Path

from .shapes import leaves
from .tables import TOOL_ROLES

_NULL = Raw(b"null")
_NONE = (b"null", b"[]")
_QUOTE, _TEXT_OR_NULL = 0x22, b'"n'


class _Held(Struct):
    id: str


class _Item(Struct):
    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: Raw = _NULL
    output: Raw = _NULL


class _Part(Struct):
    type: str = ""
    annotations: Raw = _NULL
    file_id: Raw = _NULL


class _Tool(Struct):
    type: str = ""


class _Head(Struct):
    model: str | None = None
    input: Raw = _NULL
    stream: bool | None = None
    max_output_tokens: int | None = None
    tools: list[_Tool] | None = None
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: str | _Held | None = None
    prompt: _Held | None = None


_decode = msgspec.json.Decoder(_Head).decode
_items = msgspec.json.Decoder(str | list[_Item] | None).decode
_parts = msgspec.json.Decoder(list[_Part]).decode
_PLAIN = frozenset(
    (None, "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output")
)
_TEXTS = frozenset(("input_text", "output_text", "refusal"))
_HELD = (b'"file_id', b'"vector_store_ids"', b'"container', b"\\u00")
"""Bytes without which no body refers to a file, a store or a container."""


def head(body: bytes) -> Head:
    try:
        found = _decode(body)
        items = _listed(found.input)
        prose = all(map(_plain, items))
        long = bulk(body, "input", found.input)
        searched = long.beside(body) if prose and long is not None else body
        named = list(held(msgspec.json.decode(body))) if any(mark in searched for mark in _HELD) else []
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        raise BadRequest(message, param=place.rstrip("`").removeprefix(".") or None) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    conversation = found.conversation.id if isinstance(found.conversation, _Held) else found.conversation
    brought = any(item.type == "additional_tools" for item in items)
    referred = [item.id for item in items if item.id and (item.type == "item_reference" or _bare(item))]
    objects = [id for id in (found.previous_response_id, conversation) if id]
    return Head(
        model=found.model or "",
        stream=bool(found.stream),
        max_output=found.max_output_tokens,
        tools=bool(found.tools) or brought,
        objects=tuple(dict.fromkeys([*objects, *referred, *named])),
        state=bool(objects or referred or found.background or found.prompt),
        stores=found.store is not False or bool(found.background),
        body=body,
        bulk=long,
        prose=prose,
    )


def _listed(given: Raw) -> list[_Item]:
    """The items of `input`; a text has none."""
    if memoryview(given)[0] == _QUOTE:
        return []
    try:
        items = _items(given)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        raise BadRequest(message, param="input" + place.rstrip("`")) from error
    return items if isinstance(items, list) else []


def _plain(item: _Item) -> bool:
    """Whether there are texts and calls alone in it (`Head.prose`), and it names no file."""
    if item.type not in _PLAIN or memoryview(item.output)[0] not in _TEXT_OR_NULL:
        return False
    if memoryview(item.content)[0] in _TEXT_OR_NULL:
        return True
    try:
        return all(
            part.type in _TEXTS and part.file_id is _NULL and bytes(part.annotations) in _NONE
            for part in _parts(item.content)
        )
    except msgspec.ValidationError:
        return False


def _bare(item: _Item) -> bool:
    """An item reference need not say that it is one."""
    return item.type is None and item.role is None


def edits(head: Head, target: Target) -> Sequence[Edit]:
    if target.accepts.drop:
        _refused(head, target)
    if head.model == target.model:
        return ()
    return (Edit(name="model", path=("model",), value=msgspec.json.encode(target.model), present=bool(head.model)),)


def _refused(head: Head, target: Target) -> None:
    """Refuses a body with a member that the target is known to refuse."""
    given: dict[str, msgspec.Raw] = msgspec.json.decode(head.body, type=dict[str, msgspec.Raw])
    for name in sorted(target.accepts.drop & given.keys()):
        if bytes(given[name]) != b"null":
            raise BadRequest(
                f"{name} is not supported by {target.model} at {target.provider}: leave it out",
                code="unsupported_parameter",
                param=name,
            )


def slots(json: Json) -> Iterator[TextSlot]:
    instructions = json.get("instructions")
    if isinstance(instructions, str):
        yield _slot(("instructions",), instructions, "system")
    given = json.get("input")
    if isinstance(given, str):
        yield _slot(("input",), given, "user")
    for index, item in enumerate(given if isinstance(given, list) else ()):
        if isinstance(item, dict):
            yield from _item(item, ("input", index))
    prompt = json.get("prompt")
    if isinstance(prompt, dict):
        yield from (
            _slot(path, text, "user") for path, text in leaves(prompt.get("variables"), ("prompt", "variables"))
        )
    yield from _described(json.get("tools"), ("tools",))
    yield from _described(json.get("text"), ("text",))


def _slot(path: Path, text: str, role: str) -> TextSlot:
    return TextSlot(path=path, text=text, role=role)


def _item(item: dict[str, Any], path: Path) -> Iterator[TextSlot]:
    kind = str(item.get("type"))
    if kind == "additional_tools":
        yield from _described(item.get("tools"), (*path, "tools"))
        return
    role = item.get("role")
    if not isinstance(role, str):
        role = "tool" if kind in TOOL_ROLES or kind.endswith("_call_output") else "assistant"
    for place, text in leaves(item, path):
        arguments = place[-1] == "arguments" and len(place) == len(path) + 1
        yield TextSlot(path=place, text=text, role=role, kind="arguments" if arguments else "text")


_TOLD = frozenset(("description", "definition", "server_description"))
"""Members of tools and schemas that are told to the model as text."""


def _described(value: Any, path: Path) -> Iterator[TextSlot]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _TOLD and isinstance(item, str) and item:
                yield _slot((*path, key), item, "system")
            else:
                yield from _described(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _described(item, (*path, index))
