"""The spool: records leave the hot path by one write to a file; a feed (feed.py) brings them to the ledger from there.

Rules of this file:
- `begin` only remembers: the thread writes what has not ended by its next round, and `keep` writes before the first
  part of an answer is shown. So a request that ends within a round costs one write.
- `append` makes one line (segment.py) and one `os.write`: what it returned from survives the death of the process at
  once, and a power cut after at most `sync_every` seconds. It never waits for the disk, the ledger or another thread's
  work, and never drops: a disk that refuses, or a folder at its bound, is an OSError, and the gateway refuses the
  request.
- A thread syncs the file, begins the next one when it is full or broken, and measures the folder.
- A segment is complete once a later one of the same owner has a line: appends are serialised, and go to the newest.
- One spool per process: do not use one across a fork.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Raw, Struct

from headgate import clock
from headgate.model.record import Opened, Record

from . import log, segment
from .base import Ledger
from .feed import Feed
from .feeder import Feeder
from .recovery import Price


class Bounds(Struct, frozen=True, kw_only=True):
    """`segment`: bytes at which a segment is full. `limit`: bytes of all segments in the folder, of every process, that
    may wait for the ledger (measured every `sync_every` seconds)."""

    segment: int = 8 << 20
    limit: int = 1 << 30
    sync_every: float = 0.2
    feed_every: float = 0.1


class State(Struct, frozen=True, kw_only=True):
    """For metrics and health. `bytes`: all segments of the folder; `unfed` of them not in the ledger; `lag`: seconds
    since the ledger had everything. `damaged` lines were skipped, `rejected` ones set aside; `fault`: why records are
    refused."""

    bytes: int
    unfed: int
    lag: float
    damaged: int
    rejected: int
    fault: str


_BOUNDS = Bounds()


class FileSpool:
    """A `Spool` over a folder, and the feed of that folder. `start` begins a thread for each; tests call `sync` and
    `feed`, one round of either, by hand instead. `price` is asked for attempts that a crash cut off. With a `feeder` the
    feed is a process of its own; only the last round, at the end, is ours then."""

    def __init__(
        self, folder: Path, ledger: Ledger, price: Price, bounds: Bounds = _BOUNDS, feeder: Feeder | None = None
    ) -> None:
        if bounds.limit < 4 * bounds.segment:
            raise ValueError("the bound of the spool must hold four segments")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._bounds = folder, bounds
        self._feed = Feed(folder, ledger, price, every=bounds.feed_every)
        self._feeder = feeder
        while (claim := segment.claim(folder, owner := clock.new_id("s"))) is None:
            continue  # a feed looked at our lock between its creation and ours: it finds nothing there and removes it
        self._owner, self._claim = owner, claim
        self._lock = threading.Lock()
        """Guards what `append` uses. Held for a write and for the change of segments, never for a sync."""
        self._number = 1
        self._file = segment.create(folder / segment.name(owner, 1))
        self._size = self._synced = len(segment.MAGIC)
        self._total = segment.total(folder)
        self._fault: OSError | None = None
        self._begun: dict[str, Callable[[], Opened]] = {}
        """Requests under way that are not on disk: most end before the next round, and then need not be."""
        self._closed = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, request_id: str, opened: Callable[[], Opened]) -> None:
        if self._fault is not None or self._closed or self._total > self._bounds.limit:
            raise self._refusal()
        self._begun[request_id] = opened

    def keep(self, request_id: str) -> None:
        with self._lock:
            opened = self._begun.pop(request_id, None)
            if opened is not None:
                self._write(segment.frame((opened(),)))

    def append(self, records: Sequence[Record | Raw], ends: str = "") -> None:
        line = segment.frame(records)
        with self._lock:
            self._begun.pop(ends, None)
            self._write(line)

    def _write(self, line: bytes) -> None:
        """One write; the lock is held."""
        size = len(line)
        if self._fault is not None or self._closed or self._total + size > self._bounds.limit:
            raise self._refusal()
        if os.write(self._file, line) != size:
            self._undo()
            raise OSError(errno.ENOSPC, "no space left for records", str(self._folder))
        self._size += size
        self._total += size

    def _keep_all(self) -> None:
        """What was begun and has not ended since the last round. Lines go out in the order of the events: whoever ends a request
        takes it from `_begun` under the same lock."""
        taken: dict[str, Callable[[], Opened]] = {}
        with self._lock:
            while self._begun and not self._closed:  # one by one: `begin` adds to it without the lock
                taken.update((self._begun.popitem(),))
            try:
                if taken:
                    self._write(segment.frame([opened() for opened in taken.values()]))
            except OSError:
                for request_id, opened in taken.items():
                    self._begun.setdefault(request_id, opened)
                raise

    def _refusal(self) -> OSError:
        where = str(self._folder)
        if self._closed:
            return OSError(errno.EBADF, "the spool is closed", where)
        if self._fault is not None:
            return OSError(self._fault.errno or errno.EIO, f"the disk refused: {self._fault.strerror}", where)
        return OSError(errno.EDQUOT, "the spool is at its bound: the ledger does not take records", where)

    def _undo(self) -> None:
        """Take half a line back; if even that fails, this file takes no more and `sync` begins another."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError as error:
            self._fault = error

    def sync(self) -> None:
        """Bring what was appended to the disk; begin a new segment after a full or a broken one. Raises OSError."""
        self._keep_all()
        size = self._size
        if self._fault is None and self._synced < size:
            try:
                os.fdatasync(self._file)
            except OSError as error:
                self._fault = error  # the data may be lost with the next power cut, whatever a second sync says
                raise
            self._synced = size
        if self._size >= self._bounds.segment or self._fault is not None:
            self._change()
        total = segment.total(self._folder)
        with self._lock:
            self._total = total

    def _change(self) -> None:
        fresh = segment.create(
            self._folder / segment.name(self._owner, self._number + 1)
        )  # synced: the disk takes data
        with self._lock:
            old, self._file = self._file, fresh
            self._number += 1
            self._size = self._synced = len(segment.MAGIC)
            broken, self._fault = self._fault, None
        try:
            if broken is None:
                os.fdatasync(old)
        finally:
            os.close(old)

    def feed(self) -> int:
        """One round of the feed (feed.py): the number of records that the ledger got. Raises Unavailable."""
        return self._feed.feed()

    def start(self) -> None:
        (self._feeder or self._feed).start()
        self._thread = threading.Thread(target=self._repeat, name="spool", daemon=True)
        self._thread.start()

    def _repeat(self) -> None:
        told = False
        while not self._stop.wait(self._bounds.sync_every):
            try:
                self.sync()
                told = False
            except Exception as error:  # noqa: BLE001 - a thread that dies would leave records unsynced, unseen
                if not told:
                    log.error("the disk does not take records", error=repr(error))
                told = True

    def state(self) -> State:
        feed = self._feeder or self._feed
        return State(
            bytes=self._total,
            unfed=feed.unfed,
            lag=feed.lag(),
            damaged=feed.damaged,
            rejected=feed.rejected,
            fault="" if self._fault is None else str(self._fault),
        )

    def close(self) -> None:
        """Take no more, sync, and feed the ledger the rest. What it does not take now stays for the next start.
        Requests that never ended look like those of a crash, and are closed as such."""
        if self._closed:
            return
        try:
            self._keep_all()
        except OSError as error:
            log.error("the disk did not take records", error=str(error))
        with self._lock:
            self._closed = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        try:
            os.fdatasync(self._file)
        except OSError as error:
            log.error("the disk did not take records", error=str(error))
        os.close(self._file)
        os.close(self._claim)
        if self._feeder is not None:
            self._feeder.close()
        self._feed.close()
