"""Children: exchanges that the gateway makes for another one (a shadow, a judge, what several callers wait for).

Rules of this file:
- A child has its parent's identity and, unless others are given, its request as the guards left it. The trail, the clock, the attempts
  and the rows are its own: its money is its tenant's, and never hidden in the parent's.
- It goes through the same pipeline (`Pipeline.carry`: the parent has passed the stages) and ends exactly once, by the same `finish`.
- It is counted among what is under way: the gateway that stops waits for it as for a caller's request, then interrupts it.
- `beside` is for children that nobody waits for. They get what is left over: at most MOST at once, each only if the gateway has room
  for one more request now. What finds none is dropped and counted, never queued.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from headgate import clock, tasks
from headgate.errors import HeadgateError
from headgate.limits.queue import Gate
from headgate.model.exchange import Exchange, Request
from headgate.model.record import Cause
from headgate.model.route import Route
from headgate.model.trail import Trail
from headgate.net import Sink
from headgate.pipeline import Flow

if TYPE_CHECKING:
    from headgate.dialects.base import Dialect, Head

MOST = 100
"""Children that nobody waits for, at once."""

Begin: TypeAlias = Callable[[Exchange], Coroutine[Any, Any, Flow]]
"""`carry` or `start` of a pipeline."""


class Asked(Struct, kw_only=True):
    """What a child asks that is not its parent's own request."""

    request: Request
    dialect: Dialect
    body: bytes
    head: Head


def child(
    x: Exchange, cause: Cause, *, route: Route | None = None, asked: Asked | None = None, number: int = 1
) -> Exchange:
    """A new exchange made for `x`. `number` tells the children of one cause apart. A shadow waits behind all others."""
    own = asked is None
    made = Exchange(
        id=f"{x.id}-{cause}{number if number > 1 else ''}",
        at=clock.wall(),
        t0=clock.mono_ns(),
        request=x.request if asked is None else asked.request,
        dialect=x.dialect if asked is None else asked.dialect,
        trail=Trail(),
        parent=x.id,
        cause=cause,
        dry=x.dry,
        body=x.body if asked is None else asked.body,
        head=x.head if asked is None else asked.head,
        json=x.json if own else None,
        edits=list(x.edits) if own else [],
        identity=x.identity,
        priority=0 if cause == "shadow" else x.priority,
        route=x.route if route is None else route,
    )
    if x.trace_id:
        made.trace_id, made.span_id = x.trace_id, clock.secret(8).hex()
    return made


async def run(x: Exchange, begin: Begin, write: Sink) -> bool:
    """A child's way to its end; its answer goes to `write`. Whether it is done: if not, `x.error` and its row say why. Who ends it before
    sets `x.interrupted`, then cancels."""
    try:
        flow = await begin(x)
    except HeadgateError:
        return False
    try:
        await flow.pour(write)
    except HeadgateError:
        return False
    except asyncio.CancelledError:
        if x.interrupted is None:
            raise
        with contextlib.suppress(HeadgateError):  # it is this very error, and on the row
            flow.interrupt(x.interrupted)
    finally:
        flow.abandon()
    return x.outcome == "done"


class Children:
    """Those of one process. `under_way`: what a stopping gateway waits for; `gate`: its capacity."""

    def __init__(self, under_way: MutableMapping[asyncio.Task[Any], Exchange], gate: Gate) -> None:
        self._under_way = under_way
        self._gate = gate
        self._beside = 0
        self.dropped: dict[str, int] = {}
        """Cause -> how many found no room."""

    def spawn(self, x: Exchange, begin: Begin, write: Sink) -> asyncio.Task[bool]:
        """`run` in a task of the gateway's. Its owner awaits or cancels it, or leaves it to the gateway."""
        task = tasks.spawn(run(x, begin, write), x.cause)
        self._under_way[task] = x
        task.add_done_callback(self._under_way.pop)
        return task

    def beside(self, x: Exchange, begin: Begin) -> bool:
        """Runs a child whose answer nobody sees, while its parent goes on. False: there is no room, it was dropped."""
        if self._beside >= MOST or not self._gate.try_enter():
            self.dropped[x.cause] = self.dropped.get(x.cause, 0) + 1
            return False
        self._beside += 1
        self.spawn(x, begin, nowhere).add_done_callback(self._left)
        return True

    def _left(self, task: asyncio.Task[bool]) -> None:
        self._beside -= 1
        self._gate.leave()


def nowhere(data: bytes) -> bool:
    """The sink of an answer that nobody sees."""
    return True
