"""A cascade's draft is judged: whether it is committed, or the next target is asked."""

from __future__ import annotations

from headgate.model.events import Fold, Frame
from headgate.routing.check import lacks
from headgate.routing.policy import DraftCheck


def judge(held: list[Frame], check: DraftCheck) -> str | None:
    """Why this draft will not do, None where it will."""
    fold = Fold()
    for frame in held:
        for event in frame.events:
            fold.feed(event)
    return lacks(fold.answer, check)
