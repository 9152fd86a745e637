"""The requests under way, and how they are brought to an end when the gateway is told to stop.

Rules of this file:
- A request is under way from its head to the end of its answer, its children to the end of theirs.
- Once the drain has begun nothing new is taken, and the gateway is not ready; what is under way may end.
- Who is interrupted is marked before its task is cancelled: so the task knows that it is not the client who left, and tells it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from headgate import clock
from headgate.errors import Draining
from headgate.model.exchange import Exchange


class Drain:
    __slots__ = ("begun", "under_way")

    def __init__(self) -> None:
        self.begun = False
        self.under_way: dict[asyncio.Task[Any], Exchange] = {}

    def begin(self) -> None:
        self.begun = True

    async def over(self, seconds: float) -> None:
        """Wait until nothing is under way, for so long at most. Who is under way may still make children."""
        until = clock.mono() + seconds
        while self.under_way and (left := until - clock.mono()) > 0:
            await asyncio.wait(list(self.under_way), timeout=left)

    def interrupt(self) -> int:
        """End every request under way with an error that says so; how many there were."""
        last = [(task, x) for task, x in self.under_way.items() if x.interrupted is None]
        for task, x in last:
            x.interrupted = Draining("the gateway stops: this request took longer than it may", retry_after=1.0)
            task.cancel()
        return len(last)
