"""Fireworks AI. The Responses keep state (`store`, `previous_response_id`); the Messages endpoint takes a bearer
token.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES

PROVIDER = Provider(
    name="fireworks",
    title="Fireworks AI",
    docs=(
        "https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        "https://docs.fireworks.ai/tools-sdks/anthropic-compatibility",
        "https://docs.fireworks.ai/guides/response-api",
    ),
    base_url="https://api.fireworks.ai/inference/v1",
    env=(
        "FIREWORKS_API_KEY",
        "FIREWORKS_AI_API_KEY",
    ),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, reasoning_field="reasoning_content")),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT),
        Endpoint(dialect="anthropic_messages", paths=paths.NO_COUNT, accepts=MESSAGES, headers=(VERSION,)),
        Endpoint(dialect="openai_completions"),
    ),
    opaque=(
        *paths.under("", paths.MODELS, paths.EMBEDDINGS, paths.RERANK),
        *paths.KEPT_RESPONSES,
    ),
)
