"""Requests that a dead process left under way, and how they are closed.

A request is under way from its first Opened until its RequestRow. One whose process died gets a RequestRow (outcome
"failed", error "gateway_crash") with the attempt that was opened last, which charges the estimated input: the provider
has most likely billed it, what it answered is unknown. What attempts before that one used died with the process.
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
    usage = Usage(input=last.input_estimate, estimated=True)
    cost, price_name = price(last.provider, last.target, usage, last.at)
    lost = AttemptRow(
        number=len(opened),
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
        attempts=[lost],
        usage=usage,
        charge=cost,
        estimated=True,
        parent=last.parent,
        cause=last.cause,
    )
