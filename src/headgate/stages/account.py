"""The money and the record: what each attempt cost, what the tenant is charged, and that it is written before the answer ends.

Amounts are nano-dollars, rounded once per attempt. An unknown price is unknown (None), never 0. The charge of a request is the
sum of its attempts' costs.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw
from msgspec.json import Encoder
from msgspec.structs import replace

from headgate.errors import HeadgateError
from headgate.model.exchange import Exchange
from headgate.model.identity import Identity
from headgate.model.record import AttemptRow, Held, RequestRow
from headgate.model.usage import Usage
from headgate.stages.base import Stage
from headgate.stores.base import Objects, Spool

Price = Callable[[str, str, Usage, float], tuple[int | None, str | None]]
"""(site, model, usage, at) -> (nano-dollars or None, the price's name or None)."""

NOBODY = Identity(tenant="", key_id="", key_name="")
_encode = Encoder().encode


_MUCH = Usage(input=1_000_000, output=1_000_000)


class Account(Stage):
    name = "account"

    def __init__(self, spool: Spool, price: Price, objects: Objects) -> None:
        self._spool = spool
        self._price = price
        self._objects = objects

    def finish(self, x: Exchange) -> None:
        if x.dry:
            return
        charge: int | None = 0
        estimated = False
        for attempt in x.attempts:
            cost = self._cost(attempt)
            charge = None if charge is None or cost is None else charge + cost
            estimated = estimated or attempt.estimated
        x.record = _encode(self._request(x, charge, estimated))
        if x.identity is None:
            return  # refused before anybody was known: counted and logged, not kept
        row, held = Raw(x.record), self._held(x)
        self._spool.append((row,) if held is None else (row, held), ends=x.id)

    def _cost(self, attempt: AttemptRow) -> int | None:
        usage = attempt.usage
        if usage is None:
            attempt.cost = 0  # nothing was used: refused before an answer
        else:
            attempt.cost, attempt.price = self._price(attempt.provider, attempt.target, usage, attempt.at)
            if not attempt.cost and attempt.dialect == "opaque" and not (usage.input or usage.output):
                attempt.cost = self._free(attempt)
        return attempt.cost

    def _free(self, attempt: AttemptRow) -> int | None:
        """Of what passed through and told no tokens, as speech and images by the piece do, the cost is unknown unless nothing costs."""
        return 0 if self._price(attempt.provider, attempt.target, _MUCH, attempt.at)[0] == 0 else None

    def _request(self, x: Exchange, charge: int | None, estimated: bool) -> RequestRow:
        identity, request, route, head = x.identity or NOBODY, x.request, x.route, x.head
        last = x.served or (x.attempts[-1] if x.attempts else None)
        usage = last.usage if last is not None else None
        return RequestRow(
            id=x.id,
            at=x.at,
            tenant=identity.tenant,
            key_id=identity.key_id,
            key_name=identity.key_name,
            dialect=x.dialect.name,
            operation=request.operation,
            method=request.method,
            path=request.path,
            model=route.alias if route is not None else (head.model if head is not None else ""),
            stream=head is not None and head.stream,
            outcome=x.outcome or "failed",
            status=x.status,
            error=x.error.code if isinstance(x.error, HeadgateError) else "",
            provider=last.provider if last is not None else "",
            target=last.target if last is not None else "",
            attempts=x.attempts,
            usage=replace(usage, native={}) if usage is not None else None,
            charge=charge,
            estimated=estimated or (usage is not None and usage.estimated),  # of an answer that a child pays for, too
            losses=sorted({loss.what for loss in x.losses}) if x.losses else [],
            findings=sorted({finding.guard for finding in x.findings}) if x.findings else [],
            edits=x.target_edits,
            trace_id=x.trace_id,
            user_agent=request.header(b"user-agent")[:200].decode("latin-1"),
            first_us=(x.first_ns - x.t0) // 1000 if x.first_ns else None,
            total_us=x.total_us,
            upstream_us=x.upstream_ns // 1000,
            parent=x.parent,
            cause=x.cause,
            origin=x.origin,
        )

    def _held(self, x: Exchange) -> Held | None:
        """An answer that the provider keeps under its id belongs to this tenant from now on."""
        if x.head is None or not x.head.stores or not x.held_id or x.identity is None:
            return None
        held = Held(id=x.held_id, kind="response", at=x.at, tenant=x.identity.tenant, site=x.held_site)
        self._objects.hold(held)
        return held
