"""Friendli model APIs (serverless). Dedicated endpoints: `base_url: https://api.friendli.ai/dedicated/v1`."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider, Setting
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="friendli",
    title="FriendliAI",
    docs=(
        "https://friendli.ai/docs/openapi/model-apis/chat-completions",
        "https://friendli.ai/docs/guides/reasoning",
    ),
    base_url="https://api.friendli.ai/serverless/v1",
    env=("FRIENDLI_TOKEN",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, reasoning_field="reasoning_content")),
        Endpoint(dialect="openai_completions"),
    ),
    settings=(Setting(name="team", env=("FRIENDLI_TEAM",), default="", about="Sent as X-Friendli-Team."),),
    headers=(("x-friendli-team", "{team}"),),
    opaque=paths.under("", paths.MODELS),
)
