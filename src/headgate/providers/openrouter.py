"""OpenRouter: three dialects for the models of others. Thoughts go back in `reasoning_details`; the Responses keep
no state.

`HTTP-Referer` and `X-Title`, which name an application in its rankings, are set as a site's headers.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import MESSAGES, RESPONSES

PROVIDER = Provider(
    name="openrouter",
    title="OpenRouter",
    docs=(
        "https://openrouter.ai/docs/api-reference/overview",
        "https://openrouter.ai/docs/api-reference/responses/overview",
    ),
    base_url="https://openrouter.ai/api/v1",
    env=("OPENROUTER_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_chat"),
        Endpoint(
            dialect="anthropic_messages",
            paths=paths.NO_COUNT,
            accepts=replace(MESSAGES, json_schema=True, documents=True, thinking="adaptive"),
            headers=(VERSION,),
        ),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
        Endpoint(dialect="openai_completions"),
    ),
    opaque=paths.under("", paths.MODELS, paths.EMBEDDINGS),
)
