"""uvicorn's httptools protocol with bounds, and with a word when the client leaves.

Rules of this file:
- A request head is bounded in bytes, in fields and in time; a body in silence. Who reads it is told of a silence by an empty piece
  that is not the last, and answers; a body that nobody waits for any more is given up.
- A request that is not HTTP gets a JSON error, not text.
- A client that stops sending has left, or waits for its answer still: TCP says the same of both (FIN). Something harmless is
  written between two pieces of the answer, again and again: a host that nobody listens on resets the connection, who waits reads
  over it. So a half-closed connection gets its whole answer, and one that was left ends its upstream within a second.
- `scope["headgate.client"]` is the protocol itself: `write` puts a piece of a streamed body on the wire, without a message and a
  task's step for it; `hold_off` has its next request wait in the socket.
- `scope["headgate.leave"]` is a list of callables: run once when the connection goes before the response is complete. So no task
  per request has to wait for a disconnect (measured: 9 µs a request saved).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_FIELDS = 128
PROBES = (0.1, 0.5, 8.0)
"""Seconds to the second look at a client that stopped sending (the first write brings the reset, the next one meets it), to the
third, and the longest between later ones, each of which waits twice as long."""
_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"  # RFC 9110 §15.2: a client reads over it, expected or not
_COMMENT = b"3\r\n:\n\n\r\n"
_BLANK = b"1\r\n\n\r\n"


class _Corked:
    """A transport that keeps a response head back until its first body bytes: one write for both, not two (a write to a socket
    costs 10 to 20 µs). uvicorn writes a head in one piece, and always a body after it."""

    __slots__ = ("_head", "_transport", "events", "expected")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.expected = 0
        """Responses whose head is still to be written."""
        self.events = False
        """The last response is a stream of events."""

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif self.expected and data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100"):
            self._head = data
            self.events = b"text/event-stream" in data
            self.expected -= 1
            return
        self._transport.write(data)

    def close(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """`head_bytes`, `head_seconds` and `body_seconds` are set by `bounded`."""

    head_bytes = 64 * 1024
    head_seconds = 10.0
    body_seconds: Callable[[], float] = staticmethod(lambda: 60.0)
    """How long the client may be silent within a body; a reload may change it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_size = 0
        """Bytes received while the head is not complete."""
        self._field_size = 0
        """Bytes of the complete headers of this head."""
        self._in_head = False
        self._in_body = False
        self._clock: asyncio.TimerHandle | None = None
        self._prober: asyncio.TimerHandle | None = None
        self._poured = False
        """The answer under way is written by `write`, in pieces between which something may stand."""
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = _Corked(transport)  # type: ignore[assignment]
        self._wait(self.head_seconds)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if not self._in_body:
            if not self._in_head:
                self._in_head = True
                if self._clock is None:
                    self._wait(self.head_seconds)
            self._head_size += len(data)
        super().data_received(data)
        if self._in_body:
            self._wait(self.body_seconds())
        elif self._in_head and self._head_size > self.head_bytes:
            self._refuse(431, "request_header_fields_too_large", "the request's header section is too large")

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._field_size += len(name) + len(value)
        if len(self.headers) > HEAD_FIELDS or self._field_size > self.head_bytes:
            self._refuse(431, "request_header_fields_too_large", "the request's header section is too large")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_size = self._field_size = 0
        self._stop_clock()
        if self._refused:
            return
        self.scope["headgate.leave"] = []  # type: ignore[typeddict-unknown-key]
        self.scope["headgate.client"] = self  # type: ignore[typeddict-unknown-key]
        self._in_body = True
        self._poured = False
        self.transport.expected += 1  # type: ignore[attr-defined]
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._stop_clock()
        if not self._refused:
            super().on_message_complete()

    def write(self, data: bytes) -> bool:
        """A piece of the body of a response whose head says that it comes in chunks; whether the client keeps up."""
        self._poured = True
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return not self.flow.write_paused

    async def drain(self) -> None:
        await self.flow.drain()

    def hold_off(self, seconds: float) -> None:
        """Read nothing more from this client for so long: what it sends stays in its socket, where it costs nothing."""
        if not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(seconds, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays open for an answer under way. Under TLS it never does: asyncio closes it."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or self._in_head or self._in_body or self._refused:
            return False
        if self.scope["http_version"] != "1.1" or (cycle.response_started and not self._poured):
            return False  # there is nothing that could be written in between
        cycle.keep_alive = False
        self._probe(PROBES[0])
        return True

    def _probe(self, pause: float) -> None:
        self._prober = None
        cycle = self.cycle
        if cycle is None or cycle.response_complete or self.transport.is_closing():
            return
        if not cycle.response_started:
            self.transport.write(_INTERIM)
        elif self._poured:
            self.transport.write(_COMMENT if self.transport.events else _BLANK)  # type: ignore[attr-defined]
        later = PROBES[1] if pause == PROBES[0] else min(pause * 2, PROBES[2])
        self._prober = self.loop.call_later(pause, self._probe, later)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        if self._prober is not None:
            self._prober.cancel()
        cycle = self.cycle
        super().connection_lost(exc)
        waiting = [cycle] if cycle is not None and not cycle.response_complete else []
        for left in [*waiting, *(queued for queued, _ in self.pipeline)]:
            leave: list[Callable[[], object]] = left.scope.get("headgate.leave", [])  # type: ignore[assignment]
            for call in leave:
                call()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "invalid_request", "this is not a valid HTTP/1.1 request")

    def _unsupported_upgrade_warning(self) -> None:
        """The route answers (426): nothing to warn of."""

    def _wait(self, seconds: float) -> None:
        self._stop_clock()
        self._clock = self.loop.call_later(seconds, self._late)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _late(self) -> None:
        self._clock = None
        if self._in_head:
            self._refuse(408, "request_timeout", "the request's header section did not arrive in time")
            return
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.close()
            return
        if not self.flow.read_paused and not cycle.waiting_for_100_continue:  # else it is the client who waits for us
            cycle.message_event.set()
        self._wait(self.body_seconds())

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer on the bare transport and close: there is no request to answer in a dialect yet."""
        if self._refused:
            return
        self._refused = True
        body = b'{"error":{"message":"%s","type":"invalid_request_error","param":null,"code":"%s"}}' % (
            message.encode(),
            code.encode(),
        )
        self.transport.write(
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (status, len(body), body)
        )
        self.transport.close()


def bounded(head_bytes: int, head_seconds: float, body_seconds: Callable[[], float]) -> type[Protocol]:
    """The protocol with these bounds on a request's head, and on silence within its body."""
    bounds = {"head_bytes": head_bytes, "head_seconds": head_seconds, "body_seconds": staticmethod(body_seconds)}
    return type("BoundedProtocol", (Protocol,), bounds)
