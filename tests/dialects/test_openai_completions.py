"""Legacy Completions: every recorded exchange, transcripts of what they differ in from chat, and whatever any upstream
says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

from dialects.carried import missing
from dialects.event_sequences import sequences, told
from headgate.dialects import splice
from headgate.dialects.base import Accepts, Ask, Json, Target
from headgate.dialects.openai_chat import DIALECT as CHAT
from headgate.dialects.openai_completions import DIALECT
from headgate.dialects.sse import Parser
from headgate.errors import BadRequest, Limited, NotFound, UpstreamMalformed
from headgate.model.events import (
    Answer,
    Decoded,
    Event,
    Failed,
    Finished,
    Fold,
    PartDelta,
    PartEnded,
    PartStarted,
    Repeat,
    Started,
)
from headgate.model.prompt import Media, Message, Prompt, Text, Tool, ToolCall, ToolResult, flat
from oracles import Reading
from oracles import openai_completions as oracle
from recordings import Recording, recordings

ASK = Ask(id="req_1", model="shown", created=1700000000, stream=True)
TARGET = Target(model="m", provider="p")
NOT_COMPLETIONS = frozenset(("ea87525e7e5f7c46",))
"""Filed among completions, but a stream of {"value": ...}."""


def answers() -> Iterator[Recording]:
    rows = recordings("openai_completions")
    return (row for row in rows if row.status < 300 and row.id not in NOT_COMPLETIONS)


def decoded(row: Recording) -> list[tuple[bytes, Decoded]]:
    decoder = DIALECT.decoder()
    if not row.sse:
        frames = [(row.reply, decoder.whole(row.reply))]
    else:
        parser = Parser()
        items = [item for item in parser.feed(row.reply) + parser.end() if item.data is not None]
        frames = [(item.data or b"", decoder.feed(item.event, item.data or b"")) for item in items]
        frames.append((b"null", Decoded(events=decoder.end())))
    assert decoder.complete, row
    return frames


def folded(events: list[Event]) -> Answer:
    fold = Fold()
    for event in events:
        fold.feed(event)
    return fold.close()


def reading(answer: Answer) -> Reading:
    """Our fold in the oracle's terms: what a completion can say of it."""
    if answer.failed is not None:
        return Reading(error=answer.failed.message)
    read = Reading()
    for choice in answer.choices:
        text = "".join(part.text for part in choice.parts if part.kind in ("text", "refusal"))
        stop = choice.stop if choice.stop in ("length", "content_filter") else "stop"
        stop = {"refusal": "content_filter", "context_window": "length"}.get(choice.stop or "", stop)
        read.choices.append(oracle.ReadChoice(text=text, stop=stop))
    if answer.usage is not None:
        names = ("input", "output", "cache_read", "cache_write", "reasoning")
        read.usage = {name: getattr(answer.usage, name) for name in names}
    return read


# ------------------------------------------------------------------ recordings


@pytest.mark.corpus
def test_every_answer_reads_as_the_official_client_reads_it_and_again_when_shown() -> None:
    compared = 0
    for row in answers():
        events = [event for _, frame in decoded(row) for event in frame.events]
        want = oracle.stream(row.reply) if row.sse else oracle.whole(row.reply)
        assert reading(folded(events)) == want, row
        encoder = DIALECT.encoder(ASK)
        assert oracle.stream(encoder.feed(events) + encoder.end()) == want, row
        document, _ = DIALECT.answer(folded(events), ASK)
        assert oracle.whole(json.dumps(document).encode()) == want, row
        compared += 1
    assert compared > 100


@pytest.mark.corpus
def test_every_text_has_its_slot() -> None:
    for row in answers():
        for data, frame in decoded(row):
            document = json.loads(data) if data != b"[DONE]" else None
            for event in frame.events:
                if isinstance(event, PartDelta) and event.text:
                    assert event.slot is not None
                    place = document
                    for key in event.slot.path:
                        place = place[key]
                    assert place == event.text


@pytest.mark.corpus
def test_every_request_is_read_carried_and_written_validly() -> None:
    done = 0
    for row in recordings("openai_completions"):
        request = row.request
        if request is None or row.status >= 300:
            continue
        body = json.dumps(request, ensure_ascii=False).encode()
        head = DIALECT.head(body)
        edited = json.loads(splice.apply(body, DIALECT.edits(head, TARGET)))
        want = dict(request, model="m")
        if head.stream and not head.include_usage:
            want["stream_options"] = {**(request.get("stream_options") or {}), "include_usage": True}
        assert edited == want, row
        if isinstance(request["prompt"], list) and len(request["prompt"]) != 1:
            with pytest.raises(BadRequest):
                DIALECT.read(request)
            continue
        prompt = DIALECT.read(request)
        for dialect in (DIALECT, CHAT):
            written = dialect.write(prompt, TARGET)
            assert not missing(request, written.json, written.losses), row
        written = DIALECT.write(prompt, TARGET)
        if not oracle.problems(request):
            assert not oracle.problems(written.json), row
        again = DIALECT.read(written.json)
        assert (list(flat(again)), again.max_tokens, again.stop) == (list(flat(prompt)), prompt.max_tokens, prompt.stop)
        done += 1
    assert done > 80


@pytest.mark.corpus
def test_every_error_is_read() -> None:
    for row in recordings("openai_completions"):
        if row.status >= 400:
            assert DIALECT.refusal(row.status, row.reply).message == json.loads(row.reply)["error"]["message"]


# ------------------------------------------------------------------ requests


@pytest.mark.parametrize(
    "prompt", [[1, 2], [[1, 2]], [[1], [2]], ["a", "b"], 7, None, [], [1]], ids=lambda value: json.dumps(value)
)
def test_what_cannot_cross_is_refused(prompt: Any) -> None:
    """Tokens are another model's numbers, and several prompts are several requests."""
    with pytest.raises(BadRequest) as caught:
        DIALECT.read({"model": "m", "prompt": prompt})
    assert caught.value.param == "prompt"


def test_a_prompt_crosses_as_one_user_message() -> None:
    for prompt in ("x", ["x"]):
        read = DIALECT.read({"model": "m", "prompt": prompt, "logprobs": 2, "echo": True, "suffix": "s", "best_of": 1})
        assert list(flat(read)) == [("user", Text(text="x"))]
        assert (read.max_tokens, read.logprobs, read.top_logprobs) == (16, True, 2)
        written = CHAT.write(read, TARGET)
        assert written.json["messages"] == [{"role": "user", "content": "x"}]
        assert sorted(loss.what for loss in written.losses) == ["echo", "suffix"]


def test_a_conversation_is_written_as_a_transcript() -> None:
    prompt = Prompt(
        model="m",
        family="anthropic",
        messages=[
            Message(role="system", parts=[Text(text="be kind")]),
            Message(role="user", parts=[Text(text="hi"), Media(kind="image", url="https://a/b.png")]),
            Message(role="assistant", parts=[ToolCall(id="a", name="f", arguments='{"x":1}')]),
            Message(role="tool", parts=[ToolResult(call_id="a", parts=[Text(text="42")])]),
        ],
        tools=[Tool(name="f")],
        top_k=3,
    )
    written = DIALECT.write(prompt, TARGET)
    assert written.json["prompt"] == 'System: be kind\n\nUser: hi\n\nAssistant: f({"x":1})\n\nTool: 42\n\nAssistant:'
    assert sorted(loss.what for loss in written.losses) == ["messages.user.media", "tools.f", "top_k"]
    assert not oracle.problems(written.json)


def test_what_a_head_tells() -> None:
    head = DIALECT.head(b'{"model":"m","prompt":["a","b","c"],"n":2,"best_of":4,"max_tokens":9,"stream":true}')
    assert (head.n, head.max_output, head.stream, head.include_usage) == (12, 9, True, False)
    assert DIALECT.head(b'{"model":"m","prompt":[1,2,3]}').n == 1
    with pytest.raises(BadRequest) as caught:
        DIALECT.head(b'{"model":"m","stream":"x"}')
    assert caught.value.param == "stream"


def test_guards_see_every_prompt_and_the_suffix() -> None:
    json_: Json = {"model": "m", "prompt": ["a", "b"], "suffix": "c"}
    assert [(slot.path, slot.text) for slot in DIALECT.slots(json_)] == [
        (("prompt", 0), "a"),
        (("prompt", 1), "b"),
        (("suffix",), "c"),
    ]
    assert [slot.path for slot in DIALECT.slots({"prompt": "a"})] == [("prompt",)]
    assert list(DIALECT.slots({"prompt": [1, 2]})) == []


def test_a_member_the_target_refuses_is_refused() -> None:
    target = Target(model="m", provider="p", accepts=Accepts(drop=frozenset(("suffix",))))
    with pytest.raises(BadRequest):
        DIALECT.edits(DIALECT.head(b'{"model":"m","prompt":"x","suffix":"y"}'), target)


# ------------------------------------------------------------------ answers

LOGPROBS = {
    "tokens": ["a", "b"],
    "token_logprobs": [-0.1, None],
    "top_logprobs": [{"a": -0.1, "c": -2.0}, None],
    "text_offset": [0, 1],
}


def test_logprobs_are_brought_to_chats_form_and_back() -> None:
    document = {"choices": [{"index": 0, "text": "ab", "logprobs": LOGPROBS, "finish_reason": "stop"}]}
    frame = DIALECT.decoder().whole(json.dumps(document).encode())
    answer = folded(list(frame.events))
    first, second = answer.choices[0].parts[0].logprobs
    assert (first["token"], first["logprob"], len(first["top_logprobs"]), second["logprob"]) == ("a", -0.1, 2, None)
    assert frame.repeats == (Repeat(path=("choices", 0, "logprobs"), part=0, kind="drop"),)
    shown, _ = DIALECT.answer(answer, ASK)
    found = oracle.logprobs(json.dumps(shown).encode())
    assert (found.tokens, found.token_logprobs, found.text_offset) == (["a", "b"], [-0.1, None], [0, 1])
    assert found.top_logprobs[0] == {"a": -0.1, "c": -2.0}


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"choices":1}',
        b'{"choices":[7]}',
        b'{"choices":[{"text":7}]}',
        b'{"choices":[{"logprobs":7}]}',
    ],
)
def test_malformed_answers(data: bytes) -> None:
    with pytest.raises(UpstreamMalformed):
        DIALECT.decoder().whole(data)


def test_a_cut_stream_is_never_complete() -> None:
    decoder = DIALECT.decoder()
    decoder.feed("", b'{"choices":[{"index":0,"text":"x","finish_reason":"stop"}]}')
    decoder.end()
    assert not decoder.complete


# ------------------------------------------------------------------ whatever any upstream says


@given(sequences(failures=True))
def test_a_client_reads_what_is_text_and_the_rest_is_listed(events: list[Event]) -> None:
    encoder = DIALECT.encoder(ASK)
    body = b"".join(encoder.feed([event]) for event in events) + encoder.end()
    answer = told(events)
    want, got = reading(answer), oracle.stream(body)
    if want.error:
        assert got.error == want.error
        return
    assert got.usage == want.usage
    assert [choice for choice in got.choices if choice.text or choice.stop] == want.choices
    document, losses = DIALECT.answer(answer, ASK)
    assert oracle.whole(json.dumps(document).encode()) == want
    hidden = [
        part for choice in answer.choices for part in choice.parts if part.kind not in ("text", "refusal", "native")
    ]
    for lost in (encoder.losses, losses):
        values = [loss.value for loss in lost]
        for part in hidden:
            assert any(isinstance(value, dict) and value.get("text") == part.text for value in values)


def test_texts_that_interleave_are_shown_one_after_the_other() -> None:
    events: list[Event] = [
        Started(),
        PartStarted(part=0, kind="text"),
        PartStarted(part=1, kind="text"),
        PartDelta(part=1, kind="text", text="b"),
        PartDelta(part=0, kind="text", text="a"),
        PartEnded(part=0),
        PartEnded(part=1),
        Finished(stop="tool_use"),
    ]
    encoder = DIALECT.encoder(ASK)
    read = oracle.stream(encoder.feed(events) + encoder.end())
    assert (read.choices[0].text, read.choices[0].stop) == ("ab", "stop")
    assert [loss.what for loss in encoder.losses] == ["finish_reason"]


def test_failures_raise_in_the_client() -> None:
    encoder = DIALECT.encoder(ASK)
    body = encoder.feed([Started(), Failed(message="m", status=503)]) + encoder.end()
    assert oracle.stream(body).error == "m"
    assert oracle.stream(DIALECT.error_frame(Limited("slow"), ASK, b"")).error == "slow"
    document, _ = DIALECT.answer(told([Started(), Failed(message="m")]), ASK)
    assert document["error"]["message"] == "m"


def test_paths() -> None:
    assert DIALECT.path("m", "generate", False) == "/completions"
    with pytest.raises(NotFound):
        DIALECT.path("m", "count", False)
