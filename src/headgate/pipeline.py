"""The ordered stages, the event path, and `finish` exactly once. No I/O of its own.

Rules of this file:
- `start` runs the stages in order and then dispatch, `carry` dispatch alone; whatever is raised there finishes the exchange and goes to
  the client.
- `Flow` is the one path of an answer: whole or streamed, same dialect or crossing, shown or abandoned.
- `finish` is a plain function: nothing can cancel it half-way. It runs before the last bytes are handed out, so that an answer
  that was delivered has its record.
- Before the first byte a failure is raised (an HTTP error). After it, it is the client dialect's own error frame.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

import structlog

from headgate import answer, clock
from headgate.attempt import Served
from headgate.dialects.memo import Remember
from headgate.dialects.render import Patched, Render, Verbatim
from headgate.dispatch import Dispatch
from headgate.errors import HeadgateError, Internal, Refused, Unavailable, UpstreamError, UpstreamRefused
from headgate.joint import Joint
from headgate.model.events import Event, Frame
from headgate.model.exchange import Exchange
from headgate.model.record import Outcome
from headgate.net import Headers, Sink, one_piece
from headgate.passing import Passing
from headgate.stages.base import Filter, Stage
from headgate.upstream import Taker

GRACE = 2.0
"""Seconds that a provider may take to end the body after its answer has ended."""

LEFT = 499
"""Status, in the record, of a request whose caller left: nginx's, which log readers know. Nobody is told it."""

_log = structlog.get_logger("headgate.pipeline")


class Pipeline:
    """`answer`: how a request that passed the stages gets its answer, if not by dispatch itself."""

    def __init__(
        self,
        stages: Sequence[Stage],
        dispatch: Dispatch,
        remember: Callable[[str, Iterable[tuple[str, bytes]]], None],
        answer: Callable[[Exchange], Awaitable[Served]] | None = None,
    ) -> None:
        self.stages = tuple(stages)
        self._starts = tuple(stage for stage in stages if type(stage).start is not Stage.start)
        self._filters = tuple(stage for stage in reversed(stages) if type(stage).filter is not Stage.filter)
        self.ends = tuple(stage for stage in stages if type(stage).finish is not Stage.finish)
        """The stages that have something to finish."""
        self.dispatch = dispatch
        self._answer = answer if answer is not None else dispatch
        self.remember = remember

    def start(self, x: Exchange) -> Coroutine[Any, Any, Flow]:
        """The answer, committed. Raises HeadgateError; then the exchange is finished already."""
        return self._flow(x, self._starts, self.stages[0])

    def carry(self, x: Exchange) -> Coroutine[Any, Any, Flow]:
        """As `start`, for a child: what it was made for has passed the stages, so it goes to dispatch at once."""
        return self._flow(x, (), self.stages[-1])

    async def _flow(self, x: Exchange, starts: Sequence[Stage], at: Stage) -> Flow:
        try:
            for at in starts:
                await at.start(x)
            at = self.stages[-1]
            served = await self._answer(x)
        except BaseException as raised:
            fail(x, self._entered(at), x.interrupted or raised)
            if x.error is raised or not isinstance(x.interrupted or raised, Exception):
                raise
            assert x.error is not None
            raise x.error from raised  # no name of ours keeps what is raised: its frames, this one too, hold the request
        return Flow(self, x, served)

    def _entered(self, last: Stage) -> list[Stage]:
        """The stages up to this one that have something to finish."""
        reached = self.stages[: self.stages.index(last) + 1]
        return [stage for stage in self.ends if stage in reached]

    def filters(self, x: Exchange) -> list[Filter]:
        """This answer's filters, in the order in which events meet them."""
        return [made for stage in self._filters if (made := stage.filter(x)) is not None]

    async def authenticate(self, x: Exchange) -> list[Stage]:
        """The stages up to and with authentication, for routes that dispatch does not serve; they are to be finished."""
        at: Stage = self.stages[0]
        try:
            for at in self._starts:
                await at.start(x)
                if x.identity is not None:
                    break
        except HeadgateError as error:
            x.error = error
            finish(x, self._entered(at), outcome_of(error), error.status)
            raise
        return self._entered(at)

    async def decide(self, x: Exchange) -> None:
        """The stages alone, for explain and for requests that dispatch does not serve. Does not finish."""
        for stage in self._starts:
            await stage.start(x)


class Flow:
    """One answer on its way to the client: `pour` until it is over (or `next` until b""), then nothing more; `abandon` if the client
    leaves."""

    def __init__(self, pipeline: Pipeline, x: Exchange, served: Served) -> None:
        self.x = x
        self._pipeline = pipeline
        self._shown = False
        self._over = False
        self._broken: Exception | None = None
        """What taking a frame raised: raised by who pours, so that it is not taken for the source's."""
        self.whole = not (x.head and x.head.stream)
        self.status = 200
        self._filters: list[Filter] = []
        self._take(served)
        self._joint = Joint() if answer.joins(x) else None
        self._show_anew()

    def _take(self, served: Served) -> None:
        """The answer comes from here, from its first frame on."""
        self._served = served
        self._frames = served.frames
        self._pending: list[Frame] = served.held
        self._withheld = b""
        self.headers: Headers = served.headers

    def _show_anew(self) -> None:
        for filter_ in self._filters:
            filter_.end()
        self._filters = self._pipeline.filters(self.x)
        self._render: Render = answer.render(self.x, self._served, filtered=bool(self._filters))
        self._remember = Remember() if self._served.undo is not None else None
        self._aside = self._served.undo is not None or self._joint is not None
        """Events are not shown as they came."""

    async def next(self) -> bytes:
        """The next bytes for the client, b"" after the last. The first call raises what the client may see as an HTTP error."""
        return await one_piece(self.pour)

    async def pour(self, write: Sink) -> bool:
        """Hands the client's bytes to `write` as they become ready, until it says no (False) or the answer is over (True). Raises
        what the client may see as an HTTP error, where nothing was written before."""
        while not self._over:
            try:
                if not await self._poured(write):
                    return False
                last = self._end()
            except HeadgateError as error:
                if await self._recovered(error):
                    continue
                assert self.x.error is not None
                last = self._fail(self.x.error)
            except Exception as error:  # noqa: BLE001 - a defect is logged and told as one
                last = self._fail(told(error, self.x))
            if last:
                write(last)
        return True

    async def _recovered(self, error: HeadgateError) -> bool:
        """Whether the answer goes on from another target: anew where nothing of it was shown, else behind its text. Where not, the
        exchange has its error."""
        self.x.error = error
        policy = self.x.route.policy if self.x.route is not None else None
        if policy is None or policy.midstream == "error" or not isinstance(error, UpstreamError):
            return False
        so_far = self._joint.text if self._shown and self._joint is not None else ""
        if self._shown and not so_far:
            return False
        self._served.end("failed", error, False)
        try:
            served = await self._served.again(error, so_far)
        except HeadgateError as last:
            self.x.error = last if not self._shown else error
            return False
        self.x.error = None
        self._take(served)
        if self._shown:
            assert self._joint is not None
            self._joint.join()
        else:
            self._joint = Joint() if self._joint is not None else None
            self._show_anew()
        return True

    async def _poured(self, write: Sink) -> bool:
        if self._pending:
            frames, self._pending = self._pending, []
            if not self._show(frames, write):
                return False
        if self._frames.over:
            return True

        passing = self._passing(write)

        def take(frames: list[Frame]) -> bool:
            try:
                for frame in frames:
                    self._served.meter.observe(frame.events)
                return self._show(frames, write)
            except Exception as error:  # noqa: BLE001 - raised below: it is not the source's
                self._broken = error
                return False

        try:
            ended = await (self._frames.pour(take, None) if passing is None else self._passed(passing, take))
        except HeadgateError:
            if not self._frames.progress.complete:
                raise
            self._show(self._frames.rest(), write)  # after its end, an answer cannot fail any more
            return True
        broken, self._broken = self._broken, None
        if broken is not None:
            raise broken
        return ended

    async def _passed(self, passing: Passing, take: Taker) -> bool:
        """As `Source.pour`, with what can taking the short way."""

        def settled(frames: list[Frame]) -> bool:
            passing.settle()
            return take(frames)

        try:
            return await self._frames.pour(settled, passing)
        finally:
            passing.settle()
            self._shown = self._shown or passing.wrote
            self._broken = self._broken or passing.broken

    def _passing(self, write: Sink) -> Passing | None:
        """The short way, where there is one."""
        filters, render, route = self._filters, self._render, self.x.route
        if self._aside or len(filters) > 1 or not isinstance(render, Verbatim | Patched):
            return None
        meter, prompt = self._served.meter, route is None or route.policy.min_rate is not None
        filter_ = filters[0] if filters else None
        return Passing(render, meter, filter_, self._frames.progress, write, prompt=prompt)

    def _show(self, frames: list[Frame], write: Sink) -> bool:
        """Whether more may come."""
        out = self._rendered(frames)
        if self._frames.progress.complete:
            self._withheld += out  # the answer is over: its last bytes wait for the record
            self._frames.limit(GRACE)
            return True
        if not out:
            return True
        if self._withheld:  # the end was none: the provider begins another answer in the same body
            self._frames.limit(None)
            out, self._withheld = self._withheld + out, b""
        self._shown = True
        return write(out)

    def _rendered(self, frames: list[Frame]) -> bytes:
        render, filters, remember = self._render, self._filters, self._remember
        out: list[bytes] = []
        for frame in frames:
            events: Sequence[Event] = frame.events
            if render.needs_events:
                if self._aside:
                    events = self._rewritten(events)
                for filter_ in filters:
                    events = filter_.events(events)
                if remember is not None:
                    remember.observe(events)
            out.append(render.show(frame, events))
        return out[0] if len(out) == 1 else b"".join(out)

    def _rewritten(self, events: Sequence[Event]) -> Sequence[Event]:
        """The events of an answer that is not shown as it came."""
        self._refuse_failure()
        if self._served.undo is not None:
            events = tuple(self._served.undo.events(events))
        if self._joint is not None:
            events = tuple(self._joint.events(events))
        return events

    def _refuse_failure(self) -> None:
        """In a crossing a failure told inside the answer is told in the client's own words."""
        failed = self._served.meter.failed
        if failed is not None:
            status = failed.status if failed.status >= 400 else 502
            raise UpstreamRefused(failed.message, status=status, code=failed.code or None, type=failed.type)

    def _end(self) -> bytes:
        """Everything has arrived: flush the stages, write the record, hand out the last bytes."""
        held: list[Event] = []
        for index, filter_ in enumerate(self._filters):
            events = filter_.flush()
            for later in self._filters[index + 1 :]:
                events = later.events(events)
            held += events
        last = self._withheld + self._render.end(held)
        self.x.losses = [*self.x.losses, *self._render.losses()]
        self.x.held_id, self.x.held_site = self._served.meter.started_id, self._served.prepared.target.site
        if self._remember is not None and self.x.identity is not None:
            self._pipeline.remember(self.x.identity.tenant, self._remember.entries())
        failed = self._served.meter.failed
        if failed is not None:
            self.x.error = UpstreamRefused(failed.message, status=failed.status or 502, code=failed.code or None)
        self._close("failed" if failed is not None else "done", ended=True, status=self.status)
        return last

    def _fail(self, error: HeadgateError) -> bytes:
        self.x.error = error
        self._close(outcome_of(error), ended=False, status=self.status if self._shown else error.status)
        if not self._shown:
            raise error
        return self.x.dialect.error_frame(error, answer.ask(self.x), self._render.last)

    def interrupt(self, error: HeadgateError) -> bytes:
        """We end the answer: its last bytes, which say so; b"" if it is over. Raises `error` where nothing was shown."""
        return b"" if self._over else self._fail(error)

    def abandon(self) -> None:
        """The client is gone. No effect after the end."""
        if not self._over:
            self._close("abandoned", ended=False, status=LEFT)

    def _close(self, outcome: Outcome, *, ended: bool, status: int) -> None:
        self._over = True
        self._frames.close()
        for filter_ in self._filters:
            filter_.end()
        served = self._served
        served.end(outcome, self.x.error, ended or self._frames.progress.complete)
        finish(self.x, self._pipeline.ends, outcome, status)


def finish(x: Exchange, entered: Sequence[Stage], outcome: Outcome, status: int) -> None:
    """Every entered stage's finish, in reverse, once. One that breaks does not keep the others from theirs."""
    if x.outcome is not None:
        return
    x.outcome, x.status, x.total_us = outcome, status, (clock.mono_ns() - x.t0) // 1000
    broken: Exception | None = None
    for stage in reversed(entered):
        try:
            stage.finish(x)
        except Exception as error:  # noqa: BLE001 - the other stages' ends must run
            _log.error("a stage broke while finishing", stage=stage.name, request=x.id, error=repr(error))
            broken = error
    if broken is not None and outcome == "done":
        raise Unavailable("the record of this request cannot be written", code="ledger_unavailable") from broken


def fail(x: Exchange, entered: Sequence[Stage], error: BaseException) -> None:
    """The end of an exchange that has no answer. A caller who left is told nothing, and it is nobody's error."""
    outcome = outcome_of(error)
    if outcome != "abandoned":
        x.error = told(error, x)
    finish(x, entered, outcome, LEFT if x.error is None else x.error.status)


def outcome_of(error: BaseException) -> Outcome:
    if isinstance(error, Refused):
        return "refused"
    return "failed" if isinstance(error, Exception) else "abandoned"


def told(error: BaseException, x: Exchange) -> HeadgateError:
    """What the client may know of an error: a defect of ours is logged whole and told without detail."""
    if isinstance(error, HeadgateError):
        return error
    if isinstance(error, Exception):
        _log.error("internal error", request=x.id, exc_info=error)
    return Internal(f"internal error; the log has it under {x.id}")
