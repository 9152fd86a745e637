"""The provider's book against the gateway's ledger.

Rules of this file:
- An attempt of the ledger and a bill of the book belong together by the request's own number, the site, and their order there.
- What the ledger does not mark as estimated must be the bill, count by count and nano-dollar by nano-dollar. What it does mark must
  not be below the bill. An attempt that no provider took up must cost nothing; a bill without an attempt is money that nobody knows of.
- Shares are of the whole bill: `estimated` is what marked attempts cost in the ledger, `over` by how much that is more than their bills.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from soak_provider import Bill

SHOWN = 20
"""Of each kind of fault, so many are told in full."""
ATTEMPTS = (
    "SELECT attempts.*, requests.user_agent, requests.stream AS streamed FROM attempts"
    " JOIN requests ON requests.id = attempts.request_id ORDER BY attempts.request_id, number"
)
SUMS = {
    "requests": "SELECT count(*) FROM requests",
    "requests_charge": "SELECT sum(charge) FROM requests",
    "attempts_cost": "SELECT sum(cost) FROM attempts",
    "unknown": "SELECT count(*) FROM attempts WHERE cost IS NULL",
}

Row = dict[str, Any]


def ledger(database: Path) -> tuple[list[Row], dict[str, int]]:
    """All attempts, and sums over the tables."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute(ATTEMPTS)]
        return rows, {name: connection.execute(query).fetchone()[0] or 0 for name, query in SUMS.items()}
    finally:
        connection.close()


class Audit:
    """`wrong` has what must not be, by kind; an empty one is a pass."""

    def __init__(self) -> None:
        self.wrong: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.counts: Counter[str] = Counter()
        self.billed = self.exact = self.estimated = self.of_estimated = 0
        self.by_cause: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        """Why an attempt was estimated -> how many, nano-dollars estimated, nano-dollars billed."""

    def over(self, rows: list[Row], book: Iterable[Bill]) -> None:
        bills: dict[tuple[int, str], list[Bill]] = defaultdict(list)
        for bill in book:
            bills[bill.nonce, bill.site].append(bill)
            self.billed += bill.cost
        attempts: dict[tuple[int, str], list[Row]] = defaultdict(list)
        for row in rows:
            attempts[int(row["user_agent"].removeprefix("soak-")), row["provider"]].append(row)
        for key in bills.keys() | attempts.keys():
            self._matched(attempts.get(key, []), bills.get(key, []))

    def _matched(self, rows: list[Row], bills: list[Bill]) -> None:
        """In order; where the ledger tells the provider's own id, by that."""
        named = {bill.request_id: bill for bill in bills}
        left = [bill for bill in bills if all(row["upstream_request_id"] != bill.request_id for row in rows)]
        for row in rows:
            bill = named.get(row["upstream_request_id"])
            if bill is None and not row["upstream_request_id"] and left and row["error"] != "connection_refused":
                bill = left.pop(0)
            self._compared(row, bill)
        for bill in left:
            self.counts["bills without an attempt"] += 1
            if bill.cost:
                self._wrong("billed and not in the ledger", None, bill)

    def _compared(self, row: Row, bill: Bill | None) -> None:
        cost = row["cost"]
        self.counts["attempts"] += 1
        if cost is None:
            self._wrong("its price is unknown", row, bill)
        elif bill is None:
            self.counts["attempts that no provider took up"] += 1
            if cost:
                self._wrong("charged, though no provider took it up", row, bill)
        elif row["estimated"]:
            self._estimated(row, bill)
        else:
            self.counts["completed" if row["outcome"] == "done" else "refused or known"] += 1
            self.exact += cost
            told = (row["input"] or 0, row["output"] or 0, row["cache_read"] or 0, cost)
            if told != (bill.input, bill.output, bill.cached, bill.cost):
                self._wrong("not the provider's count", row, bill)
        if bill is not None and bill.complete and row["outcome"] == "done" and row["estimated"]:
            self._wrong("estimated, though it was completed", row, bill)

    def _estimated(self, row: Row, bill: Bill) -> None:
        self.counts["estimated"] += 1
        self.estimated += row["cost"]
        self.of_estimated += bill.cost
        cause = self.by_cause[f"{'left' if row['outcome'] == 'abandoned' else bill.what}, {_form(row)}"]
        cause[0] += 1
        cause[1] += row["cost"]
        cause[2] += bill.cost
        if row["cost"] < bill.cost:
            self._wrong("below the bill", row, bill)

    def _wrong(self, kind: str, row: Row | None, bill: Bill | None) -> None:
        self.counts[kind] += 1
        if len(found := self.wrong[kind]) < SHOWN:
            told = None if row is None else {name: value for name, value in row.items() if value not in (None, "", 0)}
            found.append({"attempt": told, "bill": None if bill is None else asdict(bill) | {"cost": bill.cost}})

    def told(self) -> dict[str, Any]:
        """For the results. Dollars; shares of the whole bill."""
        whole = max(self.billed, 1)
        return {
            "counts": dict(sorted(self.counts.items())),
            "billed_dollars": round(self.billed / 1e9, 6),
            "estimated_dollars": round(self.estimated / 1e9, 6),
            "estimated_share": round(self.estimated / whole, 5),
            "over_share": round((self.estimated - self.of_estimated) / whole, 5),
            "estimates": {
                name: {"attempts": count, "dollars": round(told / 1e9, 6), "billed": round(billed / 1e9, 6)}
                for name, (count, told, billed) in sorted(self.by_cause.items())
            },
            "wrong": {kind: len(found) for kind, found in self.wrong.items()},
        }

    def details(self) -> str:
        return json.dumps(self.wrong, indent=1, default=str)


def _form(row: Row) -> str:
    return "streamed" if row["streamed"] else "whole"
