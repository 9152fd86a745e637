"""Any server that speaks OpenAI chat completions, at a base URL of the operator's (the OpenAI SDKs' `base_url`).

Conservative by default, because such servers differ: what this one takes beyond that is said in the site's `accepts`.
The Responses and completions dialects are spoken where the site lists them in `dialects`.
"""

from __future__ import annotations

from headgate.dialects.base import Accepts
from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider

PROVIDER = Provider(
    name="openai_compatible",
    title="Any OpenAI-compatible server",
    docs=("https://platform.openai.com/docs/api-reference/chat",),
    base_url="",
    endpoints=(
        Endpoint(
            dialect="openai_chat", accepts=Accepts(max_tokens_field="max_tokens", developer_role=False, verbatim=True)
        ),
        Endpoint(dialect="openai_responses", accepts=Accepts(verbatim=True)),
        Endpoint(dialect="openai_completions"),
    ),
    dialects=("openai_chat",),
    opaque=paths.under(
        "", paths.MODELS, paths.EMBEDDINGS, paths.RERANK, paths.MODERATIONS, paths.GENERATED_IMAGES, paths.AUDIO
    ),
    needs_key=False,
)
