"""xAI. Responses is the endpoint it recommends; chat completions stay as the legacy one and take back no thoughts."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="xai",
    title="xAI",
    docs=(
        "https://docs.x.ai/docs/api-reference",
        "https://docs.x.ai/developers/model-capabilities/text/comparison",
    ),
    base_url="https://api.x.ai/v1",
    env=("XAI_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT),
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, max_tokens_field=None)),
    ),
    catalog="x-ai",
    opaque=(
        *paths.under("", paths.MODELS, paths.GENERATED_IMAGES, paths.FILES),
        *paths.KEPT_RESPONSES,
        *paths.allow("GET", "/language-models", "/language-models/{rest}"),
        *paths.allow("POST", "/tokenize-text", "/images/edits"),
    ),
)
