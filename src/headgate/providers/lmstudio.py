"""LM Studio, local. Responses keep state, so that `previous_response_id` works."""

from __future__ import annotations

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES

PROVIDER = Provider(
    name="lmstudio",
    title="LM Studio",
    docs=(
        "https://lmstudio.ai/docs/developer/openai-compat",
        "https://lmstudio.ai/docs/developer/anthropic-compat",
    ),
    base_url="http://localhost:1234/v1",
    env=("LM_API_TOKEN",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=CHAT),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT),
        Endpoint(dialect="anthropic_messages", paths=paths.NO_COUNT, accepts=MESSAGES, headers=(VERSION,)),
        Endpoint(dialect="openai_completions"),
    ),
    base_url_env=("LMSTUDIO_BASE_URL",),
    needs_key=False,
    opaque=paths.under("", paths.MODELS, paths.EMBEDDINGS),
)
