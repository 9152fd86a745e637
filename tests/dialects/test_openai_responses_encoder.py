"""Answers of other dialects, told to a client of the Responses API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from event_sequences import sequences, told
from hypothesis import given, settings
from openai_responses_answers import ASK, STOPS, expected

from headgate.dialects import carrier
from headgate.dialects.base import Ask
from headgate.dialects.openai_responses import DIALECT
from headgate.model.events import (
    Event,
    Failed,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
    Stop,
    UsageSeen,
)
from headgate.model.prompt import Citation, Prompt, Text, Thinking, ToolCall
from headgate.model.usage import Usage
from oracles import openai_responses as oracle


def encode(events: list[Event], ask: Ask = ASK) -> tuple[bytes, list[Any]]:
    encoder = DIALECT.encoder(ask)
    body = b"".join(encoder.feed((event,)) for event in events) + encoder.end()
    return body, encoder.losses


def final(body: bytes) -> dict[str, Any]:
    last = oracle.events(body)[-1]["response"]
    assert isinstance(last, dict)
    return last


def part(number: int, kind: Any, *texts: str, **fields: Any) -> list[Event]:
    late = fields.pop("late", {})
    deltas: list[Event] = [PartDelta(part=number, kind=kind, text=text) for text in texts]
    return [PartStarted(part=number, kind=kind, **fields), *deltas, PartEnded(part=number, extras=late)]


@settings(max_examples=300)
@given(sequences(failures=True))
def test_every_valid_sequence_keeps_the_grammar(events: list[Event]) -> None:
    """Whatever an upstream's decoder tells: the frames keep the grammar, the official client reads the same text,
    calls, stop and usage, streamed and whole; what it cannot read is listed."""
    answer = told(events)
    body, losses = encode(events)
    assert oracle.grammar(body) == []
    want = expected(answer)
    assert oracle.stream(body) == want
    whole, others = DIALECT.answer(answer, ASK)
    assert oracle.whole(json.dumps(whole).encode()) == want
    if answer.failed is None:
        assert len(losses) == len(others)
        lost = json.dumps([loss.value for loss in losses], default=str)
        for choice in answer.choices[1:]:
            assert all(json.dumps(one.text)[1:-1] in lost for one in choice.parts)
        for one in answer.choices[0].parts:
            if one.kind == "native" and "openai" not in one.extras:
                assert any(loss.what.startswith("output.item") for loss in losses)
            if one.kind == "media" and not one.mime.startswith("image/"):
                assert any(loss.value == {"mime": one.mime, "data": one.text} for loss in losses)


@settings(max_examples=60)
@given(sequences())
def test_pieces_of_any_size_give_the_same_bytes(events: list[Event]) -> None:
    """Feeding one event at a time or all at once is the same; so is a second run."""
    encoder = DIALECT.encoder(ASK)
    assert encoder.feed(events) + encoder.end() == encode(events)[0]


def test_one_text() -> None:
    """The transcript of the smallest answer: every frame of the grammar, in order."""
    body, losses = encode(
        [
            Started(id="msg_1", model="m-1"),
            *part(0, "text", "Hel", "lo"),
            Finished(stop="stop", native="end_turn"),
            UsageSeen(usage=Usage(input=10, output=4, cache_read=6, cache_write=1, reasoning=2)),
        ]
    )
    kinds = [event["type"].removeprefix("response.") for event in oracle.events(body)]
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    response = final(body)
    assert response["id"] == "resp_01jq8z" and response["model"] == "m-1" and response["created_at"] == ASK.created
    assert response["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 1},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 14,
    }
    assert losses == []


def test_parallel_calls_keep_their_own_arguments() -> None:
    """Two calls whose pieces interleave, one without an id, one without arguments: each its own item."""
    events: list[Event] = [
        Started(),
        PartStarted(part=0, kind="tool_call", id="call_a", name="f"),
        PartStarted(part=1, kind="tool_call", name="g"),
        PartDelta(part=0, kind="tool_call", text='{"a"'),
        PartDelta(part=1, kind="tool_call", text='{"b":'),
        PartDelta(part=0, kind="tool_call", text=":1}"),
        PartDelta(part=1, kind="tool_call", text="2}"),
        PartEnded(part=0),
        PartEnded(part=1),
        *part(2, "tool_call", name="h", id="call_c"),
        Finished(stop="tool_use"),
    ]
    body, _ = encode(events)
    assert oracle.grammar(body) == []
    calls = final(body)["output"]
    assert [(call["name"], call["arguments"]) for call in calls] == [("f", '{"a":1}'), ("g", '{"b":2}'), ("h", "{}")]
    assert len({call["call_id"] for call in calls}) == 3 and calls[0]["call_id"] == "call_a"
    assert encode(events)[0] == body


def test_a_custom_call_is_free_text() -> None:
    body, _ = encode(
        [Started(), *part(0, "custom_call", "SELECT", " 1", id="c", name="sql"), Finished(stop="tool_use")]
    )
    assert oracle.grammar(body) == []
    assert [(item["type"], item["input"]) for item in final(body)["output"]] == [("custom_tool_call", "SELECT 1")]


def test_tools_of_a_namespace_are_called_by_their_own_names() -> None:
    """An upstream without namespaces was told qualified names; the client hears the tool's own."""
    tools = [{"type": "function", "name": "read", "parameters": {"type": "object"}, "strict": False}]
    asked = {
        "model": "m",
        "input": "x",
        "tools": [{"type": "namespace", "name": "files", "description": "", "tools": tools}],
    }
    prompt = DIALECT.read(asked)
    assert [tool.name for tool in prompt.tools] == ["files__read"]
    ask = Ask(id="req_1", model="m", created=1, prompt=prompt)
    body, _ = encode(
        [Started(), *part(0, "tool_call", "{}", id="c", name="files__read"), Finished(stop="tool_use")], ask
    )
    (call,) = final(body)["output"]
    assert (call["namespace"], call["name"]) == ("files", "read")


def _replayed(body: bytes) -> Prompt:
    """The prompt of a client that sends the answer's items back, with a result for each call."""
    items = final(body)["output"]
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "ok"}
        for item in items
        if item["type"] == "function_call"
    ]
    return DIALECT.read({"model": "m", "input": [{"role": "user", "content": "x"}, *items, *results]})


def test_foreign_thoughts_come_back_whole() -> None:
    """A signed thought, a redacted one and one nobody signed go to the client and back: text and opaque values
    unchanged, and never taken for this API's own."""
    events: list[Event] = [
        Started(),
        *part(0, "thinking", "hm", late={"anthropic": {"signature": "c2ln"}}),
        *part(1, "thinking", late={"anthropic": {"redacted": "cmVk"}}),
        *part(2, "thinking", "plain"),
        *part(3, "text", "done"),
        Finished(stop="stop"),
    ]
    body, losses = encode(events)
    assert losses == [] and oracle.grammar(body) == []
    thoughts = [one for message in _replayed(body).messages for one in message.parts if isinstance(one, Thinking)]
    assert thoughts == [
        Thinking(text="hm", extras={"anthropic": {"signature": "c2ln"}}),
        Thinking(text="", extras={"anthropic": {"redacted": "cmVk"}}),
        Thinking(text="plain"),
    ]


def test_a_calls_signature_comes_back_on_the_call() -> None:
    """Gemini demands a thought signature back on the call it came with; on a text, too."""
    signed = {"google": {"thoughtSignature": "c2ln"}}
    events: list[Event] = [
        Started(),
        *part(0, "text", "let me see", late=signed),
        *part(1, "tool_call", "{}", id="call_1", name="f", extras=signed),
        *part(2, "tool_call", "{}", id="call_2", name="f"),
        Finished(stop="tool_use"),
    ]
    body, losses = encode(events)
    assert losses == [] and oracle.grammar(body) == []
    assert oracle.stream(body).choices[0].thinking == ""
    (_, turn, _) = _replayed(body).messages
    assert [type(one) for one in turn.parts] == [Text, ToolCall, ToolCall]
    assert [one.extras.get("google") for one in turn.parts if not isinstance(one, Thinking)] == [  # type: ignore[union-attr]
        {"thoughtSignature": "c2ln"},
        {"thoughtSignature": "c2ln"},
        None,
    ]


def test_a_signature_before_its_call_waits_for_it() -> None:
    """Clients may reorder reasoning items; the carrier names its call."""
    opaque = carrier.wrap({"google": {"thoughtSignature": "c2ln"}, "headgate": {"of": "call_1"}})
    prompt = DIALECT.read(
        {
            "model": "m",
            "input": [
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": opaque},
                {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_1", "output": "ok"},
            ],
        }
    )
    (call,) = prompt.messages[0].parts
    assert isinstance(call, ToolCall) and call.extras == {"google": {"thoughtSignature": "c2ln"}}


def test_own_encrypted_thoughts_pass() -> None:
    """Reasoning of this API, read from another answer form, keeps its id and its ciphertext, summaries in one item."""
    own = {"openai": {"id": "rs_9"}}
    events: list[Event] = [
        Started(),
        *part(0, "thinking", "a", extras=own),
        *part(1, "thinking", "b", extras=own, late={"openai": {"encrypted_content": "gAAA"}}),
        Finished(stop="stop"),
    ]
    (item,) = final(encode(events)[0])["output"]
    assert item == {
        "id": "rs_9",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
        "encrypted_content": "gAAA",
    }


def test_citations() -> None:
    """A URL with its place at once; one without a place covers the whole text when that is known; one without a URL
    has no form here."""
    cited = (
        Citation(url="https://a.example", title="A", start=0, end=3),
        Citation(url="https://b.example"),
        Citation(quote="said so", extras={"anthropic": {"citation": {"type": "char_location"}}}),
    )
    events: list[Event] = [
        Started(),
        PartStarted(part=0, kind="text"),
        PartDelta(part=0, kind="text", text="one "),
        PartDelta(part=0, kind="text", citations=cited),
        PartDelta(part=0, kind="text", text="two"),
        PartEnded(part=0),
        Finished(stop="stop"),
    ]
    body, losses = encode(events)
    assert oracle.grammar(body) == []
    (message,) = final(body)["output"]
    places = [(one["url"], one["start_index"], one["end_index"]) for one in message["content"][0]["annotations"]]
    assert places == [("https://a.example", 0, 3), ("https://b.example", 0, 7)]
    assert [loss.what for loss in losses] == ["citations"]


def test_an_image_is_the_result_of_its_own_tool() -> None:
    events: list[Event] = [Started(), *part(0, "media", "iVBORw0=", mime="image/jpeg"), Finished(stop="stop")]
    body, losses = encode(events)
    assert oracle.grammar(body) == [] and losses == []
    (item,) = final(body)["output"]
    assert (item["type"], item["result"], item["output_format"]) == ("image_generation_call", "iVBORw0=", "jpeg")


def test_a_failure_is_told_twice() -> None:
    """The official client raises on `error`; others wait for `response.failed`. Nothing is said after it."""
    failed = Failed(message="overloaded, try again", code="overloaded", type="overloaded_error", status=529)
    encoder = DIALECT.encoder(ASK)
    body = encoder.feed([Started(), PartStarted(part=0, kind="text"), PartDelta(part=0, kind="text", text="x"), failed])
    assert encoder.feed([Finished(stop="stop")]) == encoder.end() == b""
    assert oracle.grammar(body) == []
    assert oracle.stream(body).error == "overloaded, try again"
    assert [event["type"] for event in oracle.events(body)][-2:] == ["error", "response.failed"]
    response = final(body)
    assert response["status"] == "failed" and response["error"]["code"] == "overloaded"
    assert response["output"][0]["content"][0]["text"] == "x"


def test_other_choices_are_listed() -> None:
    events: list[Event] = [
        Started(),
        *part(0, "text", "first"),
        PartStarted(choice=1, part=0, kind="text"),
        PartDelta(choice=1, part=0, kind="text", text="second"),
        Finished(stop="stop"),
        Finished(choice=1, stop="stop"),
    ]
    body, losses = encode(events)
    assert oracle.stream(body).choices[0].text == "first"
    assert "second" in str(losses[0].value)


@pytest.mark.parametrize("stop", ["stop", "length", "tool_use", "content_filter", "pause", "malformed_call", "other"])
def test_stop_words(stop: Stop) -> None:
    """An end this API has no word for is incomplete and listed, never success."""
    body, losses = encode([Started(), Finished(stop=stop, native="WORD")])
    assert oracle.grammar(body) == []
    assert oracle.stream(body).choices[0].stop == STOPS.get(stop, "stop")
    assert [loss.what for loss in losses] == (["stop"] if STOPS.get(stop) == "other" else [])


def test_the_answer_repeats_the_request() -> None:
    """A client of this API finds its own settings in the answer."""
    asked = {
        "model": "m",
        "instructions": "be brief",
        "input": "x",
        "temperature": 0.5,
        "max_output_tokens": 100,
        "parallel_tool_calls": False,
        "metadata": {"k": "v"},
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    ask = Ask(id="req_1", model="m", created=1, prompt=DIALECT.read(asked))
    response = final(encode([Started(), *part(0, "text", "{}"), Finished(stop="stop")], ask)[0])
    for name, value in asked.items():
        if name not in ("input", "tools", "model"):
            assert response[name] == value, name
    assert response["tools"][0]["name"] == "f"
