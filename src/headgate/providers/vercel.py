"""Vercel AI Gateway: three dialects for the models of others ("maker/model"). Responses keep no state."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.dialects.base import Accepts
from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import MESSAGES, RESPONSES

PROVIDER = Provider(
    name="vercel",
    title="Vercel AI Gateway",
    docs=(
        "https://vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions",
        "https://vercel.com/docs/ai-gateway/anthropic-compat",
    ),
    base_url="https://ai-gateway.vercel.sh/v1",
    env=(
        "AI_GATEWAY_API_KEY",
        "VERCEL_AI_GATEWAY_API_KEY",
    ),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=Accepts(audio=False)),
        Endpoint(
            dialect="anthropic_messages",
            paths=paths.NO_COUNT,
            accepts=replace(MESSAGES, documents=True, thinking="adaptive"),
            headers=(VERSION,),
        ),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
    ),
    opaque=paths.under("", paths.MODELS, paths.EMBEDDINGS),
)
