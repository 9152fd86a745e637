"""Prompts of other dialects, written for Anthropic Messages and judged: by the client's own types (`problems`) and by
the API's documented rules (`rules`).
"""

from __future__ import annotations

import base64
from typing import Any

from headgate.dialects.anthropic_messages import DIALECT
from headgate.dialects.base import Accepts, Json, Target, Written
from headgate.model.prompt import (
    Message,
    Part,
    Prompt,
    Text,
)
from oracles import anthropic_messages as oracle

TARGET = Target(model="claude", provider="anthropic", default_max_tokens=8000)
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()


def prompt(*messages: Message, **more: Any) -> Prompt:
    return Prompt(model="gpt", messages=list(messages), family=more.pop("family", "openai"), **more)


def says(role: Any, *parts: Part | str, **more: Any) -> Message:
    return Message(role=role, parts=[Text(text=part) if isinstance(part, str) else part for part in parts], **more)


def write(given: Prompt, **accepts: Any) -> Written:
    """What is written, after the judges have seen it."""
    written = DIALECT.write(given, Target(**{**_fields(TARGET), "accepts": Accepts(**accepts)}))
    assert oracle.problems(written.json) == []
    assert oracle.rules(_blocks(written.json)) == []
    return written


def _fields(target: Target) -> dict[str, Any]:
    return {name: getattr(target, name) for name in ("model", "provider", "default_max_tokens")}


def _blocks(request: Json) -> Json:
    return request | {
        "messages": [
            m | {"content": [{"type": "text", "text": m["content"]}] if isinstance(m["content"], str) else m["content"]}
            for m in request["messages"]
        ]
    }


def lost(written: Written) -> dict[str, Any]:
    return {loss.what: loss.value for loss in written.losses}


HI = says("user", "hi")
