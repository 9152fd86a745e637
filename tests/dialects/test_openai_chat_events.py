"""Whatever any upstream says, a chat client reads it: events of every kind, in every order that is valid, shown as a
stream and as one document, read by the official client, and sent back as history without losing what must come back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given

from dialects.event_sequences import sequences, told
from headgate.dialects.base import Ask, Target
from headgate.dialects.openai_chat import DIALECT
from headgate.dialects.openai_chat.tables import FINISHES
from headgate.model.events import (
    Answer,
    AnswerPart,
    Event,
    Failed,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
    UsageSeen,
)
from headgate.model.prompt import Extras, Text, Thinking, ToolCall, flat
from headgate.model.usage import Usage
from oracles import ReadChoice, Reading
from oracles import openai_chat as oracle

pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")

ASK = Ask(id="req_1", model="shown", created=1700000000, stream=True)


def shown(events: list[Event], ask: Ask = ASK) -> tuple[bytes, Any]:
    """The stream, and the encoder that made it: fed one event at a time."""
    encoder = DIALECT.encoder(ask)
    body = b"".join(encoder.feed([event]) for event in events) + encoder.end()
    return body, encoder


def wanted(answer: Answer) -> Reading:
    """What a chat client is to read of an answer."""
    if answer.failed is not None:
        return Reading(error=answer.failed.message)
    read = Reading()
    for choice in answer.choices:
        seen = ReadChoice(stop=oracle.STOPS[FINISHES[choice.stop or "other"]])
        for part in choice.parts:
            match part.kind:
                case "text":
                    seen.text += part.text
                case "thinking":
                    seen.thinking += part.text
                case "refusal":
                    seen.refusal += part.text
                case "tool_call":
                    seen.tools.append((part.name, json.loads(part.text or "{}")))
                case "custom_call":
                    seen.tools.append((part.name, part.text))
        if seen.tools and seen.stop == "stop":
            seen.stop = "tool_use"
        read.choices.append(seen)
    if answer.usage is not None:
        names = ("input", "output", "cache_read", "cache_write", "reasoning")
        read.usage = {name: getattr(answer.usage, name) for name in names}
    return read


@given(sequences(failures=True))
def test_a_stream_tells_the_official_client_everything(events: list[Event]) -> None:
    body, _ = shown(events)
    want = wanted(told(events))
    got = oracle.stream(body)
    assert got.error == want.error
    if not want.error:
        assert got == want
        assert body.endswith(b"data: [DONE]\n\n")


@given(sequences())
def test_a_document_tells_it_too(events: list[Event]) -> None:
    answer = told(events)
    document, _ = DIALECT.answer(answer, ASK)
    assert oracle.whole(json.dumps(document).encode()) == wanted(answer)


@given(sequences(max_choices=1))
def test_what_has_no_place_is_listed(events: list[Event]) -> None:
    """Native items, sounds and films beside images, citations without a URL: their content stands in the losses."""
    body, encoder = shown(events)
    _, losses = DIALECT.answer(told(events), ASK)
    for lost in (encoder.losses, losses):
        values = [loss.value for loss in lost]
        for event in events:
            if isinstance(event, PartStarted) and event.kind == "native":
                assert all(fields["item"] in values for fields in event.extras.values())
            if isinstance(event, PartDelta):
                assert all(citation.url or citation in values for citation in event.citations)
    assert b'"index":0' in body


def known(extras: Extras) -> Extras:
    return {family: fields for family, fields in extras.items() if fields}


def heard(answer: Answer) -> tuple[list[tuple[str, Extras]], list[tuple[str, str, Extras]], str]:
    """What a client must be able to send back: thoughts with their seals, calls with theirs, the text."""
    parts = [part for choice in answer.choices for part in choice.parts]
    thoughts = [(part.text, known(part.extras)) for part in parts if part.kind == "thinking"]
    calls = [
        (part.name, part.text or ("{}" if part.kind == "tool_call" else ""), known(part.extras))
        for part in parts
        if part.kind in ("tool_call", "custom_call")
    ]
    return [thought for thought in thoughts if thought[0] or thought[1]], calls, text_of(parts)


def text_of(parts: list[AnswerPart]) -> str:
    return "".join(part.text for part in parts if part.kind == "text")


def sent_back(message: dict[str, Any]) -> tuple[list[tuple[str, Extras]], list[tuple[str, str, Extras]], str]:
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in message.get("tool_calls") or []
    ]
    message = {key: value for key, value in message.items() if key not in ("images", "audio", "annotations")}
    prompt = DIALECT.read({"model": "m", "messages": [{**message, "role": "assistant"}, *results]})
    parts = [part for role, part in flat(prompt) if role == "assistant"]
    thoughts = [(part.text, known(part.extras)) for part in parts if isinstance(part, Thinking)]
    calls = [(part.name, part.arguments, known(part.extras)) for part in parts if isinstance(part, ToolCall)]
    return thoughts, calls, "".join(part.text for part in parts if isinstance(part, Text))


@given(sequences(max_choices=1, interleave=False))
def test_what_must_come_back_comes_back(events: list[Event]) -> None:
    """Signatures, encrypted and redacted thoughts of every family survive a client that sends back what it read. (Calls are told apart
    by their ids: two with one id are no conversation.)"""
    ids = [event.id for event in events if isinstance(event, PartStarted) and event.id]
    assume(len(ids) == len(set(ids)))
    answer = told(events)
    body, _ = shown(events)
    with oracle.client(body, "text/event-stream").chat.completions.stream(**oracle._ASK) as stream:
        for _ in stream:
            pass
        message = stream._state.current_completion_snapshot.choices[0].message.model_dump(exclude_unset=True)
    assert joined(sent_back(message)) == joined(heard(answer))
    document, _ = DIALECT.answer(answer, ASK)
    assert joined(sent_back(document["choices"][0]["message"])) == joined(heard(answer))


def joined(said: tuple[list[tuple[str, Extras]], Any, str]) -> Any:
    """Thoughts that nothing seals and that follow one another may come back as one."""
    thoughts: list[tuple[str, Extras]] = []
    for text, extras in said[0]:
        if thoughts and not thoughts[-1][1]:
            text = thoughts.pop()[0] + text
        thoughts.append((text, extras))
    return thoughts, said[1], said[2]


def test_an_encoded_history_is_stable() -> None:
    """The same events give the same bytes: nothing is drawn."""
    events: list[Event] = [
        Started(),
        PartStarted(part=0, kind="tool_call", name="f"),
        PartEnded(part=0),
        Finished(stop="tool_use"),
    ]
    assert shown(events)[0] == shown(events)[0]


def test_the_transcript_of_a_stream() -> None:
    """Role first, one event one chunk, finish in a chunk of its own, usage without choices, [DONE]."""
    events: list[Event] = [
        Started(id="msg_1", model="claude", created=5),
        PartStarted(part=0, kind="thinking"),
        PartDelta(part=0, kind="thinking", text="hm"),
        PartEnded(part=0, extras={"anthropic": {"signature": "c2ln"}}),
        PartStarted(part=1, kind="text"),
        PartDelta(part=1, kind="text", text="hi"),
        PartEnded(part=1),
        PartStarted(part=2, kind="tool_call", id="toolu_1", name="f"),
        PartDelta(part=2, kind="tool_call", text='{"a":1}'),
        PartEnded(part=2),
        PartStarted(part=3, kind="tool_call", id="toolu_2", name="g"),
        PartEnded(part=3),
        Finished(stop="tool_use", native="tool_use"),
        UsageSeen(usage=Usage(input=10, output=4, cache_read=6)),
    ]
    chunks = [json.loads(line[6:]) for line in shown(events)[0].decode().split("\n\n")[:-2]]
    assert {(chunk["id"], chunk["model"], chunk["created"], chunk["object"]) for chunk in chunks} == {
        ("msg_1", "claude", 5, "chat.completion.chunk")
    }
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}]},
        {
            "reasoning_details": [
                {"type": "reasoning.text", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}
            ]
        },
        {"content": "hi"},
        {"tool_calls": [{"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1}'}}]},
        {"tool_calls": [{"index": 1, "id": "toolu_2", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] == 6


def test_usage_is_shown_only_where_asked() -> None:
    events: list[Event] = [Started(), Finished(stop="stop"), UsageSeen(usage=Usage(input=1))]
    hidden = Ask(id="req_1", model="m", created=1, stream=True, include_usage=False)
    assert b'"usage"' in shown(events)[0]
    assert b'"usage"' not in shown(events, hidden)[0]


def test_a_client_of_functions_reads_function_call() -> None:
    """`functions` came before `tools`: its clients know neither tool_calls nor their finish reason."""
    request = {"model": "m", "messages": [], "functions": [{"name": "f", "parameters": {}}], "function_call": "auto"}
    ask = Ask(id="req_1", model="m", created=1, prompt=DIALECT.read(request))
    events: list[Event] = [
        Started(),
        PartStarted(part=0, kind="tool_call", id="a", name="f"),
        PartDelta(part=0, kind="tool_call", text='{"x": 1}'),
        PartEnded(part=0),
        PartStarted(part=1, kind="tool_call", id="b", name="g"),
        PartEnded(part=1),
        Finished(stop="tool_use"),
    ]
    body, encoder = shown(events, ask)
    document, losses = DIALECT.answer(told(events), ask)
    for lost in (encoder.losses, losses):
        assert [loss.value["name"] for loss in lost] == ["g"]
    message = document["choices"][0]["message"]
    assert message["function_call"] == {"name": "f", "arguments": '{"x": 1}'} and "tool_calls" not in message
    assert document["choices"][0]["finish_reason"] == "function_call"
    for read in (oracle.stream(body), oracle.whole(json.dumps(document).encode())):
        assert read.choices[0].tools == [("f", {"x": 1})]


def test_a_failure_inside_a_stream_raises_in_the_client() -> None:
    """The client raises with our message; no finish is feigned."""
    events: list[Event] = [
        Started(),
        PartStarted(part=0, kind="text"),
        PartDelta(part=0, kind="text", text="half"),
        Failed(message="overloaded", code="overloaded", status=529),
    ]
    body, _ = shown(events)
    assert oracle.stream(body) == Reading(error="overloaded")
    assert b'"finish_reason":"' not in body and b"[DONE]" not in body


def test_offsets_of_citations_count_in_the_whole_content() -> None:
    from headgate.model.prompt import Citation

    cited = Citation(url="https://example.com", title="t", start=1, end=2)
    events: list[Event] = [
        Started(),
        PartStarted(part=0, kind="text"),
        PartDelta(part=0, kind="text", text="12345"),
        PartEnded(part=0),
        PartStarted(part=1, kind="text"),
        PartDelta(part=1, kind="text", text="67", citations=(cited,)),
        PartEnded(part=1),
        Finished(stop="stop"),
    ]
    document, _ = DIALECT.answer(told(events), ASK)
    whole = document["choices"][0]["message"]["annotations"][0]["url_citation"]
    assert (whole["start_index"], whole["end_index"]) == (6, 7)
    assert b'"end_index":7,"start_index":6' in shown(events)[0]


@given(sequences(max_choices=1, kinds=("text", "thinking", "tool_call")))
def test_our_own_decoder_reads_what_our_encoder_wrote(events: list[Event]) -> None:
    body, _ = shown(events)
    decoder = DIALECT.decoder()
    found: list[Event] = []
    for block in body.split(b"\n\n")[:-1]:
        found += decoder.feed("", block.removeprefix(b"data: ")).events
    assert decoder.complete
    got, want = wanted(told(found)), wanted(told(events))
    assert got == want


def test_the_target_of_a_prompt_is_named() -> None:
    prompt = DIALECT.read({"model": "a", "messages": [{"role": "user", "content": "x"}]})
    assert DIALECT.write(prompt, Target(model="b", provider="p")).json["model"] == "b"
