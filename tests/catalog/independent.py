"""What genai-prices itself says: which model a name means, and what a usage costs. Exact, in nano-dollars; nothing of
ours but Usage."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

from genai_prices import types
from genai_prices.data_snapshot import get_snapshot

from headgate.model.usage import Usage

SNAPSHOT = get_snapshot()

FIELDS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h",
    "output_reasoning_tokens": "reasoning",
    "input_audio_tokens": "input_audio",
    "output_audio_tokens": "output_audio",
    "cache_audio_read_tokens": "cache_audio_read",
    "input_image_tokens": "input_image",
    "cache_image_read_tokens": "cache_image_read",
    "input_video_tokens": "input_video",
    "output_image_tokens": "output_image",
}
"""Its name of a count -> ours."""
TOOLS = {"web_searches": "web_search", "storage_searches": "file_search", "social_searches": "x_search"}


def theirs(usage: Usage) -> types.Usage:
    counts = {name: getattr(usage, field) for name, field in FIELDS.items()}
    counts |= {name: usage.requests.get(use, 0) for name, use in TOOLS.items()}
    return types.Usage(**counts)


def ours(usage: types.Usage, *, service_tier: str | None = None, native: dict[str, object] | None = None) -> Usage:
    """Counts that it did not extract are 0."""
    found = {field: int(usage.reported_value(name)) for name, field in FIELDS.items()}
    requests = {use: int(count) for name, use in TOOLS.items() if (count := usage.reported_value(name))}
    return Usage(**found, requests=requests, service_tier=service_tier, native=native or {})


def meant(provider: str, name: str) -> tuple[types.Provider, types.ModelInfo] | None:
    """The provider asked and the model found, which may be another provider's."""
    try:
        return SNAPSHOT.find_provider_model(name, None, provider, None)
    except LookupError:
        return None


def cost(
    provider: types.Provider,
    model: types.ModelInfo,
    usage: types.Usage,
    at: float,
    context: dict[str, str] | None = None,
) -> Fraction:
    """Nano-dollars. Raises ValueError for counts that contradict each other."""
    moment = datetime.fromtimestamp(at, UTC)
    found = model.calc_price(usage, provider, genai_request_timestamp=moment, price_context=context)
    return Fraction(found.total_price) * 10**9
