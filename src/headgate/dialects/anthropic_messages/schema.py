"""JSON Schemas of other families in the subset that this API takes for enforced shapes (output format, strict tools).

Rules of this file (source: the API's documentation of structured outputs):
- Objects are closed: `additionalProperties` is false everywhere.
- `oneOf` is told as `anyOf`; keywords outside the subset go into the `description` as text, so that the model may still
  follow them, and are listed.
- What the subset has is unchanged, key order included.
"""

from __future__ import annotations

from typing import Any

import msgspec

_KEPT = frozenset(
    (
        "$defs",
        "$ref",
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "default",
        "definitions",
        "description",
        "enum",
        "items",
        "oneOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    )
)
_FORMATS = frozenset(("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"))
_MAPS = frozenset(("$defs", "definitions", "properties"))
_LISTS = frozenset(("allOf", "anyOf", "oneOf"))


def enforceable(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The schema in the subset, and what is no longer enforced ("minimum: 3", ...)."""
    moved: list[str] = []
    return _adapted(schema, moved), moved


def _adapted(schema: Any, moved: list[str]) -> Any:
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    told: list[str] = []
    for key, value in schema.items():
        if key == "$schema":
            continue
        if not _taken(key, value):
            told.append(f"{key}: {msgspec.json.encode(value).decode()}")
        elif key in _MAPS and isinstance(value, dict):
            made[key] = {name: _adapted(inner, moved) for name, inner in value.items()}
        elif key in _LISTS and isinstance(value, list):
            made["anyOf" if key == "oneOf" and "anyOf" not in schema else key] = [_adapted(i, moved) for i in value]
        elif key == "items":
            made[key] = _adapted(value, moved)
        else:
            made[key] = value
    kind = made.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in made:
        if not made.get("properties") and "additionalProperties" not in schema:
            told.append("additionalProperties: true")
        made["additionalProperties"] = False
    if told:
        moved += told
        said = made.get("description")
        made["description"] = (f"{said}\n\n" if said else "") + "; ".join(told)
    return made


def _taken(key: str, value: Any) -> bool:
    if key == "format":
        return value in _FORMATS
    if key == "minItems":
        return value in (0, 1)
    if key == "additionalProperties":
        return value is False
    return key in _KEPT
