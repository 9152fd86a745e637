"""Together AI."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Allow, Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="together",
    title="Together AI",
    docs=(
        "https://docs.together.ai/docs/openai-api-compatibility",
        "https://docs.together.ai/reference/chat-completions-1",
    ),
    base_url="https://api.together.xyz/v1",
    env=(
        "TOGETHER_API_KEY",
        "TOGETHERAI_API_KEY",
    ),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, reasoning_field="reasoning")),
        Endpoint(dialect="openai_completions"),
    ),
    opaque=(
        *paths.under("", paths.MODELS, paths.EMBEDDINGS, paths.RERANK, paths.GENERATED_IMAGES, paths.AUDIO),
        Allow(method="GET", pattern="/files", lists="file"),
        Allow(method="POST", pattern="/files/upload", creates="file"),
        *paths.allow("GET", "/files/{id}", "/files/{id}/content", uses="file"),
        *paths.allow("DELETE", "/files/{id}", uses="file"),
    ),
)
