"""One call to a provider whose answer several callers get: the carrier's side (`Tap`), a caller's (`Listening`), and what stands
between them (`Flight`).

Rules of this file:
- Frames are recorded as they come from the provider, before any guard or rendering: each caller has its own of both.
- A caller gets copies: guards and renders write into frames.
- The carrier waits for its fastest reader, as a request of one caller does for its only one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from headgate.errors import HeadgateError, Unavailable
from headgate.flights.recording import Reader, Recording
from headgate.flights.wish import Wish
from headgate.model.events import Event, Frame, PartDelta, Slot
from headgate.model.record import AttemptRow
from headgate.model.trail import Note
from headgate.net import Headers
from headgate.prepare import Prepared
from headgate.upstream import Source


class Carried(Struct, frozen=True, kw_only=True):
    """What a caller must know of the answer beside its frames. Refers to nothing of the carrier: it may be kept for long."""

    prepared: Prepared
    """Without its body."""
    body_bytes: int
    row: AttemptRow
    framing: str
    whole: bool
    headers: Headers
    trail: tuple[Note, ...]
    """How it was come by."""


class Flight:
    """One answer for all who want it."""

    def __init__(self, wish: Wish, recording: Recording, carrier: str) -> None:
        self.wish = wish
        self.recording = recording
        self.carrier = carrier
        """The id of the exchange that makes the call."""
        self.carried: Carried | None = None
        self.heard_out = False
        """The provider's answer came to its end, whatever it said."""
        self.task: asyncio.Task[bool] | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def begun(self) -> Carried:
        """Once the answer is committed. Raises why it is not."""
        while self.carried is None:
            if self.recording.error is not None:
                raise self.recording.error.anew()
            await self.news()
        return self.carried

    def begin(self, carried: Carried) -> None:
        self.carried = carried
        self.recording.burden(carried.body_bytes if carried.prepared.prompt is not None else 0)
        _wake(self._news)

    def add(self, frames: Sequence[Frame], complete: bool) -> None:
        self.recording.add(frames, complete)
        _wake(self._news)

    def end(self, error: HeadgateError | None) -> None:
        self.recording.end(error)
        self.task = None
        _wake(self._news)

    def taken(self) -> None:
        """A reader took something, or left."""
        _wake(self._room)

    async def news(self) -> None:
        await self._news.wait()

    async def room(self) -> None:
        """Until more may come."""
        while self.recording.ahead:
            await self._room.wait()


def _wake(event: asyncio.Event) -> None:
    """All who wait now."""
    event.set()
    event.clear()


class Tap(Source):
    """The provider's answer on its way to the carrier. `record` is given its frames, and whether the answer's end was among them."""

    def __init__(self, source: Source, flight: Flight, record: Callable[[Sequence[Frame], bool], None]) -> None:
        self.framing, self.whole, self.progress = source.framing, source.whole, source.progress
        self.limit, self.close = source.limit, source.close  # type: ignore[method-assign]
        self._source = source
        self._flight = flight
        self._record = record

    async def read(self) -> list[Frame]:
        await self._flight.room()
        frames = await self._source.read()
        if frames:
            self._record(frames, self.progress.complete)
        else:
            self._flight.heard_out = True
        return frames

    def rest(self) -> list[Frame]:
        frames = self._source.rest()
        if frames:
            self._record(frames, True)
        return frames


class Listening(Source):
    """The answer as one caller gets it. `left` is told when the caller goes."""

    def __init__(self, flight: Flight, reader: Reader, left: Callable[[Flight], None]) -> None:
        self.progress = reader
        self._flight = flight
        self._reader = reader
        self._left = left

    async def begun(self) -> Carried:
        carried = await self._flight.begun()
        self.framing, self.whole = carried.framing, carried.whole
        return carried

    async def read(self) -> list[Frame]:
        flight, recording = self._flight, self._flight.recording
        while True:
            frames = recording.take(self._reader)
            if frames:
                flight.taken()
                return [_own(frame) for frame in frames]
            if self._reader.cut:
                raise Unavailable("this answer is shared, and the others did not wait for you", code="reader_too_slow")
            if recording.over:
                if recording.error is not None:
                    raise recording.error.anew()
                return []
            await flight.news()

    def limit(self, seconds: float | None) -> None:
        """The carrier's own limits end it."""

    def close(self) -> None:
        self._flight.recording.leave(self._reader)
        self._flight.taken()
        self._left(self._flight)


def _own(frame: Frame) -> Frame:
    return replace(frame, events=tuple(_unplaced(event) for event in frame.events))


def _unplaced(event: Event) -> Event:
    """A slot is stamped on its way (`Slot.home`)."""
    if isinstance(event, PartDelta) and event.slot is not None:
        return replace(event, slot=Slot(path=event.slot.path))
    return event
