"""Token counts: the API's usage object <-> `headgate.model.usage.Usage`.

Rules of this file:
- `input_tokens` leaves out what was read from or written to the cache; the neutral input includes both.
- Tokens of a compaction are the same model's and billed, but not in the top-level counts (`BetaUsage.iterations` of the official
  client): they stand `beside` these. Those of `iterations` of another model (advisor) ride in `native` alone.
- A count of a wrong type is malformed, a null or missing one is 0.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from headgate.errors import UpstreamMalformed
from headgate.model.usage import Usage

from .tables import ANSWER_TIERS

_KEPT = ("iterations", "inference_geo", "speed", "fallback_credit")
"""Members that only this API has: shown again as they came."""


def merge_usage(before: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    """Cumulative: what `seen` says replaces, what it leaves out or null stays."""
    return before | {name: value for name, value in seen.items() if value is not None}


def read_usage(native: dict[str, Any]) -> Usage:
    usage = _read(native)
    told = native.get("iterations")
    for item in told if isinstance(told, list) else ():
        if isinstance(item, dict) and item.get("type") == "compaction":
            usage.beside = replace(_read(item), beside=usage.beside)
    return usage


def _read(native: dict[str, Any]) -> Usage:
    write = _count(native, "cache_creation_input_tokens")
    read = _count(native, "cache_read_input_tokens")
    tools = _object(native, "server_tool_use")
    tier = native.get("service_tier")
    return Usage(
        input=_count(native, "input_tokens") + read + write,
        output=_count(native, "output_tokens"),
        cache_read=read,
        cache_write=write,
        cache_write_1h=min(write, _count(_object(native, "cache_creation"), "ephemeral_1h_input_tokens")),
        reasoning=_count(_object(native, "output_tokens_details"), "thinking_tokens"),
        requests={name.removesuffix("_requests"): count for name in tools if (count := _count(tools, name))},
        service_tier=tier if isinstance(tier, str) else None,
        native=native,
    )


def write_usage(usage: Usage | None) -> dict[str, Any]:
    """The usage object of an answer. Numbers nobody gave are 0: the API's clients demand them."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    shown: dict[str, Any] = {
        "input_tokens": max(0, usage.input - usage.cache_read - usage.cache_write),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }
    if usage.cache_write:
        long = min(usage.cache_write, usage.cache_write_1h)
        shown["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write - long,
            "ephemeral_1h_input_tokens": long,
        }
    if usage.reasoning:
        shown["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.requests:
        shown["server_tool_use"] = {
            "web_search_requests": usage.requests.get("web_search", 0),
            "web_fetch_requests": usage.requests.get("web_fetch", 0),
        }
    if usage.service_tier in ANSWER_TIERS:
        shown["service_tier"] = usage.service_tier
    shown.update((name, usage.native[name]) for name in _KEPT if name in usage.native)
    return shown


def _count(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != value // 1:
        raise UpstreamMalformed(f"usage.{name} is not a count")
    return int(value)


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UpstreamMalformed(f"usage.{name} is not an object")
    return value
