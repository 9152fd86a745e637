"""DeepSeek. A tool loop of a thinking model must bring its `reasoning_content` back; response_format knows
json_object only.

The Anthropic endpoint ignores `anthropic-version`; fill-in-the-middle completions are at /beta.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Bearer, Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES, RESPONSES

PROVIDER = Provider(
    name="deepseek",
    title="DeepSeek",
    docs=(
        "https://api-docs.deepseek.com/",
        "https://api-docs.deepseek.com/guides/anthropic_api",
        "https://api-docs.deepseek.com/guides/thinking_mode",
    ),
    base_url="https://api.deepseek.com",
    env=("DEEPSEEK_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, json_schema=False, reasoning_field="reasoning_content")),
        Endpoint(
            dialect="anthropic_messages",
            prefix="/anthropic/v1",
            paths=paths.NO_COUNT,
            accepts=MESSAGES,
            auth=Bearer("x-api-key", ""),
            headers=(VERSION,),
        ),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
        Endpoint(dialect="openai_completions", prefix="/beta"),
    ),
    opaque=paths.under("", paths.MODELS),
)
