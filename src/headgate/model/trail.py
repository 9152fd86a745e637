"""What was decided about a request, and why, in order. Explain prints it; the trail header and the record shorten it.

A note never holds prompt or answer text, a secret or an upstream address.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Note: TypeAlias = tuple[str, str, dict[str, Any]]
"""(stage, verdict, detail)."""


class Trail:
    __slots__ = ("notes",)

    def __init__(self) -> None:
        self.notes: list[Note] = []

    def note(self, stage: str, verdict: str, **detail: Any) -> None:
        self.notes.append((stage, verdict, detail))

    def short(self) -> str:
        """`stage=verdict; ...`: fits a header."""
        return "; ".join(f"{stage}={verdict}" for stage, verdict, _ in self.notes)

    def full(self) -> list[dict[str, Any]]:
        return [{"stage": stage, "verdict": verdict, **detail} for stage, verdict, detail in self.notes]
