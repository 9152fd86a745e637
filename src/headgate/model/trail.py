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
        """`stage=verdict; ...`, and behind a choice or a failure of whom and why: fits a header."""
        shown = [
            f"{stage}={verdict}"
            if "why" not in detail and "error" not in detail
            else f"{stage}={verdict} ({_why(detail)})"
            for stage, verdict, detail in self.notes[:SHOWN]
        ]
        if len(self.notes) > SHOWN:
            shown.append(f"+{len(self.notes) - SHOWN}")
        return "; ".join(shown)

    def full(self) -> list[dict[str, Any]]:
        return [{"stage": stage, "verdict": verdict, **detail} for stage, verdict, detail in self.notes]


SHOWN = 40
"""Notes that a header holds."""


def _why(detail: dict[str, Any]) -> str:
    """ "openai/gpt-4o: drawn by weight 3 of 4", "openai/gpt-4o: server_error 500"."""
    whom = detail.get("target") or detail.get("use") or ""
    why = detail.get("why") or f"{detail.get('error', '')} {detail.get('status') or ''}".strip()
    return ": ".join(str(part)[:200] for part in (whom, why) if part)
