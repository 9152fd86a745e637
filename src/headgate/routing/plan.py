"""Which target is next. Pure; the dispatcher calls it before the first attempt and after each failure.

What may be tried elsewhere is a table of facts about the failure, not of exception types: the caller broke the rule → another
target would refuse it too; the provider or the way to it broke → the next may do.
"""

from __future__ import annotations

from collections.abc import Sequence

from headgate.errors import HeadgateError, UpstreamError, UpstreamRefused
from headgate.model.route import Route, RouteTarget

ELSEWHERE: frozenset[int] = frozenset(
    (401, 402, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529)
)
"""Statuses of a provider that say something about it (its key, its quota, its load), not about the request."""


def next_target(
    route: Route, tried: Sequence[RouteTarget], failure: HeadgateError | None, draw: float
) -> RouteTarget | None:
    """The next target, or None where trying on makes no sense. The first is drawn (`draw` in [0, 1)) among those with weights, if
    there are any; after that, and without weights, the order of preference decides."""
    if failure is not None and not may_go_elsewhere(failure):
        return None
    if not tried and (total := sum(target.weight or 0 for target in route.targets)):
        mark = draw * total
        for target in route.targets:
            mark -= target.weight or 0
            if mark < 0:
                return target
    for target in route.targets:
        if target not in tried:
            return target
    return None


def may_go_elsewhere(failure: HeadgateError) -> bool:
    if isinstance(failure, UpstreamRefused):
        return failure.status in ELSEWHERE or failure.retryable
    return isinstance(failure, UpstreamError)
