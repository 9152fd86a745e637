"""Requests that a dead process left under way, and how they are closed.

A request is under way from its first Opened until its RequestRow. One whose process died gets a RequestRow (outcome
"failed", error "gateway_crash") and, for the attempt that had not ended, an AttemptRow that charges the estimated
input: the provider has most likely billed it, what it answered is unknown. Ids are derived, so that recovering twice
gives the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from headgate.model.record import Allocation, AttemptRow, Opened, Record, RequestRow
from headgate.model.usage import Usage

Price: TypeAlias = Callable[[str, str, Usage, float], tuple[int | None, str | None]]
"""(provider, target, usage, at) -> (nano-dollars or None, which price was used or None)."""

CRASH = "gateway_crash"


class UnderWay:
    """Requests that were opened and not closed, each with its records so far (no two equal: a file may be read
    twice)."""

    def __init__(self) -> None:
        self.requests: dict[str, list[Record]] = {}

    def feed(self, records: Iterable[Record]) -> None:
        requests = self.requests
        for record in records:
            match record:
                case RequestRow():
                    requests.pop(record.id, None)
                case Opened():
                    known = requests.setdefault(record.id, [])
                    if record not in known:
                        known.append(record)
                case AttemptRow() | Allocation():
                    known = requests.get(record.request_id, [])
                    if known and record not in known:
                        known.append(record)

    def crashed(self, price: Price) -> list[Record]:
        """The rows that close every request still under way."""
        return [row for records in self.requests.values() for row in _closing(records, price)]


def _closing(records: list[Record], price: Price) -> list[Record]:
    opened = [record for record in records if isinstance(record, Opened)]
    attempts = [record for record in records if isinstance(record, AttemptRow)]
    last = opened[-1]
    rows: list[Record] = []
    if len(opened) > len(attempts):
        lost = _lost(last, len(opened), price)
        attempts.append(lost)
        rows.append(lost)
        if lost.cost is not None:
            rows.append(Allocation(attempt_id=lost.id, request_id=last.id, amount=lost.cost))
    used = [attempt for attempt in attempts if attempt.usage is not None]
    costs = [attempt.cost for attempt in used]
    rows.append(
        RequestRow(
            id=last.id,
            at=opened[0].at,
            tenant=last.tenant,
            key_id=last.key_id,
            key_name=last.key_name,
            dialect=last.dialect,
            operation=last.operation,
            path="",
            model=last.model,
            stream=last.stream,
            outcome="failed",
            status=0,
            error=CRASH,
            provider=last.provider,
            target=last.target,
            attempts=max(len(opened), len(attempts)),
            usage=used[-1].usage if used else None,
            charge=None if None in costs else sum(cost for cost in costs if cost is not None),
            estimated=True,
            parent=last.parent,
            cause=last.cause,
        )
    )
    return rows


def _lost(opened: Opened, number: int, price: Price) -> AttemptRow:
    usage = Usage(input=opened.input_estimate, estimated=True)
    cost, price_name = price(opened.provider, opened.target, usage, opened.at)
    return AttemptRow(
        id=f"{opened.id}.crash{number}",
        request_id=opened.id,
        number=number,
        at=opened.at,
        provider=opened.provider,
        target=opened.target,
        dialect=opened.dialect,
        credential=opened.credential,
        outcome="failed",
        error=CRASH,
        usage=usage,
        cost=cost,
        estimated=True,
        price=price_name,
    )
