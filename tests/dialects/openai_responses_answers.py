"""Recorded answers of the Responses API as streams of frames, and what a fold of their events says in an oracle's
terms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from headgate.dialects import sse
from headgate.dialects.base import Ask
from headgate.dialects.openai_responses import DIALECT
from headgate.model.events import Answer, AnswerPart, Decoded, Event, Fold, Path, Stop
from oracles import ReadChoice, Reading
from recordings import Recording, recordings

NOT_JSON = "4ba976f841b555e2"
"""A stream whose first event was recorded with a bracket missing."""
FOREIGN = "3cf28d7461c1761d"
"""A chat completion that a proxy gave for a response."""

ASK = Ask(id="req_01jq8z", model="shown-model", created=1700000000, stream=True)


def answers() -> Iterator[Recording]:
    for row in recordings("openai_responses"):
        if row.status < 300 and row.id not in (NOT_JSON, FOREIGN):
            yield row


def frames(row: Recording) -> list[tuple[str, bytes]]:
    """(event name, data) of a stream."""
    parser = sse.Parser()
    items = [*parser.feed(row.reply), *parser.end()]
    return [(item.event, item.data) for item in items if item.data is not None]


def decoded(row: Recording) -> tuple[list[tuple[bytes, Decoded]], list[Event], bool]:
    """Each document with what it means, all events, and whether the answer is complete."""
    decoder = DIALECT.decoder()
    if row.sse:
        told = [(data, decoder.feed(event, data)) for event, data in frames(row)]
    else:
        told = [(row.reply, decoder.whole(row.reply))]
    events = [event for _, frame in told for event in frame.events]
    events += decoder.end()
    return told, events, decoder.complete


def fold(events: Iterable[Event]) -> Answer:
    folded = Fold()
    for event in events:
        folded.feed(event)
    return folded.close()


def arguments(part: AnswerPart) -> Any:
    if part.kind == "custom_call":
        return part.text
    try:
        return json.loads(part.text or "{}")
    except ValueError:
        return part.text


def reading(answer: Answer) -> Reading:
    if answer.failed is not None:
        return Reading(error=answer.failed.message)
    choice = ReadChoice()
    for part in answer.choices[0].parts if answer.choices else ():
        match part.kind:
            case "text":
                choice.text += part.text
            case "thinking":
                choice.thinking += part.text
            case "refusal":
                choice.refusal += part.text
            case "tool_call" | "custom_call":
                choice.tools.append((part.name, arguments(part)))
    if answer.choices:
        choice.stop = answer.choices[0].stop or ""
    usage = answer.usage
    told = usage and {
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "reasoning": usage.reasoning,
    }
    return Reading(choices=[choice], usage=told)


STOPS: dict[Stop, str] = {
    "length": "length",
    "context_window": "length",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "other",
    "malformed_call": "other",
    "other": "other",
}
"""Neutral word -> what the client understands, where it is neither a plain stop nor calls."""


def expected(answer: Answer) -> Reading:
    """What a client should read: the first choice, its stop in the words this API has."""
    want = reading(answer)
    if answer.failed is not None:
        return want
    choice = want.choices[0]
    calls = bool(choice.tools)
    refused = any(one.kind == "refusal" for one in answer.choices[0].parts)
    stop = answer.choices[0].stop or "stop"
    shown = STOPS.get(stop, "tool_use" if calls else "stop")
    if stop == "refusal" and refused:
        shown = "tool_use" if calls else "stop"
    choice.stop = shown
    return want


def at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
