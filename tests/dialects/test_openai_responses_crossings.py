"""Recorded traffic of the other dialects through this one: their requests go up as Responses requests, their answers
come down to a client of the Responses API."""

from __future__ import annotations

import copy
from collections.abc import Iterator

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

pytestmark = pytest.mark.corpus

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
