"""Anthropic Messages: any dialect's answer as its clients are shown it.

The official client reads everything shown here; `grammar` checks the order of events, which it forgives.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given

from dialects.anthropic_messages_shown import ASK, call, content, frames, shown, text
from dialects.event_sequences import sequences, told
from headgate.dialects import carrier
from headgate.dialects.anthropic_messages import DIALECT
from headgate.model.events import (
    Answer,
    Event,
    Failed,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
    UsageSeen,
)
from headgate.model.prompt import Citation, Text, Thinking, ToolCall
from headgate.model.usage import Usage
from oracles import anthropic_messages as oracle

KEPT = {"stop", "length", "stop_sequence", "tool_use", "pause", "refusal", "context_window"}


def expected(answer: Answer, native: str) -> oracle.ReadChoice:
    """What a client of this dialect must read of the first choice."""
    choice = answer.choices[0]
    read = oracle.ReadChoice()
    kinds = set()
    for part in choice.parts:
        kinds.add(part.kind)
        match part.kind:
            case "text" | "refusal":
                read.text += part.text
            case "thinking":
                read.thinking += part.text
            case "tool_call":
                read.tools.append((part.name, json.loads(part.text or "{}")))
            case "custom_call":
                read.tools.append((part.name, {"input": part.text}))
    stop = choice.stop or "other"
    if stop == "stop" and native != "end_turn":
        called, refused = kinds & {"tool_call", "custom_call"}, "refusal" in kinds
        stop = "tool_use" if called else "refusal" if refused else "stop"
    read.stop = stop if stop in KEPT else "refusal" if stop == "content_filter" else "stop"
    return read


@given(sequences())
def test_any_answer_is_shown_in_the_clients_grammar(events: list[Event]) -> None:
    """Events of any dialect, parts and choices woven: the client reads the same texts, calls, stop and usage, streamed
    and whole; what it cannot be shown is in the losses."""
    answer = told(events)
    native = answer.choices[0].native
    body, losses = shown(*events)
    assert oracle.grammar(body) == []
    whole, whole_losses = DIALECT.answer(answer, ASK)
    assert oracle.valid(whole) == []
    want = expected(answer, native)
    for reading in (oracle.stream(body), oracle.whole(json.dumps(whole).encode())):
        assert reading.choices == [want]
        usage = answer.usage or Usage()
        assert reading.usage == {
            "input": usage.input,
            "output": usage.output,
            "cache_read": usage.cache_read,
            "cache_write": usage.cache_write,
            "reasoning": usage.reasoning,
        }
    for lost in (losses, whole_losses):
        words = [loss.what for loss in lost]
        parts = answer.choices[0].parts
        assert words.count("content.media") == sum(part.kind == "media" for part in parts)
        assert ("n" in words) == (len(answer.choices) > 1)
        foreign = [p.extras for p in parts if p.kind == "native" and "anthropic" not in p.extras]
        assert sorted(json.dumps(loss.value) for loss in lost if loss.what == "content.item") == sorted(
            json.dumps(item["item"]) for extras in foreign for item in extras.values()
        )


@given(sequences(("text", "thinking", "tool_call", "refusal"), max_choices=1))
def test_what_is_shown_comes_back(events: list[Event]) -> None:
    """A client sends the content back as it got it: thoughts, opaque values of any family, calls are what they were."""
    answer = told(events)
    parts = answer.choices[0].parts
    ids = [part.id for part in parts if part.id]
    assume(len(set(ids)) == len(ids))
    whole, _ = DIALECT.answer(answer, ASK)
    history = [{"role": "user", "content": "x"}, {"role": "assistant", "content": whole["content"]}]
    read = DIALECT.read({"model": "m", "max_tokens": 1, "messages": history})
    back = [part for message in read.messages[1:] for part in message.parts]
    thoughts = [(part.text, part.extras) for part in back if isinstance(part, Thinking)]
    assert thoughts == [(p.text, p.extras) for p in parts if p.kind == "thinking" and (p.text or p.extras)]
    calls = [(part.name, json.loads(part.arguments), part.extras) for part in back if isinstance(part, ToolCall)]
    assert calls == [(p.name, json.loads(p.text or "{}"), p.extras) for p in parts if p.kind == "tool_call"]
    texts = [part.text for part in back if isinstance(part, Text)]
    assert texts == [p.text for p in parts if p.kind in ("text", "refusal") and (p.text or p.citations)]


@given(sequences(failures=True))
def test_a_failure_ends_the_stream_with_an_error(events: list[Event]) -> None:
    body, _ = shown(*events)
    failed = any(isinstance(event, Failed) for event in events)
    assert (frames(body)[-1]["type"] == "error") == failed
    assert oracle.grammar(body) == []
    if failed:
        assert "the model is overloaded" in oracle.stream(body).error


def test_parallel_calls_that_interleave_are_shown_one_after_the_other() -> None:
    body, losses = shown(
        Started(id="chatcmpl-1", model="gpt"),
        PartStarted(part=0, kind="tool_call", id="call_a", name="a"),
        PartStarted(part=1, kind="tool_call", id="call_b", name="b"),
        PartDelta(part=0, kind="tool_call", text='{"x":'),
        PartDelta(part=1, kind="tool_call", text='{"y":2}'),
        PartDelta(part=0, kind="tool_call", text="1}"),
        PartEnded(part=1),
        PartEnded(part=0),
        Finished(stop="tool_use", native="tool_calls"),
        UsageSeen(usage=Usage(input=10, output=2, cache_read=4)),
    )
    assert not losses and oracle.grammar(body) == []
    assert content(body) == [
        {"type": "tool_use", "id": "call_a", "name": "a", "input": {"x": 1}},
        {"type": "tool_use", "id": "call_b", "name": "b", "input": {"y": 2}},
    ]
    delta = frames(body)[-2]
    assert delta["delta"]["stop_reason"] == "tool_use"
    assert delta["usage"]["input_tokens"] == 6 and delta["usage"]["cache_read_input_tokens"] == 4


def test_a_text_that_is_never_ended_does_not_hold_up_what_follows() -> None:
    """Chat upstreams say nothing at a text's end: the call after it is shown as it comes, not at the answer's end."""
    encoder = DIALECT.encoder(ASK)
    encoder.feed([Started(), PartStarted(part=0, kind="thinking"), PartDelta(part=0, kind="thinking", text="hm")])
    out = encoder.feed([PartStarted(part=1, kind="text"), PartDelta(part=1, kind="text", text="Hello")])
    assert b"Hello" in out
    out = encoder.feed([PartStarted(part=2, kind="tool_call", id="c", name="f")])
    out += encoder.feed([PartDelta(part=2, kind="tool_call", text='{"a":')])
    assert b'{\\"a\\":' in out
    assert encoder.feed([PartDelta(part=1, kind="text", text=" there")]) == b""
    out = encoder.feed([PartEnded(part=2), PartEnded(part=1), PartEnded(part=0), Finished(stop="stop")])
    assert b" there" in out and encoder.end().endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


@pytest.mark.parametrize(
    ("arguments", "shown_input", "losses"),
    [
        ("", {}, 0),
        ("  ", {}, 0),
        ("null", {}, 0),
        ("{}", {}, 0),
        (' {"a": 1.0}', {"a": 1.0}, 0),
        ('{"big": 123456789012345678901234567890}', {"big": 123456789012345678901234567890}, 0),
        ("[1]", {"input": [1]}, 1),
        ('"x"', {"input": "x"}, 1),
        ("not json", {"input": "not json"}, 1),
        ("1e999", {"input": "1e999"}, 1),
    ],
)
def test_arguments_are_always_an_object(arguments: str, shown_input: dict[str, Any], losses: int) -> None:
    """Whole, in one delta, and byte by byte; what was no object is shown under "input", and listed."""
    one = call(0, arguments)
    pieces = [PartDelta(part=0, kind="tool_call", text=piece) for piece in arguments]
    for events in (one, [one[0], *pieces, one[-1]]):
        body, lost = shown(Started(), *events, Finished(stop="tool_use"))
        assert oracle.grammar(body) == [] and len(lost) == losses
        assert [block["input"] for block in content(body)] == [shown_input]
        whole, lost = DIALECT.answer(told([*events, Finished(stop="tool_use")]), ASK)
        assert whole["content"][0]["input"] == shown_input and len(lost) == losses


def test_ids_fit_the_grammar_and_stay_if_they_do() -> None:
    events = [*call(0, "{}", id="call.a/b"), *call(1, "{}", id="call_ok"), *call(2, "{}", id="")]
    ids = [block["id"] for block in content(shown(Started(), *events, Finished(stop="tool_use"))[0])]
    assert ids[1] == "call_ok" and len(set(ids)) == 3
    assert all(id.replace("_", "").isalnum() for id in ids)
    whole, _ = DIALECT.answer(told([*events, Finished(stop="tool_use")]), ASK)
    assert [block["id"] for block in whole["content"]] == ids


def test_a_thought_signature_of_gemini_rides_beside_its_call() -> None:
    """Known in time it stands before the call, late after it; either way the reader gives it back to that call."""
    extras = {"google": {"thoughtSignature": "c2ln"}}
    early = call(0, "{}", id="a", extras=extras)
    late = [*call(1, "{}", id="b")[:2], PartEnded(part=1, extras=extras)]
    said = [*text(2, "done")[:2], PartEnded(part=2, extras=extras)]
    blocks = content(shown(Started(), *early, *late, *said, Finished(stop="tool_use"))[0])
    assert [block["type"] for block in blocks] == ["thinking", "tool_use", "tool_use", "thinking", "text", "thinking"]
    history = [{"role": "user", "content": "x"}, {"role": "assistant", "content": blocks}]
    read = DIALECT.read({"model": "m", "max_tokens": 1, "messages": history})
    assert [(type(part), part.extras) for part in read.messages[1].parts] == [  # type: ignore[union-attr]
        (ToolCall, extras),
        (ToolCall, extras),
        (Text, extras),
    ]


def test_foreign_thoughts_are_signed_with_a_carrier_of_their_own() -> None:
    """Also a thought of which nothing is opaque: unsigned, it would come back where signatures are verified."""
    extras = {"openai": {"id": "rs_1", "encrypted_content": "zzz"}}
    events = [
        PartStarted(part=0, kind="thinking"),
        PartDelta(part=0, kind="thinking", text="hm"),
        PartEnded(part=0, extras=extras),
        PartStarted(part=1, kind="thinking"),
        PartDelta(part=1, kind="thinking", text="plain"),
        PartEnded(part=1),
        PartStarted(part=2, kind="thinking", extras=extras),
        PartEnded(part=2),
    ]
    blocks = content(shown(Started(), *events, Finished(stop="stop"))[0])
    assert [(b["thinking"], carrier.unwrap(b["signature"])) for b in blocks] == [
        ("hm", extras),
        ("plain", {}),
        ("", extras),
    ]


def test_own_thoughts_keep_their_signature_and_redaction() -> None:
    events = [
        PartStarted(part=0, kind="thinking"),
        PartDelta(part=0, kind="thinking", text="hm"),
        PartDelta(part=0, kind="thinking", extras={"anthropic": {"signature": "sig"}}),
        PartEnded(part=0),
        PartStarted(part=1, kind="thinking", extras={"anthropic": {"redacted": "xyz"}}),
        PartEnded(part=1),
        PartStarted(part=2, kind="thinking", extras={"anthropic": {"signature": "alone"}}),
        PartEnded(part=2),
    ]
    want = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "thinking", "thinking": "", "signature": "alone"},
    ]
    assert content(shown(Started(), *events, Finished(stop="stop"))[0]) == want
    assert DIALECT.answer(told(events), ASK)[0]["content"] == want


def test_citations_of_others_are_shown_and_come_back() -> None:
    cited = Citation(url="https://e.org", title="T", quote="q", start=0, end=2, extras={"google": {"x": 1}})
    bare = Citation(quote="only a quote")
    body, losses = shown(Started(), *text(0, "hi", citations=(cited, bare)), Finished(stop="stop"))
    assert not losses and oracle.grammar(body) == []
    (block,) = content(body)
    assert block["citations"][0]["url"] == "https://e.org" and block["citations"][0]["cited_text"] == "q"
    read = DIALECT.read(
        {"model": "m", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": [block]}]}
    )
    (part,) = read.messages[1].parts
    assert isinstance(part, Text) and part.citations == [cited, bare]


def test_what_cannot_be_shown_is_listed() -> None:
    body, losses = shown(
        Started(),
        PartStarted(part=0, kind="media", mime="image/png"),
        PartDelta(part=0, kind="media", text="aGk="),
        PartEnded(part=0),
        *text(1, "x", logprobs=({"token": "x"},), extras={"openai": {"phase": "final"}}),
        PartStarted(choice=1, part=0, kind="text"),
        PartDelta(choice=1, part=0, kind="text", text="other"),
        PartEnded(choice=1, part=0),
        Finished(stop="malformed_call", native="MALFORMED_FUNCTION_CALL"),
        Finished(choice=1, stop="stop"),
    )
    assert [(loss.what, loss.value) for loss in losses] == [
        ("content.media", {"mime": "image/png", "data": "aGk="}),
        ("logprobs", None),
        ("content.phase", "final"),
        ("n", 1),
        ("stop_reason", "MALFORMED_FUNCTION_CALL"),
    ]
    assert oracle.stream(body).choices[0].text == "x"


def test_the_start_shows_what_is_known_by_then() -> None:
    """An answer without id, model and usage still has a message_start its client can read."""
    (start, *_) = frames(shown(Started(), *text(0, "x"), Finished(stop="stop"))[0])
    message = start["message"]
    assert (message["id"], message["model"]) == ("msg_req_1", "shown")
    assert message["usage"] == {"input_tokens": 0, "output_tokens": 0}
    usage = UsageSeen(usage=Usage(input=5, cache_write=3, cache_write_1h=2))
    (start, *_) = frames(shown(Started(id="i", model="n"), usage, *text(0, "x"), Finished(stop="stop"))[0])
    assert start["message"]["usage"]["input_tokens"] == 2
    assert start["message"]["usage"]["cache_creation"] == {
        "ephemeral_5m_input_tokens": 1,
        "ephemeral_1h_input_tokens": 2,
    }


def test_an_empty_answer_is_a_message_without_content() -> None:
    body, losses = shown(Started(), *text(0, ""), Finished(stop="length"))
    assert not losses and oracle.grammar(body) == [] and content(body) == []
    assert oracle.stream(body).choices[0].stop == "length"
