"""Token counts of Chat Completions, read into the neutral form and written back.

Rules of this file:
- `prompt_tokens` includes cached tokens, `completion_tokens` includes reasoning. Where the counts show that they do
  not, they are put right: xAI and Gemini's OpenAI endpoint leave thoughts out of `completion_tokens` but count them in
  `total_tokens`; a prompt smaller than its cached part leaves that out. Tokens said to be both read from and written
  to a cache (OpenRouter says so of Gemini) are counted as read.
- A count may be null or absent (0). A count of another type is malformed: money hangs on it.
"""

from __future__ import annotations

from typing import Any

from headgate.errors import UpstreamMalformed
from headgate.model.usage import Usage


def _count(holder: dict[str, Any], *names: str) -> int:
    """The first of these members that is said, as a count."""
    for name in names:
        value = holder.get(name)
        if value is None:
            continue
        if type(value) is int and value >= 0:
            return value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise UpstreamMalformed(f"the upstream's usage has {name} = {value!r:.40}")
        return value
    return 0


def _details(usage: dict[str, Any], name: str) -> dict[str, Any]:
    value = usage.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UpstreamMalformed(f"the upstream's usage has no object as {name}")
    return value


_SUMS = frozenset(("prompt_tokens", "completion_tokens", "total_tokens"))


def read_usage(usage: dict[str, Any], tier: Any = None) -> Usage:
    """`usage` of a reply or a chunk. `tier`: the answer's `service_tier`."""
    if usage.keys() <= _SUMS:  # 8 µs less than looking for all the rest
        said, output = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        beyond = max(0, _count(usage, "total_tokens") - said - output)
        return Usage(input=said, output=output + beyond, reasoning=beyond, service_tier=_tier(tier), native=usage)
    prompt, completion = _details(usage, "prompt_tokens_details"), _details(usage, "completion_tokens_details")
    said, output = _count(usage, "prompt_tokens", "input_tokens"), _count(usage, "completion_tokens", "output_tokens")
    reasoning = _count(completion, "reasoning_tokens") or _count(usage, "reasoning_tokens")
    beyond = _count(usage, "total_tokens") - said - output
    if beyond > 0 and (beyond == reasoning or not completion):
        output += beyond
        reasoning = max(reasoning, beyond)
    read = _count(prompt, "cached_tokens") or _count(
        usage, "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens", "num_cached_tokens"
    )
    written = _count(prompt, "cache_write_tokens", "cache_creation_tokens") or _count(
        usage, "cache_creation_input_tokens"
    )
    if max(read, written) > said:
        said += read + written
    searches = _count(_details(usage, "server_tool_use_details"), "web_search_requests") or _count(
        usage, "num_search_queries"
    )
    return Usage(
        input=said,
        output=output,
        cache_read=read,
        cache_write=min(written, said - read),
        reasoning=min(reasoning, output),
        input_audio=_count(prompt, "audio_tokens"),
        output_audio=_count(completion, "audio_tokens"),
        cache_audio_read=_count(_details(prompt, "cached_tokens_details"), "audio_tokens"),
        input_image=_count(prompt, "image_tokens"),
        input_video=_count(prompt, "video_tokens"),
        output_image=_count(completion, "image_tokens"),
        accepted_prediction=_count(completion, "accepted_prediction_tokens"),
        rejected_prediction=_count(completion, "rejected_prediction_tokens"),
        requests={"web_search": searches} if searches else {},
        service_tier=_tier(tier),
        native=usage,
    )


def _tier(tier: Any) -> str | None:
    return tier if isinstance(tier, str) and tier else None


def write_usage(usage: Usage) -> dict[str, Any]:
    """`usage` of a reply or the last chunk. Members that a provider of this dialect added (cost, ...) stay."""
    native = usage.native if "prompt_tokens" in usage.native else {}
    prompt = {**(native.get("prompt_tokens_details") or {}), "cached_tokens": usage.cache_read}
    prompt["audio_tokens"] = usage.input_audio
    rarer = {
        "cache_write_tokens": usage.cache_write,
        "image_tokens": usage.input_image,
        "video_tokens": usage.input_video,
    }
    prompt |= {name: count for name, count in rarer.items() if count}
    completion = {
        **(native.get("completion_tokens_details") or {}),
        "reasoning_tokens": usage.reasoning,
        "audio_tokens": usage.output_audio,
        "accepted_prediction_tokens": usage.accepted_prediction,
        "rejected_prediction_tokens": usage.rejected_prediction,
    }
    if usage.output_image:
        completion["image_tokens"] = usage.output_image
    return {
        **native,
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": completion,
    }
