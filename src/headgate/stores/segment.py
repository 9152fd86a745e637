"""The files of the spool: what a line is, how lines are read back, whose files they are.

Rules of this file:
- One line is one append: `CRC-32 of the body, 8 hex digits` SPACE `JSON array of records` LF. It counts whole or not at
  all. JSON has no raw LF, so that after a damaged line the next one is found again.
- Files are named OWNER-NNNNNNNN.log and read in that order. Number 0 is the owner's checkpoint: the records of requests
  that were under way when its last segment was dropped (feed.py).
- The first line of a file names the format. A file of a format that is not ours is left alone, loudly.
- Each owner (one open spool) holds an flock on OWNER.lock for its life: the operating system releases it however the
  process dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import msgspec
from msgspec import Raw

from headgate.model.record import Record

from . import log

MAGIC = b"headgate-spool 2\n"
REJECTED = "rejected.log"
"""Lines that cannot be understood or kept, for a person to look at."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Record]).decode
_CHUNK = 1 << 18


def frame(records: Sequence[Record | Raw]) -> bytes:
    """The line of one append."""
    body = _encode(records)
    return b"%08x %b\n" % (crc32(body), body)


def unframe(line: bytes) -> list[Record]:
    """The records of a line without its LF. Raises ValueError for a damaged line, msgspec.ValidationError (also a
    ValueError) for records of another version."""
    body = line[9:]
    if len(line) < 11 or line[8:9] != b" " or int(line[:8], 16) != crc32(body):
        raise Damaged(f"line of {len(line)} bytes")
    return _decode(body)


class Damaged(ValueError):
    """A line whose checksum does not fit: torn by a power cut, or rotten."""


class Reader:
    """Reads one file from its start, and remembers how far: `offset`. `damaged` counts lines that were skipped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        self._file: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.ours = os.pread(self._file, len(MAGIC), 0) == MAGIC
        self.offset = len(MAGIC)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def read(self, until: int, limit: int) -> list[Record]:
        """About `limit` records from `offset`, which then stands behind them; none if no whole line ends before
        `until`. Lines that cannot be read are reported and skipped."""
        records: list[Record] = []
        while len(records) < limit and (lines := self._lines(until)):
            for line in lines:
                self.offset += len(line) + 1
                records += self._records(line)
                if len(records) >= limit:
                    break
        return records

    def _lines(self, until: int) -> list[bytes]:
        """The whole lines of the next chunk."""
        size = _CHUNK
        while self._file is not None:
            chunk = os.pread(self._file, min(size, until - self.offset), self.offset)
            if (last := chunk.rfind(b"\n")) >= 0:
                return chunk[:last].split(b"\n")
            if len(chunk) < size:
                break
            size *= 4
        return []

    def end(self, size: int) -> None:
        """The file is complete and read: what stands after the last LF is a line that was torn. Nothing is read any more."""
        if self.offset < size:
            self._report("a torn line")
            self.offset = size
        self.close()

    def _records(self, line: bytes) -> list[Record]:
        try:
            return unframe(line)
        except msgspec.ValidationError as error:
            set_aside(self.path.parent, line, str(error))
        except ValueError as error:
            self._report(str(error))
        return []

    def _report(self, why: str) -> None:
        self.damaged += 1
        log.warning("skipped a damaged line", file=self.path.name, before=self.offset, why=why)


def set_aside(folder: Path, line: bytes, why: str) -> None:
    """Keep a line that nobody can use where a person finds it."""
    log.error("set a line aside", file=REJECTED, why=why, size=len(line))
    file = os.open(folder / REJECTED, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, line + b"\n")
        os.fsync(file)
    finally:
        os.close(file)


def create(path: Path, lines: Iterable[bytes] = ()) -> int:
    """A new file with these lines, on the disk when this returns: the file descriptor, for appending. A file that the
    disk did not take is removed again."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        data = b"".join((MAGIC, *lines))
        if os.write(file, data) != len(data):
            raise OSError(errno.ENOSPC, "no space left for a segment", str(path))
        os.fsync(file)
        sync_folder(path.parent)
    except OSError:
        os.close(file)
        path.unlink(missing_ok=True)
        raise
    return file


def sync_folder(folder: Path) -> None:
    """Make names in a folder (created, renamed, removed) survive a power cut."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def name(owner: str, number: int) -> str:
    return f"{owner}-{number:08d}.log"


def number(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def files_of(folder: Path, owner: str) -> list[Path]:
    """An owner's files in the order of their writing."""
    return sorted(folder.glob(f"{owner}-*.log"))


def owners(folder: Path) -> list[str]:
    """All owners that have a lock or a segment here, oldest first."""
    locks = {path.stem for path in folder.glob("*.lock")}
    return sorted(locks | {path.stem.rpartition("-")[0] for path in folder.glob("*-*.log")})


def total(folder: Path) -> int:
    """Bytes of all segments."""
    sizes = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".log"):
                with suppress(FileNotFoundError):  # dropped meanwhile
                    sizes += entry.stat().st_size
    return sizes


def claim(folder: Path, owner: str) -> int | None:
    """Take an owner's lock: its file descriptor, or None while somebody holds it. A lock file that was removed while
    we waited for it is no lock: whoever removed it was done with the owner, so it is made anew."""
    path = folder / f"{owner}.lock"
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        try:
            if os.stat(path).st_ino == os.fstat(file).st_ino:
                return file
        except FileNotFoundError:
            pass
        os.close(file)


def release(folder: Path, owner: str, lock: int) -> None:
    """Give an owner's lock back; with no file left the lock file goes too (while still locked: see `claim`)."""
    if not files_of(folder, owner):
        (folder / f"{owner}.lock").unlink(missing_ok=True)
    os.close(lock)
