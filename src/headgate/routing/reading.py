"""What rules and tiers look at in a prompt: one walk over the neutral model, the same for every dialect.

Texts are not copied. Tokens are an estimate for choosing between models, four bytes of text each; the ledger counts with the
provider's own figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from headgate.model.prompt import Media, Part, Prompt, Refusal, Text, Thinking, ToolCall, ToolResult

BYTES_A_TOKEN = 4


class Reading(Struct, kw_only=True):
    """`turns` are the user's messages (results of tools are none), `last` the text of the latest of them. `texts` are all texts:
    instructions, messages, thoughts, tool calls' arguments and results. `media` are the kinds of what is no text."""

    turns: int = 0
    last: str = ""
    texts: list[str] = msgspec.field(default_factory=list)
    media: set[str] = msgspec.field(default_factory=set)
    tools: list[str] = msgspec.field(default_factory=list)
    """Names of the tools offered."""
    schema: dict[str, Any] | None = None
    """The JSON schema that the answer must fit; {} where one is demanded but not given."""
    tool_bytes: int = 0

    @property
    def chars(self) -> int:
        return sum(map(len, self.texts))

    @property
    def tokens(self) -> int:
        """Estimated tokens of texts and tools; images, sounds and documents are not counted."""
        size = sum(len(text) if text.isascii() else len(text.encode(errors="replace")) for text in self.texts)
        return -(-(size + self.tool_bytes) // BYTES_A_TOKEN)


def read(prompt: Prompt) -> Reading:
    reading = Reading()
    for message in prompt.messages:
        before = len(reading.texts)
        _parts(message.parts, reading)
        if message.role == "user":
            reading.turns += 1
            reading.last = "\n".join(reading.texts[before:])
    for tool in prompt.tools:
        reading.tools.append(tool.name)
        reading.tool_bytes += len(tool.description or "") + (
            len(msgspec.json.encode(tool.schema)) if tool.schema else 0
        )
    if prompt.output is not None and prompt.output.kind == "json_schema":
        reading.schema = prompt.output.schema or {}
    return reading


def _parts(parts: Iterable[Part], reading: Reading) -> None:
    for part in parts:
        if isinstance(part, Text | Thinking | Refusal):
            reading.texts.append(part.text)
        elif isinstance(part, ToolCall):
            reading.texts.append(part.arguments)
        elif isinstance(part, ToolResult):
            _parts(part.parts, reading)
        elif isinstance(part, Media):
            if part.text is not None:
                reading.texts.append(part.text)
            reading.media.add(part.kind)
