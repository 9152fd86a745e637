"""A chunked answer means the same however its bytes arrive: chunks that come alone pass the parser by (http1/chunk.py), and it must not
show. What the parser makes of the answer in one piece is the oracle."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.http1.chunk import MOST, alone
from headgate.http1.connection import Connection

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


class Wire(asyncio.Transport):
    closing = False

    def pause_reading(self) -> None:
        return None

    def resume_reading(self) -> None:
        return None

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing


def read(loop: asyncio.AbstractEventLoop, pieces: list[bytes]) -> tuple[bytes, bool, str, bool]:
    """The body, whether it is over, what is wrong with it, whether the connection may be used again."""
    connection = Connection(loop)
    wire = Wire()
    connection.connection_made(wire)
    connection.begin(10.0)
    connection._sent = True
    for piece in pieces:
        if not wire.closing:
            connection.data_received(piece)
    body = b"".join(connection._chunks)
    connection._chunks.clear()
    error = connection._error
    return body, connection._done, "" if error is None else repr(error), connection.reusable


def chunk(data: bytes, form: str = "%x") -> bytes:
    return (form % len(data)).encode() + b"\r\n" + data + b"\r\n"


DATA = st.one_of(
    st.binary(min_size=1, max_size=40), st.sampled_from([b"\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"x" * 300])
)
CHUNK = st.builds(
    chunk, DATA, st.sampled_from(["%x", "%x", "%x", "%X", "0%x", "%x;name=value", "%x ", "%x ;a=b", "+%x", "0x%x"])
)
CUT = st.lists(st.integers(0, 600), max_size=12)


@pytest.fixture(scope="module")
def loop() -> object:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@given(
    chunks=st.lists(CHUNK, max_size=8),
    end=st.sampled_from(
        [
            END,
            END,
            b"",
            b"0\r\na: b\r\n\r\n",
            b"5\r\nhel",
            END + b"\r\n",
            END + b"junk",
            END + HEAD + b"1\r\nx\r\n" + END,
        ]
    ),
    cuts=CUT,
)
@example(chunks=[chunk(b"one")], end=b"5\r\nhello\r\n", cuts=[])
@example(chunks=[chunk(b"one"), b"3\r"], end=b"\ntwo\r\n" + END, cuts=[])
def test_however_it_is_cut_it_is_the_same_answer(
    loop: asyncio.AbstractEventLoop, chunks: list[bytes], end: bytes, cuts: list[int]
) -> None:
    """Cut between chunks, and at any places beside; sizes in all forms, also such that are none."""
    whole = HEAD + b"".join(chunks) + end
    alone_each = read(loop, [HEAD, *chunks, *([end] if end else [])])
    body = b"".join([*chunks, end])
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    anywhere = read(loop, [HEAD, *(body[a:b] for a, b in pairwise(places))])
    assert alone_each == anywhere == read(loop, [whole])


@given(data=st.binary(min_size=1, max_size=60))
def test_nothing_but_one_whole_chunk_is_told_as_one(data: bytes) -> None:
    found = alone(data)
    assert not found or chunk(found) == data


@pytest.mark.parametrize("size", [1, 15, 16, 255, 256, 4000])
def test_a_whole_chunk_is_told(size: int) -> None:
    whole = chunk(b"x" * size)
    assert len(whole) < MOST
    assert alone(whole) == b"x" * size
