"""Values of an upstream's JSON, with the type they must have: UpstreamMalformed names what is wrong."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from headgate.errors import UpstreamMalformed

_decode = msgspec.json.Decoder().decode


def json_of(data: bytes) -> Any:
    try:
        return _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UpstreamMalformed(f"the upstream's answer is not JSON: {error}") from error


def malformed(name: str, wanted: str) -> NoReturn:
    raise UpstreamMalformed(f"in the upstream's answer, {name} is not {wanted}")


def an_object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        malformed(name, "an object")
    return value


def a_list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        malformed(name, "a list")
    return value


def a_string(value: Any, name: str) -> str:
    """A string that may be missing."""
    if value is None:
        return ""
    if not isinstance(value, str):
        malformed(name, "a string")
    return value


def an_index(frame: dict[str, Any], name: str) -> int:
    value = frame.get(name, 0)
    if type(value) is not int or value < 0:
        malformed(name, "an index")
    return value


def logprobs_of(holder: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    given = holder.get("logprobs")
    if not given:
        return ()
    return tuple(an_object(value, "logprobs") for value in a_list(given, "logprobs"))
