"""Frames that are told by their form (dialects/form.py) are those that would have been read: all that is known of a frame, text by text.

The oracle is the same decoder, and every frame read the long way.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import recordings
from headgate.dialects.form import Form
from headgate.dialects.sse import Parser
from headgate.errors import HeadgateError
from headgate.model.events import Frame, PartDelta
from headgate.net import Headers, Response
from headgate.snapshot import DIALECTS
from headgate.upstream import Frames


class Body(Response):
    """Arrives in these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.status, self.headers = 200, Headers()
        self._pieces = list(pieces)

    async def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def limit(self, seconds: float | None) -> None:
        return None

    def close(self) -> None:
        return None


def told(dialect: str, pieces: list[bytes], *, forms: bool) -> tuple[list[Frame], str]:
    """The frames, and the error that ended them."""
    frames = Frames(Body(pieces), DIALECTS[dialect].decoder(), "sse", {"sse": Parser})
    if not forms:
        frames._forms = 0
    got: list[Frame] = []

    def take(arrived: list[Frame]) -> bool:
        got.extend(arrived)
        return True

    try:
        asyncio.run(frames.pour(take))
    except HeadgateError as error:
        return got, repr(error)
    return got, ""


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    """Frames that were told by their form, as they come."""
    hits: list[Frame] = []
    read = Form.read

    def reading(self: Form, raw: bytes) -> Frame | None:
        frame = read(self, raw)
        if frame is not None:
            hits.append(frame)
        return frame

    monkeypatch.setattr(Form, "read", reading)
    return hits


@pytest.mark.corpus
@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages"])
def test_every_recorded_stream_means_the_same(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event in a piece of its own, as providers send them."""
    hits = counted(monkeypatch)
    streams = 0
    for row in recordings.recordings(dialect):
        if not row.sse:
            continue
        parser = Parser()
        pieces = [item.raw for item in (*parser.feed(row.reply), *parser.end())]
        assert told(dialect, pieces, forms=True) == told(dialect, pieces, forms=False), row.id
        streams += 1
    assert streams > 100
    assert len(hits) > 3 * streams, "it is a usual thing"


def chat(text: str, **more: Any) -> bytes:
    """As a provider writes it, in JSON's own way of escaping."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return b"data: %s\n\n" % json.dumps({"id": "c", "choices": [choice], **more}, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def anthropic(text: str, **more: Any) -> bytes:
    data = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}, **more}
    return b"event: content_block_delta\ndata: %s\n\n" % json.dumps(data, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


FIRST = {
    "openai_chat": b'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"a"}}]}\n\n',
    "anthropic_messages": b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
}
MADE = {"openai_chat": chat, "anthropic_messages": anthropic}
OTHER = {
    "openai_chat": [
        b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]}}]}\n\n',
        b'data: {"id":"c","choices":[{"index":1,"delta":{"content":"x"},"finish_reason":null}]}\n\n',
        b'data: {"id":"c","choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n',
        b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    ],
    "anthropic_messages": [
        b'data: {"type":"content_block_stop","index":0}\n\n',
        b'data: {"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":""}}\n\n',
        b'data: {"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":"hm"}}\n\n',
        b'event: ping\ndata: {"type":"ping"}\n\n',
    ],
}
TEXT = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [
            " water",
            "",
            '"',
            "\\",
            "\n",
            "\x00",
            "é",
            "渠",
            "🌊",
            "\x7f",
            "\u2028",
            "\ud800",
            '","content":"',
            '"}}\n\ndata: {',
        ]
    ),
)


@given(
    dialect=st.sampled_from(sorted(MADE)),
    steps=st.lists(st.one_of(TEXT, st.integers(0, 3), st.binary(max_size=4)), max_size=12),
    joined=st.lists(st.booleans(), min_size=12, max_size=12),
)
@example(dialect="openai_chat", steps=["a", "b", 0, "c", "d"], joined=[False] * 12)
@example(dialect="anthropic_messages", steps=["a", "b", 0, "c"], joined=[False] * 12)
@example(dialect="openai_chat", steps=["a", "b", "c", "d"], joined=[False, False, True, True] + [False] * 8)
def test_any_text_means_the_same(dialect: str, steps: list[str | int | bytes], joined: list[bool]) -> None:
    """Texts of any kind, as JSON writes them and as raw bytes in their place, frames of other kinds among them, alone or joined."""
    pieces = [FIRST[dialect]]
    for step, together in zip(steps, joined, strict=False):
        if isinstance(step, int):
            frame = OTHER[dialect][step]
        elif isinstance(step, bytes):
            frame = MADE[dialect]("@@").replace(b"@@", step)
        else:
            frame = MADE[dialect](step)
        if together:
            pieces[-1] += frame
        else:
            pieces.append(frame)
    assert told(dialect, pieces, forms=True) == told(dialect, pieces, forms=False)


def test_a_form_is_of_the_text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the member's name stands twice, or the frame ends in a bare CR, there is none; nor for what follows on a frame of another
    kind, until it was read."""
    hits = counted(monkeypatch)
    doubled = [chat(text, id="content") for text in "abc"]
    bare = [chat(text).replace(b"\n", b"\r") for text in "abc"]
    for pieces in (doubled, bare):
        told("openai_chat", [FIRST["openai_chat"], *pieces], forms=True)
        assert not hits
    frames, _ = told(
        "openai_chat", [FIRST["openai_chat"], *map(chat, "abc"), OTHER["openai_chat"][0], chat("d")], forms=True
    )
    assert [event.text for frame in hits for event in frame.events if isinstance(event, PartDelta)] == ["b", "c"]
    last = [event for event in frames[-1].events if isinstance(event, PartDelta)]
    assert [(event.part, event.text) for event in last] == [(2, "d")], "a text behind a call is another part"
