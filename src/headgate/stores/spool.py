"""The spool: records leave the hot path by one write to a file, and reach the ledger later, by themselves.

Rules of this file:
- `append` makes one line (segment.py) and one `os.write`: what it returned from survives the death of the process at
  once, and a power cut after at most `sync_every` seconds. It never waits for the disk, the ledger or another thread's
  work, and never drops: a disk that refuses, or a spool at its bound, is an OSError, and the gateway refuses the
  request.
- One thread syncs the file and begins the next one; another feeds the ledger. A ledger that is down only makes the
  spool grow.
- A segment goes only when all of it is committed in the ledger. What belongs to requests still under way is first kept
  in the checkpoint (number 0), put in place by an atomic rename *before* the segment goes: read in order, the files
  tell the same story at every moment, so that recovery finds exactly the requests that a crash cut off.
- Segments whose owner is dead are recovered (recovery.py), at the start and while running: several workers may share a
  folder.
- One spool per process: do not use one across a fork.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from msgspec import Struct

from headgate import clock
from headgate.errors import Unavailable
from headgate.model.record import Record

from . import recovery, segment
from .base import Ledger
from .recovery import Price

_log = structlog.get_logger("headgate.spool")


class Bounds(Struct, frozen=True, kw_only=True):
    """Bytes and seconds. `limit`: all segments together, this process's own and those it took over from dead ones."""

    segment: int = 8 << 20
    limit: int = 1 << 30
    sync_every: float = 0.2
    feed_every: float = 0.1
    adopt_every: float = 5.0
    batch: int = 512
    """Records in one transaction of the ledger."""


_BOUNDS = Bounds()


class State(Struct, frozen=True, kw_only=True):
    """For metrics and health. `bytes` on disk, `unfed` of them not yet in the ledger, `lag` seconds since it last had
    everything."""

    bytes: int
    unfed: int
    lag: float
    segments: int
    damaged: int
    rejected: int
    fault: str = ""


class _Segment:
    """One of our own files. `size` counts what `append` finished, so a reader that stops there sees whole lines
    only."""

    def __init__(self, path: Path, number: int, file: int) -> None:
        self.path = path
        self.number = number
        self.file = file
        self.size = self.synced = len(segment.MAGIC)
        self.reader = segment.Reader(path)

    @property
    def unfed(self) -> int:
        return self.size - self.reader.offset


class FileSpool:
    """A `Spool` over a folder. `start` begins the threads; tests call `sync` and `feed`, one round each, by hand
    instead."""

    def __init__(self, folder: Path, ledger: Ledger, price: Price, bounds: Bounds = _BOUNDS) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._ledger, self._price, self._bounds = folder, ledger, price, bounds
        self._owner = clock.new_id("s")
        lock = segment.claim(folder, self._owner)
        if lock is None:
            raise OSError(errno.EBUSY, "another process has just taken this spool's name", str(folder))
        self._claim = lock
        self._lock = threading.Lock()
        """Guards the current segment, the list of segments and what is counted of them: held for a write, never for a
        sync."""
        self._feeding = threading.Lock()
        self._sealed: list[_Segment] = []
        self._current = self._create(1)
        self._bytes = self._current.size
        self._adopted = 0
        self._under_way = recovery.UnderWay()
        self._fault: OSError | None = None
        self._closed = False
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._abreast = clock.mono()
        self._next_adoption = 0.0
        self._foreign: set[str] = set()
        self._damaged = self._rejected = 0

    def append(self, records: Sequence[Record]) -> None:
        line = segment.frame(records)
        size = len(line)
        with self._lock:
            current = self._current
            if self._fault is not None or self._closed or self._bytes + self._adopted + size > self._bounds.limit:
                raise self._refusal()
            if os.write(current.file, line) != size:
                self._undo(current)
                raise OSError(errno.ENOSPC, "no space left for records", str(current.path))
            current.size += size
            self._bytes += size

    def _refusal(self) -> OSError:
        if self._closed:
            return OSError(errno.EBADF, "the spool is closed", str(self._folder))
        if self._fault is not None:
            return OSError(
                self._fault.errno or errno.EIO, f"the disk refused: {self._fault.strerror}", str(self._folder)
            )
        return OSError(errno.EDQUOT, "the spool is at its bound: the ledger does not take records", str(self._folder))

    def _undo(self, current: _Segment) -> None:
        """Take half a line back; if even that fails, this file takes no more and `sync` begins another."""
        try:
            os.ftruncate(current.file, current.size)
        except OSError as error:
            self._fault = error

    # the disk

    def sync(self) -> None:
        """Bring what was appended to the disk; begin a new segment after a full or a broken one."""
        current = self._current
        size = current.size
        try:
            if current.synced < size:
                os.fdatasync(current.file)
                current.synced = size
        except OSError as error:
            _log.error("the disk did not take records", file=current.path.name, error=str(error))
            self._fault = error
        if current.size >= self._bounds.segment or self._fault is not None:
            try:
                self._rotate()
            except OSError as error:
                _log.error("the change of segments failed", error=str(error))

    def _rotate(self) -> None:
        fresh = self._create(self._current.number + 1)  # written and synced: the disk takes data again
        with self._lock:
            old, self._current = self._current, fresh
            self._sealed.append(old)
            self._bytes += fresh.size
            broken, self._fault = self._fault, None
        try:
            if broken is None:
                os.fdatasync(old.file)
        finally:
            os.close(old.file)
            old.file = -1

    def _create(self, number: int) -> _Segment:
        path = self._folder / segment.name(self._owner, number)
        return _Segment(path, number, segment.create(path))

    # the ledger

    def feed(self) -> int:
        """Give the ledger what it has not got yet, and drop the segments that this completes; the number of records
        (of our own). Raises Unavailable while the ledger is down."""
        with self._feeding:
            started = clock.mono()
            self._adopt()
            with self._lock:
                own = (*self._sealed, self._current)
            fed = sum(map(self._drain, own))
            self._abreast = started
            while self._sealed and self._sealed[0].file < 0:
                self._drop(self._sealed[0])
                with self._lock:
                    self._bytes -= self._sealed.pop(0).size
        return fed

    def _drain(self, source: _Segment) -> int:
        fed = 0
        reader = source.reader
        while reader.offset < (until := source.size):
            records, offset = reader.read(until, self._bounds.batch)
            self._write(records)
            self._under_way.feed(records)
            reader.offset = offset
            fed += len(records)
        return fed

    def _write(self, records: list[Record]) -> None:
        """Into the ledger, whole; a record that it refuses for good is set aside, loudly, so that it does not hold up
        the rest."""
        try:
            self._ledger.write(records)
        except (Unavailable, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever one record provokes must not stop all others
            if len(records) > 1:
                for record in records:
                    self._write([record])
            elif records:
                self._rejected += 1
                segment.set_aside(self._folder, segment.frame(records)[:-1], repr(error))

    def _drop(self, oldest: _Segment) -> None:
        """Remove a segment that the ledger has, after its open requests are safe in the checkpoint. (What we have read
        beyond it does no harm there: it is read again, and equal records count once.)"""
        checkpoint = self._folder / segment.name(self._owner, 0)
        if self._under_way.requests:
            draft = checkpoint.with_suffix(".new")
            os.close(segment.create(draft, (segment.frame(records) for records in self._under_way.requests.values())))
            draft.rename(checkpoint)
            segment.sync_folder(self._folder)
        oldest.reader.close()
        self._damaged += oldest.reader.damaged
        oldest.path.unlink()
        if not self._under_way.requests:
            checkpoint.unlink(missing_ok=True)

    def _adopt(self) -> None:
        """Recover the segments of dead processes, now and then. Files that cannot be read do not stop our own."""
        now = clock.mono()
        if now < self._next_adoption:
            return
        for owner in segment.owners(self._folder):
            if owner == self._owner or owner in self._foreign or (lock := segment.claim(self._folder, owner)) is None:
                continue
            try:
                self._recover(owner)
            except OSError as error:
                _log.error("cannot recover the records of a dead process", owner=owner, error=str(error))
                self._foreign.add(owner)
            finally:
                segment.release(self._folder, owner, lock)
        self._next_adoption = now + self._bounds.adopt_every

    def _recover(self, owner: str) -> None:
        files = segment.files_of(self._folder, owner)
        self._adopted = sum(path.stat().st_size for path in files)
        if files:
            _log.warning("recovering the records of a dead process", owner=owner, files=len(files), bytes=self._adopted)
            self._damaged += recovery.replay(self._folder, owner, self._write, self._price, self._bounds.batch)
        if segment.files_of(self._folder, owner):
            self._foreign.add(owner)
        self._adopted = 0

    # life

    def start(self) -> None:
        """Begin to sync and to feed."""
        for work, pause in ((self.sync, self._bounds.sync_every), (self.feed, self._bounds.feed_every)):
            thread = threading.Thread(
                target=self._repeat, args=(work, pause), name=f"spool-{work.__name__}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def _repeat(self, work: Callable[[], object], pause: float) -> None:
        """Until closed. The pause is short for work that succeeds, up to a second for a ledger or a disk that does
        not."""
        wait = pause
        while not self._stop.wait(wait):
            try:
                work()
                wait = pause
            except Exception as error:  # noqa: BLE001 - a thread that dies would let the spool fill unseen
                if wait == pause:
                    _log.error(
                        "records wait in the spool", work=work.__name__, error=repr(error), unfed=self.state().unfed
                    )
                wait = min(max(wait * 2, 0.05), 1.0)

    def drain(self, timeout: float) -> bool:
        """Wait until everything appended before is in the ledger; False if that took too long. Never on the event
        loop."""
        with self._lock:
            marks = [(source, source.size) for source in (*self._sealed, self._current)]
        deadline = clock.mono() + timeout
        pause = threading.Event()
        while any(source.reader.offset < size for source, size in marks):
            if clock.mono() >= deadline:
                return False
            pause.wait(0.005)
        return True

    def state(self) -> State:
        with self._lock:
            own = (*self._sealed, self._current)
            unfed = sum(source.unfed for source in own) + self._adopted
            return State(
                bytes=self._bytes + self._adopted,
                unfed=unfed,
                lag=clock.mono() - self._abreast if unfed else 0.0,
                segments=len(own),
                damaged=self._damaged + sum(source.reader.damaged for source in own),
                rejected=self._rejected,
                fault=str(self._fault) if self._fault is not None else "",
            )

    def close(self) -> None:
        """Take no more, sync, and feed the ledger the rest. What it does not take now stays for the next start, as do
        the records of requests that never ended: to that start they are the crash they look like."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._stop.set()
        for thread in self._threads:
            thread.join(10.0)
        self.sync()
        if any(thread.is_alive() for thread in self._threads):
            _log.error("the ledger does not answer: records stay in the spool", unfed=self.state().unfed)
            return
        os.close(self._current.file)
        try:
            self.feed()
            if not self._under_way.requests:
                self._drop(self._current)
        except (Unavailable, OSError) as error:
            _log.error("records stay in the spool", error=str(error), unfed=self.state().unfed)
        segment.release(self._folder, self._owner, self._claim)
