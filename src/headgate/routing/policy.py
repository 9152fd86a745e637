"""What a route does beyond its targets: how one is chosen, what is done when one fails or is slow. Values only.

The defaults are what a plain model name ("openai/gpt-4o") gets.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from headgate.routing.balance import Strategy, Weighted
from headgate.routing.eject import EjectTerms
from headgate.routing.retry import RetryTerms

Midstream: TypeAlias = Literal["error", "restart", "continue"]


class HedgeTerms(Struct, frozen=True, kw_only=True):
    """`after`: seconds until a second target starts; None: the route's own p95 of the time to first content. `share`: the largest
    share of requests that may start one."""

    after: float | None = None
    share: float = 0.05


class RateTerms(Struct, frozen=True, kw_only=True):
    """Tokens a second that a stream must bring, over each `window` seconds from its first content on."""

    tokens: float
    window: float = 10.0


class JudgeTerms(Struct, frozen=True, kw_only=True):
    """A model (`use`) that is asked the question `ask` of each draft. `timeout`: seconds that it has. `on_error`: what becomes of a draft
    that it gave no verdict on."""

    use: str
    ask: str
    timeout: float = 10.0
    on_error: Literal["accept", "escalate"] = "escalate"


class DraftCheck(Struct, frozen=True, kw_only=True):
    """What a cascade's draft must be to become the answer."""

    refusal: bool = True
    complete: bool = True
    min_length: int = 1
    max_length: int | None = None
    schema: bool = False
    """JSON as its request asked for it, where it did."""
    judge: JudgeTerms | None = None


class Share(Struct, frozen=True, kw_only=True):
    """A share of the requests, and the model that gets it (a canary), or a copy of it (a shadow)."""

    use: str
    percent: float


class Policy(Struct, frozen=True, kw_only=True):
    strategy: Strategy = Weighted()
    retry: RetryTerms = RetryTerms()
    eject: EjectTerms = EjectTerms()
    hedge: HedgeTerms | None = None
    midstream: Midstream = "restart"
    check: DraftCheck | None = None
    shadow: Share | None = None
    min_rate: RateTerms | None = None
    timeout: float | None = None
    """Seconds for all attempts and pauses until the answer begins."""
    coalesce: bool = False
    """Identical requests of a tenant that are in flight share one call."""
