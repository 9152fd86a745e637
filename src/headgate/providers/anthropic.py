"""Anthropic. The key goes in `x-api-key`; `anthropic-version` is demanded (a client's own goes before this default).

The OpenAI-compatible endpoint is used only where a site lists it in `dialects`: by its documentation it has no prompt
caching, no structured output and shows no thinking, all of which a crossing to the Messages dialect keeps.
"""

from __future__ import annotations

from headgate.dialects.base import Accepts
from headgate.providers import paths
from headgate.providers.base import Bearer, Endpoint, Provider

VERSION = ("anthropic-version", "2023-06-01")

PROVIDER = Provider(
    name="anthropic",
    title="Anthropic",
    docs=(
        "https://docs.claude.com/en/api/overview",
        "https://docs.claude.com/en/api/versioning",
        "https://docs.claude.com/en/api/openai-sdk",
    ),
    base_url="https://api.anthropic.com/v1",
    env=("ANTHROPIC_API_KEY",),
    auth=Bearer("x-api-key", ""),
    endpoints=(
        Endpoint(dialect="anthropic_messages", accepts=Accepts(tool_id="anthropic", prefill="message")),
        Endpoint(dialect="openai_chat", auth=Bearer(), accepts=Accepts(tool_id="anthropic", json_schema=False)),
    ),
    dialects=("anthropic_messages",),
    headers=(VERSION,),
    opaque=paths.under("", paths.MODELS, paths.FILES, paths.MESSAGE_BATCHES),
)
