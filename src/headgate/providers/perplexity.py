"""Perplexity. The Agent API, which speaks Responses; Sonar's chat completions ended on 27 September 2026.

The chat endpoint stays for sites that list it in `dialects` (a private deployment).
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, RESPONSES

PROVIDER = Provider(
    name="perplexity",
    title="Perplexity",
    docs=(
        "https://docs.perplexity.ai/docs/grounded-llm/openai-compatibility",
        "https://docs.perplexity.ai/docs/agent-api/migrate-from-sonar/overview",
    ),
    base_url="https://api.perplexity.ai",
    env=(
        "PERPLEXITY_API_KEY",
        "PPLX_API_KEY",
    ),
    endpoints=(
        Endpoint(dialect="openai_responses", prefix="/v1", paths=paths.NO_COUNT, accepts=RESPONSES),
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, stream_usage=False)),
    ),
    dialects=("openai_responses",),
    opaque=(*paths.under("/v1", paths.MODELS, paths.EMBEDDINGS), *paths.allow("POST", "/search")),
)
