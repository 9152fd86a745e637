"""Values of a client's JSON, with the type they must have: BadRequest names the path of what is wrong."""

from __future__ import annotations

from typing import Any, NoReturn

from headgate.errors import BadRequest


def wrong(at: str, wanted: str) -> NoReturn:
    raise BadRequest(f"{at} must be {wanted}", param=at)


def a_dict(value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        wrong(at, "an object")
    return value


def a_list(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list):
        wrong(at, "a list")
    return value


def a_string(value: Any, at: str) -> str:
    if not isinstance(value, str):
        wrong(at, "a string")
    return value


def an_integer(value: Any, at: str) -> int:
    if type(value) is not int:
        wrong(at, "an integer")
    return value


def a_number(value: Any, at: str) -> float:
    if type(value) is not int and type(value) is not float:
        wrong(at, "a number")
    return value


def a_boolean(value: Any, at: str) -> bool:
    if not isinstance(value, bool):
        wrong(at, "true or false")
    return value


def string_or_none(fields: dict[str, Any], name: str, at: str) -> str | None:
    value = fields.get(name)
    return None if value is None else a_string(value, f"{at}.{name}" if at else name)


def rest(fields: dict[str, Any], *known: str) -> dict[str, Any]:
    """What of an element is not neutral: its extras. Members that are null say nothing."""
    return {name: value for name, value in fields.items() if name not in known and value is not None}
