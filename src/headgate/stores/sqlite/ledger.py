"""The ledger: rows in, sums out. Rows are kept once by id, whoever sends them again.

A request is one row: itself as JSON (its attempts in it), and beside that the columns that are summed or looked for.

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
from headgate.model.record import Held, Record, RequestRow, outrun
from headgate.stores.base import UsageLine, told

from .connection import Connection

T = TypeVar("T")
_ROWS = 128
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(RequestRow).decode

GROUPS = {
    "key": "key_name",
    "tenant": "tenant",
    "model": "model",
    "provider": "provider",
    "day": "strftime('%Y-%m-%d', at, 'unixepoch')",
}
"""What usage is summed by -> the expression. Days are UTC."""


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


def _request(row: RequestRow) -> tuple[object, ...]:
    usage = row.usage
    counts = (None, None, None) if usage is None or row.origin else (usage.input, usage.output, usage.cache_read)
    who = (row.id, row.at, row.tenant, row.key_name, row.model, row.provider)
    how = (row.outcome, row.status, row.error, row.cause)
    return (*who, *how, *counts, row.charge, outrun(row.attempts), row.estimated, _encode(row).decode())


_RECORDS = _Table(
    "records",
    "id, at, tenant, key_name, model, provider, outcome, status, error, cause, input, output, cache_read, charge,"
    " hedged, estimated, record",
    _request,
)
_HELD = _Table("held", "id, kind, at, tenant, site", lambda row: (row.id, row.kind, row.at, row.tenant, row.site))

_TABLES: dict[type, _Table] = {RequestRow: _RECORDS, Held: _HELD}
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
                coalesce(sum(cache_read), 0) AS cache_read, coalesce(sum(charge), 0) AS charge, sum(hedged) AS hedged,
                sum(charge IS NULL AND input IS NOT NULL) AS unknown, sum(estimated) AS estimated
            FROM records WHERE at >= ? AND at < ? GROUP BY 1 ORDER BY charge DESC, 1""",  # noqa: S608 - from GROUPS
            (since, until),
        )
        return msgspec.convert(rows, list[UsageLine])

    def request(self, identity: str) -> dict[str, Any] | None:
        found = self._reader.rows("SELECT record FROM records WHERE id = ?", (identity,))
        return told(_decode(found[0]["record"])) if found else None

    def close(self) -> None:
        self._writer.close()
        self._reader.close()
