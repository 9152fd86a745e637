"""OpenAI.

Chat completions write `max_completion_tokens` (o-series and GPT-5 refuse `max_tokens`; a client's own name is kept).
The Assistants (which ended in August 2026) are not passed through. OPENAI_BASE_URL is not read: on many machines it is
how clients find the gateway, which would then call itself.
"""

from __future__ import annotations

from headgate.dialects.base import Accepts
from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider, Setting

PROVIDER = Provider(
    name="openai",
    title="OpenAI",
    docs=(
        "https://platform.openai.com/docs/api-reference/introduction",
        "https://platform.openai.com/docs/api-reference/authentication",
    ),
    base_url="https://api.openai.com/v1",
    env=("OPENAI_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_responses"),
        Endpoint(dialect="openai_chat", accepts=Accepts(tool_id="openai", reasoning_field="none")),
        Endpoint(dialect="openai_completions"),
    ),
    settings=(
        Setting(name="organization", env=("OPENAI_ORG_ID",), default="", about="Sent as OpenAI-Organization."),
        Setting(name="project", env=("OPENAI_PROJECT_ID",), default="", about="Sent as OpenAI-Project."),
    ),
    headers=(("openai-organization", "{organization}"), ("openai-project", "{project}")),
    opaque=paths.under(
        "",
        paths.MODELS,
        paths.EMBEDDINGS,
        paths.MODERATIONS,
        paths.IMAGES,
        paths.AUDIO,
        paths.FILES,
        paths.UPLOADS,
        paths.BATCHES,
        paths.RESPONSES,
        paths.CONVERSATIONS,
        paths.VECTOR_STORES,
        paths.FINE_TUNING,
        paths.CONTAINERS,
        paths.VIDEOS,
    ),
)
