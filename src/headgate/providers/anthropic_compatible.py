"""Any server that speaks Anthropic's Messages, at a base URL of the operator's, /v1 included.

The key goes in `x-api-key`. What it takes beyond the cautious start is said in the site's `accepts`.
"""

from __future__ import annotations

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Bearer, Endpoint, Provider
from headgate.providers.compatible import MESSAGES

PROVIDER = Provider(
    name="anthropic_compatible",
    title="Any Anthropic-compatible server",
    docs=("https://docs.claude.com/en/api/messages",),
    base_url="",
    endpoints=(Endpoint(dialect="anthropic_messages", accepts=MESSAGES, headers=(VERSION,)),),
    auth=Bearer("x-api-key", ""),
    needs_key=False,
    opaque=paths.under("", paths.MODELS),
)
