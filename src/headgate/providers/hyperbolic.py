"""Hyperbolic serverless inference."""

from __future__ import annotations

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="hyperbolic",
    title="Hyperbolic",
    docs=("https://docs.hyperbolic.xyz/",),
    base_url="https://api.hyperbolic.xyz/v1",
    env=("HYPERBOLIC_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=CHAT),
        Endpoint(dialect="openai_completions"),
    ),
    opaque=paths.under("", paths.MODELS),
)
