"""A cascade's draft is judged: whether it is committed, or the next target is asked."""

from __future__ import annotations

from headgate.attempt import Attempt
from headgate.model.events import Fold
from headgate.model.exchange import Exchange
from headgate.routing.check import lacks


async def judge(x: Exchange, made: Attempt) -> str | None:
    """Why this draft will not do, None where it will."""
    assert x.route is not None
    check = x.route.policy.check
    if check is None:
        return None
    fold = Fold()
    for frame in made.held:
        for event in frame.events:
            fold.feed(event)
    return lacks(fold.answer, check)
