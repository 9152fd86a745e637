"""Types of an answer's members, checked one by one: what is not as the dialect says is UpstreamMalformed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from headgate.errors import UpstreamMalformed
from headgate.model.events import Path

from .tables import FREE, GEMINI_NUMBERS, OPAQUE, VERTEX_NUMBERS


def objects(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """An object member; {} where it is absent or null."""
    value = fields.get(name)
    if value is None:
        return {}
    if type(value) is not dict:
        raise UpstreamMalformed(f"{name} in the upstream's answer is not an object")
    return value


def lists(fields: dict[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    if value is None:
        return []
    if type(value) is not list:
        raise UpstreamMalformed(f"{name} in the upstream's answer is not a list")
    return value


def string(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if type(value) is not str:
        raise UpstreamMalformed(f"{name} in the upstream's answer is not a string")
    return value


def count(fields: dict[str, Any], name: str) -> int:
    """A whole number, also as a string of digits (proto3 JSON writes 64-bit numbers so)."""
    value = fields.get(name)
    if value is None:
        return 0
    if type(value) is str and value.isdecimal() and len(value) < 20:
        return int(value)
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise UpstreamMalformed(f"{name} in the upstream's answer is not a whole number")
    return value


def an_object(value: Any, what: str) -> dict[str, Any]:
    """An element of a list that must be an object."""
    if type(value) is not dict:
        raise UpstreamMalformed(f"{what} in the upstream's answer is not an object")
    return value


def strings(value: Any, path: Path) -> Iterator[tuple[str, Path]]:
    """The non-empty strings in `value`, but for words of the grammar and opaque ones. Arguments and responses are the
    user's own objects: in them, every string counts."""
    stack: list[tuple[Any, Path, bool]] = [(value, path, False)]
    while stack:
        here, at, free = stack.pop()
        if type(here) is str:
            if here:
                yield here, at
        elif type(here) is dict:
            for key, item in reversed(here.items()):
                if free or key not in OPAQUE:
                    stack.append((item, (*at, key), free or key in FREE))
        elif type(here) is list:
            stack.extend((item, (*at, number), free) for number, item in reversed(list(enumerate(here))))


def seconds(time: str) -> int | None:
    """RFC 3339 -> seconds since the epoch; None for what is no time."""
    try:
        return int(datetime.fromisoformat(time).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


def word(reason: Any, vertex: bool) -> str:
    """A finishReason, which may come as a number; "" for none."""
    if reason is None or type(reason) is str:
        return reason or ""
    if type(reason) is not int:
        raise UpstreamMalformed("finishReason in the upstream's answer is not a word")
    numbers = VERTEX_NUMBERS if vertex else GEMINI_NUMBERS
    return numbers[reason] if 0 <= reason < len(numbers) else str(reason)
