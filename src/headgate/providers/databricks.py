"""Databricks model serving: the model is the name of a serving endpoint. Messages for Claude models only.

`stream_options` is not among the fields it documents; usage comes in the chunks.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider, Setting
from headgate.providers.compatible import CHAT, MESSAGES, RESPONSES

PROVIDER = Provider(
    name="databricks",
    title="Databricks",
    docs=(
        "https://docs.databricks.com/machine-learning/model-serving/score-model-serving-endpoints",
        "https://docs.databricks.com/aws/en/machine-learning/model-serving/query-anthropic-messages",
    ),
    base_url="{host}/serving-endpoints",
    env=("DATABRICKS_TOKEN",),
    endpoints=(
        Endpoint(dialect="openai_chat", accepts=replace(CHAT, stream_usage=False)),
        Endpoint(
            dialect="anthropic_messages",
            prefix="/anthropic/v1",
            paths=paths.NO_COUNT,
            accepts=replace(MESSAGES, thinking="adaptive"),
            headers=(VERSION,),
        ),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT, accepts=RESPONSES),
        Endpoint(dialect="openai_completions"),
    ),
    settings=(Setting(name="host", env=("DATABRICKS_HOST",), about="The workspace, https://... ."),),
    opaque=paths.under("", paths.EMBEDDINGS),
)
