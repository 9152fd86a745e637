"""The learned limit, against simulated targets: what it settles at, how long calls then take, what it must not do."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from statistics import mean
from timeit import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.limits.concurrency import Adaptive, AdaptiveTerms

Seconds = Callable[[float, random.Random], float]


class Target:
    """Serves `capacity` calls at once, each for `seconds(now, chance)`; the others wait in its own queue, which nobody sees. It
    refuses at once (429) what would be more than `refuses_above` under way."""

    def __init__(self, capacity: float, seconds: Seconds, refuses_above: float = float("inf")) -> None:
        self.capacity, self.seconds, self.refuses_above = capacity, seconds, refuses_above


class Simulation:
    """Calls arrive by `arrivals(now)` a second (None: as many as the limit lets in) for `until` seconds of simulated time."""

    def __init__(self, target: Target, adaptive: Adaptive, seed: int = 1) -> None:
        self.target, self.adaptive = target, adaptive
        self.chance = random.Random(seed)
        self.now = 0.0
        self.inflight = self.served = 0
        self.waiting: deque[float] = deque()
        self.events: list[tuple[float, int, str, float]] = []
        self.number = 0
        self.refused: list[float] = []
        self.limits: list[tuple[float, int]] = []
        self.latencies: list[tuple[float, float]] = []
        self.services: list[float] = []
        self.overloads = 0

    def at(self, when: float, what: str, began: float = 0.0) -> None:
        self.number += 1
        heapq.heappush(self.events, (when, self.number, what, began))

    def run(self, until: float, arrivals: Callable[[float], float] | None) -> Simulation:
        if not self.number:
            self.at(self.now, "arrival")
        while self.events and self.events[0][0] <= until:
            self.now, _, what, began = heapq.heappop(self.events)
            if what == "arrival":
                if arrivals is not None:
                    self.at(self.now + self.chance.expovariate(arrivals(self.now)), "arrival")
                    self.call()
            else:
                self.end(what, began)
            while arrivals is None and self.inflight < self.adaptive.limit:
                self.call()
        self.now = until
        return self

    def call(self) -> None:
        if self.inflight >= self.adaptive.limit:
            self.refused.append(self.now)
            return
        self.inflight += 1
        if self.inflight > self.target.refuses_above:
            self.at(self.now + 0.02, "refused", self.now)
        elif self.served < self.target.capacity:
            self.serve(self.now)
        else:
            self.waiting.append(self.now)

    def serve(self, began: float) -> None:
        self.served += 1
        self.services.append(self.target.seconds(self.now, self.chance))
        self.at(self.now + self.services[-1], "done", began)

    def end(self, what: str, began: float) -> None:
        if what == "done":
            self.served -= 1
            self.latencies.append((self.now, self.now - began))
            while self.waiting and self.served < self.target.capacity:
                self.serve(self.waiting.popleft())
        self.overloads += what == "refused"
        self.adaptive.observe(self.now, self.inflight, self.now - began, what == "refused")
        self.inflight -= 1
        self.limits.append((self.now, self.adaptive.limit))

    def settled(self, since: float) -> float:
        return mean(limit for when, limit in self.limits if when >= since)

    def worst(self, since: float, share: float = 0.95) -> float:
        """The quantile of the latencies since then."""
        found = sorted(seconds for when, seconds in self.latencies if when >= since)
        return found[int(len(found) * share)]

    def done(self, since: float) -> int:
        return sum(when >= since for when, _ in self.latencies)

    def served_in(self, share: float) -> float:
        """The quantile of the service times."""
        return sorted(self.services)[int(len(self.services) * share)]


def steady(seconds: float) -> Seconds:
    return lambda now, chance: seconds * chance.uniform(0.9, 1.1)


def varied(seconds: float) -> Seconds:
    """As first tokens are: lognormal, one in six twice as long as the median, and one in ten a long prompt on top."""
    return lambda now, chance: seconds * chance.lognormvariate(0, 0.7) * (8 if chance.random() < 0.1 else 1)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("capacity", [5, 20, 100, 400])
@pytest.mark.parametrize("seconds", [steady(0.5), varied(0.5)], ids=["steady", "varied"])
def test_the_limit_settles_around_the_capacity(capacity: int, seconds: Seconds, seed: int) -> None:
    """Offered all it is allowed, from 64 on. No capacity is wasted, and half of the calls wait no longer than they are served; without
    a limit's learning they wait in a queue of a thousand."""
    learned, end = 60 + 2500 / capacity, 120 + 5000 / capacity
    run = Simulation(Target(capacity, seconds), Adaptive(), seed).run(end, None)
    fixed = AdaptiveTerms(initial=1000, least=1000, most=1000)
    unlearned = Simulation(Target(capacity, seconds), Adaptive(fixed), seed).run(end, None)
    assert 0.8 * capacity <= run.settled(learned) <= 2 * capacity
    assert run.done(learned) >= 0.8 * unlearned.done(learned)
    assert run.worst(learned, 0.5) <= 2 * unlearned.served_in(0.5)
    assert run.worst(learned, 0.5) <= unlearned.worst(learned, 0.5) / 1.7


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("seconds", [steady(0.5), varied(0.5)], ids=["steady", "varied"])
def test_a_healthy_target_under_growing_load_never_refuses(seconds: Seconds, seed: int) -> None:
    """From 10 calls a second to 600, and back, by a tenth each second at the most."""
    rate = lambda now: min(600, 10 * 1.1 ** min(now, max(0, 120 - now)))  # noqa: E731
    run = Simulation(Target(float("inf"), seconds), Adaptive(), seed).run(120, rate)
    assert run.refused == []
    assert run.inflight > 0 and len(run.latencies) > 20_000


@pytest.mark.parametrize("factor", [3, 10])
def test_a_model_that_is_slow_for_itself_keeps_its_limit(factor: int) -> None:
    """All prompts are long from the 60th second on: the load under way grows with them, and after the experiment so does the limit."""
    slow = lambda now, chance: varied(0.5)(now, chance) * (factor if now >= 60 else 1)  # noqa: E731
    run = Simulation(Target(float("inf"), slow), Adaptive()).run(240, lambda now: 60)
    assert [when for when in run.refused if when < 60] == []
    assert [when for when in run.refused if when > 180] == []
    assert len(run.refused) < 0.1 * 240 * 60


def test_long_prompts_among_short_ones_are_no_overload() -> None:
    """Half of the prompts become twenty times as long: the quick half shows that nobody queues."""
    mixed = lambda now, chance: 0.5 * (20 if now >= 60 and chance.random() < 0.5 else 1)  # noqa: E731
    run = Simulation(Target(float("inf"), mixed), Adaptive(AdaptiveTerms(initial=110, most=110)))
    run.run(300, lambda now: 20)
    assert {limit for _, limit in run.limits} == {110}
    assert len(run.refused) < 0.3 * 240 * 20, "what is over 110, at 105 under way on average"


def test_a_storm_of_overload_halves_the_limit_within_latencies_and_is_forgotten() -> None:
    """From 60 to 70 s the target bears 20 at once and refuses the rest; before and after it bears all."""
    target = Target(float("inf"), steady(0.5))
    adaptive = Adaptive()
    run = Simulation(target, adaptive).run(60, lambda now: 300)
    before = adaptive.limit
    assert before >= 150
    target.refuses_above = 20
    run.run(61.5, lambda now: 300)
    assert adaptive.limit <= before / 2
    run.run(70, lambda now: 300)
    assert adaptive.limit <= 40
    late = run.overloads
    run.run(71, lambda now: 300)
    assert run.overloads - late < 150, "most of 300 calls a second are not sent any more"
    target.refuses_above = float("inf")
    run.run(120, lambda now: 300)
    assert [when for when in run.refused if when > 110] == []


@pytest.mark.parametrize("rate", [0.01, 0.03])
def test_rare_overload_does_not_strangle_a_healthy_target(rate: float) -> None:
    """One answer in a hundred (in thirty) is a 529, as of a large provider on any day: traffic passes nearly whole."""
    chance = random.Random(7)
    adaptive = Adaptive(AdaptiveTerms(initial=256))
    now, refused, inflight = 0.0, 0, deque[float]()
    for _ in range(30_000):
        now += chance.expovariate(100)
        while inflight and inflight[0] <= now:
            began = inflight.popleft() - 1.0
            adaptive.observe(began + 1.0, len(inflight) + 1, 1.0, chance.random() < rate)
        if len(inflight) < adaptive.limit:
            inflight.append(now + 1.0)
        else:
            refused += 1
    assert refused < (0.001 if rate == 0.01 else 0.05) * 30_000


@pytest.mark.parametrize(("answers", "limit"), [pytest.param(0, 4, id="ours"), pytest.param(1, 100, id="a provider's")])
def test_a_target_that_answers_nobody_keeps_its_limit_where_that_is_asked_for(answers: int, limit: int) -> None:
    """It is away, not overloaded: cut to the little that was under way, it would come back to a queue. With one answer it is cut."""
    adaptive = Adaptive(AdaptiveTerms(initial=100, least=4, answers=answers))
    for number in range(10):
        adaptive.observe(1.0 + number / 100, 10, None, True)
    assert adaptive.limit == limit
    adaptive.observe(2.0, 10, 0.1, False)
    for number in range(10):
        adaptive.observe(2.0 + number / 100, 10, 0.1, True)
    assert adaptive.limit <= 7


def test_what_was_under_way_at_a_cut_cannot_cut_again() -> None:
    """A hundred calls that fail together are one event."""
    adaptive = Adaptive(AdaptiveTerms(initial=100))
    for _ in range(100):
        adaptive.observe(10.0, 100, 2.0, True)
    assert adaptive.limit == 70
    for _ in range(10):
        adaptive.observe(13.0, 70, 2.0, True)
    assert adaptive.limit == 49


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    adaptive = Adaptive()
    for number in range(10_000):
        adaptive.observe(number * 0.1, 30, 0.5, False)
    assert adaptive.limit == 64


def test_new_terms_keep_what_was_learned() -> None:
    adaptive = Adaptive(AdaptiveTerms(initial=10, most=10))
    adaptive.adopt(AdaptiveTerms(initial=50, most=50))
    assert adaptive.limit == 50
    for _ in range(5):
        adaptive.observe(1.0, 50, None, True)
    adaptive.adopt(AdaptiveTerms(initial=100, most=100))
    assert adaptive.limit == 35
    adaptive.adopt(AdaptiveTerms(initial=20, most=20))
    assert adaptive.limit == 20


@given(
    st.integers(1, 4),
    st.integers(5, 200),
    st.lists(
        st.tuples(st.floats(0, 5), st.integers(0, 2000), st.none() | st.floats(0, 100), st.booleans()), max_size=300
    ),
)
def test_the_limit_stays_within_its_bounds(
    least: int, most: int, results: list[tuple[float, int, float | None, bool]]
) -> None:
    adaptive = Adaptive(AdaptiveTerms(initial=5, least=least, most=most, samples=5))
    now = 0.0
    for later, inflight, seconds, overloaded in results:
        now += later
        adaptive.observe(now, inflight, seconds, overloaded)
        assert least <= adaptive.limit <= most


def test_an_observation_is_cheap() -> None:
    """Well below what a call costs (hundreds of microseconds), the sorting of the windows included."""
    adaptive = Adaptive()
    now = [0.0]

    def once() -> None:
        now[0] += 0.001
        adaptive.observe(now[0], 10, 0.5, False)

    assert min(timeit(once, number=5_000) for _ in range(3)) / 5_000 < 20e-6
