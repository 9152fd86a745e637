"""Requests that share one answer: those alike in flight, where the model says so, and those under one Idempotency-Key.

Rules of this file:
- The call belongs to the gateway. The first caller makes a *carrier*, a child exchange with the attempts and the money; every caller,
  the first too, reads its recording, with guards, rendering and a row of its own, and pays nothing for it.
- Who leaves, leaves alone. Behind the last the carrier is ended; with an Idempotency-Key it goes on, for whoever asks again (an SDK's
  own key: for LINGER seconds, because whoever pressed stop does not come back).
- What fails is told to all, to each as an error of its own, and is not kept. An answer that breaks off after it has begun is not gone on
  with: some have seen of it what others have not.
- What cannot be shared any more (it is too large) goes straight to dispatch, or, under an Idempotency-Key, is refused while it is under
  way: nothing is done twice for one key.

The decisions are pure, in `recording` and `table`; `wish` says what is one; `flight` is what is awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Hashable, Sequence
from functools import partial

from msgspec.structs import replace

from headgate import clock
from headgate.attempt import Served
from headgate.children import Children, child, nowhere
from headgate.dialects.undo import Undo
from headgate.dispatch import Dispatch
from headgate.errors import Conflict, HeadgateError, Unavailable, Unprocessable, UpstreamError
from headgate.flights.flight import Carried, Flight, Listening, Tap
from headgate.flights.recording import Recording
from headgate.flights.table import KEEP, Table
from headgate.flights.wish import Wish, wish_of
from headgate.meter import Meter
from headgate.model.events import Frame
from headgate.model.exchange import Exchange
from headgate.model.record import Origin, Outcome
from headgate.pipeline import Pipeline
from headgate.stages.base import Stage

LINGER = 10.0
"""Seconds: OpenAI's and Anthropic's SDKs ask again after 8 at most."""


class Flights:
    """Dispatch, for requests that may share an answer. `ends`: the stages that count and record a call; `table` outlives the config;
    `guards` stand for themselves: equal ones let through the same."""

    def __init__(
        self,
        *,
        dispatch: Dispatch,
        ends: Sequence[Stage],
        children: Children,
        table: Table[Flight],
        guards: Hashable,
    ) -> None:
        self._dispatch = dispatch
        self._ends = ends
        self._children = children
        self._table = table
        self._guards = guards
        self._config = object()

    def __call__(self, x: Exchange) -> Awaitable[Served]:
        if x.request.idempotent or (x.route is not None and x.route.policy.coalesce):
            return self._shared(x)
        return self._dispatch(x)

    async def _shared(self, x: Exchange) -> Served:
        wish = wish_of(x, self._config, self._guards)
        if wish is None:
            return await self._dispatch(x)
        flight = self._table.find(wish.key, clock.mono())
        origin: Origin = "carried"
        if flight is None:
            flight = self._begun(x, wish)
        elif flight.wish.digest != wish.digest:
            raise Unprocessable(
                "this Idempotency-Key was used for another request: use a new one", code="idempotency_key_reused"
            )
        else:
            origin = "replayed" if flight.recording.over else "coalesced"
        reader = flight.recording.join()
        if reader is None:
            if wish.idempotent:
                raise Conflict(
                    "the request of this Idempotency-Key is under way, and too large to be shown twice",
                    code="idempotency_key_in_use",
                    retry_after=1.0,
                )
            x.trail.note("flights", "alone", why="the answer under way is too large to be shown from its beginning")
            return await self._dispatch(x)
        x.trail.note("flights", origin, carrier=flight.carrier)
        listening = Listening(flight, reader, self._left)
        began = clock.mono_ns()
        try:
            carried = await listening.begun()
            x.upstream_ns += clock.mono_ns() - began
            x.origin = origin
            if x.head is not None and x.head.stream:
                self._dispatch.attempts.shared(x, carried.prepared)
        except BaseException:
            listening.close()
            raise
        if origin == "carried":
            x.trail.notes += carried.trail
        return _served(x, carried, listening)

    # ------------------------------------------------------------------ the carrier

    def _begun(self, x: Exchange, wish: Wish) -> Flight:
        carrier = child(x, "coalesced")
        flight = Flight(wish, Recording(self._table.held), carrier.id)
        self._table.begin(wish.key, flight)
        pipeline = Pipeline(self._ends, self._dispatch, _nothing, partial(self._tapped, flight))
        flight.task = self._children.spawn(carrier, pipeline.carry, nowhere)
        flight.task.add_done_callback(partial(self._over, flight, carrier))
        return flight

    async def _tapped(self, flight: Flight, x: Exchange) -> Served:
        """The carrier's answer, recorded from its first frame on."""
        served = await self._dispatch(x)
        source = served.frames
        flight.begin(
            Carried(
                prepared=replace(served.prepared, body=b""),
                body_bytes=len(served.prepared.body),
                row=served.row,
                framing=source.framing,
                whole=source.whole,
                headers=served.headers,
                trail=tuple(x.trail.notes),
            )
        )
        record = partial(self._recorded, flight)
        record(served.held, source.progress.complete)
        return replace(served, frames=Tap(source, flight, record), again=_not_again)

    def _recorded(self, flight: Flight, frames: Sequence[Frame], complete: bool) -> None:
        flight.add(frames, complete)
        self._table.grown(flight)
        self._forsaken(flight)

    def _over(self, flight: Flight, carrier: Exchange, task: asyncio.Task[bool]) -> None:
        done = not task.cancelled() and task.exception() is None and task.result()
        told = flight.heard_out and carrier.outcome == "failed"  # in the answer itself: each caller sees it there
        flight.end(None if done or told else carrier.error or Unavailable("the call for this answer was given up"))
        self._table.end(flight.wish.key, flight, clock.mono(), keep=done and flight.wish.idempotent)
        if done and flight.wish.idempotent:
            table = self._table
            asyncio.get_running_loop().call_later(KEEP, lambda: table.expire(clock.mono()))

    # ------------------------------------------------------------------ who leaves

    def _left(self, flight: Flight) -> None:
        if flight.wish.retried and not flight.recording.readers and not flight.recording.over:
            asyncio.get_running_loop().call_later(LINGER, self._close, flight)
        else:
            self._forsaken(flight)

    def _forsaken(self, flight: Flight) -> None:
        """Ends a call whose answer nobody reads and nobody will."""
        if not flight.wish.idempotent or not flight.recording.open:
            self._close(flight)

    def _close(self, flight: Flight) -> None:
        if flight.task is not None and not flight.recording.readers:
            self._table.end(flight.wish.key, flight, clock.mono(), keep=False)
            flight.task.cancel()
            flight.task = None


def _served(x: Exchange, carried: Carried, listening: Listening) -> Served:
    """The answer as this caller gets it: nothing that it does to it is seen by others."""
    prepared = carried.prepared
    meter = Meter(x.body)
    row = replace(carried.row, number=0, usage=None, cost=0, estimated=False)
    x.served = row
    x.first_ns = clock.mono_ns()
    x.losses = list(prepared.losses)
    x.target_edits = prepared.edits

    def end(outcome: Outcome, error: HeadgateError | None, ended: bool) -> None:
        row.usage = meter.result(ended)

    return Served(
        prepared=prepared,
        frames=listening,
        held=[],
        meter=meter,
        row=row,
        undo=Undo(prepared.written) if prepared.written is not None else None,
        headers=carried.headers if x.origin != "replayed" else [],
        end=end,
        again=_not_again,
    )


async def _not_again(error: UpstreamError, so_far: str) -> Served:
    raise error


def _nothing(tenant: str, entries: object) -> None:
    """What a crossing remembers, each caller's own rendering does."""
