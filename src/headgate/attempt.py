"""One attempt at one target: opened, watched until it may be shown, closed with its row.

Rules of this file:
- Every attempt leaves a row, whatever became of it, and tells its target's standing what became of it, once.
- Frames are held until the commit: the first *content* event, or (a cascade's draft) the whole answer. A failure told inside the
  answer before any content is the attempt's failure, not the answer; where it is a document with status 200, it gets the status
  that it should have had. In a stream, where nobody else is left to ask, it is shown as the provider told it.
- An answer that is over and said nothing (no content, no end of a choice, no failure) is none, whatever a document says that came in
  its place. One without text may well be an answer: a call, a refusal, a stop, a prompt that was blocked. All of these are events.
- Nothing of a failed attempt leaks into the answer: its frames are closed here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator

from msgspec import Struct

from headgate import clock
from headgate.dialects.base import Dialect
from headgate.dialects.render import has_content
from headgate.dialects.undo import Undo
from headgate.errors import (
    HeadgateError,
    Unavailable,
    UpstreamError,
    UpstreamMalformed,
    UpstreamRefused,
    UpstreamTimeout,
)
from headgate.meter import Free, Meter, most_tokens
from headgate.model.events import Event, Failed, Finished, Frame, PartDelta, Started
from headgate.model.exchange import Exchange
from headgate.model.record import AttemptRow, Opened, Outcome
from headgate.net import Call, Headers, Open
from headgate.pace import Paced
from headgate.prepare import Prepare, Prepared
from headgate.routing.policy import RateTerms
from headgate.routing.standing import Lease
from headgate.routing.throughput import UNDER_WAY
from headgate.stores.base import Spool
from headgate.upstream import Frames, Source, Splitters, Unread, attempt, refused

HELD_LIMIT = 4 * 1024 * 1024
"""Bytes of frames held before the commit."""


class Served(Struct, kw_only=True):
    """The attempt that the answer comes from, committed. `end` closes it: its row, its place at the target; `again` gives another
    answer in place of this one, which broke off: from a target that goes on behind the text already shown ("" for none)."""

    prepared: Prepared
    frames: Source
    held: list[Frame]
    meter: Meter
    row: AttemptRow
    undo: Undo | None
    headers: Headers
    end: Callable[[Outcome, HeadgateError | None, bool], None]
    again: Callable[[UpstreamError, str], Awaitable[Served]]


class Terms(Struct, frozen=True, kw_only=True):
    """`whole`: commit to the complete answer only. `last(error)`: after this failure nobody else would be asked (in the same dialect,
    the provider's own words about it are then the answer). `filtered`: a content filter's stop is a failure, another target takes those.
    `limits`: what the answer says of its rate limit is compared. `until`: monotonic seconds by which the answer must have begun.
    `rate`: what it must keep up from its first content on."""

    whole: bool = False
    last: Callable[[UpstreamError], bool]
    filtered: bool = False
    limits: bool = False
    until: float | None = None
    rate: RateTerms | None = None


class Attempts:
    def __init__(self, *, prepare: Prepare, splitters: Splitters, open_: Open, spool: Spool) -> None:
        self.prepare = prepare
        self.splitters = splitters
        self._open = open_
        self._spool = spool

    async def __call__(self, x: Exchange, prepared: Prepared, lease: Lease, terms: Terms) -> Attempt:
        """The committed attempt. Raises UpstreamError for one that failed; its row is closed then."""
        try:
            row = self._open_row(x, prepared)
        except BaseException:
            lease.end(clock.mono(), None, True)
            raise
        made = Attempt(x, prepared, lease, row)
        try:
            asked = "whole" if not (x.head and x.head.stream) else _asked(prepared, x)
            made.call = call = await self.prepare.call(x, prepared)
            if terms.until is not None:
                call.deadlines = call.deadlines.until(terms.until - clock.mono())
            decoder = Unread() if made.counting else prepared.dialect.decoder()
            made.frames = await attempt(
                self._open,
                call,
                prepared.dialect,
                decoder,
                asked=asked,
                splitters=self.splitters,
                verbatim=prepared.same,
            )
            made.call = None
            made.answered(made.frames)
            if terms.limits:
                lease.standing.told(made.frames.response.headers, clock.mono())
            limit = prepared.site.deadlines.first_token
            made.frames.response.limit(limit if terms.until is None else min(limit, terms.until - clock.mono()))
            made.held = await _peek(made, terms)
            if not made.frames.over:
                made.frames.response.limit(None)
            if x.head is not None and x.head.stream:
                self._keep(x)
        except BaseException as raised:
            made.stopped(raised)
            raise
        made.committed()
        return made

    def _keep(self, x: Exchange) -> None:
        try:
            self._spool.keep(x.id)
        except OSError as error:
            raise Unavailable("the record of this request cannot be written", code="ledger_unavailable") from error

    def _open_row(self, x: Exchange, prepared: Prepared) -> AttemptRow:
        assert x.identity is not None and x.head is not None
        site, target = prepared.site, prepared.target
        now = clock.wall()
        number = len(x.attempts) + 1
        row = AttemptRow(
            number=number,
            at=now,
            provider=site.name,
            target=target.model,
            dialect=prepared.dialect.name,
            credential=site.credential.name,
            outcome="failed",
        )
        x.attempts.append(row)
        self._begin(x, prepared, now)
        return row

    def _begin(self, x: Exchange, prepared: Prepared, now: float) -> None:
        try:
            self._spool.begin(x.id, lambda: _opened(x, prepared, now))
        except OSError as error:
            raise Unavailable("the record of this request cannot be written", code="ledger_unavailable") from error

    def shared(self, x: Exchange, prepared: Prepared) -> None:
        """A stream that another call pays for is about to be shown: after a crash its request is known too."""
        self._begin(x, prepared, clock.wall())
        self._keep(x)


def _opened(x: Exchange, prepared: Prepared, now: float) -> Opened:
    assert x.identity is not None and x.head is not None
    return Opened(
        id=x.id,
        at=now,
        tenant=x.identity.tenant,
        key_id=x.identity.key_id,
        key_name=x.identity.key_name,
        dialect=x.dialect.name,
        operation=x.request.operation,
        model=x.route.alias if x.route else "",
        stream=x.head.stream,
        provider=prepared.site.name,
        target=prepared.target.model,
        credential=prepared.site.credential.name,
        input_estimate=most_tokens(prepared.body),
        parent=x.parent,
        cause=x.cause,
        origin=x.origin,
    )


class Attempt:
    """An attempt under way."""

    __slots__ = ("_over", "began", "call", "counting", "frames", "held", "lease", "meter", "prepared", "row", "x")

    def __init__(self, x: Exchange, prepared: Prepared, lease: Lease, row: AttemptRow) -> None:
        self.x = x
        self.prepared = prepared
        self.lease = lease
        self.row = row
        self.counting = x.request.operation == "count"
        self.meter: Meter = (Free if self.counting else Meter)(prepared.body)
        self.call: Call | None = None
        """Until it is answered."""
        self.frames: Frames | None = None
        self.held: list[Frame] = []
        self.began = clock.mono_ns()
        self._over = False

    @property
    def name(self) -> str:
        return self.prepared.target.name

    @property
    def streams(self) -> bool:
        """A stream that is shown as one."""
        return self.frames is not None and not self.frames.whole and self.x.head is not None and self.x.head.stream

    def answered(self, frames: Frames) -> None:
        row, response = self.row, frames.response
        row.headers_us = (clock.mono_ns() - self.began) // 1000
        row.status = response.status
        row.upstream_request_id = _upstream_id(response.headers)

    def committed(self) -> None:
        now = clock.mono_ns()
        self.lease.answered(now / 1e9)
        self.x.upstream_ns += now - self.began
        self.row.first_us = max(1, (now - self.began) // 1000)

    def stopped(self, cause: BaseException) -> None:
        """It ended before its commit. What the provider did is the provider's, also while the gateway ends the request."""
        if not isinstance(cause, UpstreamError):
            cause = self.x.interrupted or cause
        told = cause if isinstance(cause, HeadgateError) else None
        self.end("failed" if isinstance(cause, Exception) else "abandoned", told, False)

    def end(self, outcome: Outcome, error: HeadgateError | None, ended: bool) -> None:
        """The attempt is over: frames closed, usage final or estimated, the target's standing told. Once."""
        if self._over:
            return
        self._over = True
        now = clock.mono_ns()
        row, meter = self.row, self.meter
        row.outcome = outcome
        row.total_us = (now - self.began) // 1000
        row.usage = usage = meter.result(ended, 0 if ended else self._unseen(row.total_us / 1e6))
        if self.frames is not None:
            self.frames.close()
        row.estimated = usage is not None and usage.estimated
        if not row.estimated and usage is not None and outcome == "done":
            first = (row.first_us or row.total_us) / 1e6
            self.lease.standing.throughput.told(usage.output, usage.reasoning, first, row.total_us / 1e6)
        elif self.frames is None and (self.call is None or not self.call.sent):
            row.usage, row.estimated, row.cost = None, False, 0  # nobody was asked
        if error is not None:
            row.error = error.code
            if isinstance(error, UpstreamRefused):
                row.status = error.answered
                if meter.usage is None and not row.first_us:
                    row.usage, row.estimated, row.cost = None, False, 0  # an error reply is not billed
        if not row.first_us:
            self.x.upstream_ns += now - self.began
            if error is not None:
                status = getattr(error, "status", 0)
                self.x.trail.note(
                    "dispatch", "failed", target=self.name, error=error.code, status=status, us=row.total_us
                )
        ours = outcome == "failed" and not isinstance(error, UpstreamError)
        self.lease.end(now / 1e9, error, ours or outcome == "abandoned")

    def _unseen(self, seconds: float) -> int:
        """Output tokens that the provider may have produced in these seconds, beside those that we have seen."""
        meter, target, head = self.meter, self.lease.standing.throughput, self.x.head
        said = meter.said
        frames = self.frames
        unshown = head is None or not head.stream if frames is None else frames.whole or frames.response.behind
        if unshown or target.thinks:
            most = max(said, target.within(seconds))
        else:
            most = said + target.within(UNDER_WAY)
        cap = None if head is None or head.max_output is None else head.max_output * head.n
        return (most if cap is None else max(said, min(most, cap))) - said


async def _peek(made: Attempt, terms: Terms) -> list[Frame]:
    """The frames up to the commit."""
    frames, meter = made.frames, made.meter
    assert frames is not None
    held: list[Frame] = []
    size = 0
    begun = content = False
    while True:
        batch = await frames.read()
        if not batch:
            return held
        held += batch
        for frame in batch:
            if terms.filtered and not content and _filtered(frame):
                raise UpstreamRefused("the upstream's content filter stopped it", status=400, code="content_filter")
            meter.observe(frame.events)
            size += len(frame.raw)
            begun = begun or Started in map(type, frame.events)
            answer = begun and meter.failed is None
            content = content or has_content(frame.events if answer else _of_parts(frame.events))
        if terms.rate is not None and content and not frames.whole and type(frames.response) is not Paced:
            frames.response = Paced(frames.response, meter, terms.rate)
        if meter.failed is not None and not content:
            told = _told(frames, made.prepared.dialect, meter.failed, held[-1])
            if made.prepared.same and made.streams and terms.last(told):
                return held
            raise told
        if frames.decoder.complete and not content and not made.counting:
            raise UpstreamMalformed("the upstream's answer says nothing", code="upstream_empty")
        if frames.decoder.complete or size > HELD_LIMIT or ((frames.whole or content) and not terms.whole):
            return held


def _of_parts(events: Iterable[Event]) -> Iterator[Event]:
    """Without the strings outside of parts: before an answer, and beside a failure, they are none of it (`{"detail": "try later"}`,
    Groq's `failed_generation`)."""
    return (event for event in events if type(event) is not PartDelta or event.part >= 0)


def _filtered(frame: Frame) -> bool:
    """It says that a filter stopped the answer, and holds nothing of one."""
    spoke = any(type(event) is PartDelta and event.text for event in frame.events)
    return not spoke and any(type(event) is Finished and event.stop == "content_filter" for event in frame.events)


def _asked(prepared: Prepared, x: Exchange) -> str:
    return "json-array" if prepared.same and x.request.framing == "json-array" else "sse"


def _told(frames: Frames, dialect: Dialect, failed: Failed, frame: Frame) -> UpstreamRefused:
    """A failure told inside an answer with status 200. Where a whole document says it as its dialect's error replies do, it is one,
    the provider's own words included."""
    status = failed.status if failed.status >= 400 else 502
    if frames.whole and (error := refused(frames.response, dialect, status, frame.raw)).message == failed.message:
        return error
    again = status >= 500 or status == 429
    return UpstreamRefused(failed.message, status=status, code=failed.code or None, type=failed.type, retryable=again)


_IDS = (b"x-request-id", b"request-id", b"x-goog-request-id", b"apim-request-id")


def _upstream_id(headers: Headers) -> str:
    fields = dict(reversed(headers))
    value = next(filter(None, map(fields.get, _IDS)), b"")
    return value[:128].decode("latin-1")


def too_late() -> UpstreamTimeout:
    return UpstreamTimeout("no target began its answer in time", code="request_timeout")
