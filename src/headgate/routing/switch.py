"""Which model a request takes in place of the one it names: rules, a canary, tiers. Pure; Resolve asks before dispatch.

Rules of this file:
- Rules come first, in order: the first whose condition holds decides. Then the canary's share, then the tiers; else the model's own
  targets serve.
- A rule that breaks refuses the request: what cannot be judged is not allowed.
- Each decision is noted with what it was made of, also that no rule held.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from headgate.errors import Forbidden, Internal
from headgate.routing.complexity import score
from headgate.routing.conditions import Condition, Unjudged, context
from headgate.routing.facts import Facts
from headgate.routing.policy import Share
from headgate.routing.shares import percentile, session_of

Note = Callable[..., None]
"""(verdict, **detail): onto the request's trail."""


class Rule(Struct, frozen=True, kw_only=True, eq=False):
    """`number` as in the config, from 1. Either `use` (a model's name) or `refuse` (what the caller is told)."""

    number: int
    condition: Condition
    use: str = ""
    refuse: str = ""


class Tier(Struct, frozen=True, kw_only=True):
    use: str
    up_to: float


class Switch(Struct, frozen=True, kw_only=True, eq=False):
    """Of one alias; `tiers` ascend."""

    rules: tuple[Rule, ...] = ()
    canary: Share | None = None
    tiers: tuple[Tier, ...] = ()

    def choose(self, alias: str, facts: Facts, note: Note) -> str:
        """The name of the model that takes the request; "" where the alias' own targets do. Raises Forbidden for one that a rule
        refuses, Internal for a rule that cannot be judged."""
        return (
            self._by_rule(alias, facts, note) or self._by_share(alias, facts, note) or self._by_tier(alias, facts, note)
        )

    def _by_rule(self, alias: str, facts: Facts, note: Note) -> str:
        if not self.rules:
            return ""
        known = context(facts, frozenset().union(*(rule.condition.words for rule in self.rules)))
        for rule in self.rules:
            detail: dict[str, Any] = {"model": alias, "rule": rule.number, "when": rule.condition.text}
            try:
                holds = rule.condition.holds(known)
            except Unjudged as error:
                note("rule broke", **detail, why=str(error))
                raise Internal(
                    f"rule {rule.number} of {alias!r} cannot be judged on this request, so it is refused",
                    code="rule_broke",
                ) from error
            if holds and rule.refuse:
                note("refused by rule", **detail)
                raise Forbidden(rule.refuse, code="refused_by_rule")
            if holds:
                note("rule", **detail, use=rule.use)
                return rule.use
        note("no rule held", model=alias, rules=len(self.rules))
        return ""

    def _by_share(self, alias: str, facts: Facts, note: Note) -> str:
        """The same session is always on the same side; without one, chance decides, as request ids are drawn."""
        if self.canary is None:
            return ""
        session = session_of(facts.x)
        within = percentile(alias, session or facts.x.id) < self.canary.percent
        note(
            "canary",
            model=alias,
            side="canary" if within else "stable",
            percent=self.canary.percent,
            by="session" if session else "request",
            use=self.canary.use if within else "",
        )
        return self.canary.use if within else ""

    def _by_tier(self, alias: str, facts: Facts, note: Note) -> str:
        if not self.tiers:
            return ""
        complexity = score(facts.reading)
        use = next((tier.use for tier in self.tiers if complexity.value <= tier.up_to), "")
        note("tier", model=alias, score=complexity.value, features=str(complexity), use=use or alias)
        return use
