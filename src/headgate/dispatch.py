"""Attempts: plan, prepare, open, commit, fall back.

Rules of this file:
- Who is next is decided in routing/plan.py, before the first attempt and after each failure; here it is done, and noted.
- Each attempt works on its own copy of the request: nothing of a failed one leaks into the answer (attempt.py).
- Before the commit another target may be tried. After it, nothing silent happens: an answer that breaks off is gone on with, or
  begun anew, only as the route says, and only where the caller cannot see two answers (pipeline.py asks for it by `again`).
- A hedge is a second attempt beside a slow first one: the first that commits wins, the other is ended at once and its cost kept.
"""

from __future__ import annotations

import asyncio

import msgspec

from headgate import clock, tasks
from headgate.attempt import Attempt, Attempts, Served, Terms, too_late
from headgate.cascade import Check, Judge
from headgate.dialects.undo import Undo
from headgate.errors import BadRequest, HeadgateError, Limited, Unavailable, UpstreamError, UpstreamTimeout
from headgate.meter import Free, near_tokens
from headgate.model.exchange import Exchange
from headgate.model.record import AttemptRow
from headgate.model.route import RouteTarget
from headgate.prepare import Prepare, Prepared
from headgate.routing.outlook import Knowledge, Outlook
from headgate.routing.plan import Decision, Try, decide, may_go_elsewhere
from headgate.routing.retry import retry_same
from headgate.routing.standing import Lease
from headgate.upstream import Frames, Local, Unread

QUEUE_SECONDS = 10.0
"""The longest wait for a place at a full target."""


class Dispatch:
    """`judge` is asked of drafts where a route says so; judges themselves are dispatched without."""

    def __init__(self, *, attempts: Attempts, known: Knowledge, judge: Judge | None = None) -> None:
        self.attempts = attempts
        self.known = known
        self.judge = judge

    @property
    def prepare(self) -> Prepare:
        return self.attempts.prepare

    async def __call__(self, x: Exchange) -> Served:
        """The committed answer. Raises the failure that ended the last attempt, or why nobody was asked."""
        run = Run(self, x)
        run.turn()
        if x.request.operation == "count":
            served = self._estimated(x, run)
            if served is not None:
                return served
        return await run.next()

    def _estimated(self, x: Exchange, run: Run) -> Served | None:
        """A token count for a target that does not count in the client's dialect: our estimate, and nobody is called."""
        target = run.decide().target
        if target is None:
            return None
        prepared = self.attempts.prepare(x, target)
        if prepared.same:
            return None
        body = msgspec.json.encode(x.dialect.count_body(near_tokens(prepared.body)))
        x.trail.note("dispatch", "estimated", target=target.name)
        x.target_edits = ["estimated"]
        prepared.same = True
        row = AttemptRow(number=0, at=x.at, provider="", target="", dialect="", credential="", outcome="done")
        return Served(
            prepared=prepared,
            frames=Frames(Local(body), Unread(), "whole", self.attempts.splitters),
            held=[],
            meter=Free(b""),
            row=row,
            undo=None,
            headers=[],
            end=lambda outcome, error, ended: None,
            again=run.again,
        )


class Run:
    """The attempts of one request."""

    __slots__ = ("_dispatch", "_outlook", "_serving", "_so_far", "_standing", "_until", "policy", "route", "tried", "x")

    def __init__(self, dispatch: Dispatch, x: Exchange) -> None:
        assert x.route is not None
        self.x = x
        self.route = x.route
        self.policy = x.route.policy
        self.tried: list[Try] = []
        self._dispatch = dispatch
        self._outlook = Outlook(x, dispatch.known, clock.mono())
        self._standing = dispatch.known.standings.route(x.route.alias)
        self._until = None if self.policy.timeout is None else x.t0 / 1e9 + self.policy.timeout
        self._so_far = ""
        self._serving: RouteTarget | None = None

    # ------------------------------------------------------------------ the loop

    def turn(self) -> None:
        """The route has one more request. (Explain has none.)"""
        self._standing.turn += 1

    def decide(self, more: Try | None = None) -> Decision:
        tried = self.tried if more is None else [*self.tried, more]
        return decide(self.route, tried, self._outlook, clock.mono(), clock.draw())

    async def next(self) -> Served:
        while True:
            decision = self.decide()
            target = decision.target
            if target is None:
                raise self._given_up(decision)
            if len(self.route.targets) > 1 or decision.again:
                passed = {other.name: why for other, why in decision.passed}
                self.x.trail.note("dispatch", "chosen", target=target.name, why=decision.why, passed=passed)
            prepared = self._prepared(target)
            if prepared is None:
                continue
            lease = await self._lease(decision, target)
            if lease is None:
                continue
            made = await self._tried(prepared, lease) if self._hedge() is None else await self._raced(prepared, lease)
            if made is not None and await self._will_do(made):
                return self._served(made)

    async def again(self, error: UpstreamError, so_far: str) -> Served:
        """Another answer in place of the served one, which broke off; behind the text that the caller has seen."""
        assert self._serving is not None
        self._failed(self._serving, error)
        self._so_far = so_far
        return await self.next()

    def _prepared(self, target: RouteTarget) -> Prepared | None:
        """What goes to this target; None where it cannot carry the request."""
        prepare = self._dispatch.attempts.prepare
        try:
            return prepare(self.x, target) if not self._so_far else prepare.continued(self.x, target, self._so_far)
        except BadRequest as refusal:
            self.tried.append(Try(target, refusal))
            self.x.trail.note("dispatch", "skipped", target=target.name, why=refusal.code)
            return None

    async def _lease(self, decision: Decision, target: RouteTarget) -> Lease | None:
        """A place at the target, after the pause that the plan asks for; None where it is not to be asked any more by then, so that
        another plan is made. Raises Unavailable when its queue is full or slow."""
        standing = self._dispatch.known.standings.of(target)
        if decision.wait:
            if self._until is not None and clock.mono() + decision.wait >= self._until:
                raise self._given_up(decision)
            self.x.trail.note("dispatch", "waits", target=target.name, seconds=round(decision.wait, 3))
            await asyncio.sleep(decision.wait)
        if decision.again and not standing.budget.take(clock.mono()):
            return None
        if not self.tried:
            standing.budget.deposit(clock.mono())
        if not standing.gate.try_enter():
            await standing.gate.enter(self.x.priority, self._left(QUEUE_SECONDS))
        now = clock.mono()
        token = standing.breaker.admit(now)
        if token is None:
            standing.gate.leave()
            return None
        return Lease(standing, token, now)

    def _left(self, seconds: float) -> float:
        return seconds if self._until is None else max(0.0, min(seconds, self._until - clock.mono()))

    def _terms(self, target: RouteTarget) -> Terms:
        return Terms(
            whole=self.policy.check is not None and self._more(target, DraftRejected("")),
            last=lambda error: not self._more(target, error),
            filtered=len(self.route.targets) > 1 and any(other.purpose == "filter" for other in self.route.targets),
            limits=self.policy.strategy.limits,
            until=self._until,
            rate=self.policy.min_rate,
        )

    def _more(self, target: RouteTarget, error: UpstreamError) -> bool:
        """Whether somebody else would be asked if this target failed so."""
        return self.decide(Try(target, error)).target is not None

    async def _tried(self, prepared: Prepared, lease: Lease) -> Attempt | None:
        try:
            return await self._dispatch.attempts(self.x, prepared, lease, self._terms(prepared.target))
        except UpstreamError as error:
            self._failed(prepared.target, error)
            return None

    def _failed(self, target: RouteTarget, error: UpstreamError) -> None:
        """Its frames hold this run, which is to hold it: a cycle, of which the collector would hear late."""
        error.__traceback__ = None
        self.tried.append(Try(target, error))

    async def _will_do(self, made: Attempt) -> bool:
        """A cascade's draft is judged, if somebody better is left to ask."""
        target = made.prepared.target
        if self.policy.check is None or not self._more(target, DraftRejected("")):
            return True
        check = Check(terms=self.policy.check, judge=self._dispatch.judge, left=self._left)
        began = clock.mono_ns()
        try:
            why = await check(self.x, made.row.number, made.held)
        except BaseException:
            made.end("done", None, True)
            raise
        self.x.upstream_ns += clock.mono_ns() - began
        if why is None:
            self.x.trail.note("dispatch", "draft accepted", target=target.name)
            return True
        made.end("done", None, True)
        self.x.trail.note("dispatch", "escalated", target=target.name, why=why)
        self.tried.append(Try(target, DraftRejected(f"no answer passed its check: {why}")))
        return False

    def _served(self, made: Attempt) -> Served:
        x, prepared = self.x, made.prepared
        assert made.frames is not None
        x.first_ns = clock.mono_ns()
        x.served = made.row
        x.losses = prepared.losses
        x.target_edits = prepared.edits
        x.trail.note("dispatch", "committed", target=made.name, attempt=made.row.number, edits=prepared.edits)
        self._serving = prepared.target
        self._standing.answered((made.row.first_us or 0) / 1e6)
        if self.policy.strategy.costs:
            self._dispatch.known.warmth.used(self._outlook.beginnings, made.name, clock.mono())
        return Served(
            prepared=prepared,
            frames=made.frames,
            held=made.held,
            meter=made.meter,
            row=made.row,
            undo=Undo(prepared.written) if prepared.written is not None else None,
            headers=made.frames.response.headers,
            end=made.end,
            again=self.again,
        )

    def _given_up(self, decision: Decision) -> HeadgateError:
        self.x.trail.note(
            "dispatch", "gave up", why=decision.why, passed={other.name: why for other, why in decision.passed}
        )
        failure = self._told(decision.soon)
        if failure is not None:
            return failure
        if decision.target is not None:
            return too_late()
        if decision.limited:
            return Limited("the providers' rate limits are used up", retry_after=decision.soon)
        if decision.soon is not None:
            return Unavailable(
                "no target can take the request now: too many of their last calls failed",
                code="no_target_available",
                retry_after=max(1.0, decision.soon),
            )
        whys = "; ".join(f"{other.name} {why}" for other, why in decision.passed if not other.purpose)
        return BadRequest(f"no target of this model can serve the request: {whys}", code="no_capable_target")

    def _told(self, soon: float | None) -> HeadgateError | None:
        """Of the failures, the one that the caller can do most about: the request's own fault, else the last that may pass (they ask
        again, and after the least of the waits that are known), else the last. None: none of them passes, but who is out for now
        may serve after `soon`."""
        failures = [t.failure for t in self.tried if isinstance(t.failure, UpstreamError)]
        if not failures:
            return self.tried[0].failure if self.tried else None
        if not may_go_elsewhere(failures[-1]):
            return failures[-1]
        latest: dict[RouteTarget, HeadgateError] = {}
        for one in reversed(self.tried):
            latest.setdefault(one.target, one.failure)
        passing = [failure for failure in latest.values() if retry_same(failure).yes]
        if not passing:
            return failures[-1] if soon is None else None
        waits = [wait for wait in (*(failure.retry_after for failure in passing), soon) if wait is not None]
        passing[0].retry_after = min(waits, default=None)
        return passing[0]

    # ------------------------------------------------------------------ hedging

    def _hedge(self) -> float | None:
        """After how many seconds a second target may start; None: none does."""
        terms = self.policy.hedge
        if terms is None or (self.x.head is not None and self.x.head.state):
            return None
        after = terms.after if terms.after is not None else self._standing.p95()
        return after if after is not None and self._standing.may_hedge(terms.share) else None

    async def _raced(self, prepared: Prepared, lease: Lease) -> Attempt | None:
        """The first of two attempts that commits; None when all failed."""
        running = {tasks.spawn(self._tried(prepared, lease), "attempt"): lease}
        winner: asyncio.Task[Attempt | None] | None = None
        after = self._hedge()
        try:
            await asyncio.wait(running, timeout=after)
            if any(not task.done() for task in running) and (second := await self._second(prepared.target)) is not None:
                running[tasks.spawn(self._tried(*second), "hedge")] = second[1]
            waiting = set(running)
            while waiting and winner is None:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                winner = next((task for task in done if task.result() is not None), None)
            return winner.result() if winner is not None else None
        finally:
            for task, place in running.items():
                if task is winner:
                    continue
                await tasks.cancel(task)
                place.end(clock.mono(), None, True)
                lost = None if task.cancelled() or task.exception() is not None else task.result()
                if lost is not None:
                    lost.end("abandoned", None, False)

    async def _second(self, first: RouteTarget) -> tuple[Prepared, Lease] | None:
        """Another target to start beside one that is slow, if one can take it at once."""
        decision = self.decide(Try(first, UpstreamTimeout("slow to begin")))
        target = decision.target
        if target is None or decision.again or decision.queue or decision.wait:
            return None
        prepared = self._prepared(target)
        if prepared is None:
            return None
        lease = await self._lease(decision, target)
        if lease is None:
            return None
        self._dispatch.known.standings.hedged(self.route.alias)
        self.x.trail.note("dispatch", "hedged", target=target.name, beside=first.name)
        return prepared, lease


class DraftRejected(UpstreamError):
    """A cascade's draft that did not pass its check: not a fault of the target's, and another one is asked."""

    code = "draft_rejected"
    retryable = False
