"""What an answer's start and its finish carry beside what every dialect tells (sources, safety ratings, why it was refused, members
that nobody knew when this was written): a loss where there is no place for it."""

from __future__ import annotations

from headgate.model.prompt import Extras, Family, Loss, foreign

_WORDS = frozenset(
    (
        "citations",
        "finish_reason",
        "finishReason",
        "incomplete_details",
        "native_finish_reason",
        "provider",
        "search_results",
        "service_tier",
        "status",
        "stop_reason",
        "system_fingerprint",
    )
)
"""Members that say why it ended and what it cites, which each dialect tells in its own words, or who served it and how."""


def beside(extras: Extras, family: Family | None = None) -> list[Loss]:
    """The losses of showing a start or a finish with these extras to clients of `family`; None: its dialect shows none of them."""
    left = {
        owner: {name: value for name, value in fields.items() if name not in _WORDS} for owner, fields in extras.items()
    }
    return list(foreign(left, family or "", ""))
