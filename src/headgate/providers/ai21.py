"""AI21. The public Jamba API was shut down on 9 August 2026; only a deployment of one's own is reached.

Text only; usage comes in the last chunk without being asked for.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="ai21",
    title="AI21 Labs",
    docs=(
        "https://docs.ai21.com/reference/jamba-1-6-api-ref",
        "https://docs.ai21.com/august-deprecation-notice",
    ),
    base_url="https://api.ai21.com/studio/v1",
    env=("AI21_API_KEY",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, stream_usage=False, json_schema=False, images=False)),
    ),
    ended="2026-08-09",
)
