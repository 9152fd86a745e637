"""A connection to the file: how it is opened, migrated, used by several threads, and how its errors are told.

Rules of this file:
- WAL, so that readers and the writer do not wait for each other. synchronous=FULL: the spool drops a segment once the
  ledger has committed it, and with NORMAL a power cut may take back what was committed since the last checkpoint.
- A `Connection` is used by one thread at a time (a lock); who must not wait for a writer has one of his own.
- sqlite3's errors end here: what may pass (locked, disk, I/O) is Unavailable, everything else is our defect and stays
  loud.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from headgate.errors import ConfigError, Unavailable

from .schema import MIGRATIONS

BUSY_SECONDS = 5.0
_WAL_TRIES = 50


class Connection:
    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        with translated():
            self._database = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
            )
            self._database.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is committed together, or not at all. Takes the write lock at once, so that nothing fails
        half-way for a reader that became a writer too late."""
        with self._lock, translated():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        """The rows of a query, each as column name -> value."""
        with self._lock, translated(), closing(self._database.execute(statement, values)) as cursor:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def number(self, statement: str) -> int:
        """The one integer that a query gives."""
        with self._lock, translated(), closing(self._database.execute(statement)) as cursor:
            return int(cursor.fetchone()[0])

    def close(self) -> None:
        with self._lock:
            self._database.close()


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Unavailable(f"the database does not answer: {error}", code="database_unavailable") from error


def prepare(path: Path) -> None:
    """Make the file (mode 0600) and bring its schema up to date, whoever else does the same now. Raises ConfigError
    for a file that a newer version has migrated, or that is no database."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as database:
        try:
            _write_ahead(database)
            database.execute("BEGIN IMMEDIATE")
            _migrate(database, path)
            database.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise Unavailable(f"{path}: {error}", code="database_unavailable") from error
            raise ConfigError(str(error), where=str(path), hint="is this Headgate's database?") from error


def _write_ahead(database: sqlite3.Connection) -> None:
    """SQLite refuses the change of mode at once, without waiting, while another process has the file open for the
    same."""
    for remaining in reversed(range(_WAL_TRIES)):
        try:
            if database.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal":
                return
            raise ConfigError("this file system cannot share memory between processes (WAL)", hint="use a local disk")
        except sqlite3.OperationalError:
            if not remaining:
                raise
            time.sleep(0.02)


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise ConfigError(
            f"the database has schema {version}, this version knows {len(MIGRATIONS)}",
            where=str(path),
            hint="run the newer version, or restore a backup from before the upgrade",
        )
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            database.execute(statement)
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
