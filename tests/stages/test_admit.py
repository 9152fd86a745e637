"""What the gateway lets in while its event loop lags: the state alone, and a loop that is really late."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from headgate.errors import Unavailable
from headgate.model.trail import Trail
from headgate.stages.admit import HELD_OFF, LATE, LEAST, TICK, Admit, Capacity


def entered(capacity: Capacity, most: int) -> int:
    """Let in as many of `most` as may enter."""
    return sum(capacity.gate.try_enter() for _ in range(most))


def test_standing_lag_shrinks_what_is_let_in_and_a_quiet_loop_gives_it_back() -> None:
    """From what is under way, not from what is allowed; a single hiccup counts for nothing; never below LEAST."""
    capacity = Capacity(2000, 100)
    assert entered(capacity, 500) == 500
    now = 1000.0
    capacity.observe(now, now - LATE * 3)
    assert capacity.gate.look().limit == 2000
    for _ in range(10):
        now += TICK
        capacity.observe(now, now)
    assert capacity.gate.look().limit == 2000
    for _ in range(2):
        now += 0.3
        capacity.observe(now, now - 0.25)
    assert capacity.gate.look().limit == 350
    assert not capacity.gate.try_enter(), "nobody new, until enough have left"
    for _ in range(60):
        now += 0.3
        capacity.observe(now, now - 0.25)
    assert LEAST <= capacity.gate.look().limit < 500
    for _ in range(500):
        capacity.gate.leave()
    for _ in range(60):
        now += 0.3
        entered(capacity, 2000)
        capacity.observe(now, now - 0.25)
    assert capacity.gate.look().limit < 350
    for _ in range(1200):
        now += TICK
        entered(capacity, 2000)
        capacity.observe(now, now + 0.001)
    assert capacity.gate.look().limit == 2000


def test_new_terms_are_adopted_and_let_in_who_waits() -> None:
    async def run() -> None:
        capacity = Capacity(1, 10)
        assert capacity.gate.try_enter()
        waiting = [asyncio.create_task(capacity.gate.enter(5, 10.0)) for _ in range(3)]
        await asyncio.sleep(0)
        assert capacity.gate.look().waiting == 3
        capacity.adopt(3, 10)
        await asyncio.sleep(0)
        assert [task.done() for task in waiting] == [True, True, False]
        capacity.gate.leave()
        await waiting[2]

    asyncio.run(run())


def asked(priority: int = 5) -> Any:
    """What Admit reads and writes of an exchange."""
    request = SimpleNamespace(header=lambda name: b"")
    identity = SimpleNamespace(priority=priority)
    return SimpleNamespace(request=request, identity=identity, dry=False, admitted=False, hold_off=0.0, trail=Trail())


def test_who_is_shed_is_held_off_while_the_loop_lags_and_only_then() -> None:
    async def shed(capacity: Capacity) -> Any:
        x = asked()
        with pytest.raises(Unavailable):
            await Admit(capacity, 0.0).start(x)
        assert not x.admitted
        return x

    quiet = Capacity(50, 0)
    entered(quiet, 50)
    assert asyncio.run(shed(quiet)).hold_off == 0.0
    lagging = Capacity(1000, 200)
    entered(lagging, 100)
    for number in range(3):
        lagging.observe(1000.0 + number, 1000.0 + number - 2 * LATE)
    assert lagging.lags
    x = asyncio.run(shed(lagging))
    assert 1.0 <= x.hold_off <= HELD_OFF


def test_a_queue_is_no_longer_than_what_is_let_in_while_the_loop_lags() -> None:
    """A long one would only make those who are served slow; the config's length is back with the limit."""

    async def run() -> None:
        capacity = Capacity(1000, 200)
        entered(capacity, 100)
        now = 1000.0
        for _ in range(2):
            now += 0.3
            capacity.observe(now, now - 2 * LATE)
        assert capacity.gate.look().limit == 70
        waiting = [asyncio.create_task(capacity.gate.enter(5, 10.0)) for _ in range(100)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert capacity.gate.look().waiting == 70
        assert sum(task.done() for task in waiting) == 30
        for task in waiting:
            task.cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert sum(isinstance(one, Unavailable) for one in done) == 30

    asyncio.run(run())


def test_a_loop_that_is_late_is_noticed_and_the_watch_ends_with_the_work() -> None:
    """Blocked for real, for 150 ms again and again; 100 under way."""

    async def run() -> None:
        capacity = Capacity(1000, 0)
        assert entered(capacity, 100) == 100
        capacity.watch()
        for _ in range(10):
            time.sleep(LATE + 2 * TICK)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert LEAST <= capacity.gate.look().limit <= 70
        for _ in range(100):
            capacity.gate.leave()
        await asyncio.sleep(3 * TICK)
        assert not capacity._watching

    asyncio.run(run())
