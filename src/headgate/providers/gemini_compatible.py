"""Any server that speaks Gemini's dialect, at a base URL of the operator's, /v1beta included. The key:
`x-goog-api-key`.
"""

from __future__ import annotations

from headgate.providers import paths
from headgate.providers.base import Bearer, Endpoint, Provider

PROVIDER = Provider(
    name="gemini_compatible",
    title="Any Gemini-compatible server",
    docs=("https://ai.google.dev/api/generate-content",),
    base_url="",
    endpoints=(Endpoint(dialect="gemini"),),
    auth=Bearer("x-goog-api-key", ""),
    needs_key=False,
    opaque=(
        *paths.MODELS,
        *paths.allow("POST", "/models/{id}:embedContent", "/models/{id}:batchEmbedContents"),
    ),
)
