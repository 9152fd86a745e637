"""Shadow traffic: a share of the requests is sent to another model as well, whose answer is recorded and shown to nobody.

Rules of this file:
- Stands behind GuardInput: the shadow gets what the guards let through, as they left it.
- The same session is always in the share, or never (routing/shares.py), whatever side of a canary it is on.
- The regions that bind the request bind its shadow; the key's list of models does not: the operator mirrors, not the caller.
- Not mirrored: dry runs, token counts, and what refers to or leaves something at a provider (another one has not got it, and nobody
  would delete it).
- The caller is neither kept waiting nor refused for it. Whatever keeps a shadow from starting is noted, and that is all.

A request of a model without a shadow costs two attribute look-ups.
"""

from __future__ import annotations

from collections.abc import Callable

from headgate.errors import HeadgateError
from headgate.model.exchange import Exchange
from headgate.routing.shares import percentile, session_of
from headgate.stages.base import Stage


class Mirror(Stage):
    """`shadow(x, use)`: a child of x that goes to this model; raises HeadgateError where that may not be. `start(child)`: whether there was
    room for it."""

    name = "mirror"

    def __init__(self, shadow: Callable[[Exchange, str], Exchange], start: Callable[[Exchange], bool]) -> None:
        self._shadow = shadow
        self._start = start

    async def start(self, x: Exchange) -> None:
        if x.route is None or x.route.policy.shadow is None:
            return
        terms, alias = x.route.policy.shadow, x.route.alias
        why = _unfit(x)
        if why is not None:
            x.trail.note(self.name, "not mirrored", use=terms.use, why=why)
            return
        session = session_of(x)
        by = "session" if session else "request"
        if percentile(f"{alias}\0shadow", session or x.id) >= terms.percent:
            x.trail.note(self.name, "not in the share", use=terms.use, percent=terms.percent, by=by)
            return
        try:
            child = self._shadow(x, terms.use)
        except HeadgateError as error:
            x.trail.note(self.name, "not mirrored", use=terms.use, why=error.message)
            return
        if not x.dry and not self._start(child):
            x.trail.note(self.name, "dropped", use=terms.use, why="no room beside the callers' own requests")
            return
        targets = [target.name for target in child.route.targets] if child.route is not None else []
        x.trail.note(self.name, "mirrored", use=terms.use, percent=terms.percent, by=by, targets=targets)


def _unfit(x: Exchange) -> str | None:
    """Why this request is mirrored nowhere."""
    assert x.head is not None
    if x.request.operation != "generate":
        return "it generates nothing"
    if x.head.state or x.head.objects:
        return "it refers to what its provider holds"
    return "its answer is held by its provider" if x.head.stores else None
