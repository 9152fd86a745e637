"""A gateway in this process: its decisions on a request without a call (what would be sent, and what is lost, with its values, which a
running gateway tells nobody but by name), and its answers to a scripted upstream without a socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from pathlib import Path

from msgspec.structs import replace

from asked import Asked
from headgate import clock
from headgate.app import SPLITTERS, Gateway
from headgate.attempt import Attempts, Terms
from headgate.config.load import load
from headgate.dispatch import Dispatch
from headgate.errors import UpstreamError
from headgate.http import routes
from headgate.http.ingress import exchange
from headgate.model.exchange import Exchange
from headgate.model.identity import Identity
from headgate.model.record import AttemptRow
from headgate.net import Call, Headers, Response
from headgate.pipeline import Pipeline
from headgate.prepare import Prepared
from headgate.routing.breaker import Seen
from headgate.routing.standing import Lease
from headgate.stages.base import Stage

WHO = Identity(key_id="k", key_name="suite", tenant="suite")


class Scripted(Response):
    """A `net.Response` of these pieces, and of this error behind them."""

    status = 200

    def __init__(self, kind: bytes, pieces: Sequence[bytes], error: UpstreamError | None = None) -> None:
        self.headers: Headers = [(b"content-type", kind)]
        self._pieces = list(reversed(pieces))
        self._error = error

    async def read(self) -> bytes:
        if not self._pieces and self._error is not None:
            raise self._error
        return self._pieces.pop() if self._pieces else b""

    def limit(self, seconds: float | None) -> None:
        return None

    def close(self) -> None:
        self._pieces.clear()


class Dry:
    """A gateway of this config, in a folder of its own."""

    def __init__(self, config: Path, folder: Path) -> None:
        folder.mkdir()
        self._gateway = Gateway(replace(load(config, {}), data=folder), {})
        self._runner = asyncio.Runner()

    def _exchange(self, path: str, body: bytes) -> Exchange:
        path, _, query = path.partition("?")
        incoming = Asked(path, body, query=query.encode())
        ingress = self._gateway.app
        match = routes.match("POST", path, ingress.pipeline.dispatch.prepare.sites)
        x = exchange(incoming, match, ingress.dialects[match.dialect], ingress.bounds)
        x.dry, x.identity = True, WHO
        return x

    def __call__(self, path: str, body: bytes) -> Prepared:
        """What would go to the first target. Raises Refused."""
        x = self._exchange(path, body)
        pipeline = self._gateway.app.pipeline
        self._runner.run(pipeline.decide(x))
        assert x.route is not None
        return pipeline.dispatch.prepare(x, x.route.targets[0])

    def answer(
        self, path: str, body: bytes, reply: Scripted, stages: Sequence[Stage], keeps_up: Iterable[bool] = ()
    ) -> bytes:
        """What a client gets of this reply, with these stages after the gateway's own. `keeps_up`: whether it does, after each piece;
        then always."""
        does = chain(keeps_up, repeat(True))

        async def open_(call: Call) -> Scripted:
            return reply

        own = self._gateway.app.pipeline
        attempts = Attempts(prepare=own.dispatch.prepare, splitters=SPLITTERS, open_=open_, spool=self._gateway.spool)
        dispatch = Dispatch(attempts=attempts, known=own.dispatch.known)
        pipeline = Pipeline([*own.stages, *stages], dispatch, own.remember)

        async def run() -> bytes:
            flow = await pipeline.start(self._exchange(path, body))
            parts: list[bytes] = []

            def take(data: bytes) -> bool:
                parts.append(data)
                return next(does)

            while not await flow.pour(take):
                pass
            return b"".join(parts)

        return self._runner.run(run())

    def attempt(self, path: str, body: bytes, fault: Callable[[Exchange], Exception]) -> tuple[AttemptRow, Seen]:
        """The row of an attempt at the first target that is not answered but raises this, and what the target's breaker saw."""
        x = self._exchange(path, body)
        own = self._gateway.app.pipeline

        async def open_(call: Call) -> Scripted:
            raise fault(x)

        async def run() -> tuple[AttemptRow, Seen]:
            await own.decide(x)
            assert x.route is not None
            target = x.route.targets[0]
            standing, now = own.dispatch.known.standings.of(target), clock.mono()
            lease = Lease(standing, standing.breaker.admit(now) or 0, now)
            attempts = Attempts(
                prepare=own.dispatch.prepare, splitters=SPLITTERS, open_=open_, spool=self._gateway.spool
            )
            with contextlib.suppress(UpstreamError):
                await attempts(x, attempts.prepare(x, target), lease, Terms(last=lambda error: True))
            return x.attempts[0], standing.breaker.seen(clock.mono())

        return self._runner.run(run())

    def close(self) -> None:
        self._runner.close()
        self._gateway.close()
