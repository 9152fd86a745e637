"""Groq. `logprobs`, `logit_bias` and `top_logprobs` are answered with a 400, as its compatibility page says."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, RESPONSES

PROVIDER = Provider(
    name="groq",
    title="Groq",
    docs=(
        "https://console.groq.com/docs/openai",
        "https://console.groq.com/docs/responses-api",
        "https://console.groq.com/docs/api-reference",
    ),
    base_url="https://api.groq.com/openai/v1",
    env=("GROQ_API_KEY",),
    endpoints=(
        Endpoint(
            dialect="openai_chat",
            accepts=replace(
                CHAT,
                max_tokens_field=None,
                reasoning_field="reasoning",
                drop=frozenset(("logprobs", "logit_bias", "top_logprobs")),
            ),
        ),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
    ),
    opaque=paths.under("", paths.MODELS, paths.AUDIO, paths.FILES, paths.BATCHES),
)
