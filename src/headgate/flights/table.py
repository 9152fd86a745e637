"""Which answers may be shared, and for how long: those under way, and those that are kept. No I/O; `now` is monotonic seconds.

Rules of this file:
- One flight a key. Who finds it may join its recording, as long as that is open.
- What is held for newcomers is bounded: MOST bytes a recording, TOTAL together. Room is made by letting go of the oldest answer that is
  kept; where none is left, the recording that grows is closed to newcomers.
- A kept answer is let go when its time is up; the oldest is the first.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from headgate.flights.recording import Held, Recording

MOST = 16 << 20
TOTAL = 64 << 20
"""Bytes."""
KEEP = 600.0
"""Seconds for which an answer is kept."""


class Recorded(Protocol):
    @property
    def recording(self) -> Recording: ...


F = TypeVar("F", bound=Recorded)


class Table(Generic[F]):
    def __init__(self) -> None:
        self.held = Held()
        self._under_way: dict[Hashable, F] = {}
        self._kept: dict[Hashable, tuple[F, float]] = {}
        """In the order in which they were kept; until when."""

    def __len__(self) -> int:
        return len(self._under_way) + len(self._kept)

    def find(self, key: Hashable, now: float) -> F | None:
        self.expire(now)
        kept = self._kept.get(key)
        return kept[0] if kept is not None else self._under_way.get(key)

    def begin(self, key: Hashable, flight: F) -> None:
        """Of a key that finds none."""
        self._under_way[key] = flight

    def grown(self, flight: F) -> None:
        """Its recording holds more than before: room is made."""
        while self.held.bytes > TOTAL and self._kept:
            self._drop(next(iter(self._kept)))
        if flight.recording.size > MOST or self.held.bytes > TOTAL:
            flight.recording.close()

    def end(self, key: Hashable, flight: F, now: float, *, keep: bool) -> None:
        """It is not under way any more: kept, or nobody finds it again. Who reads it may read on."""
        if self._under_way.get(key) is flight:
            del self._under_way[key]
            if keep and flight.recording.open:
                self._kept[key] = flight, now + KEEP
                return
        flight.recording.close()

    def expire(self, now: float) -> None:
        while self._kept and next(iter(self._kept.values()))[1] <= now:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        flight, _ = self._kept.pop(key)
        flight.recording.close()
