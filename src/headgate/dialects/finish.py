"""What a finish carries beside its stop reason (sources, safety ratings, why it was refused): a loss where there is no place for it."""

from __future__ import annotations

from headgate.model.prompt import Extras, Family, Loss, foreign

_WORDS = frozenset(
    ("finish_reason", "finishReason", "incomplete_details", "native_finish_reason", "status", "stop_reason")
)
"""Members that say why it ended: each dialect tells that in its own words."""


def beside(extras: Extras, family: Family | None = None) -> list[Loss]:
    """The losses of showing a finish with these extras to clients of `family`; None: its dialect shows none of them."""
    left = {
        owner: {name: value for name, value in fields.items() if name not in _WORDS} for owner, fields in extras.items()
    }
    return list(foreign(left, family or "", ""))
