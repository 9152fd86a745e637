"""The feed: what stands in the spool goes to the ledger, from all processes that share the folder, living and dead.

Rules of this file:
- One feed at a time works on a folder (an flock on FEEDING); others stand by and take over when it dies.
- It shares nothing with those who write but the files: beside a busy event loop it runs in a process of its own (feeder.py).
- Everything is idempotent by id: a feed that begins anew reads the files from their start. A ledger that is down only
  makes the spool grow.
- A complete segment goes once all of it is committed in the ledger. The records of requests still under way are first
  put into the owner's checkpoint (number 0) by an atomic rename, then the segment goes: at every moment the files,
  read in order, tell which requests are open. That is what a crash leaves, and what recovery closes (recovery.py).
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

from headgate import clock
from headgate.errors import Unavailable
from headgate.model.record import Record

from . import log, segment
from .base import Ledger
from .recovery import Price, UnderWay

FEEDING = "feeding"


def left_behind(folder: Path) -> int:
    """Bytes of records that dead processes left: nobody feeds them to the ledger until a gateway runs on this
    folder."""
    left = 0
    for name in segment.owners(folder):
        if (claim := segment.claim(folder, name)) is not None:
            left += sum(path.stat().st_size - len(segment.MAGIC) for path in segment.files_of(folder, name))
            segment.release(folder, name, claim)
    return left


class _Owner:
    """How far an owner's files are read, and its requests under way there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.under_way = UnderWay()
        self.readers: dict[Path, segment.Reader] = {}
        self.unfed = 0

    def reader(self, path: Path) -> segment.Reader:
        if path not in self.readers:
            self.readers[path] = segment.Reader(path)
        return self.readers[path]

    def forget(self, path: Path) -> None:
        if (reader := self.readers.pop(path, None)) is not None:
            reader.close()

    def close(self) -> None:
        for reader in self.readers.values():
            reader.close()


class Feed:
    """Feeds `ledger` from `folder`. `price` is asked for attempts that a crash cut off. `start` has a thread do it;
    else call `feed`, one round. `batch`: records in one transaction of the ledger."""

    def __init__(self, folder: Path, ledger: Ledger, price: Price, *, batch: int = 1024, every: float = 0.1) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._ledger, self._price, self._batch, self._every = folder, ledger, price, batch, every
        self._claim: int | None = None
        self._owners: dict[str, _Owner] = {}
        self._foreign: set[str] = set()
        self._failing: set[str] = set()
        self._abreast = clock.mono()
        self.damaged = self.rejected = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def feed(self) -> int:
        """One round: the number of records given to the ledger. Raises Unavailable while the ledger is down."""
        if not self._elected():
            return 0
        began = clock.mono()
        fed = 0
        for name in segment.owners(self._folder):
            if name in self._foreign:
                continue
            try:
                fed += self._serve(name)
                self._failing.discard(name)
            except OSError as error:
                if name not in self._failing:
                    log.error("cannot read or remove segments", owner=name, error=str(error))
                self._failing.add(name)
        if not any(owner.unfed for owner in self._owners.values()) and not self._failing:
            self._abreast = began
        return fed

    def _elected(self) -> bool:
        if self._claim is None:
            file = os.open(self._folder / FEEDING, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                return False
            self._claim = file
        return True

    def _serve(self, name: str) -> int:
        """Read what an owner has written; if it is dead (its lock is free), close its requests and remove its files."""
        claim = segment.claim(self._folder, name)
        owner = self._owners.setdefault(name, _Owner(name))
        try:
            fed = self._read(owner, ended=claim is not None)
            if claim is not None and name not in self._foreign:
                self._bury(owner)
            return fed
        finally:
            if claim is not None:
                segment.release(self._folder, name, claim)

    def _read(self, owner: _Owner, *, ended: bool) -> int:
        files = []
        complete = ended
        for path in reversed(segment.files_of(self._folder, owner.name)):
            size = path.stat().st_size  # of a complete file, taken after it was known to be complete: its last
            if size >= len(segment.MAGIC):  # else it is just being made
                files.append((path, size, complete))
            complete = complete or size > len(segment.MAGIC)
        owner.unfed = sum(size - owner.reader(path).offset for path, size, _ in files)
        done: list[segment.Reader] = []
        fed = 0
        for path, size, complete in reversed(files):
            reader = owner.reader(path)
            if not reader.ours:
                log.error("left files of another format alone", file=path.name)
                self._foreign.add(owner.name)
                return fed
            fed += self._drain(owner, reader, size)
            if complete:
                damaged = reader.damaged
                reader.end(size)
                self.damaged += reader.damaged - damaged
                done.append(reader)
        if not ended:
            self._drop(owner, [reader for reader in done if segment.number(reader.path) > 0])
        return fed

    def _drain(self, owner: _Owner, reader: segment.Reader, until: int) -> int:
        fed = 0
        while True:
            offset, damaged = reader.offset, reader.damaged
            records = reader.read(until, self._batch)
            if reader.offset == offset:
                return fed
            try:
                self._write(records)
            except BaseException:
                reader.offset, reader.damaged = offset, damaged
                raise
            owner.under_way.feed(records)
            owner.unfed -= reader.offset - offset
            self.damaged += reader.damaged - damaged
            fed += len(records)

    def _write(self, records: list[Record]) -> None:
        """Into the ledger, whole. A record that it refuses for good is set aside, loudly: it must not hold up the
        rest."""
        try:
            self._ledger.write(records)
        except (Unavailable, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever one record provokes must not stop all others
            if len(records) > 1:
                for record in records:
                    self._write([record])
            elif records:
                self.rejected += 1
                segment.set_aside(self._folder, segment.frame(records)[:-1], repr(error))

    def _drop(self, owner: _Owner, done: list[segment.Reader]) -> None:
        """Remove segments that the ledger has, after their open requests are safe in the checkpoint. (What we have read
        beyond them does no harm there: it is read again, and equal records count once.)"""
        if not done:
            return
        checkpoint = self._folder / segment.name(owner.name, 0)
        if owner.under_way.requests:
            draft = checkpoint.with_suffix(".new")
            os.close(segment.create(draft, map(segment.frame, owner.under_way.requests.values())))
            draft.rename(checkpoint)
            segment.sync_folder(self._folder)
            owner.forget(checkpoint)
            reader = owner.reader(checkpoint)
            reader.offset = checkpoint.stat().st_size  # we wrote it
            reader.close()
        for reader in done:
            reader.path.unlink()
            owner.forget(reader.path)
        if not owner.under_way.requests:
            checkpoint.unlink(missing_ok=True)
            owner.forget(checkpoint)

    def _bury(self, owner: _Owner) -> None:
        """Oldest files first: what is left of an interrupted removal then never shows a closed request as open."""
        files = segment.files_of(self._folder, owner.name)
        if crashed := owner.under_way.crashed(self._price):
            log.warning(
                "closed the requests of a dead process", owner=owner.name, requests=len(owner.under_way.requests)
            )
            self._write(crashed)
        for path in (*self._folder.glob(f"{owner.name}-*.new"), *files):
            path.unlink()
        owner.close()
        del self._owners[owner.name]

    def start(self) -> None:
        self._thread = threading.Thread(target=self.run, args=(self._stop.wait,), name="feed", daemon=True)
        self._thread.start()

    def run(self, over: Callable[[float], bool]) -> None:
        """Rounds until `over(seconds)`, which waits so long, is true. The pause grows up to a second for a ledger that does not
        answer; that is told once."""
        pause = self._every
        while not over(pause):
            try:
                self.feed()
                pause = self._every
            except Exception as error:  # noqa: BLE001 - a feed that dies would let the spool fill unseen
                if pause == self._every:
                    log.error("records wait in the spool", error=repr(error), unfed=self.unfed)
                pause = min(max(pause * 2, 0.05), 1.0)

    @property
    def unfed(self) -> int:
        """Bytes that the ledger has not got, as of the last round."""
        return sum(owner.unfed for owner in list(self._owners.values()))

    def lag(self) -> float:
        """Seconds since a round began that left nothing; 0.0 while nothing is left."""
        return clock.mono() - self._abreast if self.unfed else 0.0

    def close(self) -> None:
        """A last round, which also empties the folder of a spool that was closed before. What the ledger does not take
        now stays for the next start."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10.0)
            if self._thread.is_alive():
                log.error("the ledger does not answer: records stay in the spool")
                return
        try:
            self.feed()
        except (Unavailable, OSError) as error:
            log.error("records stay in the spool", error=str(error))
        for owner in self._owners.values():
            owner.close()
        self._owners.clear()
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None
