"""What is read from a request's bytes without a full parse, and the edits that bring them to a target.

Rules of this file:
- Types are checked for what is read here and for nothing else: the upstream judges the rest.
- Every other byte of the body stays. An edit is made only where the target demands it.
- Usage is asked for in every stream whose target can tell it, also where the client said no: it is metered, and
  hidden from the client (`Head.include_usage`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from headgate.dialects.base import Edit, Head, Target
from headgate.dialects.held import held
from headgate.dialects.naming import tool_id
from headgate.dialects.splice import bulk
from headgate.errors import BadRequest
from headgate.model.events import Path

_AT = re.compile(r" - at `\$?\.?(.*)`$")
MOST_TOKENS, MOST_CHOICES = 2**31, 1024
"""Bounds of what is counted with. A number beyond them is no reason to refuse: the upstream judges it."""
_NOTHING = (b"null", b"[]", b"")
_NULL = msgspec.Raw(b"null")
_ARRAY = 0x5B


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Head(Struct):
    model: str | None = None
    stream: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    n: int | None = None
    stream_options: _StreamOptions | None = None
    store: bool | None = None
    tools: msgspec.Raw | UnsetType = UNSET
    functions: msgspec.Raw | UnsetType = UNSET
    messages: msgspec.Raw = _NULL


class _Function(Struct):
    id: str | None = None


class _Message(Struct):
    role: str = ""
    tool_call_id: str | None = None
    tool_calls: list[_Function] | None = None


class _Messages(Struct):
    messages: list[_Message] | None = None


class _File(Struct):
    file_id: str | None = None


class _Block(Struct):
    type: str = ""
    file: _File | None = None


class _Holding(Struct):
    content: msgspec.Raw = _NULL
    reasoning_details: msgspec.Raw | UnsetType = UNSET


_head = msgspec.json.Decoder(_Head).decode
_messages = msgspec.json.Decoder(_Messages).decode
_holdings = msgspec.json.Decoder(list[_Holding]).decode
_blocks = msgspec.json.Decoder(list[_Block]).decode


def wrong(error: Exception) -> BadRequest:
    """The refusal that a decoder's error becomes; `param` is the path it names."""
    if isinstance(error, RecursionError):
        return BadRequest("the body is nested too deeply")
    text = str(error)
    found = _AT.search(text)
    if isinstance(error, msgspec.ValidationError):
        param = found[1] if found else ""
        if not param and "missing required field" in text:
            param = text.partition("`")[2].partition("`")[0]
        return BadRequest(f"invalid value for {param or 'the body'}: {_AT.sub('', text)}", param=param or None)
    return BadRequest(f"the body is not valid JSON: {text}")


def head(body: bytes) -> Head:
    try:
        read = _head(body)
        files, prose = _parts(read.messages)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise wrong(error) from error
    stream = bool(read.stream)
    options = read.stream_options
    cap = read.max_completion_tokens if read.max_completion_tokens is not None else read.max_tokens
    return Head(
        model=read.model or "",
        stream=stream,
        max_output=countable_cap(cap),
        n=countable(read.n),
        include_usage=not stream or (options is not None and bool(options.include_usage)),
        tools=_some(read.tools) or _some(read.functions),
        objects=tuple(files),
        stores=bool(read.store),
        body=body,
        bulk=bulk(body, "messages", read.messages),
        prose=prose,
    )


def countable_cap(cap: int | None) -> int | None:
    """A cap to reckon with: none for a negative number, at most MOST_TOKENS."""
    return None if cap is None or cap < 0 else min(cap, MOST_TOKENS)


def countable(choices: int | None) -> int:
    """A number of choices to reckon with: from 1 to MOST_CHOICES."""
    return min(max(choices or 1, 1), MOST_CHOICES)


def _some(raw: msgspec.Raw | UnsetType) -> bool:
    return raw is not UNSET and bytes(raw) not in _NOTHING and bytes(raw).strip(b"[] \t\r\n") != b""


def _parts(messages: msgspec.Raw) -> tuple[list[str], bool]:
    """Ids of uploaded files that content parts refer to, and whether there are texts alone (`Head.prose`). Content of another shape
    is the upstream's to judge; a file that it names all the same is the tenant's own."""
    try:
        holdings = _holdings(messages)
    except msgspec.ValidationError:
        return list(held(msgspec.json.decode(messages))), False
    files: list[str] = []
    prose = True
    for message in holdings:
        prose = prose and message.reasoning_details is UNSET
        if memoryview(message.content)[0] != _ARRAY:
            continue
        try:
            for block in _blocks(message.content):
                prose = prose and block.type == "text"
                if block.file is not None and block.file.file_id:
                    files.append(block.file.file_id)
        except msgspec.ValidationError:
            files += held(msgspec.json.decode(message.content))
            prose = False
    return files, prose


def edits(head: Head, target: Target) -> list[Edit]:
    accepts = target.accepts
    made: list[Edit] = []
    if head.model != target.model:
        made.append(Edit(name="model", path=("model",), value=msgspec.json.encode(target.model), present=True))
    if head.stream and accepts.stream_usage and not head.include_usage:
        made.append(Edit(name="stream_options", path=("stream_options", "include_usage"), value=b"true"))
    if accepts.max_tokens_field is not None and head.max_output is not None:
        made += _cap(head, accepts.max_tokens_field)
    if accepts.drop:
        refuse_dropped(head, target)
    roles = not accepts.developer_role and b'"developer"' in head.body
    ids = accepts.tool_id != "any" and b'"tool_call' in head.body
    if roles or ids:
        made += _message_edits(head.body, target, roles, ids)
    return made


def _cap(head: Head, wanted: str) -> Iterator[Edit]:
    """The cap under the name this target knows."""
    other = "max_tokens" if wanted == "max_completion_tokens" else "max_completion_tokens"
    rim = head.rim
    if b'"%s"' % other.encode() in rim or b"\\u00" in rim:
        yield Edit(name="output_cap", path=(other,), value=None)
        yield Edit(name="output_cap", path=(wanted,), value=b"%d" % (head.max_output or 0))


def refuse_dropped(head: Head, target: Target) -> None:
    """Refuses a body with a member that the target is known to refuse."""
    rim = head.rim
    if not any(b'"%s"' % name.encode() in rim for name in target.accepts.drop):
        return
    members: dict[str, Any] = msgspec.json.decode(head.body, type=dict[str, msgspec.Raw])
    for name in sorted(target.accepts.drop):
        if name in members and bytes(members[name]) != b"null":
            raise BadRequest(
                f"{name} is not supported by {target.model} at {target.provider}: leave it out",
                code="unsupported_parameter",
                param=name,
            )


def _message_edits(body: bytes, target: Target, roles: bool, ids: bool) -> Iterator[Edit]:
    try:
        read = _messages(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise wrong(error) from error
    grammar = target.accepts.tool_id
    for index, message in enumerate(read.messages or ()):
        here = ("messages", index)
        if roles and message.role == "developer":
            yield Edit(name="role", path=(*here, "role"), value=b'"system"')
        if not ids:
            continue
        named: list[tuple[Path, str]] = []
        if message.tool_call_id:
            named.append(((*here, "tool_call_id"), message.tool_call_id))
        named += [
            ((*here, "tool_calls", place, "id"), call.id)
            for place, call in enumerate(message.tool_calls or ())
            if call.id
        ]
        for path, id in named:
            made = tool_id(id, grammar)
            if made != id:
                yield Edit(name="tool_id", path=path, value=msgspec.json.encode(made))
