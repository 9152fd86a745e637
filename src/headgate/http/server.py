"""The HTTP/1.1 server: httptools on an asyncio protocol, one task a request.

Rules of this file:
- A request head is bounded in bytes, in fields and in time, trailers in bytes; a body in what of it waits to be read (HIGH), and in
  silence. Who reads it is told of a silence, and answers; a body that nobody waits for any more is given up.
- One timer serves all deadlines of a connection: it is moved lazily, so that a request costs none.
- A request that is not HTTP gets a JSON error, not text.
- Nothing is upgraded to (RFC 9110 §7.8): a request that offers it is answered in this protocol, its body read. JDK's client offers
  h2c with every request to an http:// address.
- Requests that a client sends without waiting (pipelining) are answered in their order, one after the other.
- When the connection goes before an answer is whole, the request's task is cancelled. So none has to wait for a disconnect.
- A client that stops sending has left, or waits for its answer still: TCP says the same of both (FIN). Something harmless is
  written between two pieces of the answer, again and again: a host that nobody listens on resets the connection, who waits reads
  over it. So a half-closed connection gets its whole answer, and one that was left ends its upstream within a second.

uvicorn runs it (listening, signals, the date); its own protocol and ASGI's messages cost 20 µs a request more (measured: 32 and 12 µs
of processor time for an answer of 1 kB).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn import Config
from uvicorn.server import ServerState

from headgate import tasks
from headgate.http.request import INTERIM, LINES, Request
from headgate.net import Headers

HEAD_FIELDS = 128
KEEP_ALIVE = 75.0
HIGH = 262_144
"""Bytes of a body that wait to be read before the socket is read on."""
PROBES = (0.1, 0.5, 8.0)
"""Seconds to the second look at a client that stopped sending (the first write brings the reset, the next one meets it), to the
third, and the longest between later ones, each of which waits twice as long."""
_COMMENT = b"3\r\n:\n\n\r\n"
_BLANK = b"1\r\n\n\r\n"


class Connection(asyncio.Protocol):
    """A client's connection. `head_bytes`, `head_seconds` and `body_seconds` are set by `bounded`; uvicorn makes it."""

    head_bytes = 64 * 1024
    head_seconds = 10.0
    body_seconds: Callable[[], float] = staticmethod(lambda: 60.0)
    """How long the client may be silent within a body; a reload may change it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self.state = server_state
        self._answer = cast(Callable[[Request], Coroutine[Any, Any, None]], config.app)
        self._parser = _parser(self)
        self.transport: asyncio.Transport
        self.peer = ""
        self.version = "1.1"
        """Of the last request."""
        self.lost = False
        self.writable: asyncio.Future[None] | None = None
        """There while the client does not keep up; done when it does again, or has left."""
        self._url = b""
        self._headers: Headers = []
        self._head_size = 0
        """Bytes received since the last of a body: of a head, of trailers."""
        self._in_head = False
        self._in_body = False
        self._staying = False
        """The parser is told the framing of the body that it is to read."""
        self._refused = False
        self._paused = False
        self._current: Request | None = None
        """Being answered."""
        self._latest: Request | None = None
        """Being received."""
        self._queue: deque[Request] = deque()
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._prober: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.state.connections.add(self)  # type: ignore[arg-type]
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods, not by its class
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if peer else ""
        self._wait(self.head_seconds)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if not self._in_body and not self._in_head:
            self._in_head = True
            if self._due > self.loop.time() + self.head_seconds:
                self._due = math.inf  # set below, if the head is not whole by then
        self._head_size += len(data)
        self._feed(data)
        if self._head_size > self.head_bytes:
            self._refuse(431, "request_header_fields_too_large", "the request's header section is too large")
        elif self._in_head:
            if self._due == math.inf:
                self._wait(self.head_seconds)
        elif self._in_body:
            self._wait(self.body_seconds())

    def _feed(self, data: bytes) -> None:
        rest: bytes | None = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            cause = error.__context__
            if cause is not None and not isinstance(cause, httptools.HttpParserError | UnicodeError):
                raise  # a defect in one of the callbacks
            self._refuse(400, "invalid_request", "this is not a valid HTTP/1.1 request")
        if rest is not None:
            self._stay(rest)

    def _stay(self, rest: bytes) -> None:
        """The parser takes what follows an offered upgrade for the other protocol. It is this one's: the body, which a new parser reads
        that is told of its framing. Without a body it is nothing (a WebSocket, whose route answers 426): the connection ends there."""
        framing = [
            b"%b: %b" % field for field in self._headers if field[0] in (b"content-length", b"transfer-encoding")
        ]
        if not framing or self._latest is None:
            self._complete()
            self._refused = True
            if self._latest is not None:
                self._latest.keep = False
            return
        self._staying = True
        self._parser = _parser(self)
        self._feed(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % b"\r\n".join(framing))
        self._staying = False
        self._feed(rest)

    def eof_received(self) -> bool:
        """Whether the connection stays open for an answer under way. Under TLS it never does: asyncio closes it."""
        current = self._current
        if current is None or self._in_head or self._in_body or self._refused:
            return False
        if self.version != "1.1" or (current.begun and not current.poured):
            return False  # there is nothing that could be written in between
        current.keep = False
        self._probe(PROBES[0])
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._queue.clear()
        self.state.connections.discard(self)
        for timer in (self._timer, self._prober):
            if timer is not None:
                timer.cancel()
        self._timer = self._prober = None
        del self._parser  # it holds us: a cycle, of which the collector would hear late
        self.resume_writing()
        if self._current is not None and self._current.task is not None:
            self._current.task.cancel()
        self._current = self._latest = None

    def pause_writing(self) -> None:
        self.writable = self.loop.create_future()

    def resume_writing(self) -> None:
        if self.writable is not None:
            if not self.writable.done():
                self.writable.set_result(None)
            self.writable = None
        self._next()

    # ------------------------------------------------------------------ httptools callbacks

    def on_message_begin(self) -> None:
        if self._staying:
            return
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return  # a trailer, which must not be merged into the head (RFC 9110 §6.5.1)
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._staying:
            return
        headers, size = self._headers, self._head_size
        self._in_head, self._head_size = False, 0
        if size > self.head_bytes:  # of which some may be the body's
            size = sum(len(name) + len(value) for name, value in headers)
        if len(headers) > HEAD_FIELDS or size > self.head_bytes:
            self._refuse(431, "request_header_fields_too_large", "the request's header section is too large")
        if self._refused:
            return
        parser = self._parser
        url = httptools.parse_url(self._url)
        path = url.path.decode("ascii")
        self.version = parser.get_http_version()
        request = Request(
            self,
            parser.get_method().decode("ascii"),
            unquote(path) if "%" in path else path,
            url.query or b"",
            headers,
        )
        request.keep = self.version != "1.0" and parser.should_keep_alive()
        request.expects = dict(headers).get(b"expect", b"").lower() == b"100-continue"
        self._in_body = True
        self._due = math.inf
        self._latest = request
        self._queue.append(request)
        self._next()
        if self._queue:
            self._pause()

    def on_body(self, body: bytes) -> None:
        self._head_size = 0
        request = self._latest
        if self._refused or request is None or request.over:
            return  # a body that nobody reads any more
        request.take(body)
        if request.waiting > HIGH:
            self._pause()

    def on_message_complete(self) -> None:
        if not self._parser.should_upgrade():  # else `_stay` knows whether it is
            self._complete()

    def _complete(self) -> None:
        self._in_body, self._head_size = False, 0
        self._due = math.inf
        if self._refused or self._latest is None:
            return
        self._latest.complete()
        if self._current is None:
            self._wait(KEEP_ALIVE)

    # ------------------------------------------------------------------ requests, one after the other

    def _next(self) -> None:
        """Answer the next request, if there is one: once the client has taken the answer before."""
        if self._queue and self._current is None and self.writable is None:
            self._current = request = self._queue.popleft()
            request.task = tasks.begin(self._answer(request))

    def answered(self, request: Request) -> None:
        self._current = None
        if not request.keep:
            self.transport.close()
        if self.transport.is_closing():
            return
        if self._queue:
            self._next()
            return
        if self._paused:
            self.read_on()
        if not self._in_body and not self._in_head:
            self._wait(KEEP_ALIVE)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def read_on(self) -> None:
        if self._paused and not self.lost and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    def hold_off(self, seconds: float) -> None:
        if not self.lost and not self.transport.is_closing():
            self._pause()
            self.loop.call_later(seconds, self.read_on)

    @property
    def busy(self) -> bool:
        """A request is under way."""
        return self._current is not None

    def shutdown(self) -> None:
        """It closes behind its answer; an idle one now. (uvicorn asks.)"""
        if self._current is None:
            self.transport.close()
        else:
            self._current.keep = False

    # ------------------------------------------------------------------ clients that stopped sending

    def _probe(self, pause: float) -> None:
        self._prober = None
        current = self._current
        if current is None or self.transport.is_closing():
            return
        if not current.begun:
            self.transport.write(INTERIM)
        elif current.poured:
            self.transport.write(_COMMENT if current.events else _BLANK)
        later = PROBES[1] if pause == PROBES[0] else min(pause * 2, PROBES[2])
        self._prober = self.loop.call_later(pause, self._probe, later)

    # ------------------------------------------------------------------ deadlines

    def _wait(self, seconds: float) -> None:
        self._due = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > self._due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(self._due, self._look)

    def _look(self) -> None:
        """The timer's moment, which may have been put off since."""
        self._timer = None
        if self._due == math.inf:
            return
        if self.loop.time() < self._due:
            self._timer = self.loop.call_at(self._due, self._look)
        elif self._current is None or self._latest is None:
            if self._in_head:
                self._refuse(408, "request_timeout", "the request's header section did not arrive in time")
            else:
                self.transport.close()
        else:
            if (
                self._in_body and not self._paused and not self._latest.expects
            ):  # else it is the client who waits for us
                self._latest.fall_silent()
            self._wait(self.body_seconds())

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer on the bare transport and close: there is no request to answer in a dialect yet. Behind a request that came whole,
        only close: an answer is its own."""
        if self._refused:
            return
        self._refused = True
        last = self._queue[-1] if self._queue else self._current
        if last is not None and not self._in_body:
            last.keep = False
            return
        if self._current is not None and self._current.begun:
            self.transport.close()
            return
        body = b'{"error":{"message":"%s","type":"invalid_request_error","param":null,"code":"%s"}}' % (
            message.encode(),
            code.encode(),
        )
        self.transport.write(
            b"%b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (LINES[status], len(body), body)
        )
        self.transport.close()


def _parser(connection: Connection) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(connection)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)  # what comes behind a last request is not an error
    return parser


def bounded(head_bytes: int, head_seconds: float, body_seconds: Callable[[], float]) -> type[Connection]:
    """The protocol with these bounds on a request's head, and on silence within its body."""
    bounds = {"head_bytes": head_bytes, "head_seconds": head_seconds, "body_seconds": staticmethod(body_seconds)}
    return type("BoundedConnection", (Connection,), bounds)
