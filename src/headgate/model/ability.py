"""What a model can, and what a request asks of it: values that routing compares.

Rules of this file:
- None is unknown, and unknown is no reason to leave a model out: it is tried, and its provider judges.
- Both have the same words, so that one table compares them (`routing.ability`).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Need: TypeAlias = Literal["images", "audio", "documents", "video", "tools", "schema", "reasoning"]


class Abilities(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one model takes beside text. False is a fact; None is that nobody says, or that sources differ."""

    images: bool | None = None
    audio: bool | None = None
    documents: bool | None = None
    """PDF as such; a document of plain text is text."""
    video: bool | None = None
    tools: bool | None = None
    """Functions that the caller runs; not the tools that a provider runs itself."""
    schema: bool | None = None
    """Output bound to a JSON schema."""
    reasoning: bool | None = None
    context: int | None = None
    """Tokens of input at most."""
    max_output: int | None = None
    """Tokens of output at most."""
    thinking: Literal["adaptive", "budget"] | None = None
    """Claude: how it is told to think, "adaptive" or "budget" (`dialects.base.Accepts.thinking`)."""

    def over(self, other: Abilities | None) -> Abilities:
        """These, and what the other knows beside."""
        if other is None:
            return self
        return Abilities(
            **{name: own if (own := getattr(self, name)) is not None else getattr(other, name) for name in _NAMES}
        )


_NAMES = Abilities.__struct_fields__


class Needs(Struct, frozen=True, kw_only=True):
    """What one request asks of a model beside text."""

    images: bool = False
    audio: bool = False
    documents: bool = False
    video: bool = False
    tools: bool = False
    schema: bool = False
    reasoning: bool = False
    tokens: int = 0
    """Tokens of input at least: an estimate on the low side (`dialects.needs`), 0 where none can be made."""
    output: int = 0
    """The output cap asked for; 0 where none was."""
