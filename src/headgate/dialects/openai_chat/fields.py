"""Typed access to a client's JSON: each wrong type is a BadRequest that names its path."""

from __future__ import annotations

from typing import Any

from headgate.errors import BadRequest

Member = dict[str, Any]


def refuse(path: str, wanted: str, value: Any) -> BadRequest:
    given = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return BadRequest(
        f"{path or 'the body'} must be {wanted}, not {given.get(type(value), 'a number')}", param=path or None
    )


def mapping(value: Any, path: str) -> Member:
    if not isinstance(value, dict):
        raise refuse(path, "an object", value)
    return value


def listing(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise refuse(path, "an array", value)
    return value


def string(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise refuse(path, "a string", value)
    return value


def text(holder: Member, key: str, path: str) -> str | None:
    """A string member, None where it is absent or null."""
    value = holder.get(key)
    return None if value is None else string(value, f"{path}.{key}" if path else key)


def flag(holder: Member, key: str, path: str = "") -> bool | None:
    value = holder.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise refuse(f"{path}.{key}" if path else key, "a boolean", value)


def whole(holder: Member, key: str, path: str = "") -> int | None:
    value = holder.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise refuse(f"{path}.{key}" if path else key, "a whole number", value)


def number(holder: Member, key: str, path: str = "") -> float | None:
    value = holder.get(key)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise refuse(f"{path}.{key}" if path else key, "a number", value)


def inner(holder: Member, key: str, path: str = "") -> Member | None:
    """An object member, None where it is absent or null."""
    value = holder.get(key)
    return None if value is None else mapping(value, f"{path}.{key}" if path else key)


def unsaid(value: Any) -> bool:
    """Whether a member of this value says nothing: null, or empty."""
    return value is None or (isinstance(value, str | list | dict) and not value)
