"""Splices: what is edited is edited, and every other byte stays."""

from __future__ import annotations

import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.base import Edit
from headgate.dialects.splice import apply, bulk, places
from headgate.errors import BadRequest


def edit(path: tuple[str | int, ...], value: Any, present: bool = False) -> Edit:
    return Edit(name="t", path=path, value=None if value is None else json.dumps(value).encode(), present=present)


def test_replaces_a_member_and_nothing_else() -> None:
    text = b'{ "messages" : [1e2, {"x": "\\u00e9"}],\r\n "model"\t: "a" , "z": 1.0 }'
    assert apply(text, [edit(("model",), "b", True)]) == text.replace(b'"a"', b'"b"')


def test_a_key_in_a_nested_object_is_not_the_outermost_one() -> None:
    text = b'{"metadata":{"model":"x"},"a":"\\"model","model":"y"}'
    assert apply(text, [edit(("model",), "z", True)]) == b'{"metadata":{"model":"x"},"a":"\\"model","model":"z"}'


@pytest.mark.parametrize("text", [b'{"model":"a","model":"b"}', b'{"model":"a","mod\\u0065l":"b"}'])
def test_a_duplicate_key_is_refused(text: bytes) -> None:
    """Two readers of {"model": a, "model": b} may take different ones: an allow-list must not be fooled."""
    with pytest.raises(BadRequest):
        apply(text, [edit(("model",), "c", True)])


def test_adds_missing_objects_on_the_way() -> None:
    assert apply(b'{"a":1}', [edit(("o", "p"), True)]) == b'{"o":{"p":true},"a":1}'
    assert apply(b'{"o":null}', [edit(("o", "p"), True)]) == b'{"o":{"p":true}}'
    assert apply(b'{"o":{}}', [edit(("o", "p"), True)]) == b'{"o":{"p":true}}'
    assert apply(b'{"o":{"q":2}}', [edit(("o", "p"), True)]) == b'{"o":{"p":true,"q":2}}'
    assert apply(b"{}", [edit(("a",), 1)]) == b'{"a":1}'


def test_removes_a_member_with_one_comma() -> None:
    assert apply(b'{"a":1, "b":2, "c":3}', [edit(("b",), None)]) == b'{"a":1,  "c":3}'
    assert apply(b'{"a":1, "b":2}', [edit(("b",), None)]) == b'{"a":1}'
    assert apply(b'{"b":2}', [edit(("b",), None)]) == b"{}"
    assert apply(b'{"a":1}', [edit(("b",), None)]) == b'{"a":1}'


keys = st.text(alphabet=string.ascii_letters + '"\\é ', max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] + [leaf for key, item in inner for leaf in leaves(item, (*path, key))]


@given(st.dictionaries(keys, values, max_size=4), st.data(), st.booleans(), st.sampled_from([None, 1]))
def test_any_place_can_be_replaced(
    value: dict[str, Any], data: st.DataObject, ascii_only: bool, indent: int | None
) -> None:
    """Parsed back, exactly the chosen place differs, however the text was written."""
    path = data.draw(st.sampled_from(leaves(value)))
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    place = places(text, [path])[path]
    assert json.loads(text[place.begin : place.end]) == _at(value, path)
    if path:
        expected = json.loads(text)
        target = expected
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = "new"
        assert json.loads(apply(text, [edit(path, "new")])) == expected


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


LONG = [{"model": "inside", "messages": [], "text": '"messages":[{"model":1}]–' + " " * 2048}]
members = st.tuples(
    st.sampled_from(['"model"', '"messages"', '"mod\\u0065l"', '"o"', '"messages" ', '"\\"messages"']),
    st.sampled_from(
        ['"m"', "7", " null", '{"p":1,"messages":[]}', json.dumps(LONG), json.dumps(LONG, ensure_ascii=False)]
    ),
)
changes = st.sampled_from([(("model",), "b"), (("model",), None), (("o", "p"), 2), (("messages",), []), (("z",), 1)])


@given(
    st.lists(members, min_size=1, max_size=5),
    st.lists(changes, min_size=1, max_size=2, unique_by=lambda change: change[0]),
    st.sampled_from(["", " ", "\n  "]),
)
def test_what_is_known_of_a_bulk_changes_no_edit(
    told: list[tuple[str, str]], changes: list[tuple[tuple[str, ...], Any]], space: str
) -> None:
    """With it or without, the same bytes come out or the same is refused: duplicates, spellings and insides included."""
    text = ("{" + ",".join(f"{space}{key}:{value}{space}" for key, value in told) + "}").encode()
    read = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    known = bulk(text, "messages", read["messages"]) if "messages" in read else None
    edits = [edit(path, value, present=path[0] in read) for path, value in changes]
    assert outcome(text, edits, known) == outcome(text, edits, None)


def outcome(text: bytes, edits: list[Edit], known: Any) -> bytes | str:
    try:
        return apply(text, edits, known)
    except BadRequest as error:
        return error.message


def test_the_bulk_of_a_long_text_is_known() -> None:
    text = json.dumps({"model": "m", "messages": LONG, "n": 1}).encode()
    value = msgspec.json.decode(text, type=dict[str, msgspec.Raw])["messages"]
    found = bulk(text, "messages", value)
    assert found is not None
    assert text[found.begin : found.end] == bytes(value) and text[: found.begin].endswith(b'"messages": ')
    assert bulk(text, "z", value) is None
    hidden = b'{"a":"123:[0,0]","mess\\u0061ges":[0,0]%b}' % (b" " * 2048)
    assert bulk(hidden, "messages", msgspec.Raw(b"[0,0]")) is None
