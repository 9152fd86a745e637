"""NVIDIA NIM, hosted (build.nvidia.com); a NIM of one's own is the same at another `base_url`."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="nvidia",
    title="NVIDIA NIM",
    docs=("https://docs.api.nvidia.com/nim/reference/llm-apis",),
    base_url="https://integrate.api.nvidia.com/v1",
    env=(
        "NVIDIA_API_KEY",
        "NVIDIA_NIM_API_KEY",
    ),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, reasoning_field="reasoning_content")),
        Endpoint(dialect="openai_completions"),
    ),
    opaque=paths.under("", paths.MODELS, paths.EMBEDDINGS),
)
