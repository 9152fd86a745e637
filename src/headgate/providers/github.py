"""GitHub Models. GITHUB_TOKEN is not read: on many machines it is set for other ends.

To bill an organisation, give `base_url: https://models.github.ai/orgs/ORG/inference`.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="github",
    title="GitHub Models",
    docs=(
        "https://docs.github.com/en/rest/models/inference",
        "https://docs.github.com/en/github-models/quickstart",
    ),
    base_url="https://models.github.ai/inference",
    env=(
        "GITHUB_MODELS_TOKEN",
        "GITHUB_API_KEY",
    ),
    endpoints=(Endpoint(dialect="openai_chat", accepts=replace(CHAT, max_tokens_field=None, tool_id="openai")),),
    headers=(("x-github-api-version", "2022-11-28"),),
    opaque=paths.under("", paths.EMBEDDINGS),
)
