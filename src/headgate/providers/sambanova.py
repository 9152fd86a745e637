"""SambaNova Cloud. Messages count tokens; their images must be base64."""

from __future__ import annotations

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Bearer, Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES, RESPONSES

PROVIDER = Provider(
    name="sambanova",
    title="SambaNova",
    docs=(
        "https://docs.sambanova.ai/docs/en/features/openai-compatibility",
        "https://docs.sambanova.ai/docs/en/features/anthropic-compatibility",
    ),
    base_url="https://api.sambanova.ai/v1",
    env=("SAMBANOVA_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=CHAT),
        Endpoint(dialect="anthropic_messages", accepts=MESSAGES, auth=Bearer("x-api-key", ""), headers=(VERSION,)),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
    ),
    opaque=paths.under("", paths.MODELS, paths.EMBEDDINGS, paths.TRANSCRIPTIONS, paths.TRANSLATIONS),
)
