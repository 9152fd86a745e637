"""Scaleway Generative APIs. Responses are in beta, without state.

A dedicated deployment: `base_url: https://UUID.ifr.fr-par.scaleway.com/v1`.
"""

from __future__ import annotations

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, RESPONSES

PROVIDER = Provider(
    name="scaleway",
    title="Scaleway",
    docs=(
        "https://www.scaleway.com/en/docs/generative-apis/api-cli/using-chat-api",
        "https://www.scaleway.com/en/docs/generative-apis/reference-content/openai-compatibility",
    ),
    base_url="https://api.scaleway.ai/v1",
    env=("SCW_SECRET_KEY",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=CHAT),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
    ),
    opaque=paths.under("", paths.MODELS, paths.EMBEDDINGS, paths.TRANSCRIPTIONS),
)
