"""Drafts against JSON Schemas: judged as the reference implementation judges, in bounded work."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.routing.schema import Unchecked, breaks

PERSON = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "pattern": r"^\w+$"},
        "age": {"type": ["integer", "null"], "minimum": 0},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True},
        "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"name": "Ada", "age": 36, "tags": ["a", "b"]}', None),
        ('{"name": "Ada", "next": {"name": "Bob", "next": null}}', None),
        ('{"name": "Ada", "age": 36.0}', None),
        ("Here is your JSON: {}", "its text is not JSON"),
        ('{"name": "Ada"', "its text is not JSON"),
        ("[]", "its JSON breaks the schema: type"),
        ("{}", "its JSON breaks the schema: required"),
        ('{"name": ""}', "its JSON breaks the schema: minLength"),
        ('{"name": "a b"}', "its JSON breaks the schema: pattern"),
        ('{"name": "Ada", "age": true}', "its JSON breaks the schema: type"),
        ('{"name": "Ada", "tags": ["a", "a"]}', "its JSON breaks the schema: uniqueItems"),
        ('{"name": "Ada", "more": 1}', "its JSON breaks the schema: additionalProperties"),
        ('{"name": "Ada", "next": {}}', "its JSON breaks the schema: anyOf"),
    ],
)
def test_a_draft_and_what_it_breaks(text: str, why: str | None) -> None:
    assert breaks(text, PERSON) == why


def test_without_a_schema_it_is_a_json_object() -> None:
    assert breaks('{"a": 1}', None) is None
    assert breaks("[1]", None) == "its text is no JSON object"


LEAVES: list[dict[str, Any] | bool] = [
    True,
    False,
    {},
    *({"type": kind} for kind in ("string", "number", "integer", "boolean", "null", "array", "object")),
    {"type": ["string", "null"]},
    {"enum": [1, "a", [1], {"a": 1}, None, True]},
    {"const": 1},
    {"const": {"a": [0, False]}},
    {"minimum": 1, "exclusiveMaximum": 3},
    {"maximum": 2, "exclusiveMinimum": 0.5},
    {"multipleOf": 2},
    {"minLength": 1, "maxLength": 2},
    {"pattern": "^a|b$"},
    {"minItems": 1, "maxItems": 2, "uniqueItems": True},
    {"minProperties": 1, "maxProperties": 1},
    {"required": ["a"]},
    {"dependentRequired": {"a": ["b"]}},
    {"$ref": "#/$defs/d"},
    {"format": "email", "title": "t", "x-own": 1},
]
NAMES = st.sampled_from(["a", "b", "ab", "c"])


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.fixed_dictionaries({"properties": st.dictionaries(NAMES, inner, max_size=2), "additionalProperties": inner}),
        st.fixed_dictionaries({"patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=2)}),
        st.fixed_dictionaries({"prefixItems": several, "items": inner}),
        st.builds(lambda word, some: {word: some}, st.sampled_from(["allOf", "anyOf", "oneOf"]), several),
        st.builds(lambda word, one: {word: one}, st.sampled_from(["items", "contains", "not", "propertyNames"]), inner),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
        st.builds(
            lambda one, other: {**one, **other}, st.sampled_from([s for s in LEAVES if isinstance(s, dict)]), inner
        )
        if False
        else st.builds(lambda one, two: {"allOf": [one], **one} | {"not": two}, st.sampled_from(LEAVES[2:]), inner),
    )


SCHEMAS = st.recursive(st.sampled_from(LEAVES), composed, max_leaves=6)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 4)
    | st.sampled_from([0.5, 1.0, 2.5])
    | st.sampled_from(["", "a", "ab", "xb"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(SCHEMAS, SCHEMAS, VALUES)
def test_it_judges_as_the_reference_does(schema: Any, defined: Any, value: Any) -> None:
    """All keywords that it judges, alone and within each other. (References among the definitions would not end.)"""
    whole = {"$defs": {"d": False if "$ref" in json.dumps(defined) else defined}, "allOf": [schema]}
    valid = jsonschema.Draft202012Validator(whole).is_valid(value)
    assert (breaks(json.dumps(value), whole) is None) == valid


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"$ref": "https://example.com/schema.json"}, "out of the schema"),
        ({"$ref": "other.json#/a"}, "out of the schema"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": "#"}, "nested more than"),
        ({"unevaluatedProperties": False}, "unevaluatedProperties is not judged"),
        ({"allOf": [{"$id": "https://example.com/a", "type": "string"}]}, "$id is not judged"),
        ({"pattern": "(?=a)b"}, "linear time"),
        ({"pattern": "a" * 2000}, "too long"),
        ({"type": "text"}, "type of the schema is none"),
        ({"required": "name"}, "list of the schema is none"),
        ({"properties": []}, "object of the schema is none"),
        ({"minimum": True}, "number of the schema is none"),
        ({"allOf": [1]}, "neither an object nor a truth value"),
        ({"multipleOf": 0}, "multiple of nothing"),
    ],
)
def test_what_cannot_be_judged_is_not_taken_for_judged(schema: dict[str, Any], why: str) -> None:
    text = "{}" if "required" in schema or "properties" in schema else '"x"' if "pattern" in schema else "5"
    with pytest.raises(Unchecked, match=why.replace("$", r"\$")):
        breaks(text, schema)


def doubling(levels: int) -> dict[str, Any]:
    """A schema of a few lines that asks 2^levels questions."""
    defs = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": defs | {f"d{levels}": {"type": "object"}}, "$ref": "#/$defs/d0"}


BRANCHING = {
    "anyOf": [{"properties": {"a": {"$ref": "#"}}, "required": ["b"]}, {"properties": {"a": {"$ref": "#"}}}] * 2
}
DEEP = '{"a":' * 25 + "1" + "}" * 25


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (doubling(40), "{}"),
        (BRANCHING | {"not": BRANCHING}, DEEP),
        ({"items": {"allOf": [{"type": "integer"}] * 1000}}, json.dumps([1] * 1000)),
        ({"items": {"enum": list(range(1000))}}, json.dumps([999] * 1000)),
        ({"patternProperties": {f"a{n}": True for n in range(1000)}}, json.dumps({f"{n}": n for n in range(1000)})),
        ({"items": {"pattern": "(a|aa)+$"}}, json.dumps(["a" * 5000 + "b"] * 5000)),
        ({"uniqueItems": True, "items": {"uniqueItems": True}}, json.dumps([[n] for n in range(60_000)])),
    ],
    ids=["doubling", "branching", "many schemas", "long enum", "many patterns", "long searches", "many items"],
)
def test_the_work_is_bounded(schema: dict[str, Any], text: str) -> None:
    """The bound is generous, for busy machines: the same without it would take minutes, or for ever."""
    began = time.process_time()
    if len(text) > 1_000_000:
        assert breaks(text, schema) is not None
    else:
        with pytest.raises(Unchecked, match="too much work"):
            breaks(text, schema)
    assert time.process_time() - began < 2


def test_a_text_that_is_nested_like_a_bomb_is_no_json_that_fits() -> None:
    assert breaks("[" * 500_000, {"type": "array"}) == "its text is not JSON"
    assert breaks("x" * 1_000_001, {}) == "its text is longer than 1,000,000 characters"
