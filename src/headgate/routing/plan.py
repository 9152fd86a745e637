"""Which target is next. Pure; dispatch asks before the first attempt and after each failure, explain asks once.

Rules of this file:
- Out for this request: another region than it must stay in, something the model cannot do. Out for now: breaker, rate limit.
  Full: as many calls under way as the target takes. Ejected: it does far worse than its peers, and is passed over while one of
  them can take the request. Each is said with its reason.
- Somebody fresh before somebody again: an untried target that can take it now (of the lowest rank, chosen by the strategy), else
  one that is full (its queue is waited in), else one that failed in a way that may pass, after a pause, if its retry budget
  has room; else nobody.
- The caller broke the rule: nobody else is asked, but for the typed fallbacks (context, filter, successor). The same target is asked
  again where it says so itself (x-should-retry).
- Waiting is only for what is known to end in time (Retry-After, backoff), never for a breaker. A rate limit makes others go first; it
  shuts out nobody who is the only one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from headgate.errors import BadRequest, HeadgateError, UpstreamError, UpstreamRefused
from headgate.model.route import Route, RouteTarget
from headgate.routing.balance import Asking, Candidate
from headgate.routing.failure import purpose_of
from headgate.routing.retry import ELSEWHERE, retry_same, wait_for
from headgate.routing.standing import Standing


class Try(Struct, frozen=True):
    """An attempt that failed, or a target that cannot carry this request (BadRequest)."""

    target: RouteTarget
    failure: HeadgateError


class View(Protocol):
    """What is known of the request's targets. `unfit`: why a target is out for this request, None if it is not. `outliers`: who does
    far worse than its peers, by name, with what shows it."""

    def unfit(self, target: RouteTarget) -> str | None: ...

    def standing(self, target: RouteTarget) -> Standing: ...

    def candidate(self, target: RouteTarget, costs: bool) -> Candidate: ...

    def asking(self, draw: float) -> Asking: ...

    def outliers(self) -> Mapping[str, str]: ...


class Decision(Struct, kw_only=True):
    """`target` None: nobody is asked any more. `wait`: seconds before it is asked; `queue`: it is full, its gate is waited at;
    `again`: it was asked before. `passed`: every other target, and why not it. `soon`: seconds until one that is out for now
    may be asked again; `limited`: rate limits are all that keeps them."""

    target: RouteTarget | None
    why: str
    wait: float = 0.0
    queue: bool = False
    again: bool = False
    passed: list[tuple[RouteTarget, str]]
    soon: float | None = None
    limited: bool = False


def decide(route: Route, tried: Sequence[Try], view: View, now: float, draw: float) -> Decision:
    if not tried and len(route.targets) == 1 and _open(route.targets[0], view, now):
        # Most routes have one target, which is well: as below, 4 µs sooner.
        return Decision(target=route.targets[0], why="", passed=[])
    failure = tried[-1].failure if tried else None
    purpose = "" if failure is None else purpose_of(failure)
    passed: list[tuple[RouteTarget, str]] = []
    pool = [target for target in route.targets if _meant(target, purpose, passed)]
    if failure is not None:
        typed = [target for target in pool if target.purpose]
        if typed and not any(t.target in typed for t in tried):
            pool = typed
        elif not may_go_elsewhere(failure):
            if not retry_same(failure).yes:
                return Decision(target=None, why=REFUSED_TOO, passed=passed)
            passed += [(target, REFUSED_TOO) for target in pool if target != tried[-1].target]
            pool = [tried[-1].target]
        else:
            pool = [target for target in pool if not target.purpose]
    fit = []
    for target in pool:
        why = view.unfit(target)
        if why is None:
            fit.append(target)
        else:
            passed.append((target, why))
    return _among(route, fit, passed, _Round(tried=tried, view=view, now=now, draw=draw))


def _open(target: RouteTarget, view: View, now: float) -> bool:
    """Whether it can take a first attempt at once."""
    if target.purpose or view.unfit(target) is not None:
        return False
    standing = view.standing(target)
    return standing.closed(now) is None and standing.gate.free


def _meant(target: RouteTarget, purpose: str, passed: list[tuple[RouteTarget, str]]) -> bool:
    if target.purpose and target.purpose != purpose:
        passed.append((target, f"only after: {_PURPOSES[target.purpose]}"))
        return False
    return True


REFUSED_TOO = "another target would refuse it too"
_PURPOSES = {"context": "context window exceeded", "filter": "content filter", "successor": "model gone"}


class _Round(Struct, kw_only=True):
    tried: Sequence[Try]
    view: View
    now: float
    draw: float


def _among(route: Route, fit: Sequence[RouteTarget], passed: list[tuple[RouteTarget, str]], round_: _Round) -> Decision:
    """One of the targets that are fit for the request."""
    view, now, tried = round_.view, round_.now, round_.tried
    fresh: list[RouteTarget] = []
    full: list[RouteTarget] = []
    soon: float | None = None
    limited = True
    asked = {t.target for t in tried}
    for target in fit:
        if target in asked:
            continue
        standing = view.standing(target)
        closed = standing.closed(now)
        if closed is not None:
            passed.append((target, closed[0]))
            limited = limited and standing.cold_until > now
            soon = closed[1] if soon is None else min(soon, closed[1])
        elif not standing.gate.free:
            full.append(target)
        else:
            fresh.append(target)
    if len(tried) >= route.policy.retry.most:
        return Decision(target=None, why=f"{len(tried)} attempts are made", passed=passed, soon=soon)
    if len(fresh) > 1:
        fresh = _without_outliers(fresh, passed, view)
    if fresh:
        passed += [(target, "as many calls under way as it takes") for target in full]
        return _chosen(route, fresh, passed, round_)
    if full:
        decision = _chosen(route, full, passed, round_)
        decision.queue = True
        return decision
    again = _again(route, [target for target in fit if target in asked], round_)
    if again is not None:
        again.passed, again.soon = passed, soon
        return again
    cold = _cold([target for target in fit if target not in asked], round_)
    if cold is not None:
        cold.passed = [pair for pair in passed if pair[0] is not cold.target]
        return cold
    why = "every target has failed" if tried else "no target can take it"
    return Decision(target=None, why=why, passed=passed, soon=soon, limited=limited and soon is not None)


def _without_outliers(fresh: list[RouteTarget], passed: list[tuple[RouteTarget, str]], view: View) -> list[RouteTarget]:
    """Those that are not ejected; all, where nobody else is left."""
    out = view.outliers()
    if not out:
        return fresh
    kept = [target for target in fresh if target.name not in out]
    if not kept:
        return fresh
    passed += [(target, f"ejected: {out[target.name]}") for target in fresh if target.name in out]
    return kept


def _chosen(
    route: Route, able: Sequence[RouteTarget], passed: list[tuple[RouteTarget, str]], round_: _Round
) -> Decision:
    """By the strategy, among those of the lowest rank."""
    if len(able) == 1:
        alone = "the only one that can take it" if passed else "the only one left" if round_.tried else ""
        return Decision(target=able[0], why=alone, passed=passed)
    least = min(target.rank for target in able)
    ranked = [target for target in able if target.rank == least]
    passed += [(target, "a fallback") for target in able if target.rank != least]
    if len(ranked) == 1:
        index, why = 0, "next in order"
    else:
        strategy = route.policy.strategy
        candidates = [round_.view.candidate(target, strategy.costs) for target in ranked]
        index, why = strategy.choose(candidates, round_.view.asking(round_.draw))
    passed += [(target, "not chosen") for number, target in enumerate(ranked) if number != index]
    return Decision(target=ranked[index], why=why, passed=passed)


def _again(route: Route, asked: Sequence[RouteTarget], round_: _Round) -> Decision | None:
    """The target that failed and may be asked again the soonest."""
    terms = route.policy.retry
    best: tuple[float, RouteTarget] | None = None
    for target in asked:
        failures = [t.failure for t in round_.tried if t.target == target]
        if len(failures) >= terms.attempts or not retry_same(failures[-1]).yes:
            continue
        standing = round_.view.standing(target)
        if not standing.breaker.allows(round_.now) or not standing.budget.look(round_.now):
            continue
        wait = wait_for(len(failures), failures[-1].retry_after, terms, round_.draw)
        if wait is not None and (best is None or wait < best[0]):
            best = (wait, target)
    if best is None:
        return None
    return Decision(target=best[1], why=f"asked again after {best[0]:.2f} s", wait=best[0], again=True, passed=[])


def _cold(untried: Sequence[RouteTarget], round_: _Round) -> Decision | None:
    """Nobody else is left, and nobody has been asked: the one whose rate limit opens soonest is asked all the same. It judges for
    itself (limits count tokens, and this request may be small), and its own words are what the caller can act on."""
    waits = [
        (standing.cold_until, number)
        for number, target in enumerate(untried)
        if (standing := round_.view.standing(target)).cold_until > round_.now and standing.breaker.allows(round_.now)
    ]
    if not waits or round_.tried:
        return None
    return Decision(target=untried[min(waits)[1]], why="rate limited, but nobody else is left", passed=[])


def may_go_elsewhere(failure: HeadgateError) -> bool:
    """Whether another target may do better: the provider or the way to it broke, or this target cannot carry the request."""
    if isinstance(failure, UpstreamRefused):
        return failure.status in ELSEWHERE or failure.retryable
    return isinstance(failure, UpstreamError | BadRequest)
