"""The ledger: rows in, sums out. Rows are kept once by id, whoever sends them again.

Rows go in as `INSERT ... VALUES (...), (...), ...` of up to 128 rows: the driver lets go of the interpreter lock at
each statement and must win it back from the event loop (5 ms when that is busy), so that one statement a row makes a
busy gateway's ledger fall behind; and more rows would keep the event loop waiting while their values are put together.
What does not fill a statement goes in powers of two: there are few different statements then, and each is compiled once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from headgate.errors import BadRequest
from headgate.model.record import Allocation, AttemptRow, Held, Record, RequestRow
from headgate.model.usage import Usage
from headgate.stores.base import UsageLine

from .connection import Connection

T = TypeVar("T")
_ROWS = 128
_json = msgspec.json.Encoder().encode

GROUPS = {
    "key": "key_name",
    "tenant": "tenant",
    "model": "model",
    "provider": "provider",
    "day": "strftime('%Y-%m-%d', at, 'unixepoch')",
}
"""What usage is summed by -> the expression. Days are UTC."""

_COUNTS = "input, output, cache_read, cache_write, reasoning, usage"


def _counts(usage: Usage | None) -> tuple[object, ...]:
    if usage is None:
        return (None, None, None, None, None, None)
    counts = (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning)
    return (*counts, _json(usage).decode())


class _Table:
    """How rows of one type go into one table. `columns` and `values` are in the same order."""

    def __init__(self, name: str, columns: str, values: Callable[[Any], tuple[object, ...]]) -> None:
        self._values = values
        self._width = len(columns.split(","))
        self._row = f"({', '.join('?' * self._width)})"
        self._head = f"INSERT OR IGNORE INTO {name} ({columns}) VALUES "  # noqa: S608 - constants of this file

    def insert(self, database: sqlite3.Connection, rows: Sequence[Any]) -> None:
        most = min(_ROWS, database.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // self._width)
        begin = 0
        while left := len(rows) - begin:
            size = min(most, 1 << left.bit_length() - 1)
            values = [value for row in rows[begin : begin + size] for value in self._values(row)]
            database.execute(self._head + ", ".join([self._row] * size), values)
            begin += size


_REQUESTS = _Table(
    "requests",
    "id, at, tenant, key_id, key_name, dialect, operation, path, model, stream, outcome, status, error, provider,"
    f" target, attempts, {_COUNTS}, charge, estimated, losses, findings, edits, trace_id, user_agent, first_us,"
    " total_us, upstream_us, parent, cause",
    lambda row: (
        *(row.id, row.at, row.tenant, row.key_id, row.key_name, row.dialect, row.operation, row.path, row.model),
        *(row.stream, row.outcome, row.status, row.error, row.provider, row.target, row.attempts),
        *_counts(row.usage),
        *(
            row.charge,
            row.estimated,
            _json(row.losses).decode() if row.losses else "[]",
            _json(row.findings).decode() if row.findings else "[]",
            _json(row.edits).decode() if row.edits else "[]",
        ),
        *(row.trace_id, row.user_agent, row.first_us, row.total_us, row.upstream_us, row.parent, row.cause),
    ),
)
_ATTEMPTS = _Table(
    "attempts",
    f"id, request_id, number, at, provider, target, dialect, credential, outcome, status, error, {_COUNTS}, cost,"
    " estimated, price, upstream_request_id, headers_us, first_us, total_us",
    lambda row: (
        *(row.id, row.request_id, row.number, row.at, row.provider, row.target, row.dialect, row.credential),
        *(row.outcome, row.status, row.error, *_counts(row.usage), row.cost, row.estimated, row.price),
        *(row.upstream_request_id, row.headers_us, row.first_us, row.total_us),
    ),
)
_ALLOCATIONS = _Table(
    "allocations", "attempt_id, request_id, amount", lambda row: (row.attempt_id, row.request_id, row.amount)
)
_HELD = _Table("held", "id, kind, at, tenant, site", lambda row: (row.id, row.kind, row.at, row.tenant, row.site))

_TABLES: dict[type, _Table] = {RequestRow: _REQUESTS, AttemptRow: _ATTEMPTS, Allocation: _ALLOCATIONS, Held: _HELD}
"""Opened is for recovery from the spool only: the ledger does not keep it."""


def insert_held(database: sqlite3.Connection, rows: Sequence[Held]) -> None:
    _HELD.insert(database, rows)


class SqliteLedger:
    """A writer of its own and a reader of its own: reports do not wait for the feed."""

    def __init__(self, path: Path) -> None:
        self._writer = Connection(path)
        self._reader = Connection(path)

    def write(self, records: Iterable[Record]) -> None:
        rows: dict[_Table, list[Record]] = {}
        for record in records:
            table = _TABLES.get(type(record))
            if table is not None:
                rows.setdefault(table, []).append(record)
        if not rows:
            return
        with self._writer.transaction() as database:
            for table, some in rows.items():
                table.insert(database, some)

    def usage(self, *, since: float, until: float, group: str) -> list[UsageLine]:
        """Sums over requests and their children with since <= at < until, the costliest group first. Raises BadRequest for an unknown
        group."""
        if group not in GROUPS:
            raise BadRequest(f"usage is grouped by one of {', '.join(GROUPS)}", param="group")
        rows = self._reader.rows(
            f"""SELECT {GROUPS[group]} AS "group", sum(cause = '') AS requests, sum(cause <> '') AS children,
                sum(cause = '' AND outcome = 'failed') AS failed,
                coalesce(sum(input), 0) AS input, coalesce(sum(output), 0) AS output,
                coalesce(sum(cache_read), 0) AS cache_read, coalesce(sum(charge), 0) AS charge,
                sum(charge IS NULL AND usage IS NOT NULL) AS unknown, sum(estimated) AS estimated
            FROM requests WHERE at >= ? AND at < ? GROUP BY 1 ORDER BY charge DESC, 1""",  # noqa: S608 - from GROUPS
            (since, until),
        )
        return msgspec.convert(rows, list[UsageLine])

    def request(self, identity: str) -> dict[str, object] | None:
        found = self._reader.rows("SELECT * FROM requests WHERE id = ?", (identity,))
        if not found:
            return None
        attempts = self._reader.rows("SELECT * FROM attempts WHERE request_id = ? ORDER BY number, id", (identity,))
        allocations = self._reader.rows(
            "SELECT attempt_id, amount FROM allocations WHERE request_id = ? ORDER BY attempt_id", (identity,)
        )
        return {**_told(found[0]), "attempts": [_told(row) for row in attempts], "allocations": allocations}

    def close(self) -> None:
        self._writer.close()
        self._reader.close()


def _told(row: dict[str, Any]) -> dict[str, object]:
    """A row as JSON shows it: truth values, lists, and the usage object in place of its columns."""
    for name in ("stream", "estimated"):
        if name in row:
            row[name] = bool(row[name])
    for name in ("usage", "losses", "findings", "edits"):
        if row.get(name) is not None:
            row[name] = msgspec.json.decode(row[name])
    return {name: value for name, value in row.items() if name not in _COUNTS.split(", ")[:-1]}
