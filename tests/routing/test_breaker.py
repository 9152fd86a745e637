"""The breaker against a model that keeps every call in a list and looks through all of them each time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from headgate.routing.breaker import Breaker, BreakerTerms, Result, Seen, State, Turn

TERMS = BreakerTerms(window=10.0, minimum=4, open_for=2.0, open_most=5.0, probes=2, probe_lease=3.0)
SPAN = 1.0
"""A tenth of the window. All times here are quarters of a second, which floats hold exactly."""


class Sent:
    """A call that was let through."""

    def __init__(self, token: int, at: float, period: int) -> None:
        self.token, self.at, self.period = token, at, period
        self.out = True


class Model:
    """Obviously right, and slow: one period number for each state that was, all calls and results kept for ever."""

    def __init__(self, terms: BreakerTerms) -> None:
        self.terms = terms
        self.period = 0
        self.closed = True
        self.until = 0.0
        self.openings = 0
        self.results: list[tuple[int, Result]] = []
        self.answers: list[Result] = []
        self.sent: list[Sent] = []

    def state(self, now: float) -> State:
        return "closed" if self.closed else "open" if now < self.until else "half_open"

    def in_flight(self, now: float) -> list[Sent]:
        mine = [sent for sent in self.sent if sent.period == self.period and sent.out]
        return [sent for sent in mine if now < sent.at + self.terms.probe_lease]

    def waits(self, now: float) -> float:
        match self.state(now):
            case "closed":
                return 0.0
            case "open":
                return self.until - now
            case "half_open":
                out = self.in_flight(now)
                return (
                    min(sent.at for sent in out) + self.terms.probe_lease - now
                    if len(out) == self.terms.probes
                    else 0.0
                )

    def seen(self, now: float) -> Seen:
        newest = max([int(now / SPAN), *(turn for turn, _ in self.results)])
        kept = [result for turn, result in self.results if turn > newest - 10]
        return Seen(len(kept), kept.count("error"), kept.count("slow"))

    def record(self, sent: Sent, result: Result, now: float) -> State | None:
        sent.out = False
        if sent.period != self.period or result == "ignored":
            return None
        if self.closed:
            newest = max((turn for turn, _ in self.results), default=0)
            self.results.append((max(int(now / SPAN), newest), result))
            return self.open(now, 1) if result != "ok" and self.too_bad(self.seen(now)) else None
        self.answers.append(result)
        if result == "error":
            return self.open(now, self.openings + 1)
        if len(self.answers) < self.terms.probes:
            return None
        if self.answers.count("slow") >= self.terms.slow_rate * len(self.answers):
            return self.open(now, self.openings + 1)
        self.closed = True
        self.period += 1
        self.results = []
        return "closed"

    def too_bad(self, seen: Seen) -> bool:
        rates = (self.terms.error_rate, self.terms.slow_rate)
        over = seen.errors >= rates[0] * seen.calls or seen.slow >= rates[1] * seen.calls
        return seen.calls >= self.terms.minimum and over

    def open(self, now: float, openings: int) -> State:
        self.closed = False
        self.period += 1
        self.openings = openings
        self.until = now + min(self.terms.open_for * 2 ** (openings - 1), self.terms.open_most)
        self.answers = []
        return "open"


class BreakerMachine(RuleBasedStateMachine):
    @initialize(
        minimum=st.integers(1, 5),
        probes=st.integers(1, 3),
        error_rate=st.sampled_from([0.25, 0.5, 1.0]),
        slow_rate=st.sampled_from([0.5, 0.75, 1.0]),
        probe_lease=st.sampled_from([3.0, 20.0]),
    )
    def begin(self, **drawn: Any) -> None:
        self.terms = replace(TERMS, **drawn)
        self.now = 7.25
        self.turns: list[Turn] = []
        self.breaker = Breaker(self.terms, self.turns.append)
        self.model = Model(self.terms)

    @rule(quarters=st.one_of(st.integers(1, 8), st.integers(9, 60)))
    def time_passes(self, quarters: int) -> None:
        self.now += quarters / 4

    @rule()
    def somebody_waits_as_told(self) -> None:
        self.now += self.breaker.opens_again(self.now)

    @rule(times=st.integers(1, 3))
    def calls_ask(self, times: int) -> None:
        for _ in range(times):
            state, allowed = self.breaker.state(self.now), self.breaker.allows(self.now)
            token = self.breaker.admit(self.now)
            assert (token is not None) == allowed == (self.model.waits(self.now) == 0)
            if token is not None:
                assert token > 0
                assert state != "open", "open lets nobody through before its time"
                self.model.sent.append(Sent(token, self.now, self.model.period))
            if state == "half_open":
                assert len(self.model.in_flight(self.now)) <= self.terms.probes

    @rule(
        data=st.data(), result=st.sampled_from(["ok", "ok", "error", "error", "slow", "ignored"]), lag=st.integers(0, 6)
    )
    def one_ends(self, data: st.DataObject, result: Result, lag: int) -> None:
        """Any of those under way, also one of long ago (those not chosen never report: their leases run out). Its clock may have
        been read a little earlier than the last."""
        if out := [sent for sent in self.model.sent if sent.out]:
            sent = data.draw(st.sampled_from(out[-8:]))
            now = max(sent.at, self.now - lag / 4)
            assert self.breaker.record(sent.token, result, now) == self.model.record(sent, result, now)

    @rule(result=st.sampled_from(["ok", "error", "slow"]), times=st.integers(1, 6))
    def a_burst(self, result: Result, times: int) -> None:
        for _ in range(times):
            if (token := self.breaker.admit(self.now)) is not None:
                self.model.sent.append(Sent(token, self.now, self.model.period))
                sent = self.model.sent[-1]
                assert self.breaker.record(token, result, self.now) == self.model.record(sent, result, self.now)

    @invariant()
    def every_turn_is_told(self) -> None:
        """One by one, from closed on. Open becomes half-open by time, which is told with the first probe."""
        states: list[State] = ["closed", *(turn.now for turn in self.turns)]
        assert [turn.was for turn in self.turns] == states[:-1]
        assert all(turn.why and turn.was != turn.now for turn in self.turns)
        now = self.breaker.state(self.now)
        assert states[-1] == now or (states[-1], now) == ("open", "half_open")

    @invariant()
    def it_is_as_the_model(self) -> None:
        for now in (self.now + 100.0, self.now):  # first the far future: looking there changes nothing here
            assert self.breaker.state(now) == self.model.state(now)
            assert self.breaker.opens_again(now) == self.model.waits(now)
            assert self.breaker.allows(now) == (self.model.waits(now) == 0)
            if self.breaker.state(now) == "closed":
                assert self.breaker.seen(now) == self.model.seen(now)
        assert self.breaker.allows(self.now + self.breaker.opens_again(self.now)), "the promised time is kept"


TestBreaker: Any = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def opened(terms: BreakerTerms = TERMS) -> Breaker:
    """A breaker that opened at 0.0."""
    breaker = Breaker(terms)
    for _ in range(terms.minimum):
        breaker.record(probe(breaker, 0.0), "error", 0.0)
    assert breaker.state(0.0) == "open"
    return breaker


def probe(breaker: Breaker, now: float) -> int:
    token = breaker.admit(now)
    assert token is not None
    return token


def test_rate_limits_and_the_callers_own_errors_never_open_it() -> None:
    breaker = Breaker(TERMS)
    for _ in range(1000):
        assert breaker.record(probe(breaker, 1.0), "ignored", 1.0) is None
    assert breaker.seen(1.0) == Seen(0, 0, 0)
    assert breaker.state(1.0) == "closed"


def test_few_failures_are_no_rate() -> None:
    """Three of three fail, four are needed: closed. The fourth opens it, and tells so."""
    breaker = Breaker(TERMS)
    told = [breaker.record(probe(breaker, 0.0), "error", 0.0) for _ in range(4)]
    assert told == [None, None, None, "open"]


def test_old_failures_are_forgotten() -> None:
    breaker = Breaker(TERMS)
    for _ in range(3):
        breaker.record(probe(breaker, 0.0), "error", 0.0)
    assert breaker.record(probe(breaker, 10.0), "error", 10.0) is None
    assert breaker.seen(10.0) == Seen(1, 1, 0)


def test_slow_calls_open_it_only_by_their_own_rate() -> None:
    breaker = Breaker(replace(TERMS, slow_rate=0.75))
    results: list[Result] = ["ok", "slow", "slow", "slow"]
    assert [breaker.record(probe(breaker, 0.0), result, 0.0) for result in results] == [None, None, None, "open"]


def test_a_late_success_of_before_does_not_close_and_a_late_failure_does_not_reopen() -> None:
    breaker = Breaker(TERMS)
    early = [probe(breaker, 0.0) for _ in range(8)]
    for token in early[:4]:
        breaker.record(token, "error", 0.0)
    first, second = probe(breaker, 2.0), probe(breaker, 2.0)
    assert [breaker.record(token, "ok", 2.0) for token in early[4:6]] == [None, None]
    assert breaker.record(early[6], "error", 2.0) is None
    assert breaker.state(2.0) == "half_open"
    assert not breaker.allows(2.0), "a late result frees no slot that it never had"
    assert breaker.record(first, "ok", 2.0) is None
    assert breaker.record(second, "ok", 2.0) == "closed"
    assert breaker.record(early[7], "error", 2.0) is None
    assert breaker.seen(2.0) == Seen(0, 0, 0)


def test_each_reopening_doubles_the_time_up_to_the_most_and_a_close_brings_it_back() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(4):
        waits.append(breaker.opens_again(now))
        now += waits[-1]
        assert breaker.record(probe(breaker, now), "error", now) == "open"
    assert waits == [2.0, 4.0, 5.0, 5.0]
    now += breaker.opens_again(now)
    assert [breaker.record(probe(breaker, now), "ok", now) for _ in range(2)] == [None, "closed"]
    for _ in range(4):
        breaker.record(probe(breaker, now), "error", now)
    assert breaker.opens_again(now) == 2.0


def test_a_lost_probe_gives_its_slot_back_and_still_counts_when_it_comes() -> None:
    breaker = opened()
    lost, also = probe(breaker, 2.0), probe(breaker, 3.0)
    assert breaker.admit(4.0) is None
    assert breaker.opens_again(4.0) == 1.0
    fresh = probe(breaker, 5.0)
    assert breaker.admit(5.0) is None
    assert breaker.record(fresh, "ok", 5.5) is None
    assert breaker.record(lost, "ok", 5.5) == "closed"
    assert breaker.record(also, "error", 5.5) is None


def test_new_terms_close_it_and_void_what_is_under_way() -> None:
    told: list[Turn] = []
    breaker = Breaker(TERMS, told.append)
    early = [probe(breaker, 0.0) for _ in range(TERMS.minimum)]
    for token in early:
        breaker.record(token, "error", 0.0)
    breaker.renew(replace(TERMS, minimum=1))
    assert breaker.record(early[0], "error", 0.0) is None
    assert breaker.record(probe(breaker, 0.0), "error", 0.0) == "open"
    assert [(turn.was, turn.now) for turn in told] == [("closed", "open"), ("open", "closed"), ("closed", "open")]
    assert told[0].why == "4 errors and 0 slow of 4 calls in 10 s"


def test_one_that_is_to_be_asked_aside_is_held_until_it_has_answered() -> None:
    breaker = opened(replace(TERMS, probed=True))
    assert (breaker.held, breaker.state(100.0), breaker.admit(100.0)) == (True, "open", None)
    assert breaker.opens_again(0.5) == 1.5
    assert breaker.opens_again(100.0) > 0
    breaker.clear()
    assert (breaker.held, breaker.state(1.0), breaker.admit(1.0)) == (False, "open", None), "its time is not over"
    assert breaker.record(probe(breaker, 2.0), "error", 2.0) == "open"
    assert breaker.held, "anew, each time it opens"
    breaker.clear()
    assert [breaker.record(probe(breaker, 9.0), "ok", 9.0) for _ in range(2)] == [None, "closed"]
    assert not breaker.held


def test_what_was_not_admitted_counts_for_nothing() -> None:
    """A caller that went on without a token must not prolong the time that it ignored."""
    breaker = opened()
    assert [breaker.record(0, "error", 1.0) for _ in range(TERMS.minimum)] == [None] * TERMS.minimum
    assert breaker.opens_again(1.0) == 1.0
    assert Breaker(TERMS).record(0, "error", 1.0) is None


def test_a_probe_of_before_the_reopening_holds_no_slot_after_it() -> None:
    breaker = opened(replace(TERMS, probe_lease=60.0))
    stuck, failing = probe(breaker, 2.0), probe(breaker, 2.0)
    assert breaker.record(failing, "error", 2.0) == "open"
    assert [breaker.admit(6.0) is None for _ in range(3)] == [False, False, True]
    assert breaker.record(stuck, "ignored", 6.0) is None
    assert not breaker.allows(6.0)


def test_slow_probes_reopen_where_all_are_slow() -> None:
    breaker = opened()
    assert [breaker.record(probe(breaker, 2.0), "slow", 2.0) for _ in range(2)] == [None, "open"]
    mixed = opened()
    results: list[Result] = ["slow", "ok"]
    assert [mixed.record(probe(mixed, 2.0), result, 2.0) for result in results] == [None, "closed"]


@pytest.mark.parametrize(("after", "seconds", "result"), [(None, 1e9, "ok"), (2.0, 1.9, "ok"), (2.0, 2.0, "slow")])
def test_what_is_slow(after: float | None, seconds: float, result: Result) -> None:
    assert BreakerTerms(slow_after=after).speed(seconds) == result
