"""The texts of a chat request that a guard reads and may replace.

Rules of this file:
- Messages of every role, thoughts and calls of earlier turns, descriptions of tools and of the wanted output,
  predicted content.
- In a content part of unknown type every string is a text, but for words and ids (QUIET). Base64 and URLs of known
  media are not.
- A body of wrong types yields what it can: judging it is not the guards' work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headgate.dialects.base import Json, TextSlot
from headgate.dialects.openai_chat.places import strings
from headgate.dialects.openai_chat.reasoning import text_key
from headgate.dialects.openai_chat.tables import QUIET, REASONING_FIELDS
from headgate.model.events import Path

_MEDIA = frozenset(("image_url", "input_audio", "video_url", "document_url", "image"))
_SILENT = QUIET | {"data", "file_data", "media_type", "cache_control"}


def slots(json: Json) -> Iterator[TextSlot]:
    for index, message in enumerate(_list(json.get("messages"))):
        if isinstance(message, dict):
            yield from _message(message, ("messages", index))
    for index, tool in enumerate(_list(json.get("tools"))):
        if isinstance(tool, dict):
            for key in ("function", "custom"):
                yield from _described(tool.get(key), ("tools", index, key))
            if tool.get("type") not in ("function", "custom", None):
                yield from _leaves(tool, ("tools", index), "tools")
    for index, function in enumerate(_list(json.get("functions"))):
        yield from _described(function, ("functions", index))
    wanted = json.get("response_format")
    if isinstance(wanted, dict):
        yield from _described(wanted.get("json_schema"), ("response_format", "json_schema"))
    predicted = json.get("prediction")
    if isinstance(predicted, dict):
        yield from _content(predicted.get("content"), ("prediction", "content"), "assistant")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _slot(value: Any, path: Path, role: str, arguments: bool = False) -> Iterator[TextSlot]:
    if isinstance(value, str) and value:
        yield TextSlot(path=path, text=value, role=role, kind="arguments" if arguments else "text")


def _message(message: Json, path: Path) -> Iterator[TextSlot]:
    role = message.get("role")
    role = role if isinstance(role, str) else ""
    content = message.get("content")
    if type(content) is str and len(message) == 2 and role:  # by far the most: a role and a text
        if content:
            yield TextSlot(path=(*path, "content"), text=content, role=role)
        return
    for index, detail in enumerate(_list(message.get("reasoning_details"))):
        if isinstance(detail, dict) and text_key(detail):
            yield from _slot(detail.get(text_key(detail)), (*path, "reasoning_details", index, text_key(detail)), role)
    for name in (*REASONING_FIELDS, "refusal", "name"):
        yield from _slot(message.get(name), (*path, name), role)
    yield from _content(message.get("content"), (*path, "content"), role)
    for index, call in enumerate(_list(message.get("tool_calls"))):
        if isinstance(call, dict):
            here = (*path, "tool_calls", index)
            for key, field in (("function", "arguments"), ("custom", "input")):
                held = call.get(key)
                if isinstance(held, dict):
                    yield from _slot(held.get(field), (*here, key, field), role, field == "arguments")
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        yield from _slot(legacy.get("arguments"), (*path, "function_call", "arguments"), role, True)
    for index, found in enumerate(_list(message.get("annotations"))):
        yield from _leaves(found, (*path, "annotations", index), role)


def _content(content: Any, path: Path, role: str) -> Iterator[TextSlot]:
    yield from _slot(content, path, role)
    for index, part in enumerate(_list(content)):
        here = (*path, index)
        if isinstance(part, str):
            yield from _slot(part, here, role)
        elif isinstance(part, dict):
            yield from _part(part, here, role)


def _part(part: Json, path: Path, role: str) -> Iterator[TextSlot]:
    kind = part.get("type")
    kind = kind if isinstance(kind, str) else ""
    if kind in _MEDIA:
        yield from _slot(part.get("text"), (*path, "text"), role)
    elif kind == "file":
        file = part.get("file")
        if isinstance(file, dict):
            yield from _slot(file.get("filename"), (*path, "file", "filename"), role)
    else:
        yield from _leaves(part, path, role)


def _leaves(value: Any, path: Path, role: str) -> Iterator[TextSlot]:
    for place, text in strings(value, path, _SILENT):
        yield TextSlot(path=place, text=text, role=role)


def _described(holder: Any, path: Path) -> Iterator[TextSlot]:
    """A tool's description, those inside its schema, and its grammar."""
    if not isinstance(holder, dict):
        return
    yield from _slot(holder.get("description"), (*path, "description"), "tools")
    for place, text in strings(holder.get("format"), (*path, "format"), ()):
        if place[-1] == "definition":
            yield TextSlot(path=place, text=text, role="tools")
    for key in ("parameters", "schema"):
        yield from _descriptions(holder.get(key), (*path, key))


def _descriptions(schema: Any, path: Path) -> Iterator[TextSlot]:
    """Texts under the keys `description` and `title` (which may also be names of properties: those hold schemas)."""
    for place, text in strings(schema, path, ()):
        if place[-1] in ("description", "title"):
            yield TextSlot(path=place, text=text, role="tools")
