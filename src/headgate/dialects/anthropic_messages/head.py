"""The client's own bytes: what routing needs of them, the edits for a target, and the texts that guards see.

Rules of this file:
- `head` decodes only what it names; the rest of the body is not looked at, but for file ids where there may be any.
- Held upstream are files, containers, and (beta) a thread's messages, under the ids of their answers.
- Slots are strings, and the input of a call: where else text stands in an object (a native block), each string of it is a slot.
- A thought is a slot like any other text. Whoever changes one that the API signed breaks its signature; putting back
  what was changed on the way out does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from headgate.dialects import carrier
from headgate.dialects.base import Edit, Head, Json, Target, TextSlot
from headgate.dialects.splice import bulk
from headgate.errors import BadRequest
from headgate.model.events import Path

from .texts import texts

_NULL = Raw(b"null")
_NONE = (b"null", b"[]")
_QUOTE, _TEXT_OR_NULL = 0x22, b'"n'
_PLAIN = frozenset(("text", "thinking", "tool_use", "tool_result"))


class _Container(Struct):
    id: str | None = None


class _Thread(Struct):
    previous_message_id: str | None = None


class _Body(Struct):
    model: str
    stream: bool | None = None
    max_tokens: int | None = None
    tools: list[Raw] | None = None
    container: str | _Container | None = None
    thread: _Thread | None = None
    messages: Raw = _NULL


class _Message(Struct):
    content: Raw = _NULL


class _Block(Struct):
    type: str = ""
    content: Raw = _NULL
    input: Raw = _NULL
    signature: Raw = _NULL
    citations: Raw = _NULL
    source: Raw = _NULL
    file_id: Raw = _NULL


_bodies = msgspec.json.Decoder(_Body)
_messages = msgspec.json.Decoder(list[_Message]).decode
_blocks = msgspec.json.Decoder(list[_Block]).decode


def malformed(error: Exception) -> BadRequest:
    """The refusal for a body that could not be decoded, with the place if the decoder told one."""
    said = str(error)
    what, found, place = said.rpartition(" - at `$")
    if isinstance(error, RecursionError):
        return BadRequest("the body is nested too deeply")
    if isinstance(error, msgspec.ValidationError):
        if found:
            return BadRequest(what, param=place.rstrip("`").lstrip("."))
        field = said.partition("field `")[2].rstrip("`")
        return BadRequest(said, param=field or None)
    return BadRequest(f"the body is not JSON: {said}")


def head(body: bytes) -> Head:
    try:
        seen = _bodies.decode(body)
        held = bulk(body, "messages", seen.messages)
        prose = _prose(seen.messages)
        searched = held.beside(body) if prose and held is not None else body
        objects = _files(msgspec.json.decode(body)) if _may_name_file(searched) else []
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise malformed(error) from error
    if not seen.model:
        raise BadRequest("model is empty", param="model")
    container = seen.container.id if isinstance(seen.container, _Container) else seen.container
    if container:
        objects.append(container)
    if seen.thread is not None and seen.thread.previous_message_id:
        objects.append(seen.thread.previous_message_id)
    return Head(
        model=seen.model,
        stream=bool(seen.stream),
        max_output=seen.max_tokens,
        tools=bool(seen.tools),
        objects=tuple(dict.fromkeys(objects)),
        state=seen.thread is not None,
        stores=seen.thread is not None,
        body=body,
        bulk=held,
        prose=prose,
    )


def _prose(messages: Raw) -> bool:
    """Whether there are texts and calls alone (`Head.prose`), and none of them names a file."""
    try:
        return all(
            memoryview(message.content)[0] == _QUOTE or all(map(_plain, _blocks(message.content)))
            for message in _messages(messages)
        )
    except msgspec.ValidationError:
        return False


def _plain(block: _Block) -> bool:
    return (
        block.type in _PLAIN
        and block.source is block.file_id is _NULL
        and memoryview(block.content)[0] in _TEXT_OR_NULL
        and (block.input is _NULL or not _may_name_file(bytes(block.input)))
        and (block.signature is _NULL or carrier.MAGIC not in bytes(block.signature))
        and (block.citations is _NULL or bytes(block.citations) in _NONE)
    )


def _may_name_file(text: bytes) -> bool:
    return b"file_id" in text or b"\\u00" in text


def _files(value: Any) -> list[str]:
    """The ids under every `file_id`."""
    found: list[str] = []
    stack = [value]
    while stack:
        here = stack.pop()
        if isinstance(here, dict):
            identity = here.get("file_id")
            if isinstance(identity, str):
                found.append(identity)
            stack.extend(here.values())
        elif isinstance(here, list):
            stack.extend(here)
    return found


def edits(head: Head, target: Target) -> Sequence[Edit]:
    """The model. A field that the target refuses is refused here, where it can be named."""
    if target.accepts.drop:
        given = msgspec.json.decode(head.body, type=dict[str, Raw])
        for name in sorted(target.accepts.drop & given.keys()):
            if bytes(given[name]) != b"null":
                raise BadRequest(f"{name} is not understood by this model's provider", param=name)
    if head.model == target.model:
        return ()
    return (Edit(name="model", path=("model",), value=msgspec.json.encode(target.model), present=True),)


def slots(json: Json) -> Iterator[TextSlot]:
    yield from _content(json.get("system"), ("system",), "system")
    messages = json.get("messages")
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        if isinstance(message, dict):
            role = message.get("role")
            yield from _content(
                message.get("content"), ("messages", index, "content"), role if isinstance(role, str) else "user"
            )
    tools = json.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        yield from _described(tool, ("tools", index))
        if isinstance(tool, dict):
            for text, at in texts(tool.get("input_examples"), ("tools", index, "input_examples"), free=True):
                yield TextSlot(path=at, text=text, role="system")
    yield from _described(json.get("output_config"), ("output_config",))
    yield from _described(json.get("output_format"), ("output_format",))


def _content(value: Any, path: Path, role: str) -> Iterator[TextSlot]:
    if isinstance(value, str):
        yield TextSlot(path=path, text=value, role=role)
        return
    for index, block in enumerate(value if isinstance(value, list) else ()):
        if isinstance(block, dict):
            yield from _block(block, (*path, index), role)


def _block(block: dict[str, Any], path: Path, role: str) -> Iterator[TextSlot]:
    role = "tool" if block.get("type") == "tool_result" else role
    arguments = block.get("input")
    if isinstance(arguments, dict | list):
        text = msgspec.json.encode(arguments).decode()
        yield TextSlot(path=(*path, "input"), text=text, role=role, kind="object")
        block = {key: value for key, value in block.items() if key != "input"}
    for text, at in texts(block, path):
        yield TextSlot(path=at, text=text, role=role)


def _described(value: Any, path: Path) -> Iterator[TextSlot]:
    """The prose of a tool or a schema, wherever in it."""
    stack: list[tuple[Any, Path]] = [(value, path)]
    while stack:
        here, at = stack.pop()
        if isinstance(here, list):
            stack.extend((item, (*at, index)) for index, item in reversed(list(enumerate(here))))
        elif isinstance(here, dict):
            if isinstance(here.get("description"), str):
                yield TextSlot(path=(*at, "description"), text=here["description"], role="system")
            stack.extend((item, (*at, key)) for key, item in reversed(here.items()) if isinstance(item, dict | list))
