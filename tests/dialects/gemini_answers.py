"""Recorded answers of Google's API as frames, and answers in the terms of the oracles."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from headgate.dialects import json_array, sse
from headgate.dialects.base import Ask
from headgate.dialects.gemini import DIALECT
from headgate.model.events import Answer, Decoded, Event, Fold
from oracles import ReadChoice, Reading
from oracles import gemini as oracle
from recordings import Recording, recordings


def answers() -> list[Recording]:
    return [row for row in recordings("gemini") if row.status < 300]


def streamed(row: Recording) -> bool:
    return row.endpoint.endswith("streamGenerateContent")


def documents(row: Recording) -> list[bytes]:
    """The JSON documents of a streamed answer."""
    parser = json_array.Parser() if row.document is not None else sse.Parser()
    return [item.data for item in [*parser.feed(row.reply), *parser.end()] if item.data is not None]


def decoded(row: Recording) -> list[tuple[bytes, Decoded]]:
    """Each frame of an answer with what it means; what `end` owes last."""
    decoder = DIALECT.decoder()
    if not streamed(row):
        return [(row.reply, decoder.whole(row.reply))]
    frames = [(data, decoder.feed("", data)) for data in documents(row)]
    assert decoder.complete
    return [*frames, (b"", Decoded(events=decoder.end()))]


def judged(row: Recording) -> Reading:
    return oracle.stream(row.reply) if streamed(row) else oracle.whole(row.reply)


def folded(events: Iterable[Event]) -> Answer:
    fold = Fold()
    for event in events:
        fold.feed(event)
    return fold.close()


def feed(*frames: Any) -> tuple[list[Event], Any]:
    """(events, decoder) of a stream of these documents."""
    decoder = DIALECT.decoder()
    events = [event for frame in frames for event in decoder.feed("", json.dumps(frame).encode()).events]
    return [*events, *decoder.end()], decoder


def chunk(*parts: Any, **beside: Any) -> dict[str, Any]:
    """A frame with one candidate of these parts."""
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0, **beside}]}


def reading(answer: Answer) -> Reading:
    """The fold in the terms of the oracles."""
    told = Reading()
    for choice in answer.choices:
        shown = ReadChoice(stop=choice.stop or "")
        for part in choice.parts:
            match part.kind:
                case "text" | "refusal":
                    shown.text += part.text
                case "thinking":
                    shown.thinking += part.text
                case "tool_call":
                    shown.tools.append((part.name, arguments(part.text)))
                case "custom_call":
                    shown.tools.append((part.name, {"input": part.text}))
                case _:
                    pass
        told.choices.append(shown)
    usage = answer.usage
    if usage is not None:
        told.usage = {
            "input": usage.input,
            "output": usage.output,
            "cache_read": usage.cache_read,
            "cache_write": usage.cache_write,
            "reasoning": usage.reasoning,
        }
    return told


def arguments(text: str) -> Any:
    return json.loads(text) if text.strip() else {}


def ask(framing: Any) -> Ask:
    return Ask(id="req_1", model="alias", created=1, stream=framing != "whole", framing=framing)


def shown(events: list[Event], framing: Any) -> tuple[Reading, list[Any]]:
    """What the SDK reads of these events told in this framing, and the losses."""
    if framing == "whole":
        document, losses = DIALECT.answer(folded(events), ask(framing))
        return oracle.whole(json.dumps(document).encode()), losses
    encoder = DIALECT.encoder(ask(framing))
    body = b"".join([encoder.feed([event]) for event in events]) + encoder.end()
    return oracle.stream(body), encoder.losses


def at(document: Any, path: Iterable[str | int]) -> Any:
    for step in path:
        document = document[step]
    return document
