"""Alibaba Cloud Model Studio (Qwen). Singapore by default; keys belong to one region.

Others by `base_url`: https://dashscope.aliyuncs.com (Beijing), https://dashscope-us.aliyuncs.com, or a workspace's own
https://WORKSPACE.ap-southeast-1.maas.aliyuncs.com.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Bearer, Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES

PROVIDER = Provider(
    name="alibaba",
    title="Alibaba Cloud Model Studio",
    docs=(
        "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        "https://www.alibabacloud.com/help/en/model-studio/compatibility-with-openai-responses-api",
    ),
    base_url="https://dashscope-intl.aliyuncs.com",
    env=(
        "DASHSCOPE_API_KEY",
        "ALIBABA_API_KEY",
    ),
    endpoints=(
        Endpoint(
            dialect="openai_chat",
            prefix="/compatible-mode/v1",
            accepts=replace(CHAT, audio=True, reasoning_field="reasoning_content", prefill="partial"),
        ),
        Endpoint(
            dialect="anthropic_messages",
            prefix="/apps/anthropic/v1",
            paths=paths.NO_COUNT,
            accepts=MESSAGES,
            auth=Bearer("x-api-key", ""),
            headers=(VERSION,),
        ),
        Endpoint(dialect="openai_responses", prefix="/compatible-mode/v1", paths=paths.NO_COUNT),
    ),
    opaque=paths.under(
        "/compatible-mode/v1", paths.MODELS, paths.EMBEDDINGS, paths.FILES, paths.BATCHES, paths.KEPT_RESPONSES
    ),
)
