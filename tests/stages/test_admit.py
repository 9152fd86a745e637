"""What the gateway lets in while its event loop lags: the state alone, and a loop that is really late."""

from __future__ import annotations

import asyncio
import time

from headgate.stages.admit import LATE, LEAST, TICK, Capacity


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
