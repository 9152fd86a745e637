"""Lambda. The public inference API was shut down on 25 September 2025; only a deployment of one's own is reached."""

from __future__ import annotations

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="lambda",
    title="Lambda",
    docs=("https://docs.lambda.ai/public-cloud/lambda-inference-api",),
    base_url="https://api.lambda.ai/v1",
    env=("LAMBDA_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=CHAT),
        Endpoint(dialect="openai_completions"),
    ),
    ended="2025-09-25",
    opaque=paths.under("", paths.MODELS),
)
