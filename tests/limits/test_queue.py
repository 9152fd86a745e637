"""The gate keeps its limit, loses no slot and no waiter, and sheds who should be shed; with real futures, and whatever happens when."""

from __future__ import annotations

import asyncio
from collections import deque
from timeit import timeit

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from headgate.errors import Unavailable
from headgate.limits.queue import LONGEST, UNKNOWN, Gate, Load, appointment

SIZE = 5


class Entering(RuleBasedStateMachine):
    """Against a model that sorts a list. A caller is a task; its name is its number."""

    @initialize(limit=st.integers(1, 4), size=st.integers(0, SIZE))
    def begin(self, limit: int, size: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.limit, self.size = limit, size
        self.gate = Gate(lambda: self.limit, size)
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.inside = 0
        self.waiting: list[tuple[int, int]] = []
        """(-priority, number), which sorts as they are served."""
        self.expected: dict[int, str] = {}
        self.number = 0

    def settle(self) -> None:
        for _ in range(4):
            self.loop.run_until_complete(asyncio.sleep(0))

    def serve(self) -> None:
        self.waiting.sort()
        while self.waiting and self.inside < self.limit:
            self.expected[self.waiting.pop(0)[1]] = "in"
            self.inside += 1

    def arrives(self, priority: int, seconds: float = 1000.0) -> int:
        self.number += 1
        self.tasks[self.number] = self.loop.create_task(self.gate.enter(priority, seconds))
        return self.number

    @rule(priority=st.integers(0, 9))
    def comes(self, priority: int) -> None:
        number = self.arrives(priority)
        self.settle()
        self.serve()
        if self.inside < self.limit and not self.waiting:
            self.inside += 1
            self.expected[number] = "in"
            return
        self.waiting.append((-priority, number))
        if len(self.waiting) > self.size:
            lowest = max(self.waiting)
            self.waiting.remove(lowest)
            self.expected[lowest[1]] = "refused"

    @rule()
    def tries(self) -> None:
        entered = self.gate.try_enter()
        assert entered == (self.inside < self.limit and not self.waiting)
        self.inside += entered

    @precondition(lambda self: self.inside)
    @rule()
    def leaves(self) -> None:
        self.gate.leave()
        self.settle()
        self.inside -= 1
        self.serve()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), leaving=st.booleans(), late=st.booleans())
    def gives_up(self, data: st.DataObject, leaving: bool, late: bool) -> None:
        """Also in the very moment in which a slot comes free, before or after it is given."""
        who = data.draw(st.sampled_from(sorted(self.waiting)))
        if leaving and late and self.inside:
            self.gate.leave()  # who is first has the slot, and does not know it yet
            self.inside -= 1
            before = list(self.waiting)
            self.serve()
            if who in before and who not in self.waiting:
                self.inside -= 1
                self.serve()
            else:
                self.waiting.remove(who)
            self.tasks[who[1]].cancel()
        else:
            self.tasks[who[1]].cancel()
            self.waiting.remove(who)
            if leaving and self.inside:
                self.gate.leave()
                self.inside -= 1
                self.serve()
        self.expected[who[1]] = "gone"
        self.settle()

    @rule(limit=st.integers(1, 6), admit=st.booleans())
    def changes(self, limit: int, admit: bool) -> None:
        """A limit that shrinks throws nobody out; one that grows is used at the next word."""
        self.limit = limit
        if admit:
            self.gate.admit()
            self.settle()
            self.serve()

    @precondition(lambda self: self.inside >= self.limit and len(self.waiting) < self.size)
    @rule(priority=st.integers(0, 9))
    def comes_and_has_no_time(self, priority: int) -> None:
        number = self.arrives(priority, 0.0)
        self.settle()
        self.loop.run_until_complete(asyncio.sleep(0.001))
        self.expected[number] = "refused"

    @invariant()
    def each_is_where_it_should_be(self) -> None:
        if not hasattr(self, "gate"):
            return
        assert self.gate.look() == Load(self.inside, len(self.waiting), self.limit)
        for number, task in self.tasks.items():
            state = "waiting"
            if task.done():
                state = "gone" if task.cancelled() else "refused" if task.exception() else "in"
            assert state == self.expected.get(number, "waiting"), number

    def teardown(self) -> None:
        if not hasattr(self, "gate"):
            return
        for task in self.tasks.values():
            task.cancel()
        self.settle()
        assert self.gate.look().waiting == 0
        for task in self.tasks.values():
            if not task.cancelled():
                task.exception()
        self.loop.close()


Entering.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestEntering = Entering.TestCase


def test_the_limit_holds_while_many_come_and_go() -> None:
    """Three hundred callers of all priorities, a limit that wanders: never more inside than allowed when the last one entered."""
    limit = [5]
    inside = 0
    served: list[int] = []

    async def caller(gate: Gate, number: int) -> None:
        nonlocal inside
        await gate.enter(number % 10, 30.0)
        inside += 1
        assert inside <= max(limit[0], 5)
        for _ in range(number % 7):
            await asyncio.sleep(0)
        served.append(number)
        inside -= 1
        gate.leave()
        limit[0] = 1 + number % 5

    async def all_of_them() -> None:
        gate = Gate(lambda: limit[0], 1000)
        await asyncio.gather(*(caller(gate, number) for number in range(300)))
        assert gate.look().under_way == gate.look().waiting == 0

    asyncio.run(all_of_them())
    assert sorted(served) == list(range(300))


def test_who_is_refused_is_told_when_to_come_again() -> None:
    """503, a code, and the time that those before it will take at the present pace."""

    async def full() -> Unavailable:
        gate = Gate(lambda: 1, 0, "the target")
        assert gate.try_enter()
        with pytest.raises(Unavailable) as refused:
            await gate.enter(9, 1.0)
        return refused.value

    error = asyncio.run(full())
    assert (error.status, error.code, error.retry_after) == (503, "over_capacity", UNKNOWN)
    assert "the target is at capacity" in error.message


@pytest.mark.parametrize(
    ("waiting", "departures", "seconds"),
    [
        (9, [], UNKNOWN),
        (9, [99.0], UNKNOWN),
        (9, [90.0, 92.0, 94.0, 96.0, 98.0], 25.0),
        (0, [99.8, 99.9], 1.0),
        (1000, [90.0, 95.0], LONGEST),
        (1, [1.0, 2.0, 3.0, 98.0, 99.0], 4.0),
    ],
)
def test_the_estimate_follows_the_pace(waiting: int, departures: list[float], seconds: float) -> None:
    """Ten to be served and one leaving every two and a half seconds: twenty-five. What is half a minute past does not count."""
    assert appointment(0.0, waiting, deque(departures), 100.0)[1] == pytest.approx(seconds)


def test_who_is_refused_together_comes_again_one_after_the_other() -> None:
    """One appointment for each departure, behind those who wait: no herd comes at the same moment, and none before its turn."""
    pace = deque([90.0, 92.0, 94.0, 96.0, 98.0, 100.0])
    last, told = 0.0, []
    for _ in range(40):
        last, wait = appointment(last, 3, pace, 100.0)
        told.append(wait)
    assert told[:4] == [8.0, 10.0, 12.0, 14.0]
    assert told[-1] == LONGEST
    assert appointment(last, 0, deque([195.0, 200.0]), 200.0)[1] == 5.0, "appointments that are past count no more"


def test_the_fast_path_is_fast() -> None:
    gate = Gate(lambda: 10, 10)

    def through() -> None:
        gate.try_enter()
        gate.leave()

    assert min(timeit(through, number=20_000) for _ in range(5)) / 20_000 < 5e-6
