"""What an answer used. Counts are tokens; every count is included in its total, never beside it:

input ⊇ cache_read + cache_write, input ⊇ input_audio ⊇ cache_audio_read; output ⊇ reasoning, output ⊇ output_audio.
(OpenAI and Gemini report input including cached tokens, Anthropic excluding them: decoders bring all to this form.)
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace


class Usage(Struct, kw_only=True, omit_defaults=True, gc=False):
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    """Of cache_write, those kept for an hour (Anthropic prices them apart)."""
    reasoning: int = 0
    input_audio: int = 0
    output_audio: int = 0
    cache_audio_read: int = 0
    input_image: int = 0
    cache_image_read: int = 0
    input_video: int = 0
    output_image: int = 0
    """Where a provider counts and prices them apart: input ⊇ input_image ⊇ cache_image_read, input ⊇ input_video,
    output ⊇ output_image."""
    tool_input: int = 0
    """Of input, tokens that a server tool put into the prompt (Gemini toolUsePromptTokenCount)."""
    accepted_prediction: int = 0
    rejected_prediction: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    """Billable server-tool uses by neutral name: web_search, web_fetch, code_execution, ..."""
    service_tier: str | None = None
    estimated: bool = False
    beside: Usage | None = None
    """What the same model used beside these counts, which are the answer's own, and is billed (a compaction of its context)."""
    native: dict[str, Any] = field(default_factory=dict)
    """The provider's own usage object, last seen; for same-family rendering and the record."""

    def billed(self) -> Usage:
        """All that is billed in one."""
        if self.beside is None:
            return self
        more = self.beside.billed()
        names = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")
        return replace(self, beside=None, **{name: getattr(self, name) + getattr(more, name) for name in names})
