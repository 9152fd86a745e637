"""The client's own bytes: what routing needs of them, and the texts that guards see.

Rules of this file:
- Model and stream stand in the URL. Only a request to count tokens may name the model in its body once more, inside the
  request that it wraps; the API wants both to agree.
- `head` decodes only what it names, in both spellings. Only bodies that speak of files or caches are searched for
  their names.
- Slots are strings, and the arguments of a call: of a response or a native item, each string is a slot of its own.
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

from .checks import strings
from .place import Place, each, member
from .tables import FILES, camel, snake

_NULL = Raw(b"null")
_Number = int | float | str | None


class _Settings(Struct):
    maxOutputTokens: _Number = None
    max_output_tokens: _Number = None
    candidateCount: _Number = None
    candidate_count: _Number = None


class _Body(Struct):
    generationConfig: _Settings | None = None
    generation_config: _Settings | None = None
    cachedContent: str | None = None
    cached_content: str | None = None
    tools: list[Raw] | dict[str, Raw] | None = None
    store: bool | None = None
    contents: Raw = _NULL


class _Content(Struct):
    parts: list[dict[str, Raw]] = []


_bodies = msgspec.json.Decoder(_Body)
_contents = msgspec.json.Decoder(list[_Content]).decode
_TEXTS = frozenset(("text", "thought"))
_WRAPPED = (b"enerateContentRequest", b"enerate_content_request")
_HELD = (b"fileUri", b"file_uri", b"fileSearchStoreNames", b"file_search_store_names", b"\\u", *_WRAPPED)
"""Bytes without which no body refers to a file or a store, or to a cache but in its outermost object."""
_CALLS = frozenset(("functionCall", "functionResponse", "function_call", "function_response"))
_ROLES = {"model": "assistant", "function": "tool"}


def head(body: bytes) -> Head:
    try:
        seen = _bodies.decode(body)
        long = bulk(body, "contents", seen.contents)
        prose = _prose(seen.contents)
        searched = long.beside(body) if prose and long is not None else body
        objects = _held(msgspec.json.decode(body)) if any(name in searched for name in _HELD) else []
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _malformed(error) from error
    settings = seen.generationConfig or seen.generation_config or _Settings()
    caches = [name for name in (seen.cachedContent, seen.cached_content) if name]
    objects += caches
    most = settings.maxOutputTokens if settings.maxOutputTokens is not None else settings.max_output_tokens
    count = settings.candidateCount if settings.candidateCount is not None else settings.candidate_count
    return Head(
        model="",
        max_output=Place(most, "generationConfig.maxOutputTokens").count() if most is not None else None,
        n=Place(count, "generationConfig.candidateCount").count() if count is not None else 1,
        tools=bool(seen.tools),
        objects=tuple(dict.fromkeys(objects)),
        state=bool(caches),
        body=body,
        bulk=long,
        prose=prose,
    )


def _prose(contents: Raw) -> bool:
    """Whether there are texts alone (`Head.prose`)."""
    try:
        return all(part.keys() <= _TEXTS for content in _contents(contents) for part in content.parts)
    except msgspec.ValidationError:
        return False


def edits(head: Head, target: Target) -> Sequence[Edit]:
    """A field that the target refuses is refused here, where it can be named."""
    rim = head.rim
    if any(name.encode() in rim or snake(name).encode() in rim for name in target.accepts.drop):
        given = {camel(name): name for name, value in _members(head.body).items() if bytes(value) != b"null"}
        for name in sorted(target.accepts.drop & given.keys()):
            raise BadRequest(
                f"{given[name]} is not supported by {target.model} at {target.provider}: leave it out",
                code="unsupported_parameter",
                param=given[name],
            )
    if not any(name in rim for name in _WRAPPED):
        return ()
    wrapped = next((name for name in _members(head.body) if camel(name) == "generateContentRequest"), None)
    model = target.model if "/" in target.model else f"models/{target.model}"
    return (Edit(name="model", path=(wrapped, "model"), value=msgspec.json.encode(model)),) if wrapped else ()


def _members(body: bytes) -> dict[str, Raw]:
    return msgspec.json.decode(body, type=dict[str, Raw])


def _malformed(error: Exception) -> BadRequest:
    """The refusal of a body that could not be decoded, with the place if the decoder told one."""
    if isinstance(error, RecursionError):
        return BadRequest("the body is nested too deeply")
    what, found, place = str(error).rpartition(" - at `$")
    if isinstance(error, msgspec.ValidationError):
        return BadRequest(what if found else str(error), param=place.rstrip("`").lstrip(".") if found else None)
    return BadRequest(f"the body is not JSON: {error}")


def _held(value: Any) -> list[str]:
    """Names of files, stores and caches held upstream: "files/abc", "fileSearchStores/abc", "cachedContents/abc"."""
    found = list(held(value))
    stack = [value]
    while stack:
        here = stack.pop()
        if isinstance(here, dict):
            _, uri = member(here, "fileUri")
            if isinstance(uri, str) and uri.startswith(FILES):
                found.append("files/" + uri.partition("/files/")[2].partition("?")[0])
            _, stores = member(here, "fileSearchStoreNames")
            found += [name for name in stores if isinstance(name, str)] if isinstance(stores, list) else ()
            stack.extend(item for item in here.values() if isinstance(item, dict | list))
        elif isinstance(here, list):
            stack.extend(item for item in here if isinstance(item, dict | list))
    return sorted(found)


def slots(json: Json) -> Iterator[TextSlot]:
    wrapped = member(json, "generateContentRequest")
    if isinstance(wrapped[1], dict):
        for slot in slots(wrapped[1]):
            yield TextSlot(path=(wrapped[0], *slot.path), text=slot.text, role=slot.role)
    key, instruction = member(json, "systemInstruction")
    if isinstance(instruction, str):
        yield TextSlot(path=(key,), text=instruction, role="system")
    yield from _content(instruction, (key,), "system")
    for at, content in each(json.get("contents")):
        role = content.get("role") if isinstance(content, dict) else None
        yield from _content(content, ("contents", *at), _ROLES.get(str(role), str(role)) if role else "user")
    for at, tool in each(json.get("tools")):
        yield from _described(tool, ("tools", *at))
    key, settings = member(json, "generationConfig")
    for name in ("responseSchema", "responseJsonSchema"):
        spelled, schema = member(settings, name) if isinstance(settings, dict) else ("", None)
        yield from _described(schema, (key, spelled))


def _content(content: Any, path: Path, role: str) -> Iterator[TextSlot]:
    parts = content.get("parts") if isinstance(content, dict) else None
    for at, part in each(parts):
        mine = role
        if isinstance(part, dict) and member(part, "functionResponse")[0]:
            mine = "tool"
        if isinstance(part, dict):
            key, call = member(part, "functionCall")
            arguments = call.get("args") if isinstance(call, dict) else None
            if isinstance(arguments, dict | list):
                text = msgspec.json.encode(arguments).decode()
                yield TextSlot(path=(*path, "parts", *at, key, "args"), text=text, role=mine, kind="object")
                part = part | {key: {name: value for name, value in call.items() if name != "args"}}
        for text, place in strings(part, (*path, "parts", *at)):
            if not _names(place):
                yield TextSlot(path=place, text=text, role=mine)


def _names(place: Path) -> bool:
    """Whether the string is the name of the function called, which is the grammar's, not the user's."""
    return len(place) > 1 and place[-1] == "name" and place[-2] in _CALLS


def _described(value: Any, path: Path) -> Iterator[TextSlot]:
    """The prose of tools and schemas, wherever in them."""
    stack: list[tuple[Any, Path]] = [(value, path)]
    while stack:
        here, at = stack.pop()
        if isinstance(here, list):
            stack.extend((item, (*at, index)) for index, item in reversed(list(enumerate(here))))
        elif isinstance(here, dict):
            if isinstance(here.get("description"), str):
                yield TextSlot(path=(*at, "description"), text=here["description"], role="system")
            stack.extend((item, (*at, key)) for key, item in reversed(here.items()) if isinstance(item, dict | list))
