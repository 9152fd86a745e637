"""Writer (Palmyra). Chat is at /chat; its text completions have a dialect of their own and are not spoken."""

from __future__ import annotations

from headgate.providers import paths
from headgate.providers.base import Endpoint, Provider
from headgate.providers.compatible import CHAT

PROVIDER = Provider(
    name="writer",
    title="Writer",
    docs=(
        "https://dev.writer.com/home/chat-completion",
        "https://dev.writer.com/api-reference/completion-api/chat-completion",
    ),
    base_url="https://api.writer.com/v1",
    env=("WRITER_API_KEY",),
    endpoints=(Endpoint(dialect="openai_chat", paths={"generate": "/chat"}, accepts=CHAT),),
    opaque=paths.under("", paths.MODELS),
)
