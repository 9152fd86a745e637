"""Where a request may go. A Route is what a model's name amounts to; its policy (headgate.routing.policy) says how a target is
chosen and what is done when one fails."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

from .ability import Abilities

if TYPE_CHECKING:
    from headgate.routing.policy import Policy
    from headgate.routing.switch import Switch

HOPS = 4
"""How many models may send a request on, one to the next, before one serves."""
Purpose: TypeAlias = Literal["", "context", "filter", "successor"]


class RouteTarget(Struct, frozen=True, kw_only=True):
    """A model at a site ("openai", "gpt-4o"). A site with several keys is one site a key: "openai", "openai#second"."""

    site: str
    model: str
    dialect: str | None = None
    """Overrides which of the site's dialects is spoken."""
    weight: int | None = None
    rank: int = 0
    """0: the route's targets; 1, 2, ...: its fallbacks in order, for when no target of a lower rank can take the request."""
    purpose: Purpose = ""
    """A typed fallback: it serves only after a failure of this kind (context window exceeded, content filter, model gone)."""
    region: str = ""
    tags: frozenset[str] = frozenset()
    """It takes only requests that carry one of these; none: all."""
    abilities: Abilities | None = None
    """What the config says it can do, before what the catalog says."""

    @property
    def name(self) -> str:
        return f"{self.site}/{self.model}"


class Route(Struct, frozen=True, kw_only=True):
    """`alias` is the name the client used. `strict`: a crossing that loses anything is refused. `answer_alias`: the answer's
    `model` is the alias instead of the provider's name. `regions`: a hard constraint on every target, whatever happens."""

    alias: str
    targets: tuple[RouteTarget, ...]
    policy: Policy
    strict: bool = False
    answer_alias: bool = False
    regions: frozenset[str] = frozenset()
    sunset: str = ""
    """From when (YYYY-MM-DD) the model is not served any more: told in `Deprecation` and `Sunset` headers."""
    switch: Switch | None = None
    """What may send a request on to another model, before any target is chosen."""


@lru_cache(maxsize=256)
def sunset_at(day: str) -> float:
    """When a sunset day (YYYY-MM-DD) begins in UTC: seconds since the epoch."""
    return datetime.combine(date.fromisoformat(day), time(), UTC).timestamp()
