"""What a detector is, to the stages that run it.

A detector looks at text and names spans. Its `reach` bounds how much text a finding can cover: it decides how much of a stream is
held back. Spans of several detectors that overlap are one redaction, labelled by the one that begins it (ties: config order).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

Mode: TypeAlias = Literal["observe", "warn", "enforce"]
Action: TypeAlias = Literal["flag", "redact", "block"]
Place: TypeAlias = Literal["request", "answer", "tool_arguments"]


class Span(Struct, frozen=True):
    """text[begin:end] in characters."""

    begin: int
    end: int
    label: str
    guard: int
    """Index of the guard in the configured order."""


class Guard(Struct, frozen=True, kw_only=True):
    """A configured detector. `replacement` is what a redaction puts in place of the text."""

    name: str
    pattern: str
    mode: Mode = "enforce"
    action: Action = "redact"
    places: frozenset[str] = frozenset(("request", "answer", "tool_arguments"))
    replacement: str = "[redacted]"
    max_length: int | None = None
    """Declared longest match in characters, where it cannot be derived; a longer match is cut to it."""
    ignore_case: bool = False


class Finding(Struct, frozen=True, kw_only=True):
    """For trail and record: never the text itself."""

    guard: str
    place: str
    mode: str
    action: str
    count: int = 1
    where: str = ""


class Detector(Protocol):
    reach: int
    """Characters: no span is longer."""

    def find(self, text: str, start: int = 0) -> Sequence[Span]:
        """Leftmost, non-overlapping spans per guard at or after `start`; what stands before `start` is context only."""
        ...
