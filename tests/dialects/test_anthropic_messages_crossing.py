"""Anthropic Messages in crossings with the other dialects, over their recordings.

Their requests, written here, pass the client's types and the API's rules, and nothing of them is gone; their answers,
shown here, are read by the client as they were told.
"""

from __future__ import annotations

import importlib
import json

import pytest

from dialects.carried import missing
from headgate.dialects.anthropic_messages import DIALECT
from headgate.dialects.base import Accepts, Ask, Dialect, Target
from headgate.dialects.sse import Parser
from headgate.errors import BadRequest, HeadgateError
from headgate.model.events import Event, Fold
from headgate.model.prompt import ToolResult
from oracles import anthropic_messages as oracle
from recordings import Recording, recordings

pytestmark = pytest.mark.corpus

ASK = Ask(id="req_1", model="shown", created=1700000000)
OTHERS = ("openai_chat", "openai_responses", "gemini")


def dialect(name: str) -> Dialect:
    found: Dialect = importlib.import_module(f"headgate.dialects.{name}").DIALECT
    return found


@pytest.mark.parametrize("thinking", ["adaptive", "budget"])
@pytest.mark.parametrize("name", OTHERS)
def test_their_requests_are_ours(name: str, thinking: str) -> None:
    written = 0
    target = Target(model="claude", provider="anthropic", accepts=Accepts(thinking=thinking))  # type: ignore[arg-type]
    for row in list(recordings(name))[::2]:
        if row.request is None or row.status >= 400:
            continue
        prompt = dialect(name).read(row.request if row.request.get("model") else row.request | {"model": "in the URL"})
        try:
            done = DIALECT.write(prompt, target)
        except BadRequest:
            said = [part for message in prompt.messages for part in message.parts]
            assert all(isinstance(part, ToolResult) or not part.text.strip() for part in said), row
            continue
        assert oracle.problems(done.json) == [], row
        assert oracle.rules(done.json) == [], row
        assert missing(row.request, done.json, done.losses, done.renamed) == [], row
        written += 1
    assert written > 200


def told(name: str, row: Recording) -> list[Event]:
    decoder = dialect(name).decoder()
    if not row.sse:
        return list(decoder.whole(row.reply).events)
    parser = Parser()
    items = [item for item in parser.feed(row.reply) + parser.end() if item.data is not None]
    return [event for item in items for event in decoder.feed(item.event, item.data or b"").events] + [*decoder.end()]


@pytest.mark.parametrize("name", OTHERS)
def test_their_answers_are_shown(name: str) -> None:
    shown = 0
    for row in list(recordings(name))[::2]:
        if row.status >= 300:
            continue
        try:
            events = told(name, row)
        except HeadgateError:
            continue  # not an answer of that dialect: its own tests judge it
        fold = Fold()
        for event in events:
            fold.feed(event)
        answer = fold.close()
        encoder = DIALECT.encoder(ASK)
        body = b"".join(encoder.feed([event]) for event in events) + encoder.end()
        assert oracle.grammar(body) == [], row
        whole, _ = DIALECT.answer(answer, ASK)
        if answer.failed is not None:
            assert whole["type"] == "error" and oracle.stream(body).error, row
            continue
        assert oracle.valid(whole) == [], row
        parts = answer.choices[0].parts if answer.choices else []
        for seen in (oracle.stream(body), oracle.whole(json.dumps(whole).encode())):
            (choice,) = seen.choices
            assert choice.text == "".join(part.text for part in parts if part.kind in ("text", "refusal")), row
            assert choice.thinking == "".join(part.text for part in parts if part.kind == "thinking"), row
            calls = [part.name for part in parts if part.kind in ("tool_call", "custom_call")]
            assert [name for name, _ in choice.tools] == calls, row
            assert seen.usage is not None and (answer.usage is not None or not any(seen.usage.values())), row
        shown += 1
    assert shown > 200
