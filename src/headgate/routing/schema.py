"""Whether a text is JSON that satisfies a JSON Schema (draft 2020-12), in bounded work. Pure.

Rules of this file:
- Callers write the schema and models the text: each keyword that is looked at is a step, STEPS are all there are, and DEPTH bounds how
  deep schema and value are followed, references included. Nothing is fetched: references lead into the schema itself. Patterns are
  RE2's, which match in linear time.
- What cannot be judged is not taken for judged: a keyword of the vocabulary that is not here, a reference elsewhere, a pattern that
  RE2 does not know, too much work: `Unchecked`. Words outside the vocabulary say nothing, as the standard has it (§4.3.1); so does
  `format` (validation vocabulary §7.2.1).
- What is told is the keyword that was broken, never the text.

No library does this within bounds: `jsonschema` matches with backtracking, writes the whole instance into each error and leaves a
subclass at a nested `$schema`; `jsonschema-rs` counts no steps and cannot be stopped. The first is the oracle in
tests/routing/test_schema.py. Measured: 5 ms for a draft of 10 kB, 0.2 s for what runs into the bound; so it is called in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import msgspec
import re2

LONGEST = 1_000_000
"""Characters of a text that is judged."""
STEPS = 100_000
DEPTH = 100
PATTERN = 1_000
"""Characters of a pattern."""
SEARCHED = 100
"""Characters that a pattern is looked for in, a step."""


class Unchecked(Exception):
    """Why a schema cannot be judged by."""


def breaks(text: str, schema: dict[str, Any] | None) -> str | None:
    """Why this text does not do, None where it does: it must be JSON that satisfies the schema, without one a JSON object. Raises
    Unchecked."""
    if len(text) > LONGEST:
        return f"its text is longer than {LONGEST:,} characters"
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return "its text is not JSON"
    if schema is None:
        return None if isinstance(value, dict) else "its text is no JSON object"
    try:
        broken = _Judging(schema).broken(schema, value, 0)
    except RecursionError as error:
        raise Unchecked("it is nested too deep") from error
    return f"its JSON breaks the schema: {broken}" if broken is not None else None


class _Judging:
    """One text against one schema."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._left = STEPS

    def spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise Unchecked("the schema and the text are too much work")

    def broken(self, schema: Any, value: Any, depth: int) -> str | None:
        """The first keyword of the schema that this value breaks."""
        self.spend(1)
        if schema is True or schema is False:
            return None if schema else "false"
        if not isinstance(schema, dict):
            raise Unchecked("a schema is neither an object nor a truth value")
        if depth > DEPTH:
            raise Unchecked(f"it is nested more than {DEPTH} deep")
        for keyword, wanted in schema.items():
            judge = KEYWORDS.get(keyword)
            if judge is not None:
                self.spend(1)
                why = judge(self, schema, wanted, value, depth + 1)
                if why is not None:
                    return why or keyword
            elif keyword in UNJUDGED or (keyword == "$id" and depth):
                raise Unchecked(f"{keyword} is not judged here")
        return None

    def fits(self, schema: Any, value: Any, depth: int) -> bool:
        return self.broken(schema, value, depth) is None

    def first(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> str | None:
        """Of (schema, value) pairs, what the first broken one breaks."""
        return next((why for schema, value in pairs if (why := self.broken(schema, value, depth)) is not None), None)

    def found(self, reference: Any) -> Any:
        """What a reference means: the schema itself ("#"), or a place in it ("#/$defs/a", RFC 6901)."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise Unchecked("a reference leads out of the schema")
        place: Any = self._root
        for step in unquote(reference[1:]).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            self.spend(1)
            if isinstance(place, dict) and name in place:
                place = place[name]
            elif isinstance(place, list) and name.isdecimal() and int(name) < len(place):
                place = place[int(name)]
            else:
                raise Unchecked("a reference leads nowhere")
        return place

    def key(self, value: Any) -> Any:
        """Equal and hashed alike iff equal in JSON: 1 is 1.0 and is not true, members have no order."""
        self.spend(1)
        if isinstance(value, bool):
            return (value,)
        if isinstance(value, list):
            return ("", *map(self.key, value))
        if isinstance(value, dict):
            return frozenset((name, self.key(member)) for name, member in value.items())
        return value

    def matches(self, pattern: Any, text: str) -> bool:
        self.spend(1 + len(text) // SEARCHED)
        return _compiled(_text(pattern)).search(text) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        if len(pattern) > PATTERN:
            raise Unchecked("a pattern is too long")
        return re2.compile(pattern, options)
    except re2.error as error:
        raise Unchecked("a pattern is not one that can be matched in linear time") from error


Judge = Callable[[_Judging, dict[str, Any], Any, Any, int], str | None]
"""(judging, schema, the keyword's value, the value judged, depth) -> None: it does · "": the keyword is broken · what is broken inside."""

_OK, _BROKEN = None, ""


def _text(wanted: Any) -> str:
    if not isinstance(wanted, str):
        raise Unchecked("a text of the schema is none")
    return wanted


def _list(wanted: Any) -> list[Any]:
    if not isinstance(wanted, list):
        raise Unchecked("a list of the schema is none")
    return wanted


def _mapping(wanted: Any) -> dict[str, Any]:
    if not isinstance(wanted, dict):
        raise Unchecked("an object of the schema is none")
    return wanted


def _number(wanted: Any) -> int | float:
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        raise Unchecked("a number of the schema is none")
    return wanted


def _is(value: Any, kind: Any) -> bool:
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "integer":
            return not isinstance(value, bool) and (
                isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            )
    raise Unchecked("a type of the schema is none")


def _type(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    kinds = wanted if isinstance(wanted, list) else [wanted]
    return _OK if any(_is(value, kind) for kind in kinds) else _BROKEN


def _enum(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    own = j.key(value)
    return _OK if any(j.key(one) == own for one in _list(wanted)) else _BROKEN


def _const(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    return _OK if j.key(wanted) == j.key(value) else _BROKEN


def _ref(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    return j.broken(j.found(wanted), value, depth)


def _all_of(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    return j.first(((one, value) for one in _list(wanted)), depth)


def _any_of(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    return _OK if any(j.fits(one, value, depth) for one in _list(wanted)) else _BROKEN


def _one_of(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    return _OK if sum(j.fits(one, value, depth) for one in _list(wanted)) == 1 else _BROKEN


def _not(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    return _BROKEN if j.fits(wanted, value, depth) else _OK


def _if(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    return j.broken(schema.get("then" if j.fits(wanted, value, depth) else "else", True), value, depth)


def _properties(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    if not isinstance(value, dict):
        return _OK
    own = _mapping(wanted)
    j.spend(len(own))
    return j.first(((own[name], value[name]) for name in own if name in value), depth)


def _pattern_properties(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    if not isinstance(value, dict):
        return _OK
    pairs = ((own, name, pattern) for pattern, own in _mapping(wanted).items() for name in value)
    return j.first(((own, value[name]) for own, name, pattern in pairs if j.matches(pattern, name)), depth)


def _additional(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    if not isinstance(value, dict):
        return _OK
    own, patterns = _mapping(schema.get("properties", {})), _mapping(schema.get("patternProperties", {}))
    j.spend(len(value))
    more = (name for name in value if name not in own and not any(j.matches(pattern, name) for pattern in patterns))
    return _BROKEN if j.first(((wanted, value[name]) for name in more), depth) is not None else _OK


def _names(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    return j.first(((wanted, name) for name in value), depth) if isinstance(value, dict) else _OK


def _required(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    if not isinstance(value, dict):
        return _OK
    names = _list(wanted)
    j.spend(len(names))
    return _OK if all(_text(name) in value for name in names) else _BROKEN


def _dependent(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    if not isinstance(value, dict):
        return _OK
    demands = (_required(j, schema, names, value, depth) for name, names in _mapping(wanted).items() if name in value)
    return _BROKEN if any(broken is not None for broken in demands) else _OK


def _items(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    if not isinstance(value, list):
        return _OK
    return j.first(((wanted, item) for item in value[len(_list(schema.get("prefixItems", []))) :]), depth)


def _prefix(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    return j.first(zip(_list(wanted), value, strict=False), depth) if isinstance(value, list) else _OK


def _contains(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    if not isinstance(value, list) or any(j.fits(wanted, item, depth) for item in value):
        return _OK
    return _BROKEN


def _unique(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    if wanted is not True or not isinstance(value, list):
        return _OK
    return _OK if len(set(map(j.key, value))) == len(value) else _BROKEN


def _pattern(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    return _OK if not isinstance(value, str) or j.matches(wanted, value) else _BROKEN


def _multiple(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
    """In decimal, as both are written: 0.3 is a multiple of 0.1."""
    if not _is(value, "number"):
        return _OK
    try:
        return _OK if Decimal(repr(value)) % Decimal(repr(_number(wanted))) == 0 else _BROKEN
    except InvalidOperation as error:
        raise Unchecked("a number is too large, or a multiple of nothing") from error


def _size(kind: type[Sized], holds: Callable[[int, float], bool]) -> Judge:
    def judge(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
        return _OK if not isinstance(value, kind) or holds(len(value), _number(wanted)) else _BROKEN

    return judge


def _bound(holds: Callable[[float, float], bool]) -> Judge:
    def judge(j: _Judging, schema: dict[str, Any], wanted: Any, value: Any, depth: int) -> str | None:
        return _OK if not _is(value, "number") or holds(value, _number(wanted)) else _BROKEN

    return judge


KEYWORDS: dict[str, Judge] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "$ref": _ref,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "required": _required,
    "dependentRequired": _dependent,
    "minProperties": _size(dict, lambda size, bound: size >= bound),
    "maxProperties": _size(dict, lambda size, bound: size <= bound),
    "items": _items,
    "prefixItems": _prefix,
    "contains": _contains,
    "uniqueItems": _unique,
    "minItems": _size(list, lambda size, bound: size >= bound),
    "maxItems": _size(list, lambda size, bound: size <= bound),
    "pattern": _pattern,
    "minLength": _size(str, lambda size, bound: size >= bound),
    "maxLength": _size(str, lambda size, bound: size <= bound),
    "minimum": _bound(lambda value, bound: value >= bound),
    "maximum": _bound(lambda value, bound: value <= bound),
    "exclusiveMinimum": _bound(lambda value, bound: value > bound),
    "exclusiveMaximum": _bound(lambda value, bound: value < bound),
    "multipleOf": _multiple,
}
UNJUDGED = frozenset(
    (
        *("$dynamicRef", "$recursiveRef", "unevaluatedItems", "unevaluatedProperties", "dependentSchemas"),
        *("dependencies", "additionalItems", "minContains", "maxContains"),
    )
)
"""The rest of the vocabulary, also of the drafts before it."""
