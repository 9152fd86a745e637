"""Mistral. The chat endpoint refuses members it does not know, among them `stream_options`; usage always comes.

Tool call ids are nine characters of [a-zA-Z0-9]. Conversations, agents and fill-in-the-middle generate text in
dialects of Mistral's own and are not passed through.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Allow, Endpoint, Provider
from headgate.providers.compatible import CHAT

_REFUSED = frozenset(
    (
        *("logit_bias", "logprobs", "top_logprobs", "seed", "store", "user", "service_tier"),
        *("safety_identifier", "verbosity", "modalities", "audio", "web_search_options"),
    )
)
_RESULTS = (("output_file", "file"), ("error_file", "file"))
_TRAINING = (("training_files.file_id", "file"), ("validation_files", "file"))

PROVIDER = Provider(
    name="mistral",
    title="Mistral AI",
    docs=(
        "https://docs.mistral.ai/api",
        "https://docs.mistral.ai/capabilities/function_calling",
    ),
    base_url="https://api.mistral.ai/v1",
    env=("MISTRAL_API_KEY",),
    endpoints=(
        Endpoint(
            dialect="openai_chat",
            accepts=replace(CHAT, stream_usage=False, tool_id="mistral", drop=_REFUSED, prefill="prefix"),
        ),
    ),
    opaque=(
        *paths.under("", paths.MODELS, paths.EMBEDDINGS, paths.MODERATIONS, paths.TRANSCRIPTIONS, paths.FILES),
        *paths.allow("POST", "/chat/moderations", "/classifications", "/chat/classifications", "/ocr"),
        *paths.allow("GET", "/files/{id}/url", uses="file"),
        Allow(method="GET", pattern="/batch/jobs", lists="batch"),
        Allow(method="POST", pattern="/batch/jobs", creates="batch", names=(("input_files", "file"),)),
        Allow(method="GET", pattern="/batch/jobs/{id}", uses="batch", brings=_RESULTS),
        Allow(method="POST", pattern="/batch/jobs/{id}/cancel", uses="batch", brings=_RESULTS),
        Allow(method="GET", pattern="/fine_tuning/jobs", lists="fine_tuning_job"),
        Allow(method="POST", pattern="/fine_tuning/jobs", creates="fine_tuning_job", names=_TRAINING),
        *paths.allow("GET", "/fine_tuning/jobs/{id}", uses="fine_tuning_job"),
        *paths.allow("POST", "/fine_tuning/jobs/{id}/cancel", "/fine_tuning/jobs/{id}/start", uses="fine_tuning_job"),
    ),
)
