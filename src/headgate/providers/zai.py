"""Z.ai (GLM). response_format knows json_object only; thoughts go back in `reasoning_content`.

The Coding Plan has its own base: a site with `base_url: https://api.z.ai/api/coding` keeps to chat completions. In
China: `base_url: https://open.bigmodel.cn/api`.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT, MESSAGES

PROVIDER = Provider(
    name="zai",
    title="Z.ai",
    docs=(
        "https://docs.z.ai/api-reference/llm/chat-completion",
        "https://docs.z.ai/guides/develop/openai/python",
        "https://docs.z.ai/devpack/tool/claude",
    ),
    base_url="https://api.z.ai/api",
    env=("ZAI_API_KEY",),
    endpoints=(
        Endpoint(
            dialect="openai_chat",
            prefix="/paas/v4",
            accepts=replace(CHAT, json_schema=False, reasoning_field="reasoning_content"),
        ),
        Endpoint(
            dialect="anthropic_messages",
            prefix="/anthropic/v1",
            paths=paths.NO_COUNT,
            accepts=MESSAGES,
            headers=(VERSION,),
        ),
    ),
    opaque=paths.under("/paas/v4", paths.EMBEDDINGS, paths.GENERATED_IMAGES),
)
