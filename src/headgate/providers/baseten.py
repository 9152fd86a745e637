"""Baseten model APIs. Messages are authenticated by a bearer token (`x-api-key` is not read).

A dedicated deployment: `base_url: https://model-ID.api.baseten.co/environments/production/sync/v1`.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES

PROVIDER = Provider(
    name="baseten",
    title="Baseten",
    docs=(
        "https://docs.baseten.co/reference/inference-api/chat-completions",
        "https://docs.baseten.co/reference/inference-api/messages",
    ),
    base_url="https://inference.baseten.co/v1",
    env=("BASETEN_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, reasoning_field="reasoning_content")),
        Endpoint(dialect="anthropic_messages", paths=paths.NO_COUNT, accepts=MESSAGES, headers=(VERSION,)),
    ),
    opaque=paths.under("", paths.MODELS),
)
