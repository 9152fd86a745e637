"""Google's OpenAPI subset of schemas -> JSON Schema (the other way is not needed: the API takes JSON Schema as it is).

Rules of this file:
- Type words (or their numbers) become lower case; `nullable` becomes a type list or an anyOf with null; numbers that
  proto3 writes as strings ("minItems": "2") become numbers; `propertyOrdering` becomes the order of `properties`;
  `example` becomes `examples`.
- Everything else stays, so that a schema which already is JSON Schema comes out as it went in.
"""

from __future__ import annotations

from typing import Any

from .tables import camel

_COUNTS = frozenset(("minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"))
_LISTS = frozenset(("anyOf", "oneOf", "allOf", "prefixItems"))
_MAPS = frozenset(("properties", "$defs", "definitions"))
_TYPES = ("type_unspecified", "string", "number", "integer", "boolean", "array", "object", "null")
"""Type words by their number in the proto, which some of Google's SDKs send."""
_RENAMED = {"defs": "$defs", "ref": "$ref"}


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema that an OpenAPI-subset schema means. The source is not changed."""
    out: dict[str, Any] = {}
    nullable = False
    order: list[str] = []
    for spelled, value in schema.items():
        name = spelled if spelled.startswith("$") else camel(spelled)
        name = _RENAMED.get(name, name)
        if name == "nullable":
            nullable = value is True
        elif name == "propertyOrdering" and isinstance(value, list):
            order = [item for item in value if isinstance(item, str)]
        elif name == "example":
            out["examples"] = [value]
        else:
            out[name] = _member(name, value)
    if order and isinstance(out.get("properties"), dict):
        out["properties"] = _ordered(out["properties"], order)
    return _with_null(out) if nullable else out


def _member(name: str, value: Any) -> Any:
    if name == "type":
        return _types(value)
    if name in _COUNTS and isinstance(value, str) and value.isdigit():
        return int(value)
    if name in _LISTS and isinstance(value, list):
        return [json_schema(item) if isinstance(item, dict) else item for item in value]
    if name in _MAPS and isinstance(value, dict):
        return {key: json_schema(item) if isinstance(item, dict) else item for key, item in value.items()}
    if name in ("items", "additionalProperties") and isinstance(value, dict):
        return json_schema(value)
    return value


def _types(value: Any) -> Any:
    if isinstance(value, list):
        return [_types(item) for item in value]
    if isinstance(value, int) and 0 <= value < len(_TYPES):
        return _TYPES[value]
    return value.lower() if isinstance(value, str) else value


def _ordered(properties: dict[str, Any], order: list[str]) -> dict[str, Any]:
    first = {name: properties[name] for name in order if name in properties}
    return {**first, **properties}


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
        return schema
    if isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    return schema
