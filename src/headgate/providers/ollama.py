"""Ollama, local. A subset of OpenAI's dialects; Responses keep no state, Messages have no token count.

The cloud: `base_url: https://ollama.com/v1` with a key. OLLAMA_HOST is where the server listens, not where to call it.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES, RESPONSES

PROVIDER = Provider(
    name="ollama",
    title="Ollama",
    docs=(
        "https://docs.ollama.com/api/openai-compatibility",
        "https://docs.ollama.com/api/anthropic-compatibility",
    ),
    base_url="http://localhost:11434/v1",
    env=("OLLAMA_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, reasoning_field="reasoning")),
        Endpoint(dialect="anthropic_messages", paths=paths.NO_COUNT, accepts=MESSAGES, headers=(VERSION,)),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
        Endpoint(dialect="openai_completions"),
    ),
    base_url_env=("OLLAMA_BASE_URL",),
    needs_key=False,
    opaque=paths.under("", paths.MODELS, paths.EMBEDDINGS),
)
