"""DeepInfra. The OpenAI dialect is at /v1/openai, not at /v1."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="deepinfra",
    title="DeepInfra",
    docs=(
        "https://deepinfra.com/docs/openai_api",
        "https://deepinfra.com/docs/advanced/openai_api",
    ),
    base_url="https://api.deepinfra.com/v1/openai",
    env=(
        "DEEPINFRA_API_KEY",
        "DEEPINFRA_TOKEN",
    ),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, reasoning_field="reasoning_content")),
        Endpoint(dialect="openai_completions"),
    ),
    opaque=paths.under(
        "",
        paths.MODELS,
        paths.EMBEDDINGS,
        paths.GENERATED_IMAGES,
        paths.SPEECH,
        paths.TRANSCRIPTIONS,
        paths.TRANSLATIONS,
    ),
)
