"""A socket of the laboratory's provider, as a fault sees it: what it may do to the client, always with an end.

Rules of this file:
- Nothing lasts: PATIENCE bounds every wait, and a request is read up to REQUEST_LIMIT only.
- A client that leaves ends the fault under way (`Gone`) and is noted with its time: whether a gateway lets go is half of what is
  measured.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

import msgspec
from msgspec import Struct

from headgate import clock, tasks
from headgate.faults import answers

REQUEST_LIMIT = 1 << 20
PATIENCE = 30.0
"""Seconds after which a fault that waits for the client to leave gives up."""


class Gone(Exception):
    """The client left."""


class Seen(Struct, kw_only=True):
    """One request as the provider has it. Times are seconds of `clock.mono`; `closed` is when the connection ended, and `left`
    says that the client ended it before the provider was done."""

    model: str
    request_id: str
    method: str
    path: str
    at: float
    number: int
    """Which request for this model: 1 for the first."""
    dialect: str
    stream: bool
    received: int = 0
    sent: int = 0
    done: float | None = None
    closed: float | None = None
    left: bool = False


Play: TypeAlias = Callable[["Wire", Seen], Awaitable[None]]
Accept: TypeAlias = Callable[[str, str, bytes, int], tuple[Seen, Play]]
"""(method, path, body, bytes received) -> the request as noted, and what is done with it."""


class Wire(asyncio.Protocol):
    """One connection of a client. Requests are played one after the other."""

    def __init__(self, accept: Accept) -> None:
        self._accept = accept
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self.gone = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None
        self.seen: Seen | None = None

    # ------------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._buffer[:1].isalpha():
            self._refuse()
        elif len(self._buffer) > REQUEST_LIMIT:
            self.close()
        elif self._task is None:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._writable.set()
        if not self.gone.done():
            self.gone.set_result(None)
        if self.seen is not None:
            self.seen.closed = clock.mono()
            self.seen.left = self.seen.done is None

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # ------------------------------------------------------------------ requests

    def _refuse(self) -> None:
        """What is no HTTP (a TLS client at a plain port) is told so in plain text, as servers do."""
        if self._transport is not None:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._transport.close()

    def _next(self) -> None:
        found = _request(self._buffer)
        if found is None:
            return
        method, path, body, size = found
        self._buffer = self._buffer[size:]
        self.seen, play = self._accept(method, path, body, size)
        self._task = tasks.spawn(self._play(play, self.seen), "laboratory provider")

    async def _play(self, play: Play, seen: Seen) -> None:
        try:
            await play(self, seen)
            seen.done = clock.mono()
        except Gone:
            pass
        finally:
            self._task = None
        if self._transport is not None and not self._transport.is_closing():
            self._next()

    # ------------------------------------------------------------------ what a fault may do

    async def send(self, *pieces: bytes) -> None:
        """Write, and wait until the system takes more. Raises Gone."""
        for piece in pieces:
            if self._transport is None or self._transport.is_closing():
                raise Gone
            self._transport.write(piece)
            if self.seen is not None:
                self.seen.sent += len(piece)
            if not self._writable.is_set():
                async with asyncio.timeout(PATIENCE):
                    await self._writable.wait()

    async def rest(self, seconds: float) -> None:
        """Wait. Raises Gone as soon as the client leaves."""
        done, _ = await asyncio.wait({self.gone}, timeout=min(seconds, PATIENCE))
        if done:
            raise Gone

    async def silence(self) -> None:
        """Say nothing until the client leaves, or patience ends."""
        await self.rest(PATIENCE)
        self.close()

    def close(self) -> None:
        """A clean end (FIN), behind what was written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End now, whatever is still to be written."""
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """An unclean end (RST): a socket that lingers for no time at all says so instead of FIN."""
        if self._transport is None:
            return
        number = self._transport.get_extra_info("socket").fileno()
        with socket.socket(fileno=socket.dup(number)) as same:  # uvloop's own object does not set options
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


def _request(data: bytes) -> tuple[str, str, bytes, int] | None:
    """The first request of these bytes (method, path, body, its size), None as long as it is not whole."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = data[:end].split(b"\r\n")
    method, path, *_ = (*first.decode("latin-1").split(" "), "", "")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    size = end + 4 + int(headers.get(b"content-length", b"0"))
    return (method, path, data[end + 4 : size], size) if len(data) >= size else None


def asked(path: str, body: bytes) -> tuple[str, str, bool]:
    """(model, dialect, stream) of a request. A path without a body names its model last."""
    plain = path.partition("?")[0]
    if ":" in (last := plain.rsplit("/", 1)[-1]):
        model, _, verb = last.partition(":")
        return model, answers.GEMINI, verb.startswith("stream")
    document: Any = msgspec.json.decode(body) if body else {}
    ends = {"/messages": answers.ANTHROPIC, "/responses": answers.RESPONSES}
    dialect = next((dialect for end, dialect in ends.items() if plain.endswith(end)), answers.CHAT)
    return str(document.get("model", last)), dialect, bool(document.get("stream"))
