"""Answers as clients of Anthropic Messages are shown them, and as their accumulator leaves them."""

from __future__ import annotations

import json
from typing import Any

from headgate.dialects.anthropic_messages import DIALECT
from headgate.dialects.base import Ask
from headgate.model.events import (
    Event,
    PartDelta,
    PartEnded,
    PartStarted,
)
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
