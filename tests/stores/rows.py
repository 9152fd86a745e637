"""Records for the tests of this folder: whole by default, each field open to change."""

from __future__ import annotations

from typing import Any

from headgate.model.record import AttemptRow, Held, Opened, RequestRow
from headgate.model.usage import Usage
from headgate.stores.base import KeyRow

NOON = 1_750_075_200.0
"""2025-06-16 12:00 UTC."""
DAY = 86_400.0


def request(id: str = "req_1", **changes: Any) -> RequestRow:
    fields: dict[str, Any] = {
        "id": id,
        "at": NOON,
        "tenant": "acme",
        "key_id": "key_1",
        "key_name": "web",
        "dialect": "openai_chat",
        "operation": "generate",
        "path": "/v1/chat/completions",
        "model": "fast",
        "stream": True,
        "outcome": "done",
        "status": 200,
        "provider": "openai",
        "target": "gpt-5-mini",
        "attempts": [attempt()],
        "usage": Usage(input=1200, output=300, cache_read=1000, native={"prompt_tokens": 1200}),
        "charge": 12_345,
        "losses": ["seed: not supported"],
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "user_agent": "openai-python/2.8.0",
        "first_us": 420_000,
        "total_us": 2_100_000,
        "upstream_us": 2_099_000,
    }
    return RequestRow(**(fields | changes))


def attempt(**changes: Any) -> AttemptRow:
    fields: dict[str, Any] = {
        "number": 1,
        "at": NOON,
        "provider": "openai",
        "target": "gpt-5-mini",
        "dialect": "openai_chat",
        "credential": "main",
        "outcome": "done",
        "status": 200,
        "usage": Usage(input=1200, output=300, cache_read=1000, native={"prompt_tokens": 1200}),
        "cost": 12_345,
        "price": "openai/gpt-5-mini",
        "upstream_request_id": "req_abc",
        "headers_us": 300_000,
        "first_us": 420_000,
        "total_us": 2_100_000,
    }
    return AttemptRow(**(fields | changes))


def opened(id: str = "req_1", **changes: Any) -> Opened:
    fields: dict[str, Any] = {
        "id": id,
        "at": NOON,
        "tenant": "acme",
        "key_id": "key_1",
        "key_name": "web",
        "dialect": "openai_chat",
        "operation": "generate",
        "model": "fast",
        "stream": True,
        "provider": "openai",
        "target": "gpt-5-mini",
        "credential": "main",
        "input_estimate": 1000,
    }
    return Opened(**(fields | changes))


def held(id: str = "resp_1", **changes: Any) -> Held:
    return Held(**({"id": id, "kind": "response", "at": NOON, "tenant": "acme", "site": "openai"} | changes))


def key(id: str = "key_1", name: str = "web", digest: str = "aa" * 32, **changes: Any) -> KeyRow:
    fields: dict[str, Any] = {"tenant": "acme", "hint": "wxyz", "created": NOON}
    return KeyRow(id=id, name=name, digest=digest, **(fields | changes))
