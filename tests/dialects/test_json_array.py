"""The splitter of streamed JSON arrays: whatever the cut, the same documents, and no byte lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.json_array import Parser
from headgate.dialects.sse import Item
from headgate.errors import UpstreamMalformed
from recordings import recordings

TRANSCRIPTS: dict[str, tuple[bytes, list[bytes]]] = {
    "as Google writes it": (
        b'[{\n  "a": [1, {"b": 2}]\n}\n,\r\n{\n  "a": 2\n}\n]\n',
        [b'{\n  "a": [1, {"b": 2}]\n}', b'{\n  "a": 2\n}'],
    ),
    "compact": (b'[{"a":1},{"a":2}]', [b'{"a":1}', b'{"a":2}']),
    "brackets, quotes and escapes in strings": (
        rb'[{"a":"]}\\\"[{"},{"b":"\\"}]',
        [rb'{"a":"]}\\\"[{"}', rb'{"b":"\\"}'],
    ),
    "empty": (b" [ ] ", []),
    "utf-8": ('[{"a":"«é𝄞»"}]'.encode(), ['{"a":"«é𝄞»"}'.encode()]),
    "byte order mark": (b'\xef\xbb\xbf[{"a":1}]', [b'{"a":1}']),
    "other values": (b'[1, "a]", null , [2,[3]]]', [b"1", b'"a]"', b"null", b"[2,[3]]"]),
    "an object instead of an array": (b'\n{"error":{"code":400}}\n', [b'{"error":{"code":400}}']),
    "cut inside a document": (b'[{"a":1},{"a":"x', [b'{"a":1}', b'{"a":"x']),
    "no closing bracket": (b'[{"a":1}', [b'{"a":1}']),
    "after the end": (b'[{"a":1}] \n{"b":2}', [b'{"a":1}']),
}


def split(chunks: list[bytes]) -> list[Item]:
    parser = Parser()
    return [item for chunk in chunks for item in parser.feed(chunk)] + parser.end()


def documents(items: list[Item]) -> list[bytes]:
    return [item.data for item in items if item.data is not None]


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_transcript_whole_cut_once_and_byte_by_byte(name: str) -> None:
    """Documents and bytes do not depend on how the bytes arrived; the span points at the document."""
    text, expected = TRANSCRIPTS[name]
    for chunks in (
        [text],
        [text[i : i + 1] for i in range(len(text))],
        *[[text[:i], text[i:]] for i in range(len(text))],
    ):
        items = split(chunks)
        assert documents(items) == expected
        assert b"".join(item.raw for item in items) == text
        for item in items:
            if item.data is not None:
                assert item.span is not None
                assert item.raw[item.span[0] : item.span[1]] == item.data


def test_a_document_is_given_as_soon_as_it_closes() -> None:
    parser = Parser()
    assert documents(parser.feed(b'[{"a":1}')) == [b'{"a":1}']
    assert parser.feed(b",\r\n") == []
    assert documents(parser.feed(b'{"a":2}')) == [b'{"a":2}']


@pytest.mark.parametrize(
    ("text", "lacks"),
    [(b'[{"a":1}', b"]"), (b'[{"a":1},{"a"', b"]"), (b'[{"a":1}] ', b""), (b'{"a":1}', b""), (b" ", b"")],
)
def test_what_a_cut_array_lacks_of_its_end(text: bytes, lacks: bytes) -> None:
    parser = Parser()
    parser.feed(text)
    assert parser.closing == lacks


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(anything, max_size=4), st.booleans(), st.sampled_from((None, 1)), st.data())
def test_any_array_comes_back_item_by_item(
    values: list[Any], ascii_only: bool, indent: int | None, data: st.DataObject
) -> None:
    text = json.dumps(values, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    items = split([text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)])
    assert [json.loads(document) for document in documents(items)] == values
    assert b"".join(item.raw for item in items) == text


@given(
    st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b",", b"1", b" ", b"\xc3", b"a"]), max_size=14),
    st.data(),
)
def test_no_cut_changes_the_meaning_of_garbage(pieces: list[bytes], data: st.DataObject) -> None:
    text = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    whole, cut = split([text]), split([text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)])
    assert b"".join(item.raw for item in cut) == b"".join(item.raw for item in whole) == text
    assert documents(cut) == documents(whole)


def test_an_endless_document_is_refused() -> None:
    parser = Parser(limit=1000)
    with pytest.raises(UpstreamMalformed):
        for _ in range(100):
            parser.feed(b'[{"a":"' + b"x" * 100)


@pytest.mark.corpus
def test_recorded_arrays() -> None:
    """Every recorded streamed array, byte by byte."""
    seen = 0
    for row in recordings("gemini"):
        if isinstance(row.document, list):
            seen += 1
            items = split([row.reply[i : i + 1] for i in range(len(row.reply))])
            assert [json.loads(document) for document in documents(items)] == row.document
            assert b"".join(item.raw for item in items) == row.reply
    assert seen > 10
