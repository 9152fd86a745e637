"""Cerebras. Role "system" already counts as the developer's; the penalties and `logit_bias` are answered with a 400."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="cerebras",
    title="Cerebras",
    docs=(
        "https://inference-docs.cerebras.ai/resources/openai",
        "https://inference-docs.cerebras.ai/api-reference/chat-completions",
    ),
    base_url="https://api.cerebras.ai/v1",
    env=("CEREBRAS_API_KEY",),
    endpoints=(
        Endpoint(
            dialect="openai_chat",
            accepts=replace(
                CHAT,
                max_tokens_field=None,
                reasoning_field="reasoning",
                drop=frozenset(("frequency_penalty", "presence_penalty", "logit_bias")),
            ),
        ),
        Endpoint(dialect="openai_completions"),
    ),
    opaque=paths.under("", paths.MODELS),
)
