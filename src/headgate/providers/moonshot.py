"""Moonshot AI (Kimi). A tool loop of a thinking model must bring its `reasoning_content` back.

In China: `base_url: https://api.moonshot.cn`, with keys of its own.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES, RESPONSES

_TOKENS = paths.allow("POST", "/tokenizers/estimate-token-count")

PROVIDER = Provider(
    name="moonshot",
    title="Moonshot AI",
    docs=(
        "https://platform.kimi.ai/docs/api/overview",
        "https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model",
    ),
    base_url="https://api.moonshot.ai",
    env=("MOONSHOT_API_KEY",),
    endpoints=(
        Endpoint(
            dialect="openai_chat",
            prefix="/v1",
            accepts=replace(CHAT, reasoning_field="reasoning_content", prefill="partial"),
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
    catalog="moonshotai",
    opaque=paths.under("/v1", paths.MODELS, paths.FILES, paths.BATCHES, _TOKENS),
)
