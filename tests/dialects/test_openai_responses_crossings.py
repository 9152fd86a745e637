"""Recorded traffic of the other dialects through this one: their requests go up as Responses requests, their answers
come down to a client of the Responses API. And what requests lose on the way from any dialect to any other."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from carried import missing
from openai_responses_answers import ASK, expected, fold

from headgate.dialects import anthropic_messages, gemini, openai_chat, sse
from headgate.dialects.base import Dialect, Target
from headgate.dialects.openai_responses import DIALECT
from headgate.errors import HeadgateError
from headgate.model.events import Event
from oracles import openai_responses as oracle
from recordings import Recording, recordings

OTHERS: dict[str, Dialect] = {
    other.name: other for other in (anthropic_messages.DIALECT, gemini.DIALECT, openai_chat.DIALECT)
}
TARGET = Target(model="upstream-model", provider="openai")


def _some(name: str, every: int) -> Iterator[Recording]:
    """Each `every`th recording: the other dialects' own tests go through all."""
    for number, row in enumerate(recordings(name)):
        if number % every == 0 and row.status < 300:
            yield row


def _events(dialect: Dialect, row: Recording) -> list[Event]:
    decoder = dialect.decoder()
    if not row.sse:
        events = list(decoder.whole(row.reply).events)
    else:
        parser = sse.Parser()
        items = [*parser.feed(row.reply), *parser.end()]
        events = [
            event for item in items if item.data is not None for event in decoder.feed(item.event, item.data).events
        ]
    return events + list(decoder.end())


@pytest.mark.corpus
@pytest.mark.parametrize("name", OTHERS)
def test_their_requests_are_valid_here_and_lose_nothing_unsaid(name: str) -> None:
    count = 0
    for row in _some(name, 2):
        if row.request is None:
            continue
        try:
            prompt = OTHERS[name].read(copy.deepcopy(row.request))
        except HeadgateError:
            continue
        written = DIALECT.write(prompt, TARGET)
        assert oracle.problems(written.json) == [], row
        gone = missing(row.request, written.json, written.losses, written.renamed)
        # Google's URL-safe base64 is written in the standard alphabet.
        assert [one for one in gone if "nlineData" not in one and "nline_data" not in one] == [], row
        assert DIALECT.write(prompt, TARGET) == written
        count += 1
    assert count > 100


@pytest.mark.corpus
@pytest.mark.parametrize("name", OTHERS)
def test_their_answers_read_the_same_here(name: str) -> None:
    count = 0
    for row in _some(name, 3):
        if not row.sse and row.framing != "plain":
            continue
        try:
            events = _events(OTHERS[name], row)
        except HeadgateError:
            continue
        encoder = DIALECT.encoder(ASK)
        body = b"".join(encoder.feed((event,)) for event in events) + encoder.end()
        assert oracle.grammar(body) == [], row
        assert oracle.stream(body) == expected(fold(events)), row
        count += 1
    assert count > 100


OWN: dict[str, Dialect] = {"openai_responses": DIALECT} | OTHERS
TARGETS = {name: Target(model="m", provider="other") for name in OWN}


def _lost(source: str, json: dict[str, Any]) -> dict[str, set[str]]:
    prompt = OWN[source].read(json)
    return {
        name: {loss.what for loss in OWN[name].write(prompt, TARGETS[name]).losses} for name in OWN if name != source
    }


def test_the_second_turn_of_a_conversation_is_no_loss() -> None:
    """The official client appends `response.output` to its input (https://platform.openai.com/docs/guides/conversation-state),
    keeps nothing upstream (`store`) and has its thoughts come encrypted (`include`), which its answers are in any case. A strict
    crossing must take that: ids of items, and that they are complete, say nothing to another provider."""
    output = [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "a"}],
        },
        {
            "id": "fc_1",
            "type": "function_call",
            "status": "completed",
            "call_id": "call_1",
            "name": "f",
            "arguments": "{}",
        },
    ]
    result = {"type": "function_call_output", "call_id": "call_1", "output": "b"}
    body = {
        "model": "m",
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "input": [{"role": "user", "content": "hi"}, *output, result],
    }
    assert _lost("openai_responses", body) == {name: set() for name in OTHERS}
    assert (
        _lost("openai_chat", {"model": "m", "store": False, "messages": [{"role": "user", "content": "hi"}]})["gemini"]
        == set()
    )


SAID: list[tuple[str, str, dict[str, Any]]] = [
    (
        "openai_chat",
        "image_url.new",
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png", "new": 1}}]}
            ]
        },
    ),
    (
        "openai_chat",
        "file.new",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "new": 1}}],
                }
            ]
        },
    ),
    (
        "openai_chat",
        "response_format",
        {"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "grammar", "grammar": "a"}},
    ),
    (
        "anthropic_messages",
        "source.new",
        {
            "max_tokens": 9,
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image", "source": {"type": "url", "url": "https://x/y.png", "new": 1}}],
                }
            ],
        },
    ),
    (
        "gemini",
        "name",
        {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0K", "displayName": "a"}}]}]},
    ),
    (
        "openai_responses",
        "programmatic_tool_calling",
        {"input": "hi", "tools": [{"type": "programmatic_tool_calling"}]},
    ),
    ("openai_responses", "of_tomorrow", {"input": "hi", "tools": [{"type": "of_tomorrow"}]}),
]


@pytest.mark.parametrize(("source", "what", "json"), SAID, ids=[what for _, what, _ in SAID])
def test_what_a_part_a_format_or_a_tool_newly_says_is_listed_by_each_other_dialect(
    source: str, what: str, json: dict[str, Any]
) -> None:
    """APIs grow; what a crossing does not know of a request is neither dropped in silence nor sent to an API that never had it."""
    for name, lost in _lost(source, {"model": "m", **json}).items():
        told = [loss for loss in lost if loss.endswith(what) or (name == "gemini" and "tools.type" in lost)]
        assert told, (name, lost)
