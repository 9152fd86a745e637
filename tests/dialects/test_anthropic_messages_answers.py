"""Anthropic Messages, answers: transcripts of what upstreams send, and what its clients are shown of others.

The official client reads everything shown here; `grammar` checks the order of events, which it forgives.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given

from dialects.event_sequences import sequences, told
from headgate.dialects import carrier
from headgate.dialects.anthropic_messages import DIALECT
from headgate.dialects.base import Ask
from headgate.errors import (
    BadRequest,
    Blocked,
    Forbidden,
    HeadgateError,
    Internal,
    Limited,
    NotFound,
    OverBudget,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UpstreamMalformed,
    UpstreamTimeout,
)
from headgate.model.events import (
    Answer,
    Event,
    Failed,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Slot,
    Started,
    UsageSeen,
)
from headgate.model.prompt import Citation, Text, Thinking, ToolCall
from headgate.model.usage import Usage
from oracles import anthropic_messages as oracle

ASK = Ask(id="req_1", model="shown", created=1700000000)
START = b'{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":3,"cache_read_input_tokens":2,"cache_creation_input_tokens":4,"cache_creation":{"ephemeral_1h_input_tokens":1,"ephemeral_5m_input_tokens":3},"output_tokens":1}}}'  # noqa: E501
STOP = b'{"type":"message_stop"}'


def fed(*documents: bytes) -> list[Event]:
    decoder = DIALECT.decoder()
    return [event for document in documents for event in decoder.feed("", document).events]


def shown(*events: Event) -> tuple[bytes, list[Any]]:
    encoder = DIALECT.encoder(ASK)
    body = b"".join(encoder.feed([event]) for event in events) + encoder.end()
    return body, encoder.losses


def frames(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(block.split("data: ", 1)[1]) for block in body.decode().split("\n\n") if block]


def content(body: bytes) -> list[dict[str, Any]]:
    """The blocks of a stream as the client's accumulator leaves them."""
    with oracle._client(body, "text/event-stream").beta.messages.stream(**oracle._ASK) as stream:
        return [block.to_dict(mode="json") for block in stream.get_final_message().content]


def text(part: int, said: str, **more: Any) -> list[Event]:
    return [
        PartStarted(part=part, kind="text"),
        PartDelta(part=part, kind="text", text=said, **more),
        PartEnded(part=part),
    ]


def call(part: int, arguments: str, *, id: str = "call_1", name: str = "f", **more: Any) -> list[Event]:
    return [
        PartStarted(part=part, kind="tool_call", id=id, name=name, **more),
        PartDelta(part=part, kind="tool_call", text=arguments),
        PartEnded(part=part),
    ]


# decoding


def test_usage_is_merged_over_start_and_delta() -> None:
    """Cumulative: the delta's counts replace, what it leaves out or null stays; our input has the cache in it."""
    delta = {
        "type": "message_delta",
        "delta": {"stop_reason": "stop_sequence", "stop_sequence": "###"},
        "usage": {"output_tokens": 9, "input_tokens": None, "output_tokens_details": {"thinking_tokens": 5}},
    }
    events = fed(START, json.dumps(delta).encode(), STOP)
    first, last = [event.usage for event in events if isinstance(event, UsageSeen)]
    assert (first.input, first.output, first.cache_read, first.cache_write, first.cache_write_1h) == (9, 1, 2, 4, 1)
    assert (last.input, last.output, last.reasoning, last.cache_write_1h) == (9, 9, 5, 1)
    finished = next(event for event in events if isinstance(event, Finished))
    assert (finished.stop, finished.native, finished.sequence) == ("stop_sequence", "stop_sequence", "###")


def test_server_tool_uses_are_counted_by_name() -> None:
    usage = {
        "input_tokens": 1,
        "output_tokens": 1,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    }
    whole = {"type": "message", "content": [], "stop_reason": "end_turn", "usage": usage}
    (seen,) = [e for e in DIALECT.decoder().whole(json.dumps(whole).encode()).events if isinstance(e, UsageSeen)]
    assert seen.usage.requests == {"web_search": 2} and seen.usage.native == usage


def test_arguments_keep_the_models_own_spelling() -> None:
    """A whole reply's input is not re-serialised: 1.00 stays 1.00."""
    block = b'{"type":"tool_use","id":"t","name":"f","input":{"a" : 1.00}}'
    decoded = DIALECT.decoder().whole(b'{"type":"message","content":[%s],"stop_reason":"tool_use"}' % block)
    (delta,) = [event for event in decoded.events if isinstance(event, PartDelta)]
    assert json.loads(delta.text) == {"a": 1.0} and "1.00" in delta.text
    assert delta.slot is None and [repeat.path for repeat in decoded.repeats] == [("content", 0, "input")]


def test_an_input_that_stands_in_its_start_counts_once() -> None:
    events = fed(
        START,
        b'{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"a":1}}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\\"a\\":1}"}}',
        b'{"type":"content_block_stop","index":0}',
    )
    assert told(events).choices[0].parts[0].text == '{"a":1}'


def test_a_call_without_an_id_gets_a_stable_one() -> None:
    block = b'{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","name":"f","input":{}}}'
    first, again = (fed(START, block)[-1] for _ in range(2))
    assert isinstance(first, PartStarted) and first.id.startswith("call_") and first == again


def test_an_unknown_event_shows_all_its_strings() -> None:
    """Whatever its members are called or of whatever type; only the grammar's own words are left out."""
    frame = {"type": "new_event", "index": "no number", "delta": "d", "list": [{"text": "t", "id": "i", "deep": ["x"]}]}
    deltas = fed(json.dumps(frame).encode())
    assert [(e.text, e.slot, e.part, e.whole) for e in deltas if isinstance(e, PartDelta)] == [
        ("no number", Slot(("index",)), -1, True),
        ("d", Slot(("delta",)), -1, True),
        ("t", Slot(("list", 0, "text")), -1, True),
        ("x", Slot(("list", 0, "deep", 0)), -1, True),
    ]


def test_an_unknown_block_and_delta_are_native_and_seen() -> None:
    events = fed(
        START,
        b'{"type":"content_block_start","index":0,"content_block":{"type":"hologram","text":5,"caption":"c"}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"hologram_delta","more":"m"}}',
        b'{"type":"content_block_stop","index":0}',
    )
    assert [e.text for e in events if isinstance(e, PartDelta)] == ["c", "m"]
    (part,) = told(events).choices[0].parts
    assert (part.kind, part.name) == ("native", "hologram")
    assert part.extras["anthropic"]["item"] == {"type": "hologram", "text": 5, "caption": "c", "more": "m"}


def test_an_error_event_is_a_failure_and_no_end() -> None:
    decoder = DIALECT.decoder()
    decoder.feed("message_start", START)
    data = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    assert decoder.feed("error", data).events == (
        Failed(message="Overloaded", code="overloaded_error", type="overloaded_error", status=529, retryable=True),
    )
    assert not decoder.complete


def test_a_reply_of_200_may_be_an_error() -> None:
    decoder = DIALECT.decoder()
    (failed,) = decoder.whole(b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}').events
    assert isinstance(failed, Failed) and failed.status == 429 and not decoder.complete


def test_an_unknown_stop_is_other_and_kept_for_its_own_clients() -> None:
    whole = b'{"type":"message","id":"m","content":[],"stop_reason":"moon_phase"}'
    answer = told(list(DIALECT.decoder().whole(whole).events))
    assert answer.choices[0].stop == "other"
    assert DIALECT.answer(answer, ASK)[0]["stop_reason"] == "moon_phase"
    answer.choices[0].extras = {}  # as another dialect would have told it
    body, losses = DIALECT.answer(answer, ASK)
    assert body["stop_reason"] == "end_turn" and [loss.value for loss in losses] == ["moon_phase"]


@pytest.mark.parametrize(
    "document",
    [
        b"{",
        b"[]",
        b"7",
        b'"x"',
        b'{"type":5}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}',
        b'{"type":"content_block_delta","index":"0","delta":{}}',
        b'{"type":"content_block_stop","index":0}',
        b'{"type":"content_block_start","index":0}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":5}}',
        b'{"type":"message_start"}',
        b'{"type":"message_delta","delta":{},"usage":{"output_tokens":"many"}}',
        b'{"type":"message_delta","delta":{},"usage":{"output_tokens":-1}}',
        b'{"type":"message_delta","delta":{},"usage":{"output_tokens":1,"cache_creation":7,"server_tool_use":[]}}',
        b"\xff",
        b'{"type":"x","deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_the_malformed_is_refused(document: bytes) -> None:
    with pytest.raises(UpstreamMalformed):
        DIALECT.decoder().feed("", document)
    with pytest.raises(UpstreamMalformed):
        DIALECT.decoder().whole(document)


def test_pings_and_empty_data_say_nothing() -> None:
    decoder = DIALECT.decoder()
    for event, data in (("ping", b'{"type":"ping"}'), ("ping", b"{}"), ("", b""), ("", b"[DONE]")):
        assert not decoder.feed(event, data).events


# encoding

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


# errors and the rest

ERRORS: list[tuple[HeadgateError, str, str]] = [
    (BadRequest("no", param="messages[0]"), "BadRequestError", "invalid_request_error"),
    (Blocked("no"), "BadRequestError", "invalid_request_error"),
    (Unauthenticated("no"), "AuthenticationError", "authentication_error"),
    (OverBudget("no"), "PaymentRequiredError", "billing_error"),
    (Forbidden("no"), "PermissionDeniedError", "permission_error"),
    (NotFound("no"), "NotFoundError", "not_found_error"),
    (TooLarge("no"), "ContentTooLargeError", "request_too_large"),
    (Limited("no", retry_after=2), "RateLimitError", "rate_limit_error"),
    (Internal("no"), "InternalServerError", "api_error"),
    (Unavailable("no"), "ServiceUnavailableError", "overloaded_error"),
    (UpstreamTimeout("no"), "GatewayTimeoutError", "timeout_error"),
]


@pytest.mark.parametrize(("error", "raised", "word"), ERRORS)
def test_our_errors_are_the_clients_own(error: HeadgateError, raised: str, word: str) -> None:
    body = DIALECT.error_body(error, "req_9")
    seen = oracle.failure(json.dumps(body).encode(), error.status)
    assert type(seen).__name__ == raised
    assert body["error"]["type"] == word and body["request_id"] == "req_9"
    assert body["error"]["message"] == "no" and body["error"]["code"] == error.code
    assert body["error"].get("param") == error.param


def test_an_error_inside_a_stream_is_raised_by_the_client() -> None:
    encoder = DIALECT.encoder(ASK)
    begun = encoder.feed([Started(), *text(0, "x")])
    body = begun + DIALECT.error_frame(Unavailable("gone"), ASK, b'{"type":"content_block_stop","index":0}')
    assert oracle.grammar(body) == [] and "gone" in oracle.stream(body).error


@pytest.mark.parametrize(
    ("status", "body", "message", "kind", "retryable"),
    [
        (529, b'{"error":{"type":"overloaded_error","message":"busy"}}', "busy", "overloaded_error", True),
        (429, b'{"error":{"message":"slow"}}', "slow", "", True),
        (400, b'{"error":"plain"}', "plain", "", False),
        (502, b"<html>bad gateway</html>", "the provider answered with status 502", "", True),
        (500, b"", "the provider answered with status 500", "", True),
        (403, b"\xff\xfe", "the provider answered with status 403", "", False),
        (400, b"[" * 100_000, "the provider answered with status 400", "", False),
        (404, b'{"error":{"message":7,"type":null,"details":[]}}', "the provider answered with status 404", "", False),
        (413, b"null", "the provider answered with status 413", "", False),
    ],
)  # fmt: skip
def test_refusals_are_read(status: int, body: bytes, message: str, kind: str, retryable: bool) -> None:
    error = DIALECT.refusal(status, body)
    assert (error.status, error.message, error.type, error.retryable) == (status, message, kind, retryable)
