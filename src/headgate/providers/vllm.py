"""vLLM, local. Responses are kept only by servers started for it: such a site says `accepts: {state: true}`."""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES, RESPONSES

_OWN = paths.allow("POST", "/score")

PROVIDER = Provider(
    name="vllm",
    title="vLLM",
    docs=(
        "https://docs.vllm.ai/en/stable/serving/online_serving.html",
        "https://docs.vllm.ai/en/stable/serving/openai_compatible_server/",
    ),
    base_url="http://localhost:8000/v1",
    env=("VLLM_API_KEY",),
    endpoints=(
        Endpoint(
            dialect="openai_chat",
            accepts=replace(CHAT, max_tokens_field=None, audio=True, reasoning_field="reasoning", prefill="flag"),
        ),
        Endpoint(dialect="anthropic_messages", accepts=MESSAGES, headers=(VERSION,)),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
        Endpoint(dialect="openai_completions"),
    ),
    base_url_env=("VLLM_BASE_URL",),
    needs_key=False,
    opaque=paths.under(
        "", paths.MODELS, paths.EMBEDDINGS, paths.RERANK, paths.TRANSCRIPTIONS, paths.TRANSLATIONS, _OWN
    ),
)
