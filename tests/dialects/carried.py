"""What a crossing carried: every string of the source must stand in what was written, or in the losses.

    missing(source_json, written.json, written.losses, written.renamed) -> []

- A source string counts as carried where it is (part of) a string of the written JSON, of a JSON text inside it (tool
  arguments), of a carrier's content, or of a `Loss.value`. A data URL counts by its payload alone.
- Objects under ARGUMENTS must appear whole: equal as JSON values, numbers and keys included.
- Words of a dialect's own grammar (WORDS: types, roles, effort levels ...) are translated, not carried: they do not
  count.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import to_builtins

from headgate.dialects import carrier
from headgate.model.prompt import Loss

WORDS = frozenset(
    (
        "type",
        "role",
        "object",
        "status",
        "model",
        "mode",
        "tool_choice",
        "function_call",
        "mime_type",
        "mimeType",
        "media_type",
        "mime",
        "format",
        "effort",
        "reasoning_effort",
        "thinkingLevel",
        "thinking_level",
        "service_tier",
        "verbosity",
        "detail",
        "summary",
        "truncation",
        "id",
        "call_id",
        "tool_call_id",
        "tool_use_id",
        "$ref",
        "$schema",
        "ttl",
        "finish_reason",
        "stop_reason",
        "include",
        "modalities",
        "responseModalities",
        "responseMimeType",
        "response_mime_type",
        "encoding_format",
        "phase",
    )
)
"""Keys whose strings are words of a grammar, or ids that another grammar may spell differently. Only where the value is
a string (or strings): a schema's own property of such a name is seen as the object it is."""

ARGUMENTS = frozenset(("arguments", "args", "input"))
"""Keys whose object (or JSON text of one) is a call's arguments."""


def missing(
    source: Any, written: Any, losses: Iterable[Loss] = (), renamed: Mapping[str, str] | None = None
) -> list[str]:
    """The strings of `source` (with their place) that neither `written` nor the losses hold."""
    held = [
        to_builtins(written),
        [to_builtins(loss.value) for loss in losses],
        [loss.what for loss in losses],
        dict(renamed or {}),
    ]
    strings = list(_strings(held, ""))
    exact = {text for _, text in strings}
    heap = "\0".join(sorted(exact))
    objects = {_canonical(value) for value in _objects(held)}
    gone = [
        f"{place}: {text[:120]!r}"
        for place, text in _wanted(source)
        if text not in exact and text not in heap and not any(form in heap for form in _forms(text))
    ]
    gone += [f"{place}: {value!r:.120}" for place, value in _arguments(source, "") if _canonical(value) not in objects]
    return gone


def _wanted(source: Any) -> Iterator[tuple[str, str]]:
    for place, text in _strings(source, "", words=False):
        bare = _payload(text)
        if bare.strip():
            yield place, bare


def _payload(text: str) -> str:
    if text.startswith("data:") and ";base64," in text[:200]:
        return text.split(";base64,", 1)[1]
    return text


def _forms(text: str) -> Iterator[str]:
    """A string in other words: base64 in the standard alphabet, the text that it is the base64 of."""
    standard = text.translate(_STANDARD)
    yield standard
    try:
        yield base64.b64decode(standard, validate=True).decode()
    except ValueError:
        return


_STANDARD = str.maketrans("-_", "+/")


def _strings(value: Any, place: str, words: bool = True) -> Iterator[tuple[str, str]]:
    """All string leaves (and object keys where `words`), those of JSON texts and carriers inside them included."""
    if isinstance(value, str):
        inner = carrier.unwrap(value)
        if inner is not None:
            yield from _strings(inner, f"{place}~", words)
            if not words:
                return
        parsed = _parsed(value)
        if parsed is not None:
            yield from _strings(parsed, f"{place}~", words)
            if not words:
                return
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if words:
                yield place, str(key)
            elif key in WORDS and (isinstance(item, str) or _all_strings(item)):
                continue
            yield from _strings(item, f"{place}.{key}", words)
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            yield from _strings(item, f"{place}[{index}]", words)


def _all_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _parsed(text: str) -> Any:
    """The object or array that a JSON text holds, or None."""
    if text[:1] not in "{[" or not text:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def _objects(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, Mapping):
        yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _objects(item)


def _arguments(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            found = _parsed(item) if isinstance(item, str) else item
            if key in ARGUMENTS and isinstance(found, dict):
                yield f"{place}.{key}", found
            else:
                yield from _arguments(item, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _arguments(item, f"{place}[{index}]")


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
