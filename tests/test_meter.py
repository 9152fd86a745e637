"""What an answer without its usage is estimated at: on the high side, however it comes in pieces, and against what providers billed."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import recordings
from headgate.app import DIALECTS, SPLITTERS
from headgate.errors import UpstreamMalformed
from headgate.meter import ANSWER, CALL, EXACT, Free, Meter, most_tokens, near_tokens, sixths
from headgate.model.events import Failed, Finished, PartDelta, PartStarted, UsageSeen
from headgate.model.usage import Usage


def delta(text: str) -> PartDelta:
    return PartDelta(part=0, kind="text", text=text)


def output(*texts: str) -> int:
    meter = Meter(b"")
    meter.observe(map(delta, texts))
    usage = meter.result(False)
    assert usage is not None and usage.estimated
    return usage.output - (ANSWER if usage.output else 0)


@pytest.mark.parametrize(
    ("text", "most"),
    [
        pytest.param("The gate at the head of the canal.", 8, id="English, of which GPT-4o makes 9 tokens"),
        pytest.param("1767225600", 10, id="digits, which Gemini splits one by one"),
        pytest.param("渠首是渠道的入口", 8, id="Chinese, at a token a character"),
        pytest.param('{"at":1,"to":2}', 9, id="JSON, whose signs are joined"),
        pytest.param("+-*/=<>", 7, id="signs, one by one"),
    ],
)
def test_a_text_is_estimated_above_what_tokenizers_make_of_it(text: str, most: int) -> None:
    assert most <= output(text) <= 2.5 * most


@given(st.lists(st.text(min_size=1), max_size=60))
def test_pieces_weigh_as_much_as_their_whole_and_no_less_than_a_token_each(pieces: list[str]) -> None:
    """A provider that sends token by token has made at least as many as it sent events."""
    assert output(*pieces) == max(output("".join(pieces)), len(pieces)) if pieces else output() == 0


def test_a_call_costs_more_than_its_arguments() -> None:
    meter = Meter(b"")
    meter.observe([PartStarted(part=0, kind="tool_call", name="f"), PartDelta(part=0, kind="tool_call", text="{}")])
    usage = meter.result(False)
    assert usage is not None and usage.output > CALL + ANSWER


def test_the_providers_figure_is_final_only_where_the_answer_came_to_its_end() -> None:
    told = Usage(input=9, output=3)
    meter = Meter(b"x" * 30)
    meter.observe([UsageSeen(usage=told), delta("one two three four five six"), Finished(stop="stop")])
    assert meter.result(True) == told
    cut = meter.result(False, unseen=5)
    assert cut == Usage(input=9, output=9 + ANSWER + 5, estimated=True), "its input is known, its output is not"
    meter.observe([Failed(message="overloaded", status=529)])
    failed = meter.result(True)
    assert failed is not None and failed.estimated, "an error behind content ends no count"


ROWS = b",".join(b'{"id":%d,"name":"gate %d","open":true}' % (n, n) for n in range(9000))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"The gate at the head of the canal lets in what it needs. " * 5000, id="prose"),
        pytest.param("渠首是渠道的入口。".encode() * 5000, id="Chinese"),
        pytest.param(ROWS, id="rows of JSON"),
        pytest.param(b"".join(b"%d," % (n * n * 7919) for n in range(30_000)), id="numbers"),
        pytest.param(
            (b"iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAIAAADwf7zU" + b"A" * 32 + b"\n") * 4000, id="lines of base64"
        ),
        pytest.param(b"a" * EXACT + b"1" * EXACT, id="one half of letters, one of digits"),
    ],
)
def test_a_large_request_is_weighed_by_a_sample_that_is_not_below_the_whole(body: bytes) -> None:
    whole = -(-sixths(body) // 6)
    assert whole <= most_tokens(body) <= 1.15 * whole


@given(st.binary(max_size=200))
def test_a_small_request_is_weighed_whole_and_told_lighter_to_who_asks_how_large_it_is(body: bytes) -> None:
    assert most_tokens(body) == -(-sixths(body) // 6) >= near_tokens(body)


def test_what_providers_do_not_bill_is_free() -> None:
    assert Free(b"{}").result(False, unseen=9) is None


@pytest.mark.corpus
def test_estimates_of_recorded_answers_are_not_below_what_providers_billed() -> None:
    """As if each had been cut before its usage. What is below: server tools and thoughts of which nothing is shown, not even that
    they were."""
    below = total = 0
    for name in ("openai_chat", "openai_responses", "anthropic_messages", "gemini"):
        for recorded in recordings.recordings(name):
            shown = _shown(recorded)
            if shown is not None:
                total += 1
                below += shown.said < _visible(shown)
    assert total > 3000
    assert below / total < 0.04, f"{below} of {total}"


def _visible(meter: Meter) -> int:
    assert meter.usage is not None
    return meter.usage.output - meter.usage.reasoning


def _shown(recorded: recordings.Recording) -> Meter | None:
    """What the meter saw of a recorded answer, where it has usage and shows something."""
    if recorded.status != 200 or recorded.request is None:
        return None
    meter, decoder = Meter(msgspec.json.encode(recorded.request)), DIALECTS[recorded.dialect].decoder()
    try:
        if recorded.framing != "sse":
            meter.observe(decoder.whole(recorded.reply).events)
        else:
            splitter = SPLITTERS["sse"]()
            for item in [*splitter.feed(recorded.reply), *splitter.end()]:
                if item.data is not None:
                    meter.observe(decoder.feed(item.event, item.data).events)
    except UpstreamMalformed:
        return None
    return meter if meter.usage is not None and meter.said and _visible(meter) > 0 else None
