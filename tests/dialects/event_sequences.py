"""Hypothesis strategies for the events of one answer, as any decoder may emit them (the grammar of model.events).

Rules of this file:
- Every sequence is valid: Started first, parts of a choice numbered in order of their start, a part's deltas between
  its start and its end, one Finished for each choice after its parts, usage after the start, the last one holding.
- Within that, everything upstreams do happens: parts that interleave, choices that interleave, whole arguments in one
  delta, empty arguments, argument text cut at any character, empty deltas, missing ids and models, no usage, extras of
  any family on starts, deltas and ends, native items, media, citations, foreign stop words, parts that nothing ends.
- What an encoder must show is `told(events)`: the fold, whose texts and calls are compared with what an SDK reads.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, get_args

from hypothesis import strategies as st

from headgate.model.events import (
    Answer,
    Event,
    Failed,
    Finished,
    Fold,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    Started,
    Stop,
    UsageSeen,
)
from headgate.model.prompt import Citation, Extras
from headgate.model.usage import Usage

KINDS: tuple[PartKind, ...] = get_args(PartKind)
STOPS: tuple[Stop, ...] = get_args(Stop)

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=24)
names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,20}", fullmatch=True)
ids = st.one_of(
    st.just(""),
    st.from_regex(r"(call|toolu|fc)_[a-zA-Z0-9]{4,20}", fullmatch=True),
    st.text("abc.:/|é", min_size=41, max_size=70),
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def arguments(draw: st.DrawFn) -> str:
    """The JSON text of a call's arguments, with the white space and escapes a model might choose; "" stands for {}."""
    if draw(st.integers(0, 5)) == 0:
        return ""
    value = draw(st.dictionaries(words, values, max_size=3))
    return json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from((None, 1))))


@st.composite
def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """`text` cut anywhere, an empty piece now and then."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@st.composite
def thinking_extras(draw: st.DrawFn) -> Extras:
    opaque = base64.b64encode(draw(st.binary(min_size=1, max_size=12))).decode()
    return draw(
        st.sampled_from(
            (
                {},
                {"anthropic": {"signature": opaque}},
                {"anthropic": {"redacted": opaque}},
                {"google": {"thoughtSignature": opaque}},
                {"openai": {"id": "rs_" + opaque, "encrypted_content": opaque}},
            )
        )
    )


@st.composite
def citations(draw: st.DrawFn, length: int) -> tuple[Citation, ...]:
    if draw(st.integers(0, 3)):
        return ()
    start = draw(st.integers(0, length))
    return (
        Citation(
            url=draw(st.sampled_from((None, "https://example.com/a"))),
            title=draw(st.none() | words),
            quote=draw(st.none() | words),
            start=draw(st.sampled_from((None, start))),
            end=draw(st.sampled_from((None, draw(st.integers(start, length))))),
        ),
    )


NATIVE: dict[str, dict[str, Any]] = {
    "openai": {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    },
    "anthropic": {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
    "google": {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
}
"""A native item of each family."""


@st.composite
def part(draw: st.DrawFn, choice: int, number: int, kinds: Sequence[PartKind]) -> list[Event]:
    """One part from start to end (now and then without its end: the stream's end closes it)."""
    kind = draw(st.sampled_from(kinds))
    head: dict[str, Any] = {"choice": choice, "part": number, "kind": kind}
    late: Extras = {}
    text = ""
    match kind:
        case "tool_call":
            head |= {"id": draw(ids), "name": draw(names)}
            text = draw(arguments())
            if draw(st.integers(0, 3)) == 0:
                head["extras"] = {"google": {"thoughtSignature": "c2ln"}}
        case "custom_call":
            head |= {"id": draw(ids), "name": draw(names)}
            text = draw(words)
        case "thinking":
            text, late = draw(words), draw(thinking_extras())
        case "media":
            head["mime"] = draw(st.sampled_from(("image/png", "image/jpeg", "audio/wav")))
            text = base64.b64encode(draw(st.binary(min_size=1, max_size=9))).decode()
        case "native":
            family = draw(st.sampled_from(sorted(NATIVE)))
            item = NATIVE[family] | (
                {"id": f"{NATIVE[family]['id']}_{choice}_{number}"} if "id" in NATIVE[family] else {}
            )
            head["name"] = item.get("type", "executableCode")
            head["extras"] = {family: {"item": item}}
        case _:
            text = draw(words)
    events: list[Event] = [PartStarted(**head)]
    cut = [text] if kind == "media" else draw(pieces(text)) if text or draw(st.booleans()) else []
    cited = draw(citations(len(text))) if kind == "text" else ()
    for index, piece in enumerate(cut):
        last = index == len(cut) - 1
        events.append(
            PartDelta(
                choice=choice,
                part=number,
                kind=kind,
                text=piece,
                citations=cited if last else (),
                extras=late if last else {},
            )
        )
    if draw(st.integers(0, 9)):
        events.append(PartEnded(choice=choice, part=number, extras={} if cut else late))
    return events


@st.composite
def _woven(draw: st.DrawFn, strands: list[list[Event]], interleave: bool) -> list[Event]:
    """Strands joined: in order, or woven so that each keeps its own order and starts no earlier than the one before."""
    if not interleave:
        return [event for strand in strands for event in strand]
    waiting = [list(strand) for strand in strands]
    opened = 0
    out: list[Event] = []
    while any(waiting):
        live = [index for index in range(opened) if waiting[index]]
        if opened < len(waiting):
            live.append(opened)
        index = draw(st.sampled_from(live))
        opened = max(opened, index + 1)
        out.append(waiting[index].pop(0))
    return out


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    count = st.integers(0, 1000)
    read, write, reasoning = draw(count), draw(count), draw(count)
    return Usage(
        input=read + write + draw(count),
        output=reasoning + draw(count),
        cache_read=read,
        cache_write=write,
        reasoning=reasoning,
    )


@st.composite
def sequences(
    draw: st.DrawFn,
    kinds: Sequence[PartKind] = KINDS,
    *,
    max_choices: int = 2,
    max_parts: int = 4,
    interleave: bool = True,
    failures: bool = False,
) -> list[Event]:
    """The events of one whole answer. With `failures`, some end in Failed instead of Finished."""
    count = draw(st.integers(1, max_choices))
    strands: list[list[Event]] = []
    for choice in range(count):
        parts = [draw(part(choice, number, kinds)) for number in range(draw(st.integers(0, max_parts)))]
        strand = draw(_woven(parts, interleave))
        stop = draw(st.sampled_from(STOPS))
        native = draw(st.sampled_from(("", "STOP", "end_turn", "eos", "tool_calls", "completed")))
        sequence = draw(st.sampled_from((None, "###"))) if stop == "stop_sequence" else None
        strand.append(Finished(choice=choice, stop=stop, native=native, sequence=sequence))
        strands.append(strand)
    body = draw(_woven(strands, interleave and count > 1))
    events: list[Event] = [
        Started(
            id=draw(st.sampled_from(("", "msg_01", "chatcmpl-1"))),
            model=draw(st.sampled_from(("", "m-1"))),
            created=draw(st.sampled_from((None, 1700000000))),
        )
    ]
    seen = draw(st.none() | usages())
    if seen is not None and draw(st.booleans()):
        events.append(
            UsageSeen(usage=Usage(input=seen.input, cache_read=seen.cache_read, cache_write=seen.cache_write))
        )
    if failures and draw(st.booleans()):
        keep = draw(st.integers(0, len(body)))
        body = [event for event in body[:keep] if not isinstance(event, Finished)]
        body.append(
            Failed(
                message="the model is overloaded",
                code="overloaded",
                type="overloaded_error",
                status=529,
                retryable=True,
            )
        )
    events += body
    if seen is not None:
        events.insert(draw(st.sampled_from((len(events), max(1, len(events) - 1)))), UsageSeen(usage=seen))
    return events


def told(events: Sequence[Event]) -> Answer:
    """What the events say in all."""
    fold = Fold()
    for event in events:
        fold.feed(event)
    return fold.close()
