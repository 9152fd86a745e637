"""Rendering an edited answer in its own dialect: frames wait for their text, slots are replaced, repeats follow; and what the other
dialects list of one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from headgate.dialects import anthropic_messages, gemini, openai_chat, openai_responses
from headgate.dialects.base import Ask, Dialect
from headgate.dialects.render import Encoded, Folded, Patched
from headgate.model.events import (
    Event,
    Finished,
    Frame,
    PartDelta,
    PartEnded,
    PartStarted,
    Repeat,
    Slot,
    Started,
    placed,
)


def frame(document: Any, *events: Any, repeats: tuple[Repeat, ...] = (), raw: bytes | None = None) -> Frame:
    data = json.dumps(document).encode()
    raw = b"data: " + data + b"\n\n" if raw is None else raw
    at = raw.find(data)
    return Frame(raw=raw, data=data, span=(at, at + len(data)) if at >= 0 else None, events=events, repeats=repeats)


def delta(text: str, *path: str | int, **more: Any) -> PartDelta:
    return PartDelta(part=0, kind="text", text=text, slot=Slot(path=path) if path else None, **more)


def test_a_frame_waits_until_its_text_is_decided_and_those_behind_it_wait_too() -> None:
    patched = Patched(hide_usage=False)
    first, ping, last = (
        frame({"t": "se"}, delta("se", "t")),
        Frame(raw=b": ping\n\n"),
        frame({"t": "cret"}, delta("cret", "t")),
    )
    assert patched.show(first, []) == b""
    assert patched.show(ping, ()) == b""
    assert patched.show(last, [replace(first.events[0], text="[x]")]) == b'data: {"t": "[x]"}\n\n: ping\n\n'
    assert patched.end([replace(last.events[0], text="")]) == b'data: {"t": ""}\n\n'


def test_what_no_guard_touched_goes_as_it_came_but_not_before_what_waits() -> None:
    patched = Patched(hide_usage=False)
    first, second, third = (frame({"t": text}, delta(text, "t")) for text in ("a", "b", "c"))
    assert patched.show(first, first.events) == first.raw
    assert patched.show(second, []) == b""
    assert patched.show(third, third.events) == b""
    assert patched.end(second.events) == second.raw + third.raw


def test_what_repeats_an_edited_text_is_rewritten_and_what_repeats_another_is_not() -> None:
    patched = Patched(hide_usage=False)
    told = frame(
        {"t": "a secret", "l": [1]}, delta("a secret", "t"), repeats=(Repeat(path=("l",), part=0, kind="drop"),)
    )
    done = frame(
        {"done": "a secret", "n": 1.50, "other": "a secret"},
        PartEnded(part=0),
        repeats=(Repeat(path=("done",), part=0), Repeat(path=("other",), part=1)),
    )
    shown = patched.show(told, [replace(told.events[0], text="a [x]")])
    shown += patched.show(done, done.events)
    assert patched.end(()) == b""
    assert [json.loads(line[6:]) for line in shown.split(b"\n\n")[:-1]] == [
        {"t": "a [x]", "l": None},
        {"done": "a [x]", "n": 1.5, "other": "a secret"},
    ]


def test_log_probabilities_stay_where_their_own_text_was_not_edited() -> None:
    patched = Patched(hide_usage=False)
    body = b""
    for text, shown in (("secret", "[x]"), ("plain", "plain")):
        one = frame({"t": text, "l": [1]}, delta(text, "t"), repeats=(Repeat(path=("l",), part=0, kind="drop"),))
        body += patched.show(one, [replace(one.events[0], text=shown)])
    assert body == b'data: {"t": "[x]", "l": null}\n\ndata: {"t": "plain", "l": [1]}\n\n'


def test_arguments_that_came_as_an_object_are_replaced_as_one() -> None:
    patched = Patched(hide_usage=False)
    call = PartDelta(part=0, kind="tool_call", text='{"q": "secret"}', whole=True)
    repeats = (Repeat(path=("args",), part=0, kind="json"),)
    one = frame({"args": {"q": "secret"}, "x": 1}, *placed((call,), repeats), repeats=repeats)
    (event,) = one.events
    assert isinstance(event, PartDelta)
    assert patched.show(one, [replace(event, text='{"q": "[x]"}')]) == b'data: {"args": {"q": "[x]"}, "x": 1}\n\n'


def test_a_document_spread_over_several_data_lines_is_put_together() -> None:
    patched = Patched(hide_usage=False)
    one = Frame(
        raw=b'event: e\ndata: {"t":\ndata: "secret"}\n\n',
        data=b'{"t":\n"secret"}',
        event="e",
        events=(delta("secret", "t"),),
    )
    assert patched.show(one, [replace(one.events[0], text="[x]")]) == b'event: e\ndata: {"t":\ndata: "[x]"}\n\n'


def test_a_usage_frame_that_only_we_asked_for_is_not_shown() -> None:
    patched = Patched(hide_usage=True)
    usage = Frame(raw=b"data: {}\n\n", data=b"{}", usage_only=True)
    assert patched.show(usage, usage.events) == b""
    assert patched.end(()) == b""


BESIDE: list[tuple[str, dict[str, Any], set[str]]] = [
    (
        "google",
        {"groundingMetadata": {"webSearchQueries": ["a"]}, "finishMessage": "why"},
        {"groundingMetadata", "finishMessage"},
    ),
    ("google", {"promptFeedback": {"blockReasonMessage": "no"}}, {"promptFeedback"}),
    ("anthropic", {"stop_details": {"type": "refusal", "explanation": "why"}}, {"stop_details"}),
    ("openai", {"content_filters": [{}], "finish_reason": "content_filter"}, {"content_filters"}),
]


def shown(dialect: Dialect, events: tuple[Event, ...]) -> Iterator[Folded | Encoded]:
    """Renders that have shown these events, as a whole answer and as a stream."""
    ask = Ask(id="req_1", model="m", created=0)
    for render in (Folded(dialect, ask), Encoded(dialect.encoder(ask))):
        render.show(frame({}, *events), events)
        render.end(())
        yield render


@pytest.mark.parametrize(("family", "members", "lost"), BESIDE)
def test_what_stands_beside_an_end_is_listed_by_each_dialect_that_cannot_say_it(
    family: str, members: Any, lost: set[str]
) -> None:
    """Sources, explanations and ratings come with the finish reason; a client that cannot be shown them learns that there were some,
    of a whole answer as of a streamed one. The reason itself, which every dialect tells in its own words, is none of them."""
    end = Finished(stop="content_filter", extras={family: members})
    events = (Started(id="1"), PartStarted(part=0, kind="text"), delta("a"), PartEnded(part=0), end)
    for dialect in (openai_chat.DIALECT, anthropic_messages.DIALECT, gemini.DIALECT, openai_responses.DIALECT):
        if dialect.family == family and dialect is not openai_chat.DIALECT:
            continue
        for render in shown(dialect, events):
            assert {loss.what for loss in render.losses()} == lost, (dialect.name, render)


UNKNOWN: list[tuple[Dialect, dict[str, Any], set[str]]] = [
    (
        openai_chat.DIALECT,
        {
            "choices": [{"message": {"content": "a", "mood": "b"}, "tone": "c", "finish_reason": "stop"}],
            "moderation": {"output": {}},
        },
        {"answer.mood", "answer.tone", "answer.moderation"},
    ),
    (
        gemini.DIALECT,
        {"candidates": [{"content": {"parts": [{"text": "a"}]}, "tone": "c", "finishReason": "STOP"}], "mood": "b"},
        {"mood", "tone"},
    ),
    (
        anthropic_messages.DIALECT,
        {
            "type": "message",
            "content": [{"type": "text", "text": "a"}],
            "stop_reason": "end_turn",
            "mood": "b",
            "container": {"id": "c"},
        },
        {"mood", "container"},
    ),
]


@pytest.mark.parametrize(("upstream", "document", "lost"), UNKNOWN, ids=[upstream.name for upstream, _, _ in UNKNOWN])
def test_members_of_an_answer_that_nobody_knows_are_listed(
    upstream: Dialect, document: dict[str, Any], lost: set[str]
) -> None:
    """A provider's newest member passes as it is to its own clients; others are told its name, not left to find out."""
    events = upstream.decoder().whole(json.dumps(document).encode()).events
    for dialect in (openai_chat.DIALECT, anthropic_messages.DIALECT, gemini.DIALECT, openai_responses.DIALECT):
        if dialect.name == upstream.name:
            continue
        for render in shown(dialect, events):
            assert {loss.what for loss in render.losses()} == lost, (dialect.name, render)
