"""The clients: raw HTTP/1.1 on asyncio, the same for every system.

Rules of this file:
- Closed loop: a connection sends its next request when the answer to the last one is whole. Connections are kept.
- Every answer is checked: status 200, and as many bytes as its head promised. One that is not makes the whole load a failure.
- A stream's pieces are counted as they were sent (HTTP chunks), with the events in them: where there are fewer pieces than
  events, they were glued together somewhere, and the cost of one is not known.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass, field
from typing import Self, cast

EVENT = b"data:"


class LoadError(Exception):
    """An answer that was not as it should be."""


@dataclass
class Load:
    seconds: float = 0.0
    latencies: list[int] = field(default_factory=list)
    """ns from the request written to the last byte of its answer."""
    pieces: int = 0
    events: int = 0

    def percentile(self, share: float) -> float:
        """µs."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1000


class Answer:
    """One answer, as it arrives. `feed` says whether it is whole."""

    def __init__(self) -> None:
        self._buffer = b""
        self._left: int | None = None
        """Bytes to come, of the body or of the chunk; None: a head, or the next chunk's size, comes first."""
        self._headed = self._chunked = False
        self.pieces = self.events = 0

    def feed(self, data: bytes) -> bool:
        if not self._headed:
            self._buffer += data
            head, found, data = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return False
            self._head(head, data)
            self._buffer = b""
        return self._chunks(data) if self._chunked else self._body(data)

    def _head(self, head: bytes, rest: bytes) -> None:
        lines = head.lower().split(b"\r\n")
        if not lines[0].startswith(b"http/1.1 200"):
            raise LoadError(f"{lines[0].decode('latin-1')}: {rest[:200].decode('latin-1')}")
        self._headed = True
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            if name == b"content-length":
                self._left = int(value)
            elif name == b"transfer-encoding" and b"chunked" in value:
                self._chunked = True
        if self._left is None and not self._chunked:
            raise LoadError("an answer without a length: " + head.decode("latin-1"))

    def _body(self, data: bytes) -> bool:
        assert self._left is not None
        self._left -= len(data)
        if self._left < 0:
            raise LoadError("an answer longer than it says")
        return self._left == 0

    def _chunks(self, data: bytes) -> bool:
        buffer = self._buffer + data
        while True:
            line, found, rest = buffer.partition(b"\r\n")
            if not found:
                break
            size = int(line.partition(b";")[0], 16)
            if len(rest) < size + 2:
                break
            if size == 0:
                return True
            self.pieces += 1
            self.events += rest.count(EVENT, 0, size)
            buffer = rest[size + 2 :]
        self._buffer = buffer
        return False


class _Client(asyncio.Protocol):
    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._began = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self) -> None:
        assert self.transport is not None
        if self._loop.left == 0:
            self._loop.one_done()
            return
        self._loop.left -= 1
        self._answer = Answer()
        self._began = time.perf_counter_ns()
        self.transport.write(self._loop.request)

    def data_received(self, data: bytes) -> None:
        try:
            if not self._answer.feed(data):
                return
        except (LoadError, ValueError) as error:
            self._loop.fail(error)
            return
        load = self._loop.load
        load.latencies.append(time.perf_counter_ns() - self._began)
        load.pieces += self._answer.pieces
        load.events += self._answer.events
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._loop.fail(error or LoadError("the connection was closed"))


class Loop:
    """Kept connections to one system; `run` sends a number of requests over them."""

    def __init__(self, port: int, connections: int, context: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._count = connections
        self._context = context
        self._clients: list[_Client] = []
        self._waiting = 0
        self._over: asyncio.Future[None] | None = None
        self.left = 0
        self.request = b""
        self.load = Load()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for _ in range(self._count):
            _, client = await loop.create_connection(lambda: _Client(self), "127.0.0.1", self._port, ssl=self._context)
            self._clients.append(client)
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            if client.transport is not None:
                client.transport.abort()
        await asyncio.sleep(0)

    async def run(self, request: bytes, total: int, seconds: float = 60.0) -> Load:
        """Raises LoadError, TimeoutError after `seconds`."""
        self.request, self.left, self.load, self._waiting = request, total, Load(), self._count
        self._over = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        for client in self._clients:
            client.ask()
        await asyncio.wait_for(self._over, seconds)
        self._over = None
        self.load.seconds = time.perf_counter() - began
        return self.load

    def one_done(self) -> None:
        self._waiting -= 1
        if self._waiting == 0 and self._over is not None and not self._over.done():
            self._over.set_result(None)

    def fail(self, error: Exception) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_exception(error)


class _Idle(asyncio.Protocol):
    """A client that waits for a stream's first event and then keeps the connection."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._answer = Answer()
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        try:
            over = self._answer.feed(data)
        except (LoadError, ValueError) as error:
            self.connection_lost(error)
            return
        if over:
            self.connection_lost(LoadError("the stream ended"))
        elif self._answer.events and not self.first.done():
            self.first.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.first.done():
            self.first.set_exception(error or LoadError("the stream was closed"))


class IdleStreams:
    """Open streams of which nothing comes any more."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._context = context
        self._open: list[_Idle] = []

    async def open(self, request: bytes, count: int, at_once: int = 20) -> None:
        """Opens `count` more; each has shown its first event."""
        for done in range(0, count, at_once):
            await asyncio.gather(*(self._one(request) for _ in range(min(at_once, count - done))))

    async def _one(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, idle = await loop.create_connection(lambda: _Idle(request), "127.0.0.1", self._port, ssl=self._context)
        self._open.append(idle)
        await asyncio.wait_for(idle.first, 60)

    async def close(self) -> None:
        for idle in self._open:
            if idle.transport is not None:
                idle.transport.abort()
        self._open = []
        await asyncio.sleep(0.5)
