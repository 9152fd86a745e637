"""What is known of one request's targets, gathered as it is asked for: fulfils plan.View.

Rules of this file:
- Nothing is computed that nobody asks for: a plain route looks at the breaker and the needs, and at nothing else.
- Costs are what the request may cost there: its estimated input, the warm part of it at the cache's price, and the output asked
  for (EXPECTED at most: few answers use up a large cap).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from headgate.model.ability import Abilities, Needs
from headgate.model.exchange import Exchange
from headgate.model.route import RouteTarget
from headgate.model.usage import Usage
from headgate.routing.ability import lacking
from headgate.routing.affinity import BYTES_A_TOKEN, Warmth, beginnings
from headgate.routing.balance import Asking, Candidate
from headgate.routing.residency import allowed
from headgate.routing.standing import Standing, Standings
from headgate.routing.tags import tags_of

EXPECTED = 500
"""Output tokens that an answer is taken to have, for comparing costs."""


class Knowledge(Struct, kw_only=True):
    """What all requests' outlooks draw on. `price`: (site, model, usage, at) -> (nano-dollars or None, ...)."""

    standings: Standings
    warmth: Warmth
    needs: Callable[[Exchange], Needs]
    abilities: Callable[[RouteTarget], Abilities | None]
    price: Callable[[str, str, Usage, float], tuple[int | None, str | None]]
    session: Callable[[Exchange], str]


class Outlook:
    __slots__ = ("_beginnings", "_known", "_needs", "_now", "_tags", "_x")

    def __init__(self, x: Exchange, known: Knowledge, now: float) -> None:
        self._x = x
        self._known = known
        self._now = now
        self._needs: Needs | None = None
        self._tags: frozenset[str] | None = None
        self._beginnings: list[tuple[int, bytes]] | None = None

    @property
    def needs(self) -> Needs:
        if self._needs is None:
            self._needs = self._known.needs(self._x)
        return self._needs

    @property
    def tags(self) -> frozenset[str]:
        if self._tags is None:
            self._tags = tags_of(self._x)
        return self._tags

    @property
    def beginnings(self) -> list[tuple[int, bytes]]:
        if self._beginnings is None:
            identity = self._x.identity
            self._beginnings = beginnings(identity.tenant if identity is not None else "", self._x.body)
        return self._beginnings

    def unfit(self, target: RouteTarget) -> str | None:
        route = self._x.route
        if route is not None and route.regions and not allowed(target, route.regions):
            return f"its region ({target.region or 'unknown'}) is not one of {', '.join(sorted(route.regions))}"
        if target.tags and not target.tags & self.tags:
            return f"it takes only requests tagged {' or '.join(sorted(target.tags))}"
        if route is not None and len(route.targets) == 1:
            return None  # nobody else could take it: its provider judges, and says so in its own words
        return lacking(self.needs, self._known.abilities(target))

    def standing(self, target: RouteTarget) -> Standing:
        return self._known.standings.of(target)

    def candidate(self, target: RouteTarget, costs: bool) -> Candidate:
        standing = self._known.standings.of(target)
        candidate = Candidate(
            target=target,
            inflight=standing.gate.under_way,
            first=standing.first,
            headroom=standing.headroom(self._now),
        )
        if costs:
            tokens = len(self._x.body) // BYTES_A_TOKEN
            candidate.warm = min(self._known.warmth.tokens(self.beginnings, target.name, self._now), tokens)
            output = min(self.needs.output or EXPECTED, EXPECTED)
            usage = Usage(input=tokens, cache_read=candidate.warm, output=output)
            candidate.cost = self._known.price(target.site, target.model, usage, self._x.at)[0]
        return candidate

    def outliers(self) -> Mapping[str, str]:
        route = self._x.route
        return self._known.standings.outliers(route, self._now) if route is not None else {}

    def asking(self, draw: float) -> Asking:
        route = self._x.route
        turn = self._known.standings.route(route.alias).turn if route is not None else 0
        return Asking(turn=turn, draw=draw, session=self._known.session(self._x))
