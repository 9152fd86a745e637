"""Gemini (Google AI, the Developer API). The key goes in `x-goog-api-key`.

The OpenAI-compatible endpoint, where it is a bearer token, is used only where a site lists it in `dialects`: a crossing
to the Gemini dialect carries more.
Uploads of files are not passed through: their second step goes to an address that Google names in a header, past the
gateway.
"""

from __future__ import annotations

from headgate.dialects.base import Accepts
from headgate.providers import paths
from headgate.providers.base import Allow, Bearer, Endpoint, Provider

PROVIDER = Provider(
    name="gemini",
    title="Google Gemini",
    docs=(
        "https://ai.google.dev/api/generate-content",
        "https://ai.google.dev/api/caching",
        "https://ai.google.dev/gemini-api/docs/openai",
        "https://ai.google.dev/gemini-api/docs/batch-api",
    ),
    base_url="https://generativelanguage.googleapis.com/v1beta",
    env=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    auth=Bearer("x-goog-api-key", ""),
    endpoints=(
        Endpoint(dialect="gemini"),
        Endpoint(
            dialect="openai_chat",
            prefix="/openai",
            auth=Bearer(),
            accepts=Accepts(reasoning_field="none", drop=frozenset(("logit_bias", "seed", "logprobs", "top_logprobs"))),
        ),
    ),
    dialects=("gemini",),
    opaque=(
        *paths.MODELS,
        *paths.allow("POST", "/models/{id}:embedContent", "/models/{id}:batchEmbedContents", "/models/{id}:predict"),
        Allow(method="POST", pattern="/models/{id}:batchGenerateContent", creates="batch", id_field="name"),
        Allow(method="POST", pattern="/models/{id}:asyncBatchEmbedContent", creates="batch", id_field="name"),
        Allow(method="GET", pattern="/batches", lists="batch", id_field="name", items="operations"),
        *paths.allow("GET", "/batches/{id}", uses="batch"),
        *paths.allow("POST", "/batches/{id}:cancel", uses="batch"),
        *paths.allow("DELETE", "/batches/{id}", uses="batch"),
        Allow(method="GET", pattern="/cachedContents", lists="cache", id_field="name", items="cachedContents"),
        Allow(method="POST", pattern="/cachedContents", creates="cache", id_field="name"),
        *paths.allow("GET", "/cachedContents/{id}", uses="cache"),
        *paths.allow("PATCH", "/cachedContents/{id}", uses="cache"),
        *paths.allow("DELETE", "/cachedContents/{id}", uses="cache"),
        *paths.under("/openai", paths.MODELS, paths.EMBEDDINGS, paths.GENERATED_IMAGES),
    ),
)
