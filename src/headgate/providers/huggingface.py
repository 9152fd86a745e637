"""Hugging Face Inference Providers: one router before many; "model:provider" chooses. Responses are in beta, without
state.
"""

from __future__ import annotations

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, RESPONSES

PROVIDER = Provider(
    name="huggingface",
    title="Hugging Face",
    docs=(
        "https://huggingface.co/docs/inference-providers/tasks/chat-completion",
        "https://huggingface.co/docs/inference-providers/guides/responses-api",
    ),
    base_url="https://router.huggingface.co/v1",
    env=(
        "HF_TOKEN",
        "HUGGINGFACE_API_KEY",
    ),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=CHAT),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
    ),
    opaque=paths.under("", paths.MODELS),
)
