"""Who is let in when there is not room for all: one gate for the whole gateway, in front of everything that costs.

Rules of this file:
- Stands behind Authenticate, for priority is the key's, and before anything of the body is read: a request that is shed costs its
  head, its key and its record. Health, metrics and model lists are not gated.
- A key has a priority, 0 to 9; the header `x-headgate-priority` may lower it for one request, never raise it.
- Who waits longer than `queue_timeout`, or is displaced, gets 503 with Retry-After. A client that leaves while waiting frees its place.
- The event loop's lag is the measure of the gateway's own load, and of nothing else: streams that wait for a provider cost no time.
  While the loop is late by more than LATE, again and again, fewer are let in, no more may wait than that, and the others are shed.
- A refusal costs two thirds of an answer, so refusing alone cannot save a gateway from clients who ask again at once: while the loop
  lags, the connection of who was shed is not read until the Retry-After has passed (HELD_OFF at most).
- The slot is left in `finish`, and only by who had one.

Shown in tests/test_admission.py on real sockets, in tests/stages/test_admit.py for the lag, and by bench/overload.py: asked five times
what it can do by 3,000 clients who heed nothing, on two cores that clients and provider share with it, the gateway gives 2,379 answers
a second, 70 % of its capacity (under a tenth without the connections held off), the half of them within 0.53 s; of 100 looks at its
health 99 are answered within 0.51 s. Costs 1 µs a request.
"""

from __future__ import annotations

import asyncio

from headgate import clock
from headgate.errors import BadRequest, Unavailable
from headgate.limits.concurrency import Adaptive, AdaptiveTerms
from headgate.limits.queue import Gate
from headgate.model.exchange import Exchange
from headgate.stages.base import Stage

HEADER = b"x-headgate-priority"
LEAST = 32
"""Requests that are let in whatever the lag is: as many as keep a core busy."""
TICK = 0.05
"""Seconds between two looks at the event loop."""
LATE = 0.1
"""Seconds: a look that comes later than this says that the loop lags."""
HELD_OFF = 5.0
"""Seconds at most for which a client that was shed while the loop lags is not read."""


def _terms(most: int) -> AdaptiveTerms:
    """Two late looks of ten are lag, one is a hiccup."""
    return AdaptiveTerms(initial=most, least=min(LEAST, most), most=most, samples=10, signals=2)


class Capacity:
    """What the gateway can bear: at most `most` at once, fewer while it lags, and `queue` who wait. One for the process; a reload
    adopts new terms."""

    def __init__(self, most: int, queue: int) -> None:
        self._adaptive = Adaptive(_terms(most))
        self._queue = queue
        self.gate = Gate(lambda: self._adaptive.limit, queue)
        self._watching = False

    @property
    def lags(self) -> bool:
        """Fewer are let in than the config allows."""
        return self._adaptive.limit < self._adaptive.terms.most

    def load(self) -> int:
        """Requests under way and waiting, in percent of those that are let in at once now."""
        seen = self.gate.look()
        return (seen.under_way + seen.waiting) * 100 // seen.limit

    def adopt(self, most: int, queue: int) -> None:
        self._adaptive.adopt(_terms(most))
        self._queue = queue
        self.gate.resize(queue)
        self.gate.admit()

    def watch(self) -> None:
        """Look at the event loop again and again, as long as somebody is under way."""
        if not self._watching:
            self._watching = True
            self._look_again()

    def _look_again(self) -> None:
        asyncio.get_running_loop().call_later(TICK, self._look, clock.mono() + TICK)

    def _look(self, due: float) -> None:
        under_way = self.gate.look().under_way
        self.observe(clock.mono(), due)
        if under_way:
            self._look_again()
        else:
            self._watching = False

    def observe(self, now: float, due: float) -> None:
        """The loop came at `now` to what was due at `due` (monotonic seconds)."""
        self._adaptive.observe(now, self.gate.look().under_way, None, now - due > LATE)
        self.gate.resize(min(self._queue, self._adaptive.limit) if self.lags else self._queue)
        self.gate.admit()


class Admit(Stage):
    name = "admit"

    def __init__(self, capacity: Capacity, seconds: float) -> None:
        self._capacity = capacity
        self._gate = capacity.gate
        self._seconds = seconds

    async def start(self, x: Exchange) -> None:
        x.priority = _priority(x)
        x.load = self._capacity.load
        if x.dry:
            load = self._gate.look()
            free = load.under_way < load.limit
            x.trail.note(self.name, "ok" if free else "waits", priority=x.priority, waiting=load.waiting)
            return
        if self._gate.try_enter():
            x.admitted = True
            x.trail.note(self.name, "ok")
        else:
            await self._wait(x)
        self._capacity.watch()

    async def _wait(self, x: Exchange) -> None:
        began = clock.mono()
        try:
            await self._gate.enter(x.priority, self._seconds)
        except Unavailable as error:
            if self._capacity.lags:
                x.hold_off = min(error.retry_after or 0.0, HELD_OFF)
            raise
        x.admitted = True
        x.trail.note(self.name, "waited", priority=x.priority, seconds=round(clock.mono() - began, 3))

    def finish(self, x: Exchange) -> None:
        if x.admitted:
            x.admitted = False
            self._gate.leave()


def _priority(x: Exchange) -> int:
    """The key's, or what the header lowers it to. Raises BadRequest for a header that is no priority."""
    own = x.identity.priority if x.identity is not None else 0
    asked = x.request.header(HEADER).strip()
    if not asked:
        return own
    if len(asked) != 1 or not asked.isdigit():
        raise BadRequest("x-headgate-priority is a number from 0 to 9", code="invalid_priority")
    return min(own, int(asked))
