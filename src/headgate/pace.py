"""The floor under a stream's rate: one that trickles below it has failed, though it never falls silent.

Rules of this file:
- The unit is tokens a second: what operators promise and what providers publish. Bytes of the wire would measure framing (the same
  token is 20 bytes in one dialect and 300 in another) and take a server's keep-alive comments for progress. Tokens are those that the
  meter has seen at most: who is just fast enough is let be.
- Only time spent waiting for the provider counts: a caller who reads slowly makes nobody slow.
- Nothing is done when something arrives: the text so far is compared once a window, by one timer a stream, which is moved lazily.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from headgate.errors import UpstreamTimeout
from headgate.meter import Meter
from headgate.net import Response, Sink
from headgate.routing.policy import RateTerms

T = TypeVar("T")
MOMENT = 1e-3
"""Seconds that are not worth a timer."""


class Paced(Response):
    """A response whose rest must keep up a rate, by what `meter` sees of it. Reads raise UpstreamTimeout (`too_slow`)."""

    def __init__(self, inner: Response, meter: Meter, terms: RateTerms) -> None:
        self.status = inner.status
        self.headers = inner.headers
        self._inner = inner
        self._meter = meter
        self._window = terms.window
        self._least = terms.tokens * terms.window
        self._loop = asyncio.get_running_loop()
        self._seen = meter.said
        self._waited = 0.0
        """Seconds of the present window that were spent reading, up to `_began`."""
        self._began = 0.0
        self._reading: asyncio.Timeout | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def behind(self) -> bool:
        return self._inner.behind

    async def read(self) -> bytes:
        return await self._timed(self._inner.read())

    async def pour(self, sink: Sink) -> bool:
        return await self._timed(self._inner.pour(sink))

    def limit(self, seconds: float | None) -> None:
        self._inner.limit(seconds)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._inner.close()

    async def _timed(self, reading: Awaitable[T]) -> T:
        self._began = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_at(self._began + self._window - self._waited, self._tick)
        try:
            async with asyncio.timeout(None) as self._reading:
                return await reading
        except TimeoutError:
            raise UpstreamTimeout("the upstream's answer trickles", code="too_slow") from None
        finally:
            self._reading = None
            self._waited += self._loop.time() - self._began

    def _tick(self) -> None:
        self._timer = None
        reading, now = self._reading, self._loop.time()
        if reading is None:
            return  # the next read sets a timer for the rest of the window
        if (left := self._window - self._waited - (now - self._began)) < MOMENT:
            if self._meter.said - self._seen < self._least:
                reading.reschedule(now)
                return
            self._seen, self._waited, self._began, left = self._meter.said, 0.0, now, self._window
        self._timer = self._loop.call_at(now + left, self._tick)
