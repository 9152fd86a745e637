"""From a tree of nodes to the values of the schema, driven by their types.

Rules of this file:
- The type decides what a scalar is, not how it looks: `2024-10-21` is text where text is wanted, `no` never a boolean.
- Nothing is guessed: an unknown key, a second spelling of a boolean, a quoted number are refused, with what is right.
- Reading goes on behind an error; all of them are reported together, each with place, path and suggestion.
- A value is shown in an error only if it was written out, short, and where no secret belongs (choices, booleans,
  numbers).
- Empty (null) stands for the default where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from headgate.config.document import List, Map, Mark, Node, Scalar, is_null, shown
from headgate.config.forms import Form
from headgate.config.secrets import Secret, Unresolved, interpolate
from headgate.config.section import Section

_INTEGER = re.compile(r"[-+]?\d+", re.ASCII)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_BOOLEANS = {text: value for value in (True, False) for text in (f"{value}", f"{value}".lower(), f"{value}".upper())}
_LIKE_BOOLEANS = {"yes": True, "on": True, "y": True, "no": False, "off": False, "n": False}


class Fault(Struct, frozen=True, kw_only=True):
    """What is wrong at `path`."""

    mark: Mark
    path: str
    message: str
    hint: str = ""


class Kind(NamedTuple):
    """A type taken apart: what it holds without `| None` and annotations."""

    type: Any
    optional: bool
    form: Form | None
    meta: Meta | None
    about: str


class Field(NamedTuple):
    name: str
    kind: Kind
    required: bool
    default: Any


class _Invalid:
    """Stands for a value whose fault is already told."""


_INVALID = _Invalid()


@cache
def kind_of(annotation: Any) -> Kind:
    form: Form | None = None
    meta: Meta | None = None
    about = ""
    optional = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *extras = get_args(annotation)
            for extra in extras:
                form = form or (extra if isinstance(extra, Form) else None)
                meta = meta or (extra if isinstance(extra, Meta) else None)
                about = about or (extra if isinstance(extra, str) else "")
        elif origin in (Union, UnionType) and NoneType in get_args(annotation):
            optional = True
            annotation = Union[tuple(arg for arg in get_args(annotation) if arg is not NoneType)]  # noqa: UP007
        else:
            return Kind(annotation, optional, form, meta, about)


@cache
def fields_of(section: type[Struct]) -> dict[str, Field]:
    hints = get_type_hints(section, include_extras=True)
    fields = {}
    for info in msgspec.structs.fields(section):
        default = info.default_factory() if info.default_factory is not msgspec.NODEFAULT else info.default
        required = default is msgspec.NODEFAULT
        fields[info.name] = Field(info.name, kind_of(hints[info.name]), required, default)
    return fields


class Reader:
    """Reads one document. `faults`, `marks` (path -> place) and `files` (what `${file:}` named) fill as it goes."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self.faults: list[Fault] = []
        self.marks: dict[str, Mark] = {}
        self.files: dict[Path, bytes] = {}

    def section(self, node: Node, section: type[Section], path: str) -> Any:
        if isinstance(node, Scalar) and section.shorthand and not is_null(node):
            value = self.value(node, fields_of(section)[section.shorthand].kind, path)
            return value if value is _INVALID else section(**{section.shorthand: value})
        fields = fields_of(section)
        given: dict[str, Any] = {}
        if not is_null(node):
            if not isinstance(node, Map):
                return self._wrong(node, path, f"expected a mapping, not {_said(node)}", "write `key: value` below it")
            given = self._members(node, fields, path)
        for field in fields.values():
            if field.required and field.name not in given:
                given[field.name] = self._fault(node.mark, path, f"`{field.name}` is missing")
        return _INVALID if _INVALID in given.values() else section(**given)

    def _members(self, node: Map, fields: Mapping[str, Field], path: str) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for text, (key, value) in node.pairs.items():
            below = f"{path}.{text}" if path else text
            if (field := fields.get(text)) is None:
                given[text] = self._fault(key.mark, path, f"unknown key {shown(text)}".rstrip(), _nearest(text, fields))
                continue
            self.marks[below] = value.mark if isinstance(value, Scalar) else key.mark
            if is_null(value) and not field.required:
                continue
            given[text] = self.value(value, field.kind, below)
        return given

    def value(self, node: Node, kind: Kind, path: str) -> Any:
        if kind.optional and is_null(node):
            return None
        origin = get_origin(kind.type)
        if origin is tuple:
            return self._list(node, kind, path)
        if origin is dict:
            return self._dict(node, kind, path)
        if kind.type is Any:
            return self._free(node, path)
        if isinstance(kind.type, type) and issubclass(kind.type, Section):
            return self.section(node, kind.type, path)
        if not isinstance(node, Scalar):
            return self._wrong(node, path, f"expected {_wanted(kind)}, not {_said(node)}")
        return self._scalar(node, kind, path)

    # lists and mappings

    def _list(self, node: Node, kind: Kind, path: str) -> Any:
        if not isinstance(node, List):
            return self._wrong(
                node, path, f"expected a list, not {_said(node)}", "write [a, b], or a line `- a` for each"
            )
        item = kind_of(get_args(kind.type)[0])
        values = []
        for index, child in enumerate(node.items):
            self.marks[f"{path}[{index}]"] = child.mark
            values.append(self.value(child, item, f"{path}[{index}]"))
        if kind.meta and kind.meta.min_length and len(values) < kind.meta.min_length:
            return self._wrong(node, path, "the list is empty")
        if _INVALID in values:
            return _INVALID
        unique = getattr(item.type, "unique", ())
        distinct = [self._distinct(values, field, path) for field in unique]
        return tuple(values) if all(distinct) else _INVALID

    def _distinct(self, values: list[Any], field: str, path: str) -> bool:
        seen: dict[str, int] = {}
        for index, value in enumerate(values):
            name = getattr(value, field)
            first = seen.setdefault(name, index)
            if first != index:
                where = f"{path}[{index}]"
                which = f"the {field}" if isinstance(name, Secret) else f"the {field} `{name}`"
                self._fault(self.marks[where], where, f"{which} stands twice", f"first at {path}[{first}]")
        return len(seen) == len(values)

    def _dict(self, node: Node, kind: Kind, path: str) -> Any:
        if not isinstance(node, Map):
            return self._wrong(node, path, f"expected a mapping, not {_said(node)}", "write `name: value` below it")
        key_kind, value_kind = (kind_of(arg) for arg in get_args(kind.type))
        out: dict[str, Any] = {}
        for text, (key, child) in node.pairs.items():
            below = f"{path}.{text}"
            self.marks[below] = child.mark if isinstance(child, Scalar) and not is_null(child) else key.mark
            if key_kind.form:
                self._formed(key.text, key_kind.form, key.mark, below)
            out[text] = self.value(child, value_kind, below)
        return _INVALID if _INVALID in out.values() else out

    def _free(self, node: Node, path: str) -> Any:
        """Whatever stands there, its scalars read as YAML 1.2 does."""
        if isinstance(node, List):
            return [self._free(child, f"{path}[{index}]") for index, child in enumerate(node.items)]
        if isinstance(node, Map):
            return {text: self._free(child, f"{path}.{text}") for text, (_, child) in node.pairs.items()}
        text = self._text(node, path)
        if text is _INVALID or not node.plain:
            return text
        if is_null(node):
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _NUMBER.fullmatch(text) else text

    # scalars

    def _scalar(self, node: Scalar, kind: Kind, path: str) -> Any:
        if is_null(node):
            return self._wrong(node, path, f"expected {_wanted(kind)}, found nothing")
        text = self._text(node, path)
        if text is _INVALID:
            return text
        if kind.form:
            value = self._formed(text, kind.form, node.mark, path)
            if value is _INVALID:
                return value
            if kind.form.is_path:
                value = self._folder / value
            return kind.type(value) if kind.type in (Path, Secret, str) else value
        if get_origin(kind.type) is Literal:
            return self._choice(node, text, get_args(kind.type), path)
        if kind.type is bool:
            return self._boolean(node, text, path)
        if kind.type in (int, float):
            return self._number(node, text, kind, path)
        if kind.type in (str, Secret):
            return kind.type(text)
        raise TypeError(f"the schema holds a type that cannot be read: {kind.type}")

    def _text(self, node: Scalar, path: str) -> Any:
        try:
            return interpolate(node.text, self._environment, self._folder, self.files)
        except Unresolved as error:
            return self._fault(node.mark, path, str(error), error.hint)

    def _formed(self, text: str, form: Form, mark: Mark, path: str) -> Any:
        try:
            return form.read(text)
        except ValueError as error:
            return self._fault(mark, path, str(error))

    def _choice(self, node: Scalar, text: str, choices: tuple[str, ...], path: str) -> Any:
        if text in choices:
            return text
        known = ", ".join(choices)
        return self._wrong(node, path, f"expected one of {known}{_shown(node, text)}", _nearest(text, choices, ""))

    def _boolean(self, node: Scalar, text: str, path: str) -> Any:
        if text in _BOOLEANS and _resolved(node, text):
            return _BOOLEANS[text]
        hint = "without quotes" if text in _BOOLEANS else ""
        if text.lower() in _LIKE_BOOLEANS:
            hint = f"write {str(_LIKE_BOOLEANS[text.lower()]).lower()}"
        return self._wrong(node, path, f"expected true or false{_shown(node, text)}", hint)

    def _number(self, node: Scalar, text: str, kind: Kind, path: str) -> Any:
        written = (_INTEGER if kind.type is int else _NUMBER).fullmatch(text)
        if not written or not _resolved(node, text):
            hint = "without quotes" if written else ""
            return self._wrong(node, path, f"expected {_wanted(kind)}{_shown(node, text)}", hint)
        value = kind.type(text)
        if not _within(value, kind.meta):
            return self._wrong(node, path, f"expected {_wanted(kind)}{_bounds(kind.meta)}{_shown(node, text)}")
        return value

    # faults

    def _wrong(self, node: Node, path: str, message: str, hint: str = "") -> _Invalid:
        return self._fault(node.mark, path, message, hint)

    def _fault(self, mark: Mark, path: str, message: str, hint: str = "") -> _Invalid:
        self.faults.append(Fault(mark=mark, path=path, message=message, hint=hint))
        return _INVALID


def _resolved(node: Scalar, text: str) -> bool:
    """Not a quoted literal: plain, or the value of a variable (which had to be quoted to be YAML)."""
    return node.plain or text != node.text


def _shown(node: Scalar, text: str) -> str:
    return f", not {node.text!r}" if text == node.text and len(text) <= 20 else ""


def _said(node: Node) -> str:
    if is_null(node):
        return "nothing"
    return {Map: "a mapping", List: "a list", Scalar: "a single value"}[type(node)]


def _wanted(kind: Kind) -> str:
    if kind.form:
        return f"a {kind.form.name}"
    if get_origin(kind.type) is Literal:
        return "one of " + ", ".join(get_args(kind.type))
    return {bool: "true or false", int: "an integer", float: "a number"}.get(kind.type, "a text")


def _within(value: float, meta: Meta | None) -> bool:
    if meta is None:
        return True
    low, above, high = meta.ge, meta.gt, meta.le
    return (low is None or value >= low) and (above is None or value > above) and (high is None or value <= high)


def _bounds(meta: Meta | None) -> str:
    low, above, high = (meta.ge, meta.gt, meta.le) if meta is not None else (None, None, None)
    least = f" above {above:g}" if above is not None else f" from {low}" if low is not None else ""
    return least + (f" to {high}" if high is not None else "")


def _nearest(text: str, known: Any, otherwise: str | None = None) -> str:
    close = get_close_matches(text.lower(), known, 1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known: {', '.join(sorted(known))}" if otherwise is None else otherwise
