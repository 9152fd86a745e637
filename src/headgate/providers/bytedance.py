"""ByteDance ModelArk (BytePlus). In China, Volcengine Ark: `base_url: https://ark.cn-beijing.volces.com/api/v3`.

The Responses keep state. Video and other tasks run on paths of their own and are not passed through.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="bytedance",
    title="ByteDance ModelArk",
    docs=("https://docs.byteplus.com/api/docs/ModelArk/1330626",),
    base_url="https://ark.ap-southeast.bytepluses.com/api/v3",
    env=("ARK_API_KEY",),
    endpoints=(
        Endpoint(
            dialect="openai_chat", accepts=replace(CHAT, max_tokens_field=None, reasoning_field="reasoning_content")
        ),
        Endpoint(dialect="openai_responses", paths=paths.NO_COUNT),
    ),
    opaque=(
        *paths.under("", paths.MODELS, paths.EMBEDDINGS, paths.GENERATED_IMAGES, paths.FILES),
        *paths.KEPT_RESPONSES,
        *paths.allow("POST", "/embeddings/multimodal", "/tokenization"),
    ),
)
