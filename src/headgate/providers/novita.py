"""Novita AI. The Messages endpoint serves some of its models and takes a bearer token."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES

PROVIDER = Provider(
    name="novita",
    title="Novita AI",
    docs=(
        "https://novita.ai/docs/guides/llm-api",
        "https://novita.ai/docs/guides/llm-anthropic-compatibility",
    ),
    base_url="https://api.novita.ai",
    env=("NOVITA_API_KEY",),
    endpoints=(
        Endpoint(
            dialect="openai_chat", prefix="/openai/v1", accepts=replace(CHAT, reasoning_field="reasoning_content")
        ),
        Endpoint(
            dialect="anthropic_messages",
            prefix="/anthropic/v1",
            paths=paths.NO_COUNT,
            accepts=MESSAGES,
            headers=(VERSION,),
        ),
        Endpoint(dialect="openai_completions", prefix="/openai/v1"),
    ),
    opaque=paths.under("/openai/v1", paths.MODELS, paths.EMBEDDINGS, paths.RERANK),
)
