"""Text Generation Inference, local, or behind a Hugging Face Inference Endpoint (its URL + /v1 as `base_url`)."""

from __future__ import annotations

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="tgi",
    title="Text Generation Inference",
    docs=("https://huggingface.co/docs/text-generation-inference/en/messages_api",),
    base_url="http://localhost:8080/v1",
    env=("TGI_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=CHAT),
        Endpoint(dialect="openai_completions"),
    ),
    base_url_env=("TGI_BASE_URL",),
    needs_key=False,
    opaque=paths.under("", paths.MODELS),
)
