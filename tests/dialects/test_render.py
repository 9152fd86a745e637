"""Rendering an edited answer in its own dialect: frames wait for their text, slots are replaced, repeats follow."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace

from headgate.dialects.render import Patched
from headgate.model.events import Frame, PartDelta, PartEnded, Repeat, Slot, placed


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
