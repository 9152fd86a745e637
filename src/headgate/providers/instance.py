"""The smallest instance of a JSON Schema, made without chance: what the demo provider fills arguments and answers with.

Covers what tool and answer schemas use: types (also lists of them), properties, required, items, prefixItems, enum, const, default,
allOf/anyOf/oneOf, $ref into $defs, bounds of numbers, strings and arrays, and the usual string formats. Optional members of an
object are left out unless it has no required ones.
"""

from __future__ import annotations

from typing import Any

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_DEPTH = 24


def instance(schema: Any, text: str = "demo", root: Any = None, depth: int = 0) -> Any:
    """A value valid under `schema`; strings without further rule are `text`."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > _DEPTH:
        return {} if schema is True else None
    for fixed in ("const", "default"):
        if fixed in schema:
            return schema[fixed]
    if schema.get("enum"):
        return schema["enum"][0]
    if isinstance(schema.get("$ref"), str):
        return instance(_found(root, schema["$ref"]), text, root, depth + 1)
    for choice in ("anyOf", "oneOf"):
        if schema.get(choice):
            options = [o for o in schema[choice] if o != {"type": "null"}] or schema[choice]
            return instance({**{k: v for k, v in schema.items() if k != choice}, **options[0]}, text, root, depth + 1)
    if schema.get("allOf"):
        merged: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
        for part in schema["allOf"]:
            part = _found(root, part["$ref"]) if "$ref" in part else part
            merged = {**merged, **part, "properties": {**merged.get("properties", {}), **part.get("properties", {})}}
        return instance(merged, text, root, depth + 1)
    return _typed(schema, text, root, depth)


def _typed(schema: dict[str, Any], text: str, root: Any, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    match str(kind).lower():
        case "object":
            properties = schema.get("properties") or {}
            names = schema.get("required") or list(properties)
            return {name: instance(properties.get(name, {}), text, root, depth + 1) for name in names}
        case "array":
            fixed = [instance(item, text, root, depth + 1) for item in schema.get("prefixItems", ())]
            count = max(int(schema.get("minItems", 0)), 0 if fixed or "items" not in schema else 1) - len(fixed)
            return fixed + [instance(schema.get("items", {}), text, root, depth + 1) for _ in range(count)]
        case "integer" | "number":
            return _number(schema, kind == "integer")
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _string(schema, text)


def _number(schema: dict[str, Any], whole: bool) -> int | float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    value: float = 1 if low is None else low
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        value = schema["exclusiveMinimum"] + (1 if whole else 0.5)
    if high is not None and value > high:
        value = high
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        value = schema["exclusiveMaximum"] - (1 if whole else 0.5)
    step = schema.get("multipleOf")
    if step:
        value = -(-value // step) * step
    return int(value) if whole or float(value).is_integer() else value


def _string(schema: dict[str, Any], text: str) -> str:
    value = _FORMATS.get(schema.get("format", ""), text)
    short = int(schema.get("minLength", 0))
    value += "x" * (short - len(value))
    return value[: int(schema["maxLength"])] if "maxLength" in schema else value


def _found(root: Any, reference: str) -> Any:
    node = root
    for step in reference.lstrip("#").strip("/").split("/"):
        step = step.replace("~1", "/").replace("~0", "~")
        node = node.get(step) if isinstance(node, dict) else None
    return node if node is not None else {}
