"""Nebius Token Factory (before: AI Studio)."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="nebius",
    title="Nebius Token Factory",
    docs=("https://docs.tokenfactory.nebius.com/api-reference/introduction",),
    base_url="https://api.tokenfactory.nebius.com/v1",
    env=("NEBIUS_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, reasoning_field="reasoning_content")),
        Endpoint(dialect="openai_completions"),
    ),
    opaque=paths.under("", paths.MODELS, paths.EMBEDDINGS, paths.GENERATED_IMAGES, paths.FILES, paths.BATCHES),
)
