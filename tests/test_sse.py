"""The SSE parser: whatever the cut, the same items, and no byte lost."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.sse import Item, Parser
from headgate.errors import UpstreamMalformed

TRANSCRIPTS: dict[str, tuple[bytes, list[tuple[str, bytes | None]]]] = {
    "chat": (b'data: {"a":1}\n\ndata: [DONE]\n\n', [("", b'{"a":1}'), ("", b"[DONE]")]),
    "anthropic": (b"event: ping\ndata: {}\n\nevent: x\ndata: 1\n\n", [("ping", b"{}"), ("x", b"1")]),
    "crlf": (b"data: 1\r\n\r\nevent: e\r\ndata: 2\r\n\r\n", [("", b"1"), ("e", b"2")]),
    "cr": (b"data: 1\r\rdata: 2\r\r", [("", b"1"), ("", b"2")]),
    "no space": (b"data:1\n\ndata\n\n", [("", b"1"), ("", b"")]),
    "multi-line": (b'data: {"a":\ndata: 1}\n\n', [("", b'{"a":\n1}')]),
    "comments": (b": OPENROUTER PROCESSING\n\n:\n\ndata: 1\n\n", [("", None), ("", None), ("", b"1")]),
    "bom": (b"\xef\xbb\xbfdata: 1\n\ndata: 2\n\n", [("", b"1"), ("", b"2")]),
    "id and retry": (b"id: 4\nretry: 3\nevent: e\ndata: 1\nid: 5\n\n", [("e", b"1")]),
    "no last blank line": (b"data: 1\n\ndata: 2\n", [("", b"1"), ("", b"2")]),
    "utf-8": ("data: «é𝄞»\n\n".encode(), [("", "«é𝄞»".encode())]),
}


def parse(chunks: list[bytes]) -> list[Item]:
    parser = Parser()
    return [item for chunk in chunks for item in parser.feed(chunk)] + parser.end()


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_transcript_whole_and_byte_by_byte(name: str) -> None:
    """The items and their bytes do not depend on how the bytes arrived; the span points at the data."""
    text, expected = TRANSCRIPTS[name]
    for chunks in (
        [text],
        [text[i : i + 1] for i in range(len(text))],
        *[[text[:i], text[i:]] for i in range(len(text))],
    ):
        items = parse(chunks)
        assert [(item.event, item.data) for item in items if item.raw.strip(b"\r\n")] == expected
        assert b"".join(item.raw for item in items) == text
        for item in items:
            if item.span is not None:
                assert item.raw[item.span[0] : item.span[1]] == item.data


@given(
    st.lists(
        st.sampled_from([b"data: a\n", b"\n", b"\r\n", b"\r", b"data:b\r\n", b": c\n", b"event: e\n", b"x"]),
        max_size=12,
    ),
    st.data(),
)
def test_no_cut_changes_the_meaning(lines: list[bytes], data: st.DataObject) -> None:
    text = b"".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    edges = [0, *cuts, len(text)]
    chunks = [text[a:b] for a, b in itertools.pairwise(edges)]
    whole, cut = parse([text]), parse(chunks)
    assert b"".join(item.raw for item in cut) == text
    assert [(i.event, i.data) for i in cut if i.data is not None] == [
        (i.event, i.data) for i in whole if i.data is not None
    ]


def test_an_endless_event_is_refused() -> None:
    parser = Parser(limit=1000)
    with pytest.raises(UpstreamMalformed):
        for _ in range(100):
            parser.feed(b"data: " + b"x" * 100)


def test_an_item_costs_time_in_proportion_to_its_size() -> None:
    """16 MB in 4 kB pieces, cut anywhere in lines and without a line end: a parser that looks again at what it has copies 30 GB."""
    for piece in (b"x" * 4096, b"data: " + b"x" * 4089 + b"\n"):
        parser = Parser()
        parser.feed(b"data: ")
        began = time.process_time()
        for _ in range(4096):
            assert parser.feed(piece) == []
        (item,) = parser.feed(b"x\n\n")
        assert time.process_time() - began < 2
        assert len(item.raw) == 6 + 4096 * 4096 + 3
