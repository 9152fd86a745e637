"""Cloudflare Workers AI. Models are named "@cf/maker/model"; the account stands in the URL."""

from __future__ import annotations

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider, Setting
from headgate.providers.compatible import CHAT, RESPONSES

PROVIDER = Provider(
    name="cloudflare",
    title="Cloudflare Workers AI",
    docs=("https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility",),
    base_url="https://api.cloudflare.com/client/v4/accounts/{account_id}/ai/v1",
    env=(
        "CLOUDFLARE_API_TOKEN",
        "CLOUDFLARE_API_KEY",
    ),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=CHAT),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
    ),
    settings=(
        Setting(name="account_id", env=("CLOUDFLARE_ACCOUNT_ID",), about="The account's id, from the dashboard."),
    ),
    opaque=paths.under("", paths.EMBEDDINGS),
)
