"""What is asked again, when, and how often in all. The budget is tested against its promise, counted from the whole history."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headgate.errors import (
    BadRequest,
    HeadgateError,
    Internal,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from headgate.routing.retry import (
    ELSEWHERE,
    RETRY_SAME,
    RetryBudget,
    RetryBudgetTerms,
    RetryTerms,
    backoff,
    retry_same,
    wait_for,
)


def refused(status: int, code: str | None = None, should: bytes | None = None) -> UpstreamRefused:
    error = UpstreamRefused("no", status=status, code=code)
    error.headers = [] if should is None else [(b"x-should-retry", should)]
    return error


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529])
def test_statuses_that_pass_by_themselves(status: int) -> None:
    assert retry_same(refused(status)).yes
    assert status in ELSEWHERE


@pytest.mark.parametrize("status", [401, 402, 403, 404, 407, 410, 501, 505, 525, 526, 599])
def test_statuses_that_stay_but_say_nothing_of_another_target(status: int) -> None:
    assert not retry_same(refused(status)).yes
    assert status in ELSEWHERE


@pytest.mark.parametrize("status", [400, 405, 413, 415, 422])
def test_statuses_that_speak_of_the_request(status: int) -> None:
    assert not retry_same(refused(status)).yes
    assert status not in ELSEWHERE


@pytest.mark.parametrize(
    ("failure", "yes"),
    [
        (UpstreamUnreachable("u"), True),
        (UpstreamUnreachable("u", code="upstream_reset"), True),
        (UpstreamUnreachable("u", code="connection_refused"), True),
        (UpstreamUnreachable("u", code="tls_failed"), True),
        (UpstreamUnreachable("u", code="tls_certificate"), False),
        (UpstreamUnreachable("u", code="proxy_refused"), False),
        (UpstreamTimeout("u", code="connect_timeout"), True),
        (UpstreamTimeout("a finer code that no row names", code="first_content_timeout"), True),
        (UpstreamTruncated("u"), True),
        (UpstreamMalformed("u"), True),
        (UpstreamError("of no class that is listed"), False),
        (refused(429, "insufficient_quota"), False),
        (refused(503, "billing_not_active"), False),
        (refused(502, "upstream_redirect"), False),
        (refused(401, "upstream_reset"), False),
        (refused(500, "a_code_that_no_row_names"), True),
        (refused(503, should=b"false"), False),
        (refused(400, should=b"true"), True),
        (refused(503, should=b"maybe"), True),
        (BadRequest("b"), False),
        (Internal("i"), False),
    ],
    ids=lambda value: f"{value.code}-{value.status}" if isinstance(value, HeadgateError) else "",
)
def test_what_became_of_the_attempt(failure: HeadgateError, yes: bool) -> None:
    """Our own code, or its class's; a provider's code can make a status final, never the reverse; its express word wins."""
    again = retry_same(failure)
    assert again.yes is yes
    assert again.why


def test_every_row_has_its_reason_and_every_failure_of_ours_its_row() -> None:
    assert all(row.why for row in RETRY_SAME.values())
    classes = [UpstreamTimeout, UpstreamUnreachable, UpstreamTruncated, UpstreamMalformed]
    assert all(kind.code in RETRY_SAME for kind in classes)


draws = st.floats(0.0, 1.0, exclude_max=True)
all_terms = st.builds(RetryTerms, base=st.floats(0.01, 5.0), cap=st.floats(0.01, 60.0), most_wait=st.floats(0.0, 120.0))


@given(st.integers(1, 1000), all_terms, draws)
def test_a_backoff_is_anywhere_below_its_bound(attempt: int, terms: RetryTerms, draw: float) -> None:
    assert 0 <= backoff(attempt, terms, draw) <= terms.cap
    assert backoff(attempt, terms, 0.0) == 0
    assert backoff(attempt, terms, draw) <= terms.base * 2 ** (attempt - 1)
    assert backoff(10**9, terms, draw) == backoff(100, terms, draw)


def test_backoffs_double_up_to_the_cap() -> None:
    terms = RetryTerms(base=0.25, cap=8.0)
    assert [2 * backoff(attempt, terms, 0.5) for attempt in range(1, 8)] == [0.25, 0.5, 1, 2, 4, 8, 8]


@given(st.integers(1, 20), st.floats(0.0, 86400.0), all_terms, draws)
def test_a_retry_after_is_a_floor_or_not_waited_for(attempt: int, asked: float, terms: RetryTerms, draw: float) -> None:
    wait = wait_for(attempt, asked, terms, draw)
    if asked > terms.most_wait:
        assert wait is None
    else:
        assert wait is not None
        assert asked <= wait <= asked + terms.cap


def test_waiters_who_were_told_the_same_do_not_come_together() -> None:
    waits = {wait_for(1, 5.0, RetryTerms(), draw / 10) for draw in range(10)}
    assert len(waits) == 10
    assert wait_for(2, None, RetryTerms(), 0.5) == backoff(2, RetryTerms(), 0.5)


class BudgetMachine(RuleBasedStateMachine):
    """Whatever happens, within any window: repeats <= ratio x first attempts + per_second x its length + the burst."""

    @initialize(
        ratio=st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0]),
        per_second=st.sampled_from([0.0, 0.3, 1.0]),
        most=st.sampled_from([1.0, 2.5, 10.0]),
        start=st.floats(5.0, 1e6),
    )
    def begin(self, ratio: float, per_second: float, most: float, start: float) -> None:
        self.terms = RetryBudgetTerms(ratio=ratio, per_second=per_second, most=most)
        self.budget = RetryBudget(self.terms)
        self.now = start
        self.history: list[tuple[float, bool]] = []  # when; a repeat (True) or a first attempt

    @rule(seconds=st.floats(0.0, 20.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(times=st.integers(1, 8))
    def first_attempts(self, times: int) -> None:
        for _ in range(times):
            self.budget.deposit(self.now)
            self.history.append((self.now, False))

    @rule(times=st.integers(1, 8))
    def repeats(self, times: int) -> None:
        """Somebody retries as hard as it may."""
        for _ in range(times):
            looked = self.budget.look(self.now)
            assert self.budget.take(self.now) is looked
            if looked:
                self.history.append((self.now, True))

    @rule(back=st.floats(0.0, 5.0), repeat=st.booleans())
    def a_clock_read_earlier(self, back: float, repeat: bool) -> None:
        """Counts as the latest time that was told: what ran already is not paid twice."""
        latest = max([self.now - back, *(at for at, _ in self.history[-1:])])
        if not repeat:
            self.budget.deposit(self.now - back)
            self.history.append((latest, False))
        elif self.budget.take(self.now - back):
            self.history.append((latest, True))

    @invariant()
    def it_keeps_its_promise(self) -> None:
        """Over every window that ends now (those that ended before were checked then)."""
        repeats = firsts = 0
        for at, repeat in reversed(self.history):
            repeats, firsts = repeats + repeat, firsts + (not repeat)
            bound = self.terms.ratio * firsts + self.terms.per_second * (self.now - at) + self.terms.most
            assert repeats <= bound + 1e-6

    @invariant()
    def it_is_not_meaner_than_promised(self) -> None:
        """Refused only where the promise is used up: some window is within one repeat of its bound."""
        self.budget.look(self.now + 100.0)  # looking, even far ahead, changes nothing
        if self.budget.look(self.now):
            return
        spare, repeats, firsts = [], 0, 0
        for at, repeat in reversed(self.history):
            repeats, firsts = repeats + repeat, firsts + (not repeat)
            bound = self.terms.ratio * firsts + self.terms.per_second * (self.now - at) + self.terms.most
            spare.append(bound - repeats)
        assert min(spare) < 1 + self.terms.ratio + 1e-6


TestRetryBudget: Any = BudgetMachine.TestCase
TestRetryBudget.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def taken(budget: RetryBudget, now: float) -> int:
    return sum(budget.take(now) for _ in range(1000))


def test_a_storm_costs_a_share_and_no_more() -> None:
    """1,000 requests at once, all fail, all want two retries: 210 get one."""
    budget = RetryBudget(RetryBudgetTerms(ratio=0.2, per_second=0.0, most=10.0))
    repeats = 0
    for _ in range(1000):
        budget.deposit(0.0)
        repeats += budget.take(0.0) + budget.take(0.0)
    assert repeats in (209, 210)


def test_a_quiet_target_may_still_retry() -> None:
    budget = RetryBudget(RetryBudgetTerms(ratio=0.2, per_second=1.0, most=10.0))
    assert taken(budget, 0.0) == 10
    assert taken(budget, 0.5) == 0
    assert taken(budget, 3.0) == 3
    assert taken(budget, 1000.0) == 10


def test_ten_tenths_are_one() -> None:
    budget = RetryBudget(RetryBudgetTerms(ratio=0.1, per_second=0.0, most=1.0))
    assert budget.take(0.0)
    for _ in range(10):
        assert not budget.look(0.0)
        budget.deposit(0.0)
    assert budget.look(0.0)
    assert budget.left(0.0) == pytest.approx(1.0)
    assert taken(budget, 0.0) == 1
