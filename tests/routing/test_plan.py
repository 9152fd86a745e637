"""Which target is next: who is left out and why, who goes first, who is asked again, when nobody is."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from headgate.errors import (
    BadRequest,
    HeadgateError,
    Internal,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from headgate.model.route import Route, RouteTarget
from headgate.routing.balance import Asking, Candidate, LeastBusy
from headgate.routing.breaker import BreakerTerms
from headgate.routing.plan import Decision, Try, decide, may_go_elsewhere
from headgate.routing.policy import Policy
from headgate.routing.retry import RetryTerms
from headgate.routing.standing import Lease, Standing

NOW = 1000.0
A, B, C = (RouteTarget(site=name, model="m", rank=rank) for rank, name in enumerate("abc"))
TIMEOUT = UpstreamTimeout("slow")
BROKEN = UpstreamRefused("broken", status=500)


class Known:
    """A View over plain tables."""

    def __init__(self, unfit: Mapping[RouteTarget, str] | None = None) -> None:
        self._unfit = unfit or {}
        self.out: dict[str, str] = {}
        self._standings: dict[RouteTarget, Standing] = {}

    def unfit(self, target: RouteTarget) -> str | None:
        return self._unfit.get(target)

    def standing(self, target: RouteTarget) -> Standing:
        if target not in self._standings:
            self._standings[target] = Standing(target.name, BreakerTerms(minimum=2))
        return self._standings[target]

    def candidate(self, target: RouteTarget, costs: bool) -> Candidate:
        return Candidate(target=target, inflight=self.standing(target).gate.under_way)

    def asking(self, draw: float) -> Asking:
        return Asking(turn=0, draw=draw)

    def outliers(self) -> Mapping[str, str]:
        return self.out

    def break_(self, target: RouteTarget) -> None:
        """Its breaker opens."""
        standing = self.standing(target)
        for _ in range(2):
            standing.gate.try_enter()
            token = standing.breaker.admit(NOW - 1)
            assert token is not None
            Lease(standing, token, NOW - 1).end(NOW - 1, BROKEN, False)

    def fill(self, target: RouteTarget) -> None:
        gate = self.standing(target).gate
        while gate.try_enter():
            pass


def route(*targets: RouteTarget, policy: Policy | None = None) -> Route:
    return Route(alias="r", targets=targets, policy=policy or Policy())


def next_(
    way: Route, *tried: tuple[RouteTarget, HeadgateError], known: Known | None = None, draw: float = 0.5
) -> Decision:
    return decide(way, [Try(target, failure) for target, failure in tried], known or Known(), NOW, draw)


def test_preference_is_by_rank_and_each_is_asked_once_before_one_is_asked_again() -> None:
    way = route(A, B, C)
    assert next_(way).target == A
    assert next_(way, (A, TIMEOUT)).target == B
    assert next_(way, (A, TIMEOUT), (B, BROKEN)).target == C
    again = next_(way, (A, TIMEOUT), (B, BROKEN), (C, TIMEOUT))
    assert again.again and again.target in (A, B, C)
    assert 0 <= again.wait < 0.25


def test_targets_of_one_rank_share_the_first_attempts_by_weight() -> None:
    heavy, light = (RouteTarget(site=name, model="m", weight=weight) for name, weight in (("h", 3), ("l", 1)))
    later = replace(A, rank=1)
    way = route(later, light, heavy)
    first = [next_(way, draw=draw / 1000).target for draw in range(1000)]
    assert (first.count(heavy), first.count(light)) == (750, 250)
    assert next_(way, (heavy, TIMEOUT)).target == light
    assert next_(way, (heavy, TIMEOUT), (light, TIMEOUT)).target == later


def test_why_each_other_one_was_not_chosen_is_said() -> None:
    vision = replace(C, rank=0)
    typed = RouteTarget(site="large", model="m", purpose="context")
    known = Known({vision: "takes no images"})
    known.break_(B)
    decision = next_(route(replace(B, rank=0), replace(A, rank=0), vision, C, typed), known=known)
    assert decision.target == replace(A, rank=0)
    assert {target.site: why for target, why in decision.passed if target.rank == 0} == {
        "b": "not chosen",
        "c": "takes no images",
        "large": "only after: context window exceeded",
    }


def test_an_open_breaker_is_gone_round_and_nobody_waits_for_it() -> None:
    known = Known()
    known.break_(A)
    decision = next_(route(A, B), known=known)
    assert decision.target == B
    assert decision.passed == [(A, "breaker open")]
    alone = next_(route(A), known=known)
    assert alone.target is None
    assert alone.soon is not None and 0 < alone.soon <= 5


def test_a_rate_limit_is_gone_round_where_there_is_somebody_else() -> None:
    known = Known()
    known.standing(A).limited(NOW, 4.0)
    assert next_(route(A, B), known=known).target == B
    alone = next_(route(A), known=known)
    assert (alone.target, alone.wait) == (A, 0.0), "the only one judges for itself"
    after = next_(route(A), (A, UpstreamRefused("x", status=401)), known=known)
    assert after.target is None


def test_a_429_never_opens_a_breaker() -> None:
    standing = Known().standing(A)
    for _ in range(50):
        standing.gate.try_enter()
        token = standing.breaker.admit(NOW)
        assert token is not None
        Lease(standing, token, NOW).end(NOW, UpstreamRefused("limit", status=429, retry_after=3.0), False)
    assert standing.breaker.state(NOW) == "closed"
    assert standing.closed(NOW) == ("rate limited for 3.0 s", 3.0)


def test_a_full_target_is_gone_round_and_waited_at_when_all_are_full() -> None:
    known = Known()
    known.fill(A)
    assert next_(route(A, B), known=known).target == B
    known.fill(B)
    decision = next_(route(A, B), known=known)
    assert (decision.target, decision.queue) == (A, True)


def test_retries_end_with_the_attempts_the_budget_and_what_cannot_pass() -> None:
    way = route(A, policy=Policy(retry=RetryTerms(attempts=2)))
    assert next_(way, (A, BROKEN)).again
    assert next_(way, (A, BROKEN), (A, BROKEN)).target is None
    assert next_(route(A), (A, UpstreamRefused("no such key", status=401))).target is None
    assert next_(route(A), (A, UpstreamUnreachable("c", code="tls_certificate"))).target is None
    known = Known()
    while known.standing(A).budget.take(NOW):
        pass
    assert next_(route(A), (A, BROKEN), known=known).target is None
    short = route(A, B, policy=Policy(retry=RetryTerms(most=2)))
    assert next_(short, (A, BROKEN), (B, BROKEN)).target is None


def test_retry_after_is_a_floor_and_an_absurd_one_is_not_waited_for() -> None:
    def told(seconds: float) -> Decision:
        return next_(route(A), (A, UpstreamRefused("limit", status=429, retry_after=seconds)))

    assert 3.0 <= told(3.0).wait < 3.25
    assert told(86_400.0).target is None


def test_typed_fallbacks_serve_after_their_own_failure_only() -> None:
    large = RouteTarget(site="large", model="m", purpose="context")
    lenient = RouteTarget(site="lenient", model="m", purpose="filter")
    heir = RouteTarget(site="heir", model="m", purpose="successor")
    way = route(A, B, large, lenient, heir)
    too_long = UpstreamRefused("prompt is too long: 3 tokens > 2 maximum", status=400)
    filtered = UpstreamRefused("filtered", status=400, code="content_filter")
    gone = UpstreamRefused("gone", status=404, code="model_not_found")
    assert next_(way, (A, too_long)).target == large
    assert next_(way, (A, filtered)).target == lenient
    assert next_(way, (A, gone)).target == heir
    assert next_(way, (A, TIMEOUT)).target == B
    assert next_(way, (A, too_long), (large, TIMEOUT)).target == B
    assert next_(route(A, B), (A, too_long)).target is None
    assert next_(route(A, B), (A, gone)).target == B


def test_a_region_or_an_ability_is_a_constraint_whatever_fails() -> None:
    known = Known({B: "its region (us) is not one of eu"})
    decision = next_(route(A, B), (A, UpstreamRefused("x", status=401)), known=known)
    assert decision.target is None
    assert (B, "its region (us) is not one of eu") in decision.passed


def test_the_strategy_chooses_within_a_rank() -> None:
    level = [replace(target, rank=0) for target in (A, B)]
    known = Known()
    known.standing(level[0]).gate.try_enter()
    decision = next_(route(*level, C, policy=Policy(strategy=LeastBusy())), known=known)
    assert decision.target == level[1]
    assert decision.why == "least busy: 0 under way"
    assert (C, "a fallback") in decision.passed


@pytest.mark.parametrize(
    ("failure", "elsewhere"),
    [
        (UpstreamTimeout("t"), True),
        (UpstreamTruncated("t"), True),
        (UpstreamRefused("busy", status=529), True),
        (UpstreamRefused("rate", status=429), True),
        (UpstreamRefused("the gateway's own key is wrong there", status=401), True),
        (UpstreamRefused("bad request", status=400), False),
        (UpstreamRefused("unprocessable", status=422), False),
        (BadRequest("this target cannot carry it"), True),
        (Internal("i"), False),
    ],
    ids=lambda value: f"{type(value).__name__}{getattr(value, 'status', '')}",
)
def test_another_target_is_tried_when_the_fault_is_the_providers(failure: HeadgateError, elsewhere: bool) -> None:
    assert may_go_elsewhere(failure) is elsewhere
    assert (next_(route(A, B), (A, failure)).target == B) is elsewhere


def test_an_outlier_is_passed_over_while_one_of_its_peers_can_take_it() -> None:
    known = Known()
    known.out = {A.name: "40 % errors against 2 % of its peers"}
    decision = next_(route(A, B, C), known=known)
    assert decision.target == B
    assert (A, "ejected: 40 % errors against 2 % of its peers") in decision.passed
    assert next_(route(A), known=known).target == A, "nobody else is there"
    known.fill(B)
    known.break_(C)
    assert next_(route(A, B, C), known=known).target == A, "nobody else can take it now"
    known.out[B.name] = known.out[C.name] = "..."
    assert next_(route(A, C), known=known).target == A, "better one that fails often than none"


def test_a_target_that_asks_for_it_is_asked_again_whatever_its_status_and_nobody_else_is() -> None:
    refused = UpstreamRefused("bad request", status=400)
    refused.headers = [(b"x-should-retry", b"true")]
    decision = next_(route(A, B), (A, refused))
    assert (decision.target, decision.again) == (A, True)
    assert (B, "another target would refuse it too") in decision.passed
    assert next_(route(A, B), *[(A, refused)] * 3).target is None
