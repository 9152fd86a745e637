"""Snowflake Cortex. The token says its kind in a header of its own; Messages are for Claude models.

`max_tokens` is deprecated there. A key-pair JWT or OAuth token needs the setting `token_type`.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider, Setting
from headgate.providers.compatible import CHAT, MESSAGES

PROVIDER = Provider(
    name="snowflake",
    title="Snowflake Cortex",
    docs=("https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api",),
    base_url="https://{account}.snowflakecomputing.com/api/v2/cortex/v1",
    env=(
        "SNOWFLAKE_PAT",
        "SNOWFLAKE_TOKEN",
    ),
    endpoints=(
        Endpoint(
            dialect="openai_chat", accepts=replace(CHAT, max_tokens_field=None, reasoning_field="reasoning_details")
        ),
        Endpoint(
            dialect="anthropic_messages",
            paths=paths.NO_COUNT,
            accepts=replace(MESSAGES, thinking="adaptive"),
            headers=(VERSION,),
        ),
    ),
    settings=(
        Setting(name="account", env=("SNOWFLAKE_ACCOUNT",), about="The account identifier: ORGANISATION-ACCOUNT."),
        Setting(
            name="token_type",
            default="PROGRAMMATIC_ACCESS_TOKEN",
            about="PROGRAMMATIC_ACCESS_TOKEN, KEYPAIR_JWT or OAUTH.",
        ),
    ),
    headers=(("x-snowflake-authorization-token-type", "{token_type}"),),
)
