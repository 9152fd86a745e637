"""Attempts: plan, prepare, open, peek, commit, fall back.

Rules of this file:
- Each attempt works on its own copy: nothing of a failed one leaks into the answer.
- Frames are held until the first *content* event. Before it, another target may be tried; after it, nothing silent happens.
- Same dialect: the client's bytes with named edits. Crossing: the neutral model, with the losses listed.
- Every attempt leaves a row, whatever became of it.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from headgate import clock
from headgate.dialects.base import Ask
from headgate.dialects.render import Aliased, Encoded, Folded, Patched, Render, Verbatim, has_content
from headgate.dialects.undo import Undo
from headgate.errors import (
    BadRequest,
    HeadgateError,
    NotFound,
    Unavailable,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRefused,
)
from headgate.meter import Free, Meter, estimate_tokens
from headgate.model.events import Frame
from headgate.model.exchange import Exchange
from headgate.model.prompt import Prompt
from headgate.model.record import AttemptRow, Opened, Outcome
from headgate.model.route import RouteTarget
from headgate.net import Headers, Open, header
from headgate.prepare import Prepare, Prepared
from headgate.routing.plan import next_target
from headgate.stores.base import Spool
from headgate.upstream import Frames, Local, Splitters, Unread, attempt

HELD_LIMIT = 4 * 1024 * 1024
"""Bytes of frames held before the first content event."""


class Served(Struct, kw_only=True):
    """The attempt that the answer comes from, committed."""

    prepared: Prepared
    frames: Frames
    held: list[Frame]
    meter: Meter
    row: AttemptRow
    began: int
    undo: Undo | None
    headers: Headers


class Dispatch:
    def __init__(
        self,
        *,
        prepare: Prepare,
        splitters: Splitters,
        open_: Open,
        spool: Spool,
    ) -> None:
        self.prepare = prepare
        self._splitters = splitters
        self._open = open_
        self._spool = spool

    # ------------------------------------------------------------------ serve

    async def __call__(self, x: Exchange) -> Served:
        """The committed answer. Raises the failure that ended the last attempt."""
        assert x.route is not None
        tried: list[RouteTarget] = []
        failed: HeadgateError | None = None
        while (target := next_target(x.route, tried, failed, clock.draw())) is not None:
            tried.append(target)
            try:
                prepared = self.prepare(x, target)
            except BadRequest as refusal:
                if len(tried) == len(x.route.targets):
                    raise failed or refusal from refusal
                failed = failed or UpstreamMalformed(refusal.message)
                x.trail.note("dispatch", "skipped", target=f"{target.site}/{target.model}", why=refusal.code)
                continue
            if x.request.operation == "count" and not prepared.same:
                return self._estimated(x, prepared)
            try:
                return await self._attempt(x, prepared)
            except UpstreamError as error:
                failed = error
        if failed is None:
            raise NotFound("no target can serve this request", code="no_target")
        raise failed

    async def _attempt(self, x: Exchange, prepared: Prepared) -> Served:
        began = clock.mono_ns()
        row = self._open_row(x, prepared)
        name = f"{prepared.site.name}/{prepared.target.model}"
        counting = x.request.operation == "count"
        meter = Free(0) if counting else Meter(len(prepared.body))
        frames: Frames | None = None
        try:
            asked = "whole" if not (x.head and x.head.stream) else _asked(prepared, x)
            call = await self.prepare.call(x, prepared)
            decoder = Unread() if counting else prepared.dialect.decoder()
            frames = await attempt(
                self._open,
                call,
                prepared.dialect,
                decoder,
                asked=asked,
                splitters=self._splitters,
                verbatim=prepared.same,
            )
            row.headers_us = (clock.mono_ns() - began) // 1000
            row.status = frames.response.status
            row.upstream_request_id = _upstream_id(frames.response.headers)
            frames.response.limit(prepared.site.deadlines.first_token)
            held = await self._peek(x, prepared, frames, meter)
            frames.response.limit(None)
            if x.head is not None and x.head.stream:
                self._keep(x)
        except UpstreamError as error:
            self._failed(row, error, meter, began)
            if frames is not None:
                frames.close()
            x.upstream_ns += clock.mono_ns() - began
            x.trail.note("dispatch", "failed", target=name, error=error.code, status=getattr(error, "status", 0))
            raise
        except BaseException as error:
            if frames is not None:
                frames.close()
            cancelled = not isinstance(error, HeadgateError | Exception)
            close_row(row, meter, began, "abandoned" if cancelled else "failed", ended=False)
            raise
        now = clock.mono_ns()
        x.upstream_ns += now - began
        x.first_ns = now
        row.first_us = (now - began) // 1000
        x.losses = prepared.losses
        x.target_edits = prepared.edits
        x.trail.note("dispatch", "committed", target=name, attempt=row.number, edits=prepared.edits)
        undo = Undo(prepared.written) if prepared.written is not None else None
        return Served(
            prepared=prepared,
            frames=frames,
            held=held,
            meter=meter,
            row=row,
            began=began,
            undo=undo,
            headers=frames.response.headers,
        )

    def _estimated(self, x: Exchange, prepared: Prepared) -> Served:
        """A token count for a target that does not count in the client's dialect: our estimate, and nobody is called."""
        now = clock.mono_ns()
        body = msgspec.json.encode(x.dialect.count_body(estimate_tokens(len(prepared.body))))
        x.trail.note("dispatch", "estimated", target=f"{prepared.site.name}/{prepared.target.model}")
        x.target_edits = ["estimated"]
        row = AttemptRow(
            id="", request_id=x.id, number=0, at=x.at, provider="", target="", dialect="", credential="", outcome="done"
        )
        prepared.same = True
        return Served(
            prepared=prepared,
            frames=Frames(Local(body), Unread(), "whole", self._splitters),
            held=[],
            meter=Free(0),
            row=row,
            began=now,
            undo=None,
            headers=[],
        )

    def _keep(self, x: Exchange) -> None:
        try:
            self._spool.keep(x.id)
        except OSError as error:
            raise Unavailable("the record of this request cannot be written", code="ledger_unavailable") from error

    def _open_row(self, x: Exchange, prepared: Prepared) -> AttemptRow:
        assert x.identity is not None and x.head is not None
        site, target = prepared.site, prepared.target
        now = clock.wall()
        row = AttemptRow(
            id=f"{x.id}.{len(x.attempts) + 1}",
            request_id=x.id,
            number=len(x.attempts) + 1,
            at=now,
            provider=site.name,
            target=target.model,
            dialect=prepared.dialect.name,
            credential=site.credential.name,
            outcome="failed",
        )
        x.attempts.append(row)
        opened = Opened(
            id=x.id,
            at=now,
            tenant=x.identity.tenant,
            key_id=x.identity.key_id,
            key_name=x.identity.key_name,
            dialect=x.dialect.name,
            operation=x.request.operation,
            model=x.route.alias if x.route else "",
            stream=x.head.stream,
            provider=row.provider,
            target=target.model,
            credential=site.credential.name,
            input_estimate=estimate_tokens(len(prepared.body)),
        )
        try:
            self._spool.begin(opened)
        except OSError as error:
            raise Unavailable("the record of this request cannot be written", code="ledger_unavailable") from error
        return row

    async def _peek(self, x: Exchange, prepared: Prepared, frames: Frames, meter: Meter) -> list[Frame]:
        """The frames up to and with the first content. A failure told inside the answer before any content is an attempt's
        failure, not the answer."""
        held: list[Frame] = []
        size = 0
        while True:
            batch = await frames.read()
            if not batch:
                return held
            held += batch
            for frame in batch:
                meter.observe(frame.events)
                size += len(frame.raw)
            content = frames.whole or any(has_content(frame.events) for frame in batch)
            if meter.failed is not None and not any(has_content(frame.events) for frame in held):
                if not self._last_word(x, prepared):
                    raise _told(meter.failed.message, meter.failed.status, meter.failed.code, meter.failed.type)
                return held
            if content or size > HELD_LIMIT or frames.decoder.complete:
                return held

    def _last_word(self, x: Exchange, prepared: Prepared) -> bool:
        """In the same dialect, with no other target left, the provider's own words about its failure are the answer."""
        assert x.route is not None
        return prepared.same and len(x.attempts) >= len(x.route.targets)

    def _failed(self, row: AttemptRow, error: UpstreamError, meter: Meter, began: int) -> None:
        row.error = error.code
        row.status = error.status if isinstance(error, UpstreamRefused) else row.status
        close_row(row, meter, began, "failed", ended=False)
        if isinstance(error, UpstreamRefused) and meter.usage is None:
            row.usage = None  # an error reply is not billed
            row.estimated = False
            row.cost = 0

    # ------------------------------------------------------------------ render

    def render(self, x: Exchange, served: Served, filtered: bool) -> Render:
        """How this answer is shown to this client."""
        assert x.head is not None
        frames = served.frames
        client_whole = not x.head.stream
        same_form = frames.whole == client_whole and (client_whole or frames.framing == x.request.framing)
        render: Render
        if served.prepared.same and same_form:
            hide = not x.head.include_usage
            render = Patched(hide) if filtered else Verbatim(hide)
        else:
            ask = self.ask(x, served.prepared.prompt)
            render = Folded(x.dialect, ask) if client_whole else Encoded(x.dialect.encoder(ask))
        return Aliased(render, x.route.alias) if x.route is not None and x.route.answer_alias else render

    def ask(self, x: Exchange, prompt: Prompt | None = None) -> Ask:
        return Ask(
            id=x.id,
            model=x.route.alias if x.route else x.request.model,
            created=int(x.at),
            stream=bool(x.head and x.head.stream),
            framing="whole"
            if not (x.head and x.head.stream)
            else "json-array"
            if x.request.framing == "json-array"
            else "sse",
            include_usage=x.head.include_usage if x.head else True,
            prompt=prompt,
        )


def close_row(row: AttemptRow, meter: Meter, began: int, outcome: Outcome, *, ended: bool) -> None:
    """The attempt is over: its usage, final or estimated."""
    row.outcome = outcome
    row.total_us = (clock.mono_ns() - began) // 1000
    usage = meter.result(ended)
    row.usage = usage
    row.estimated = usage is not None and usage.estimated


def _asked(prepared: Prepared, x: Exchange) -> str:
    return "json-array" if prepared.same and x.request.framing == "json-array" else "sse"


def _told(message: str, status: int, code: str, kind: str) -> UpstreamRefused:
    """A failure told inside an answer with status 200."""
    status = status if status >= 400 else 502
    return UpstreamRefused(
        message, status=status, code=code or None, type=kind, retryable=status >= 500 or status == 429
    )


_IDS = (b"x-request-id", b"request-id", b"x-goog-request-id", b"apim-request-id")


def _upstream_id(headers: Headers) -> str:
    for name in _IDS:
        value = header(headers, name)
        if value:
            return value[:128].decode("latin-1")
    return ""
