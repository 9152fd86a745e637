"""What is known of targets: who is an outlier of a route, and who is told of changes."""

from __future__ import annotations

import pytest

from headgate.errors import Draining, HeadgateError
from headgate.model.route import Route, RouteTarget
from headgate.routing.breaker import BreakerTerms, Seen
from headgate.routing.eject import EjectTerms
from headgate.routing.policy import Policy
from headgate.routing.standing import JUDGED, NAMED, Change, Lease, Standing, Standings

TARGETS = tuple(RouteTarget(site=name, model="m") for name in "abc")
TERMS = BreakerTerms(window=10.0, minimum=1000)
SHOWN = "100 % errors against 0 % of its peers"


class Fleet:
    """Three targets of one route, each asked `calls` times a turn; `c` fails as it is told to."""

    def __init__(self, **terms: float) -> None:
        self.changes: list[Change] = []
        self.standings = Standings(lambda site: TERMS, self.changes.append)
        self.route = Route(alias="r", targets=TARGETS, policy=Policy(eject=EjectTerms(**terms)))  # type: ignore[arg-type]

    def calls(self, now: float, failing: str = "c", times: int = 20) -> None:
        for target in TARGETS:
            breaker = self.standings.of(target).breaker
            for _ in range(times):
                breaker.record(breaker.admit(now) or 0, "error" if target.site == failing else "ok", now)

    def out(self, now: float) -> dict[str, str]:
        return dict(self.standings.outliers(self.route, now))

    @property
    def told(self) -> list[tuple[str, str, str, str]]:
        return [(change.site, change.now, change.why, change.route) for change in self.changes]


def test_an_outlier_is_out_until_its_errors_have_faded_from_the_window() -> None:
    fleet = Fleet()
    fleet.calls(100.0)
    assert fleet.out(100.0) == {"c/m": SHOWN}
    assert fleet.out(105.0) == {"c/m": SHOWN}
    assert fleet.out(110.0) == {}
    assert fleet.told == [("c", "ejected", SHOWN, "r"), ("c", "in", "no outlier any more", "r")]


def test_it_is_judged_once_a_second_at_most() -> None:
    fleet = Fleet()
    assert fleet.out(100.0) == {}
    fleet.calls(100.0)
    assert fleet.out(100.0 + JUDGED / 2) == {}
    assert fleet.out(100.0 + JUDGED) == {"c/m": SHOWN}
    assert len(fleet.changes) == 1


def test_where_none_may_be_ejected_nobody_is() -> None:
    fleet = Fleet(most=0.0)
    fleet.calls(100.0)
    assert fleet.out(100.0) == {}


def test_typed_fallbacks_are_no_peers() -> None:
    """They serve failures of one kind only."""
    fleet = Fleet()
    special = RouteTarget(site="c", model="m", purpose="context")
    fleet.route = Route(alias="r", targets=(*TARGETS[:2], special), policy=fleet.route.policy)
    fleet.calls(100.0)
    assert fleet.out(100.0) == {}


def test_a_breaker_that_turns_is_told_with_its_target() -> None:
    changes: list[Change] = []
    standings = Standings(lambda site: BreakerTerms(minimum=2), changes.append)
    breaker = standings.of(TARGETS[0]).breaker
    for _ in range(2):
        breaker.record(breaker.admit(1.0) or 0, "error", 1.0)
    why = "2 errors and 0 slow of 2 calls in 30 s"
    assert changes == [Change(site="a", model="m", was="closed", now="open", why=why)]
    standings.renew(lambda site: BreakerTerms(minimum=3))
    assert breaker.state(1.0) == "closed"
    assert changes[1:] == [Change(site="a", model="m", was="open", now="closed", why="its terms are new")]


@pytest.mark.parametrize(
    ("slow_after", "first", "ends", "error", "seen"),
    [
        pytest.param(2.0, None, 1.9, None, Seen(0, 0, 0), id="given up sooner: nothing is known"),
        pytest.param(2.0, None, 2.0, None, Seen(1, 0, 1), id="silent until it was slow"),
        pytest.param(2.0, 1.0, 9.0, None, Seen(0, 0, 0), id="it had begun: who leaves then says nothing"),
        pytest.param(2.0, None, 9.0, Draining("stops"), Seen(0, 0, 0), id="we failed"),
        pytest.param(None, None, 9.0, None, Seen(0, 0, 0), id="no call is slow"),
    ],
)
def test_a_cancelled_call_counts_where_it_was_slow_already(
    slow_after: float | None, first: float | None, ends: float, error: HeadgateError | None, seen: Seen
) -> None:
    standing = Standing("a/m", BreakerTerms(slow_after=slow_after))
    lease = Lease(standing, standing.breaker.admit(100.0) or 0, 100.0)
    if first is not None:
        lease.answered(100.0 + first)
    lease.end(100.0 + ends, error, True)
    assert standing.breaker.seen(100.0 + ends) == seen


def test_probes_that_were_given_up_when_slow_open_it_again() -> None:
    standing = Standing("a/m", BreakerTerms(minimum=1, slow_after=2.0, open_for=5.0, probes=2))
    for at, state in ((100.0, "open"), (110.0, "half_open"), (120.0, "open")):
        Lease(standing, standing.breaker.admit(at) or 0, at).end(at + 3.0, None, True)
        assert standing.breaker.state(at + 3.0) == state


def test_hedges_are_counted_by_route_and_names_are_bounded() -> None:
    standings = Standings(lambda site: TERMS)
    for number in range(NAMED + 2):
        standings.hedged(f"r{number}")
    standings.hedged("r0")
    assert len(standings.hedges) == NAMED + 1
    assert (standings.hedges["r0"], standings.hedges["other"]) == (2, 2)
    assert standings.route("r0").hedges == 2
