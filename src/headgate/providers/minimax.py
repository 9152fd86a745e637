"""MiniMax. Thoughts stand in <think> tags of the text or, asked with `reasoning_split`, in `reasoning_details`.

In China: `base_url: https://api.minimaxi.com`.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES, RESPONSES

PROVIDER = Provider(
    name="minimax",
    title="MiniMax",
    docs=(
        "https://platform.minimax.io/docs/api-reference/text-openai-api",
        "https://platform.minimax.io/docs/api-reference/text-anthropic-api",
    ),
    base_url="https://api.minimax.io",
    env=("MINIMAX_API_KEY",),
    endpoints=(
        Endpoint(
            dialect="openai_chat",
            prefix="/v1",
            accepts=replace(CHAT, max_tokens_field=None, reasoning_field="reasoning_details"),
        ),
        Endpoint(
            dialect="anthropic_messages",
            prefix="/anthropic/v1",
            paths=paths.NO_COUNT,
            accepts=MESSAGES,
            headers=(VERSION,),
        ),
        Endpoint(dialect="openai_responses", prefix="/v1", paths=paths.NO_COUNT, accepts=RESPONSES),
    ),
    opaque=paths.under("/v1", paths.MODELS),
)
