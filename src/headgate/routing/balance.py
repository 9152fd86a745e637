"""Who of the targets that can take a request does. Each strategy is a frozen value with one pure `choose`.

Rules of this file:
- A strategy sees candidates only: who is unfit, unwell or full has been left out before it is asked (plan.py).
- What it says is an index and a reason for the trail.
- What is not known never makes a target worse than what is known to be bad: an unknown price comes after known ones, a target
  whose time to first token was never seen is tried first.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import log
from typing import NamedTuple, Protocol

from msgspec import Struct

from headgate.model.route import RouteTarget


class Candidate(Struct, kw_only=True):
    """A target that can take the request now, and what strategies compare."""

    target: RouteTarget
    inflight: int = 0
    first: float | None = None
    """Seconds to the first content, smoothed; None: never seen."""
    cost: int | None = None
    """Nano-dollars this request is expected to cost there, its warm prompt cache counted; None: unknown."""
    headroom: float = 1.0
    """What is left of its rate limit, from 0 to 1; 1 where it has told none."""
    warm: int = 0
    """Input tokens that its provider's prompt cache holds of this prompt."""


class Asking(Struct, frozen=True, kw_only=True):
    """`turn` counts the route's requests, `draw` is chance in [0, 1), `session` what belongs together ("": nothing does)."""

    turn: int
    draw: float
    session: str = ""


class Choice(NamedTuple):
    at: int
    why: str


class Strategy(Protocol):
    @property
    def costs(self) -> bool:
        """Whether it compares costs: these are looked up only then."""
        ...

    @property
    def limits(self) -> bool:
        """Whether it compares rate limits: answers are read for these only then."""
        ...

    def choose(self, candidates: Sequence[Candidate], asking: Asking) -> Choice: ...


class _Plain(Struct, frozen=True):
    @property
    def costs(self) -> bool:
        return False

    @property
    def limits(self) -> bool:
        return False


class Weighted(_Plain, frozen=True):
    """Drawn by weight, 1 where none is given."""

    def choose(self, candidates: Sequence[Candidate], asking: Asking) -> Choice:
        weights = [candidate.target.weight or 1 for candidate in candidates]
        total = sum(weights)
        mark = asking.draw * total
        for index, weight in enumerate(weights):
            mark -= weight
            if mark < 0:
                return Choice(index, f"drawn by weight {weight} of {total}")
        raise AssertionError("a draw is below 1")


class RoundRobin(_Plain, frozen=True):
    def choose(self, candidates: Sequence[Candidate], asking: Asking) -> Choice:
        return Choice(asking.turn % len(candidates), "its turn")


class LeastBusy(_Plain, frozen=True):
    """Under way per weight; chance decides between equals, so that several gateways do not all pick the same."""

    def choose(self, candidates: Sequence[Candidate], asking: Asking) -> Choice:
        loads = [(candidate.inflight + 1) / (candidate.target.weight or 1) for candidate in candidates]
        index = _drawn(loads, asking.draw)
        return Choice(index, f"least busy: {candidates[index].inflight} under way")


class Fastest(_Plain, frozen=True):
    """By the smoothed time to first token. One request in `explore` goes to another one, by chance: a target that was slow once
    would else never be seen to have recovered."""

    explore: int = 20

    def choose(self, candidates: Sequence[Candidate], asking: Asking) -> Choice:
        for index, candidate in enumerate(candidates):
            if candidate.first is None and candidate.inflight == 0:
                return Choice(index, "not yet measured")
        if asking.turn % self.explore == self.explore - 1:
            return Choice(int(asking.draw * len(candidates)), "measured anew")
        firsts = [candidate.first if candidate.first is not None else float("inf") for candidate in candidates]
        index = _drawn(firsts, asking.draw)
        found = candidates[index].first
        return Choice(index, "not yet measured" if found is None else f"fastest: {found * 1000:.0f} ms to first token")


class Cheapest(_Plain, frozen=True):
    @property
    def costs(self) -> bool:
        return True

    def choose(self, candidates: Sequence[Candidate], asking: Asking) -> Choice:
        costs = [float("inf") if candidate.cost is None else candidate.cost for candidate in candidates]
        index = costs.index(min(costs))
        cost = candidates[index].cost
        return Choice(index, "no price is known" if cost is None else f"cheapest: about ${cost / 1e9:.6f}")


class Headroom(_Plain, frozen=True):
    """Who has most left of its rate limit; chance decides between equals."""

    @property
    def limits(self) -> bool:
        return True

    def choose(self, candidates: Sequence[Candidate], asking: Asking) -> Choice:
        index = _drawn([-candidate.headroom for candidate in candidates], asking.draw)
        return Choice(index, f"{candidates[index].headroom:.0%} of its rate limit left")


class Sticky(_Plain, frozen=True):
    """What belongs together stays at one target while that can take it; what belongs to nothing is left to `otherwise`.

    By session: rendezvous hashing (Thaler & Ravishankar 1998), so that no memory is needed, every gateway agrees, and a target
    that goes moves its own sessions only. Weights are shares (the logarithmic form).
    By prompt: a target whose prompt cache is warm is chosen if what another would save is not worth losing that cache."""

    otherwise: Strategy
    by_prompt: bool = False

    @property
    def costs(self) -> bool:
        return self.by_prompt or self.otherwise.costs

    @property
    def limits(self) -> bool:
        return self.otherwise.limits

    def choose(self, candidates: Sequence[Candidate], asking: Asking) -> Choice:
        if self.by_prompt:
            return self._warmest(candidates, asking)
        if not asking.session:
            return self.otherwise.choose(candidates, asking)
        scores = [_score(asking.session, candidate.target) for candidate in candidates]
        return Choice(scores.index(max(scores)), "its session's target")

    def _warmest(self, candidates: Sequence[Candidate], asking: Asking) -> Choice:
        warmest = max(range(len(candidates)), key=lambda index: candidates[index].warm)
        warm = candidates[warmest]
        if not warm.warm:
            return self.otherwise.choose(candidates, asking)
        choice = self.otherwise.choose(candidates, asking)
        other = candidates[choice.at]
        if warm.cost is not None and other.cost is not None and other.cost < warm.cost:
            return Choice(choice.at, f"{choice.why}; cheaper than the warm cache of {warm.target.name}")
        return Choice(warmest, f"{warm.warm} tokens of the prompt are in its cache")


def _drawn(values: Sequence[float], draw: float) -> int:
    """The index of the smallest value; chance decides between equals."""
    least = min(values)
    equal = [index for index, value in enumerate(values) if value == least]
    return equal[int(draw * len(equal))]


def _score(session: str, target: RouteTarget) -> float:
    """Weighted rendezvous: -w / ln(h), h uniform in (0, 1)."""
    digest = blake2b(f"{session}\0{target.name}".encode(), digest_size=8).digest()
    uniform = (int.from_bytes(digest) + 1) / (2**64 + 1)
    return -(target.weight or 1) / log(uniform)
