"""Frames that are told by their form (dialects/form.py) are those that would have been read: all that is known of a frame, text by text;
and a client sees, and the record has, what it would if they had been.

The oracle is the same gateway, and every frame read the long way.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

import recordings
from dry import Dry, Scripted
from headgate import passing
from headgate.dialects.form import Form
from headgate.dialects.sse import Parser
from headgate.errors import HeadgateError, UpstreamError, UpstreamTimeout, UpstreamTruncated
from headgate.guards.base import Guard
from headgate.guards.pattern import compile
from headgate.model.events import Event, Frame, PartDelta
from headgate.model.exchange import Exchange
from headgate.net import Headers, Response
from headgate.snapshot import DIALECTS
from headgate.stages.base import Filter, Stage
from headgate.stages.guard_output import GuardOutput
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
        asyncio.run(frames.pour(take, None))
    except HeadgateError as error:
        return got, repr(error)
    return got, ""


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    """Frames that were told by their form, as they come."""
    hits: list[Frame] = []
    made = Form.frame

    def making(self: Form, raw: bytes, text: str) -> Frame:
        hits.append(made(self, raw, text))
        return hits[-1]

    monkeypatch.setattr(Form, "frame", making)
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
        b"data: [DONE]\n\n",
    ],
    "anthropic_messages": [
        b'data: {"type":"content_block_stop","index":0}\n\n',
        b'data: {"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":""}}\n\n',
        b'data: {"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":"hm"}}\n\n',
        b'event: ping\ndata: {"type":"ping"}\n\n',
        b'data: {"type":"message_stop"}\n\n',
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


def arriving(dialect: str, steps: list[str | int | bytes], joined: list[bool]) -> list[bytes]:
    """A stream of these: a text, a frame of another kind by its number, the bytes in a text's place; `joined`: behind the one before."""
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
    return pieces


STEPS = st.lists(st.one_of(TEXT, st.integers(0, 4), st.binary(max_size=4)), max_size=12)
JOINED = st.lists(st.booleans(), min_size=12, max_size=12)


@given(dialect=st.sampled_from(sorted(MADE)), steps=STEPS, joined=JOINED)
@example(dialect="openai_chat", steps=["a", "b", 0, "c", "d"], joined=[False] * 12)
@example(dialect="anthropic_messages", steps=["a", "b", 0, "c"], joined=[False] * 12)
@example(dialect="openai_chat", steps=["a", "b", "c", "d"], joined=[False, False, True, True] + [False] * 8)
def test_any_text_means_the_same(dialect: str, steps: list[str | int | bytes], joined: list[bool]) -> None:
    """Texts of any kind, as JSON writes them and as raw bytes in their place, frames of other kinds among them, alone or joined."""
    pieces = arriving(dialect, steps, joined)
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


class Kept(Stage):
    """What a request's record is made of, once it is over."""

    name = "kept"

    def __init__(self) -> None:
        self.record: list[Any] = []

    def finish(self, x: Exchange) -> None:
        row = x.attempts[-1]
        self.record = [x.outcome, row.outcome, row.usage, row.cost, x.findings, repr(x.error)]


MODEL = {"openai_chat": "/v1/chat/completions", "anthropic_messages": "/v1/messages"}
FEW = Guard(name="few", pattern="[0-9]-[0-9]", replacement="[#]")
SEEN = Guard(name="seen", pattern="e", mode="observe")
STOP = Guard(name="stop", pattern="1-1", action="block")
GUARDS = st.sampled_from(
    [
        FEW,
        SEEN,
        STOP,
        Guard(name="word", pattern="wat+er", max_length=8),
        Guard(name="flagged", pattern="a", action="flag"),
        Guard(name="calls", pattern="a", places=frozenset({"tool_arguments"})),
    ]
)
WORDS = st.sampled_from(["1", "-1", "1-", " a", "wat", "ter", "e", "é", "渠", "1-1", " water", '"', "\\"])


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dry]:
    folder = tmp_path_factory.mktemp("forms")
    sites = {"openai_chat": "openai_compatible", "anthropic_messages": "anthropic_compatible"}
    config = {
        "discover": False,
        "retry": {"attempts": 1},
        "keys": [{"name": "suite", "key": "sk-hg-suite"}],
        "providers": {
            name: {
                "type": kind,
                "base_url": "http://127.0.0.1:9/v1",
                "api_key": "x",
                "breaker": {"minimum": 100_000},
            }
            for name, kind in sites.items()
        },
    }
    config["models"] = {"paced": {"targets": ["openai_chat/m"], "min_rate": 0.001}}
    (folder / "headgate.yaml").write_text(yaml.safe_dump(config))
    made = Dry(folder / "headgate.yaml", folder / "data")
    yield made
    made.close()


def seen(
    inside: Dry,
    dialect: str,
    pieces: list[bytes],
    guards: list[list[Guard]],
    error: UpstreamError | None = None,
    keeps_up: Sequence[bool] = (),
) -> tuple[bytes, list[Any]]:
    """What the client gets, or the error that it gets instead, and the record."""
    kept = Kept()
    body = {"model": f"{dialect}/m", "stream": True, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    stages = [kept, *(GuardOutput(compile(made)) for made in guards)]
    try:
        reply = Scripted(b"text/event-stream", pieces, error)
        shown = inside.answer(MODEL[dialect], json.dumps(body).encode(), reply, stages, keeps_up)
    except HeadgateError as error:
        shown = repr(error).encode()
    return re.sub(rb"req_\w+", b"req", shown), kept.record


@settings(max_examples=200)
@given(
    dialect=st.sampled_from(sorted(MADE)),
    steps=st.lists(st.one_of(WORDS, WORDS, TEXT, st.integers(0, 4)), max_size=12),
    joined=JOINED,
    guards=st.lists(st.lists(GUARDS, max_size=3, unique_by=lambda guard: guard.name), max_size=2),
    error=st.sampled_from([None, UpstreamTimeout("silent"), UpstreamTruncated("cut")]),
    keeps_up=st.lists(st.booleans(), max_size=12),
    room=st.sampled_from([1, 200, passing.ROOM]),
    torn=st.integers(0, 2),
)
@example(
    dialect="openai_chat",
    steps=[1, 1, "1-1", 1, 1],
    joined=[False] * 12,
    guards=[[STOP]],
    error=None,
    keeps_up=[],
    room=200,
    torn=0,
)
@example(
    dialect="openai_chat",
    steps=["a", 4, "b", "c", "d"],
    joined=[False] * 12,
    guards=[],
    error=None,
    keeps_up=[],
    room=200,
    torn=0,
)
def test_a_client_sees_the_same(
    dialect: str,
    steps: list[str | int | bytes],
    joined: list[bool],
    guards: list[list[Guard]],
    error: UpstreamError | None,
    keeps_up: list[bool],
    room: int,
    torn: int,
    inside: Dry,
) -> None:
    """Whatever guards look at it (redacted, blocked or as it came), however it ends and however slowly it is read; with the same record."""
    pieces = arriving(dialect, steps, joined)
    pieces[-1] = pieces[-1][: len(pieces[-1]) - torn]
    with (
        mock.patch.object(Form, "text", lambda self, raw: None),
        mock.patch.object(passing, "meaning_themselves", lambda characters: b""),
    ):
        expected = seen(inside, dialect, pieces, guards, error, keeps_up)
    with mock.patch.object(passing, "ROOM", room):
        assert seen(inside, dialect, pieces, guards, error, keeps_up) == expected
    assert expected[1]


def test_a_text_of_nobodys_business_makes_no_frame(inside: Dry, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a guard whose matches begin elsewhere."""
    hits = counted(monkeypatch)
    pieces = [FIRST["openai_chat"], *map(chat, "abcd"), chat("1-"), chat("i"), b"data: [DONE]\n\n"]
    shown, record = seen(inside, "openai_chat", pieces, [[FEW, SEEN]])
    assert shown == b"".join(pieces)
    assert [frame.raw for frame in hits] == [chat("1-"), chat("i")], "what may begin a match, and what decides"
    assert record[0] == "done"


def test_large_frames_are_not_kept(inside: Dry) -> None:
    """However many come before anything else does: bytes are bounded, not their number."""
    settled: list[int] = []
    settle = passing.Passing.settle

    def settling(self: passing.Passing) -> None:
        settled.append(sum(map(len, self._gone)))
        settle(self)

    pieces = [FIRST["openai_chat"], *[chat("water " * 1000)] * 20, b"data: [DONE]\n\n"]
    with mock.patch.object(passing.Passing, "settle", settling):
        shown, _ = seen(inside, "openai_chat", pieces, [])
    assert shown == b"".join(pieces)
    assert passing.ROOM <= max(settled) < passing.ROOM + 7000


class Breaking(Stage):
    """Its filter has a defect that looks like the network's fault."""

    name = "breaking"

    def filter(self, x: Exchange) -> Filter:
        class Breaks(Filter):
            def events(self, events: Sequence[Event]) -> Sequence[Event]:
                return events

            def passes(self, key: tuple[int, int], text: str) -> bool:
                raise TimeoutError("a defect")

        return Breaks()


def test_a_defect_is_not_the_providers_fault(inside: Dry) -> None:
    """Where the provider's pace is watched, a timeout is told as such."""
    pieces = [FIRST["openai_chat"], *map(chat, "abc"), b"data: [DONE]\n\n"]
    kept = Kept()
    body = json.dumps({"model": "paced", "stream": True, "messages": [{"role": "user", "content": "hi"}]})
    shown = inside.answer(
        MODEL["openai_chat"], body.encode(), Scripted(b"text/event-stream", pieces), [kept, Breaking()]
    )
    assert b'"code":"internal_error"' in shown
    assert kept.record[:2] == ["failed", "failed"] and "Internal" in kept.record[-1]
