"""SGLang, local."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, RESPONSES

PROVIDER = Provider(
    name="sglang",
    title="SGLang",
    docs=("https://docs.sglang.io/docs/basic_usage/openai_api",),
    base_url="http://localhost:30000/v1",
    env=("SGLANG_API_KEY",),
    endpoints=(
        Endpoint(
            dialect="openai_chat",
            accepts=replace(CHAT, audio=True, reasoning_field="reasoning_content", prefill="flag"),
        ),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
        Endpoint(dialect="openai_completions"),
    ),
    base_url_env=("SGLANG_BASE_URL",),
    needs_key=False,
    opaque=paths.under("", paths.MODELS, paths.EMBEDDINGS, paths.RERANK),
)
