"""How each target is doing, as this gateway has seen it: breaker, rate limit, speed, calls under way. In memory, told by
dispatch, read by plan and explain.

Rules of this file:
- One Standing a target and key: (site, model). Routes that share a target share what is known of it.
- Nothing here decides; `closed` says why a target cannot be asked now, and for how long.
- A 429 cools a target for as long as the provider says and never opens its breaker: it is well, and full.
- Who is an outlier among a route's targets is judged once every JUDGED seconds at most, when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from msgspec import Struct

from headgate.errors import HeadgateError, UpstreamError, UpstreamRefused, UpstreamTimeout
from headgate.limits.concurrency import Adaptive, AdaptiveTerms
from headgate.limits.queue import Gate
from headgate.model.route import Route, RouteTarget
from headgate.net import Headers
from headgate.routing.breaker import Breaker, BreakerTerms, Result, Turn, nobody
from headgate.routing.eject import ejected
from headgate.routing.headroom import LIFE, headroom
from headgate.routing.retry import RetryBudget, RetryBudgetTerms
from headgate.routing.throughput import Throughput

SMOOTHING = 0.2
COLD = 1.0
"""Seconds that a target is left alone after a 429 that does not say for how long."""
COLDEST = 60.0
"""Seconds that it is left alone at most, whatever it says: limits are counted by the minute, and one absurd header must not shut a
target for a day."""
KEPT = 10_000
RECENT = 128
"""Times to first content kept a route, for its p95."""
LIMITS = AdaptiveTerms(initial=1024, least=4, most=16_384, answers=1)
"""Providers rarely count calls under way: the limit is found by their overload, from above; where they answer nobody, not at all."""
BUDGET = RetryBudgetTerms()
QUEUE = 1000
"""Requests that may wait for a place at one target."""
JUDGED = 1.0
NAMED = 500
"""Routes whose hedges are counted under their own name; the rest is "other"."""


class Change(Struct, frozen=True, kw_only=True):
    """What became of a target: its breaker turned, or it is an outlier ("in", "ejected") among those of `route`."""

    site: str
    model: str
    was: str
    now: str
    why: str
    route: str = ""


class Standing:
    __slots__ = ("adaptive", "breaker", "budget", "cold_until", "first", "gate", "left", "left_until", "throughput")

    def __init__(self, name: str, terms: BreakerTerms, queue: int = QUEUE, turned: Callable[[Turn], None] = nobody):
        self.breaker = Breaker(terms, turned)
        self.adaptive = Adaptive(LIMITS)
        self.gate = Gate(lambda: self.adaptive.limit, queue, name)
        self.budget = RetryBudget(BUDGET)
        self.throughput = Throughput()
        self.cold_until = 0.0
        """Until when its provider wants no calls (429), by the monotonic clock."""
        self.first: float | None = None
        """Seconds to the first content, smoothed."""
        self.left = 1.0
        """What is left of its rate limit (0 to 1), as told by its last answer, until `left_until`."""
        self.left_until = 0.0

    def closed(self, now: float) -> tuple[str, float] | None:
        """Why it cannot be asked now, and seconds until it may be; None if it can."""
        if self.cold_until > now:
            return f"rate limited for {self.cold_until - now:.1f} s", self.cold_until - now
        if not self.breaker.allows(now):
            return f"breaker {self.breaker.state(now)}", max(self.breaker.opens_again(now), 0.1)
        return None

    def headroom(self, now: float) -> float:
        return self.left if self.left_until > now else 1.0

    def told(self, headers: Headers, now: float) -> None:
        """What its answer says of its rate limit."""
        left = headroom(headers)
        if left is not None:
            self.left, self.left_until = left, now + LIFE

    def answered(self, seconds: float) -> None:
        """Its first content came after so many seconds."""
        known = self.first
        self.first = seconds if known is None else known + SMOOTHING * (seconds - known)

    def limited(self, now: float, retry_after: float | None) -> None:
        self.cold_until = max(self.cold_until, now + (COLD if retry_after is None else min(retry_after, COLDEST)))


class Lease:
    """A call's place at its target: taken before it goes out, given back with what became of it, once."""

    __slots__ = ("_began", "_first", "_over", "_token", "standing")

    def __init__(self, standing: Standing, token: int, now: float) -> None:
        self.standing = standing
        self._token = token
        self._began = now
        self._first: float | None = None
        self._over = False

    def answered(self, now: float) -> None:
        """Its first content is there: what the target's limit learns from, long before a stream ends."""
        standing, self._first = self.standing, now - self._began
        standing.answered(self._first)
        standing.adaptive.observe(now, standing.gate.under_way, self._first, False)
        standing.gate.admit()

    def end(self, now: float, error: HeadgateError | None, cancelled: bool) -> None:
        """The call is over. `cancelled`: by us or the caller, which says nothing of the target, unless it had been without content
        for as long as makes a call slow: whatever would have come, would have come late."""
        if self._over:
            return
        self._over = True
        standing = self.standing
        result: Result = "ignored" if cancelled else result_of(error)
        if result == "ok" and self._first is not None:
            result = standing.breaker.terms.speed(self._first)
        elif cancelled and error is None and self._first is None:
            result = "slow" if standing.breaker.terms.speed(now - self._began) == "slow" else "ignored"
        standing.breaker.record(self._token, result, now)
        status = error.status if isinstance(error, UpstreamRefused) else 0
        if status == 429:
            assert error is not None
            standing.limited(now, error.retry_after)
        if self._first is None and not cancelled:
            overloaded = status in OVERLOADED or isinstance(error, UpstreamTimeout)
            standing.adaptive.observe(now, standing.gate.under_way, now - self._began, overloaded)
        standing.gate.leave()


OVERLOADED = frozenset((429, 503, 529))


def result_of(error: HeadgateError | None) -> Result:
    """What a call's end says of its target's health."""
    if error is None:
        return "ok"
    if isinstance(error, UpstreamRefused):
        return "error" if error.status >= 500 or error.status in (401, 402, 403, 408) else "ignored"
    return "error" if isinstance(error, UpstreamError) else "ignored"


class RouteStanding:
    """What is known of a route: its turns, and how soon its answers begin."""

    __slots__ = ("_at", "_firsts", "hedges", "judged_until", "outliers", "requests", "turn")

    def __init__(self) -> None:
        self.outliers: Mapping[str, str] = {}
        """Of its targets, by name, with what shows it; as judged for the time until `judged_until`."""
        self.judged_until = 0.0
        self.turn = 0
        """Requests so far."""
        self.requests = 0.0
        """Of these, the ones that `hedges` no longer counts against."""
        self.hedges = 0.0
        self._firsts: list[float] = []
        self._at = 0

    def answered(self, seconds: float) -> None:
        if len(self._firsts) < RECENT:
            self._firsts.append(seconds)
        else:
            self._firsts[self._at] = seconds
            self._at = (self._at + 1) % RECENT

    def may_hedge(self, share: float) -> bool:
        """Whether one more request of this route may start a second attempt. Old counts fade, so that a quiet night saves up
        nothing for a bad morning."""
        if self.turn - self.requests > 1000:
            self.hedges, self.requests = self.hedges / 2, self.turn - 500
        return self.hedges + 1 <= share * (self.turn - self.requests) + 1

    def p95(self) -> float | None:
        """Of the last RECENT times to first content; None before 20 of them."""
        if len(self._firsts) < 20:
            return None
        ordered = sorted(self._firsts)
        return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def _told_nobody(change: Change) -> None:
    return None


class Standings:
    """`terms(site)`: when its targets' breakers open. `tell` hears of every change."""

    def __init__(self, terms: Callable[[str], BreakerTerms], tell: Callable[[Change], None] = _told_nobody) -> None:
        self._terms = terms
        self._tell = tell
        self._targets: dict[tuple[str, str], Standing] = {}
        self._routes: dict[str, RouteStanding] = {}
        self.hedges: Counter[str] = Counter()
        """Second attempts that were started, by route."""

    def of(self, target: RouteTarget) -> Standing:
        key = (target.site, target.model)
        found = self._targets.get(key)
        if found is None:
            if len(self._targets) >= KEPT:
                self._forget()
            found = self._targets[key] = Standing(
                target.name, self._terms(target.site), turned=partial(self._turned, target)
            )
        return found

    def _turned(self, target: RouteTarget, turn: Turn) -> None:
        self._tell(Change(site=target.site, model=target.model, was=turn.was, now=turn.now, why=turn.why))

    def renew(self, terms: Callable[[str], BreakerTerms]) -> None:
        """Other terms hold from now on; a breaker whose terms change begins anew, closed."""
        self._terms = terms
        for (site, _), standing in self._targets.items():
            if standing.breaker.terms != (own := terms(site)):
                standing.breaker.renew(own)

    def held(self, site: str) -> list[Breaker]:
        """Of the site's targets, those that wait for it to be asked aside."""
        return [known.breaker for (own, _), known in self._targets.items() if own == site and known.breaker.held]

    def route(self, alias: str) -> RouteStanding:
        found = self._routes.get(alias)
        if found is None:
            if len(self._routes) >= KEPT:
                self._routes.clear()
            found = self._routes[alias] = RouteStanding()
        return found

    def outliers(self, route: Route, now: float) -> Mapping[str, str]:
        """Of a route's targets, by name, those that do far worse than the others, with what shows it."""
        known = self.route(route.alias)
        if now >= known.judged_until:
            known.judged_until = now + JUDGED
            self._judge(route, known, now)
        return known.outliers

    def _judge(self, route: Route, known: RouteStanding, now: float) -> None:
        peers = {target.name: target for target in route.targets if not target.purpose}
        seen = {name: self.of(target).breaker.seen(now) for name, target in peers.items()}
        out = ejected([(name, one.calls, one.error_rate) for name, one in seen.items()], route.policy.eject)
        for name in sorted((out.keys() ^ known.outliers.keys()) & peers.keys()):
            target, gone = peers[name], name in out
            self._tell(
                Change(
                    site=target.site,
                    model=target.model,
                    was="in" if gone else "ejected",
                    now="ejected" if gone else "in",
                    why=out.get(name) or "no outlier any more",
                    route=route.alias,
                )
            )
        known.outliers = out

    def hedged(self, alias: str) -> None:
        """A second attempt was started for a request of this route."""
        self.route(alias).hedges += 1
        self.hedges[alias if alias in self.hedges or len(self.hedges) < NAMED else "other"] += 1

    def _forget(self) -> None:
        """Clients can name any model of a provider, so the number is bounded: those with nothing under way go."""
        for key in [key for key, standing in self._targets.items() if not standing.gate.under_way]:
            del self._targets[key]

    def all(self) -> list[tuple[str, Standing]]:
        return [(f"{site}/{model}", standing) for (site, model), standing in list(self._targets.items())]
