"""Anthropic Messages: transcripts of what upstreams send, and what it means."""

from __future__ import annotations

import json

import pytest

from dialects.anthropic_messages_shown import ASK, START, STOP, fed
from dialects.event_sequences import told
from headgate.dialects.anthropic_messages import DIALECT
from headgate.errors import (
    UpstreamMalformed,
)
from headgate.meter import Meter
from headgate.model.events import (
    Answer,
    Failed,
    Finished,
    PartDelta,
    PartStarted,
    Slot,
    UsageSeen,
)


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


def test_a_compaction_is_billed_beside_the_answers_own_counts() -> None:
    """Its tokens are billed, but not in the top-level counts (the official client's `BetaUsage.iterations`), which are what clients
    are shown: the size of the context. What another model used (an advisor) has another price, and stays out."""
    count = {"input_tokens": 180, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 7, "output_tokens": 3}
    long = {"ephemeral_1h_input_tokens": 7, "ephemeral_5m_input_tokens": 0}
    compaction = {"type": "compaction", **count, "cache_creation": long}
    own = {"type": "message", "input_tokens": 23, "output_tokens": 1}
    iterations = [compaction, own, {"type": "advisor_message", "model": "another", **count}, compaction]
    native = {"input_tokens": 23, "output_tokens": 1, "iterations": iterations}
    whole = {"type": "message", "content": [], "stop_reason": "end_turn", "usage": native}
    meter = Meter(b"{}")
    meter.observe(DIALECT.decoder().whole(json.dumps(whole).encode()).events)
    assert meter.usage is not None and (meter.usage.input, meter.usage.output) == (23, 1)
    billed = meter.result(True)
    assert billed is not None and (billed.input, billed.output) == (23 + 2 * (180 + 5 + 7), 1 + 2 * 3)
    assert (billed.cache_read, billed.cache_write, billed.cache_write_1h, billed.beside) == (10, 14, 14, None)
    shown = DIALECT.answer(Answer(usage=meter.usage), ASK)[0]["usage"]
    assert {name: value for name, value in shown.items() if value} == native


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


def test_the_source_of_a_search_result_is_its_address() -> None:
    """`source` is a URL or any other name; only the first is one that other dialects can show."""
    for source, url in (("https://a.example/b", "https://a.example/b"), ("handbook", None)):
        cited = {
            "type": "search_result_location",
            "source": source,
            "title": "t",
            "cited_text": "q",
            "search_result_index": 0,
        }
        block = {"type": "text", "text": "a", "citations": [cited]}
        document = {"type": "message", "content": [block], "stop_reason": "end_turn"}
        events = DIALECT.decoder().whole(json.dumps(document).encode()).events
        (found,) = [citation for event in events if isinstance(event, PartDelta) for citation in event.citations]
        assert (found.url, found.title, found.quote) == (url, "t", "q")


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


def test_an_error_event_is_a_failure_and_the_end() -> None:
    decoder = DIALECT.decoder()
    decoder.feed("message_start", START)
    data = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    assert decoder.feed("error", data).events == (
        Failed(message="Overloaded", code="overloaded_error", type="overloaded_error", status=529, retryable=True),
    )
    assert decoder.complete


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
