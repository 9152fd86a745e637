"""Who is under way and who waits: at most a limit of the first, at most a size of the others.

Rules of this file:
- Served by priority (9 is the highest), within one in the order of arrival. A newcomer never overtakes who waits.
- A full queue sheds the newest of its lowest priority; that is the newcomer, unless somebody waits who is worth less.
- When the limit shrinks nobody is thrown out, and nobody enters until enough have left.
- Every slot that was given is left once, every waiter ends once: served, shed, too late or gone. `Line` decides and knows neither time
  nor futures; `Gate` is the futures around it. Its fast path awaits nothing (measured: 0.1 µs to enter, 0.14 µs to leave).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from headgate import clock
from headgate.errors import Unavailable

W = TypeVar("W")

LEVELS = 10
"""Priorities are 0 to 9."""
RECENT = 30.0
"""Seconds of departures that say how fast the queue moves."""
DEPARTURES = 256
"""Of them at most so many, the last ones."""
UNKNOWN = 5.0
"""Retry-After in seconds where too few left lately to know the pace."""
LONGEST = 60.0
"""The longest Retry-After."""


class Line(Generic[W]):
    """The decisions. `W` is whatever tells waiters apart."""

    __slots__ = ("_levels", "size", "under_way", "waiting")

    def __init__(self, size: int) -> None:
        self.size = size
        self.under_way = 0
        self.waiting = 0
        self._levels: tuple[OrderedDict[W, None], ...] = tuple(OrderedDict() for _ in range(LEVELS))

    def join(self, waiter: W, priority: int) -> W | None:
        """Take a place in the queue. Returns who is shed for it, which may be this waiter itself."""
        shed: W | None = None
        if self.waiting >= self.size:
            lowest = next((level for level in range(priority) if self._levels[level]), None)
            if lowest is None:
                return waiter
            shed, _ = self._levels[lowest].popitem()
            self.waiting -= 1
        self._levels[priority][waiter] = None
        self.waiting += 1
        return shed

    def quit(self, waiter: W, priority: int) -> bool:
        """Give the place up; False for who has none (any more)."""
        if waiter not in self._levels[priority]:
            return False
        del self._levels[priority][waiter]
        self.waiting -= 1
        return True

    def next(self, limit: int) -> W | None:
        """Who enters now, if anybody may: one slot is his."""
        if not self.waiting or self.under_way >= limit:
            return None
        level = next(level for level in reversed(self._levels) if level)
        waiter, _ = level.popitem(last=False)
        self.waiting -= 1
        self.under_way += 1
        return waiter


class Load(Struct, frozen=True):
    under_way: int
    waiting: int
    limit: int


class Gate:
    """At most `limit()` under way. `what` is at capacity when it refuses. For one event loop's thread."""

    __slots__ = ("_appointed", "_departures", "_limit", "_line", "_what")

    def __init__(self, limit: Callable[[], int], size: int, what: str = "the gateway") -> None:
        self._limit = limit
        self._what = what
        self._line: Line[asyncio.Future[bool]] = Line(size)
        self._departures: deque[float] = deque(maxlen=DEPARTURES)
        self._appointed = 0.0
        """The last moment at which somebody who was refused was told to come again."""

    @property
    def under_way(self) -> int:
        return self._line.under_way

    @property
    def free(self) -> bool:
        """Would `try_enter` succeed? Without effect."""
        return self._line.under_way < self._limit() and not self._line.waiting

    def look(self) -> Load:
        return Load(self._line.under_way, self._line.waiting, self._limit())

    def resize(self, size: int) -> None:
        """A new size of the queue; who waits already stays."""
        self._line.size = size

    def try_enter(self) -> bool:
        """A slot, if one is free and nobody waits for it. It must be left."""
        line = self._line
        if line.under_way < self._limit() and not line.waiting:
            line.under_way += 1
            return True
        return False

    async def enter(self, priority: int, seconds: float) -> None:
        """A slot, waited for at most `seconds`. It must be left, unless this raises: Unavailable (over_capacity) when shed or too late,
        CancelledError when the waiter itself is gone. `priority` is 0 to 9."""
        self.admit()  # the limit may have grown since
        if self.try_enter():
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        shed = self._line.join(waiter, priority)
        if shed is waiter:
            raise self.full()
        if shed is not None:
            _tell(shed, False)
        timer = loop.call_later(seconds, self._give_up, waiter, priority)
        try:
            entered = await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.result():
                self.leave()  # it was let in and cancelled before it could know
            else:
                self._line.quit(waiter, priority)
            raise
        finally:
            timer.cancel()
        if not entered:
            raise self.full()

    def leave(self) -> None:
        line = self._line
        line.under_way -= 1
        self._departures.append(clock.mono())
        if line.waiting:
            self.admit()

    def admit(self) -> None:
        """Let in whoever may: after a departure, or when the limit has grown."""
        line = self._line
        while line.waiting and (waiter := line.next(self._limit())) is not None:
            if not _tell(waiter, True):
                line.under_way -= 1

    def _give_up(self, waiter: asyncio.Future[bool], priority: int) -> None:
        if self._line.quit(waiter, priority):
            _tell(waiter, False)

    def full(self) -> Unavailable:
        """The refusal, with when to come again: an appointment behind all who wait, and behind all who were given one before."""
        now = clock.mono()
        self._appointed, wait = appointment(self._appointed, self._line.waiting, self._departures, now)
        return Unavailable(
            f"{self._what} is at capacity: try again in {wait:.0f} s", code="over_capacity", retry_after=wait
        )


def _tell(waiter: asyncio.Future[bool], entered: bool) -> bool:
    """False where the waiter is cancelled, and its task has not run since."""
    if waiter.done():
        return False
    waiter.set_result(entered)
    return True


def appointment(last: float, waiting: int, departures: deque[float], now: float) -> tuple[float, float]:
    """The next appointment, and the seconds until it, in [1, LONGEST]: one for each departure at the present pace, from when the
    queue will be through, or from the `last` appointment. So those who are refused together do not come again together.
    Departures older than RECENT are forgotten."""
    while departures and now - departures[0] > RECENT:
        departures.popleft()
    if len(departures) < 2:
        return last, UNKNOWN
    pace = (now - departures[0]) / (len(departures) - 1)
    last = min(max(last, now + waiting * pace) + pace, now + LONGEST)
    return last, max(1.0, last - now)
