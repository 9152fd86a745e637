"""Requests that a dead process left under way, and how they are closed.

A request is under way from its first Opened until its RequestRow. One whose process died gets a RequestRow (outcome
"failed", error "gateway_crash") with the attempt that was opened last, which charges the estimated input: the provider
has most likely billed it, what it answered is unknown. What attempts before that one used died with the process. One that was shown
another's answer has no attempt and no charge: these are the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from headgate.model.record import AttemptRow, Opened, Record, RequestRow
from headgate.model.usage import Usage

Price: TypeAlias = Callable[[str, str, Usage, float], tuple[int | None, str | None]]
"""(provider, target, usage, at) -> (nano-dollars or None, which price was used or None)."""

CRASH = "gateway_crash"


class UnderWay:
    """Requests that were opened and not closed, each with its attempts so far (no two equal: a file may be read
    twice)."""

    def __init__(self) -> None:
        self.requests: dict[str, list[Opened]] = {}

    def feed(self, records: Iterable[Record]) -> None:
        requests = self.requests
        for record in records:
            kind = type(record)
            if kind is RequestRow:
                if requests:
                    requests.pop(record.id, None)
            elif kind is Opened:
                known = requests.setdefault(record.id, [])
                if record not in known:
                    known.append(record)  # type: ignore[arg-type]

    def crashed(self, price: Price) -> list[Record]:
        """The rows that close every request still under way."""
        return [_closing(opened, price) for opened in self.requests.values()]


def _closing(opened: list[Opened], price: Price) -> RequestRow:
    last = opened[-1]
    lost = None if last.origin else _lost(last, len(opened), price)
    return RequestRow(
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
        attempts=[lost] if lost is not None else [],
        usage=lost.usage if lost is not None else None,
        charge=lost.cost if lost is not None else 0,
        estimated=lost is not None,
        parent=last.parent,
        cause=last.cause,
        origin=last.origin,
    )


def _lost(last: Opened, number: int, price: Price) -> AttemptRow:
    """The attempt that was under way."""
    usage = Usage(input=last.input_estimate, estimated=True)
    cost, price_name = price(last.provider, last.target, usage, last.at)
    return AttemptRow(
        number=number,
        at=last.at,
        provider=last.provider,
        target=last.target,
        dialect=last.dialect,
        credential=last.credential,
        outcome="failed",
        error=CRASH,
        usage=usage,
        cost=cost,
        estimated=True,
        price=price_name,
    )
