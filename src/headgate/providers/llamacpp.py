"""llama.cpp's server, local. Tools need `--jinja`; Messages count tokens, Responses keep no state."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES, RESPONSES

PROVIDER = Provider(
    name="llamacpp",
    title="llama.cpp",
    docs=("https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",),
    base_url="http://localhost:8080/v1",
    env=("LLAMACPP_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, audio=True, reasoning_field="reasoning_content")),
        Endpoint(dialect="anthropic_messages", accepts=MESSAGES, headers=(VERSION,)),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
        Endpoint(dialect="openai_completions"),
    ),
    base_url_env=("LLAMACPP_BASE_URL",),
    needs_key=False,
    opaque=paths.under("", paths.MODELS, paths.EMBEDDINGS, paths.RERANK),
)
