"""OVHcloud AI Endpoints."""

from __future__ import annotations

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="ovh",
    title="OVHcloud AI Endpoints",
    docs=("https://endpoints.ai.cloud.ovh.net/",),
    base_url="https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
    env=(
        "OVH_AI_ENDPOINTS_ACCESS_TOKEN",
        "OVHCLOUD_API_KEY",
    ),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=CHAT),
        Endpoint(dialect="openai_completions"),
    ),
    catalog="ovhcloud",
    opaque=paths.under("", paths.MODELS, paths.EMBEDDINGS, paths.TRANSCRIPTIONS),
)
