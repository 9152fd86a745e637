"""The schema as others read it: JSON Schema for editors, tables for people. Derived, and imported when asked for.

Rules of this file:
- What the JSON Schema takes, the reader takes: `${...}` may stand in place of any single value, nothing (null) in place
  of whatever has a default. Where a text is wanted the reader takes more: whatever is written, also 7 and true.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from headgate.config.forms import Form
from headgate.config.read import Field, Kind, fields_of, kind_of
from headgate.config.schema import Config
from headgate.config.section import Section

_STANDS_FOR = r"\$\{"
_VARIABLE: dict[str, Any] = {"type": "string", "pattern": _STANDS_FOR}


def json_schema() -> dict[str, Any]:
    """The config file's JSON Schema (2020-12)."""
    definitions = {section.__name__: _section(section) for section in _sections(Config)}
    root = definitions.pop("Config")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Headgate config",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def tables() -> str:
    """The same as Markdown: one table a section."""
    return "\n".join(line for path, section in _paths(Config, "") for line in _table(path, section))


# JSON Schema


def _section(section: type[Section]) -> dict[str, Any]:
    fields = fields_of(section)
    out: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _field(field) for name, field in fields.items()},
    }
    if required := [name for name, field in fields.items() if field.required]:
        out["required"] = required
    return out


def _field(field: Field) -> dict[str, Any]:
    schema = _schema(field.kind)
    if not field.required:
        schema = {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}
    out = {"description": field.kind.about, **schema} if field.kind.about else schema
    return out | _default_json(field)


def _schema(kind: Kind) -> dict[str, Any]:
    origin = get_origin(kind.type)
    if origin is tuple:
        out: dict[str, Any] = {"type": "array", "items": _schema(kind_of(get_args(kind.type)[0]))}
        return out | ({"minItems": kind.meta.min_length} if kind.meta and kind.meta.min_length else {})
    if origin is dict:
        return _mapping(kind)
    if kind.type is Any:
        return {}
    if isinstance(kind.type, type) and issubclass(kind.type, Section):
        reference = {"$ref": f"#/$defs/{kind.type.__name__}"}
        if not kind.type.shorthand:
            return reference
        return {"anyOf": [_schema(fields_of(kind.type)[kind.type.shorthand].kind), reference]}
    return _single(kind)


def _mapping(kind: Kind) -> dict[str, Any]:
    key, value = (kind_of(arg) for arg in get_args(kind.type))
    schema = _schema(value)
    if isinstance(value.type, type) and issubclass(value.type, Section):
        if not any(field.required for field in fields_of(value.type).values()):
            schema = {"anyOf": [schema, {"type": "null"}]}
    elif value.type is not Any:  # texts: 2 and true are taken as they are written
        schema = {"type": ["string", "number", "boolean"]}
    out: dict[str, Any] = {"type": "object", "additionalProperties": schema}
    return out | ({"propertyNames": {"pattern": f"^(?:{key.form.pattern})$"}} if key.form else {})


def _single(kind: Kind) -> dict[str, Any]:
    if kind.form:
        return _formed(kind.form)
    if get_origin(kind.type) is Literal:
        return {"anyOf": [{"enum": list(get_args(kind.type))}, _VARIABLE]}
    if kind.type is bool:
        return {"anyOf": [{"type": "boolean"}, _VARIABLE]}
    if kind.type in (int, float):
        meta = kind.meta
        limits = {"minimum": meta.ge, "exclusiveMinimum": meta.gt, "maximum": meta.le} if meta else {}
        number: dict[str, Any] = {"type": "integer" if kind.type is int else "number"}
        number |= {name: limit for name, limit in limits.items() if limit is not None}
        return {"anyOf": [number, _VARIABLE]}
    return {"type": "string"}


def _formed(form: Form) -> dict[str, Any]:
    text = {"type": "string", "pattern": f"^(?:{form.pattern})$|{_STANDS_FOR}"}
    if form.example:
        text["examples"] = [form.example]  # type: ignore[assignment]
    others = [{"type": other, "minimum": 0} for other in form.types if other != "string"]
    return {"anyOf": [text, *others]} if others else text


# tables


def _sections(section: type[Section]) -> Iterator[type[Section]]:
    seen: set[type[Section]] = set()
    for _, below in _paths(section, ""):
        if below not in seen:
            seen.add(below)
            yield below


def _paths(section: type[Section], path: str) -> Iterator[tuple[str, type[Section]]]:
    """Every section with its path; `<name>` and `[]` stand for the members of mappings and lists."""
    yield path, section
    for name, field in fields_of(section).items():
        below, kind = (f"{path}.{name}" if path else name), field.kind
        while get_origin(kind.type) in (tuple, dict):
            below += "[]" if get_origin(kind.type) is tuple else ".<name>"
            kind = kind_of(get_args(kind.type)[-1 if get_origin(kind.type) is dict else 0])
        if isinstance(kind.type, type) and issubclass(kind.type, Section):
            yield from _paths(kind.type, below)


def _table(path: str, section: type[Section]) -> list[str]:
    lines = [f"## {path or 'The file'}", ""]
    if section.shorthand:
        lines += [f"A text in place of the mapping stands for `{section.shorthand}`.", ""]
    lines += ["| key | value | default | |", "|---|---|---|---|"]
    for name, field in fields_of(section).items():
        lines.append(f"| `{name}` | {_values(field.kind)} | {_default(field)} | {field.kind.about} |")
    return [*lines, ""]


def _values(kind: Kind) -> str:
    origin = get_origin(kind.type)
    if origin is tuple:
        return f"list of {_values(kind_of(get_args(kind.type)[0]))}"
    if origin is dict:
        return f"mapping of {_values(kind_of(get_args(kind.type)[1]))}"
    if kind.form:
        return kind.form.name + (f" (`{kind.form.example}`)" if kind.form.example else "")
    if origin is Literal:
        return " · ".join(f"`{choice}`" for choice in get_args(kind.type))
    if isinstance(kind.type, type) and issubclass(kind.type, Section):
        return "section"
    return {bool: "`true` · `false`", int: "integer", float: "number", Any: "anything"}.get(kind.type, "text")


def _default(field: Field) -> str:
    """The default as one would write it."""
    if field.required:
        return "**required**"
    json = _default_json(field).get("default")
    if json is None:
        return "none"
    return f"`{json}`" if isinstance(json, str) and json else f"`{msgspec.json.encode(json).decode()}`"


def _default_json(field: Field) -> dict[str, Any]:
    value = field.default
    if field.required or value is None or isinstance(value, Section) or value in ({}, ()):
        return {}
    if isinstance(value, Path):
        value = f"./{value}"
    elif field.kind.form:
        value = field.kind.form.write(value)
    return {"default": msgspec.to_builtins(value)}
