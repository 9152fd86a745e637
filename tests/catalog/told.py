"""What a recorded answer says of its usage, read without any code of ours: the JSON document that genai-prices
extracts from."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from recordings import Recording

PROVIDERS = {
    "gemini": "google",
    "vertex": "google",
    "xai": "x-ai",
    "moonshot": "moonshotai",
    "bedrock-mantle": "aws",
    "huggingface": "huggingface_together",
}
"""Provider of a recording -> its id in the price data, where that differs."""

FLAVORS = {
    "openai_chat": ("openai", "chat"),
    "openai_completions": ("openai", "chat"),
    "openai_responses": ("openai", "responses"),
    "anthropic_messages": ("anthropic", "default"),
    "gemini": ("google", "default"),
}
"""Dialect -> whose rules of extraction describe its usage object."""


def document(row: Recording) -> dict[str, Any] | None:
    """The answer's `model` and `usage` (or modelVersion and usageMetadata) in one object; None where it has no
    usage."""
    found: dict[str, Any] = {}
    for one in _documents(row):
        match row.dialect:
            case "openai_chat" | "openai_completions":
                _merge(found, one, "usage")
                _merge(found, one.get("x_groq") or {}, "usage")
            case "openai_responses":
                _merge(found, one.get("response") or one, "usage")
            case "anthropic_messages":
                _anthropic(found, one)
            case "gemini":
                _merge(found, one, "usageMetadata")
    has = found.get("usageMetadata" if row.dialect == "gemini" else "usage")
    return found if isinstance(has, dict) and any(isinstance(value, int) for value in has.values()) else None


def _documents(row: Recording) -> list[dict[str, Any]]:
    if not row.sse:
        try:
            parsed = json.loads(row.reply)
        except ValueError:
            return []
        return [one for one in (parsed if isinstance(parsed, list) else [parsed]) if isinstance(one, dict)]
    found = []
    for line in row.reply.decode().split("\n"):
        if line.startswith("data:") and (text := line[5:].strip()).startswith("{"):
            with suppress(json.JSONDecodeError):  # some recordings hold a damaged frame
                found.append(json.loads(text))
    return found


def _merge(into: dict[str, Any], one: dict[str, Any], usage: str) -> None:
    for name in ("model", "modelVersion", "service_tier", usage):
        if one.get(name):
            into[name] = one[name]


def _anthropic(into: dict[str, Any], one: dict[str, Any]) -> None:
    """A stream's counts come in parts: the last of each name holds."""
    message = one.get("message") or one
    if message.get("model"):
        into["model"] = message["model"]
    usage = {name: value for name, value in (message.get("usage") or {}).items() if value is not None}
    into["usage"] = {**into.get("usage", {}), **usage}
