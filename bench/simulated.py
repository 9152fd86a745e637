"""Time that passes only when everybody waits: an event loop that jumps to its next timer.

A loop asks its selector to wait until the next timer is due. This one's moves the clock instead and comes back at once, so that an hour
of a gateway's waiting takes as long as its work. `headgate.clock` is the gateway's only source of time and chance, so that is where its
code is told of both.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Coroutine, Iterator
from random import Random
from typing import Any, TypeVar

from headgate import clock

T = TypeVar("T")
BEGIN, EPOCH = 1000.0, 1_800_000_000.0
"""What the monotonic clock shows first, and what the calendar's shows at its zero."""


class _Jumping(selectors.DefaultSelector):
    now = BEGIN

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits, and for nothing that is to come")
        self.now += max(0.0, timeout)
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.selector = _Jumping()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now


@contextlib.contextmanager
def _clock(loop: Loop, draw: Random) -> Iterator[None]:
    """The gateway's clock and chance are the loop's and the seed's."""
    names = ("mono", "mono_ns", "wall", "wall_ns", "draw")
    before = {name: getattr(clock, name) for name in names}
    clock.mono = loop.time
    clock.mono_ns = lambda: int(loop.time() * 1e9)
    clock.wall = lambda: EPOCH + loop.time()
    clock.wall_ns = lambda: int(clock.wall() * 1e9)
    clock.draw = draw.random  # type: ignore[assignment]
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(clock, name, value)


def run(work: Coroutine[Any, Any, T], loop: Loop, seed: int) -> T:
    """What this comes to, in simulated time."""
    with _clock(loop, Random(seed)), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work)
