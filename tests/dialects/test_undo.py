"""Calls turned back into what the client offered: mapped names, and custom tools that were wrapped as functions."""

from __future__ import annotations

import itertools
import json

from hypothesis import example, given
from hypothesis import strategies as st

from headgate.dialects.base import Written
from headgate.dialects.undo import Undo
from headgate.model.events import Event, PartDelta, PartEnded, PartStarted


def undone(written: Written, pieces: list[str], name: str = "t") -> list[Event]:
    undo = Undo(written)
    events: list[Event] = [PartStarted(part=0, kind="tool_call", id="c", name=name)]
    events += [PartDelta(part=0, kind="tool_call", text=piece) for piece in pieces]
    events.append(PartEnded(part=0))
    return [told for event in events for told in undo.events([event])]


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, PartDelta))


def test_a_mapped_name_is_the_clients_again() -> None:
    events = undone(Written(json={}, renamed={"a_b": "a.b"}), ['{"x":1}'], name="a_b")
    assert events[0] == PartStarted(part=0, kind="tool_call", id="c", name="a.b")
    assert text_of(events) == '{"x":1}'


@given(st.text(), st.lists(st.integers(0, 400), max_size=6), st.booleans())
@example(text="\U00010000", cuts=[17], ascii_only=True)
def test_a_wrapped_text_comes_back_however_it_is_cut(text: str, cuts: list[int], ascii_only: bool) -> None:
    raw = json.dumps({"input": text}, ensure_ascii=ascii_only)
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    pieces = [raw[a:b] for a, b in itertools.pairwise(edges)]
    events = undone(Written(json={}, wrapped=frozenset(["t"])), pieces)
    assert isinstance(events[0], PartStarted)
    assert events[0].kind == "custom_call"
    assert text_of(events) == text


def test_other_json_than_asked_loses_nothing() -> None:
    wrapped = Written(json={}, wrapped=frozenset(["t"]))
    assert text_of(undone(wrapped, ['{"query":', '"x"}'])) == '{"query":"x"}'
    assert text_of(undone(wrapped, ['{"note": 1, "input": "x"}'])) == "x"
    assert text_of(undone(wrapped, ["not json"])) == "not json"
    assert text_of(undone(wrapped, [])) == ""
