"""One connection to an upstream: one request at a time, its response read with back-pressure.

Rules of this file:
- Bytes wait in `_chunks`; above HIGH the socket is paused, at zero it is resumed: a slow client slows the provider.
- A reader's sink is called where the bytes come in. It must neither block nor close the connection; what it raises is raised to
  the reader.
- One timer serves all deadlines of the connection: it is moved lazily, so that a chunk costs no timer.
- Between two chunks, one that comes alone and whole (as most events of streams do) passes the parser by (chunk.py).
- A response is over when its framing says so. A close before that is UpstreamTruncated, unless the close *is* the framing
  (neither length nor chunks, RFC 9112 §6.3).
- What comes behind a finished answer is dropped, and the connection with it: it must not be taken for another (RFC 9112 §6.3).
- Heads are bounded in bytes and fields, trailers in bytes, interim (1xx) answers in number, decompression in steps (inflate.py).
- Every error a caller sees from here is one of ours.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import cast

import httptools

from headgate.errors import UpstreamError, UpstreamMalformed, UpstreamTimeout, UpstreamTruncated, UpstreamUnreachable
from headgate.http1.chunk import CRLF, alone
from headgate.http1.inflate import Inflate
from headgate.net import Headers, Sink

HIGH = 256 * 1024
HEAD_BYTES = 64 * 1024
HEAD_FIELDS = 256
INTERIM = 16
REST = "send the rest of its answer"
NOT_HTTP = "the upstream's answer is not HTTP/1.1"


class Connection(asyncio.Protocol):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._now = loop.time
        self.transport: asyncio.Transport | None = None
        self.served = 0
        self.opened_in = 0.0  # seconds: a round trip and more
        self.idle_since = 0.0
        self.head_form = b""  # what stands before the path: b"http://host" through a plain proxy
        self.proxy_headers: list[bytes] = []
        self._writable: asyncio.Future[None] | None = None
        self._paused_writing = False
        self._timer: asyncio.TimerHandle | None = None
        self._heard = self._patience = 0.0
        """When the present wait began, or the reader was last given something; for how long from then it waits."""
        self._total = 0.0
        self._limit = 0.0
        self._why = ""
        self._waiter: asyncio.Future[None] | None = None
        self._parser = httptools.HttpResponseParser(self)  # an exchange that ended well left it ready for the next
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)  # padding (RFC 9112 §7.1.1: BWS)
        self._reset()

    def _reset(self) -> None:
        self.headers: Headers = []
        self.status = 0
        self.got_bytes = False
        self._outside = 0
        """Bytes received since the last of a body: of a head, of trailers."""
        self._interim = 0
        self._head_done = False
        self._done = False
        self._framed = False
        self._error: Exception | None = None
        """What the reader is to be told once it has what came before."""
        self._sink: Sink | None = None
        self._between = False
        """All that came is chunks, whole ones."""
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._paused = False
        self._inflate: Inflate | None = None
        self._tail = False
        """The first of `_chunks` is what a step of decompression left: between two steps others have their turn."""
        self._keep = False
        self._sent = False

    # ------------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods, not by its class

    def data_received(self, data: bytes) -> None:
        waiter, sink = self._waiter, self._sink
        waited = waiter is not None and not waiter.done()
        chunk = alone(data) if self._between else b""
        if chunk and waited and sink is not None and self._inflate is None:  # who waits has taken what came before
            try:
                if sink(chunk):
                    self._heard = self._now()
                    return
                self._sink = None
            except Exception as error:  # noqa: BLE001 - the reader's own, raised to it
                self._error = error
            self._wake()
            return
        if self.idle_since:
            self.abort()  # bytes nobody asked for: the next request must not read them as its answer
            return
        if chunk:
            self.on_body(chunk)
        else:
            self._parse(data)
        goes_on = waited and self._sink is not None and self._deliver()
        if goes_on and not self._done and not self._tail and self._error is None:
            self._heard = self._now()
        else:
            self._wake()

    def _parse(self, data: bytes) -> None:
        self.got_bytes = True
        self._outside += len(data)
        self._between = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(UpstreamMalformed("the upstream tried to change protocols"))
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__ or error.__cause__
            self._fail(cause if isinstance(cause, UpstreamError) else UpstreamMalformed(NOT_HTTP))
        except httptools.HttpParserError:
            self._fail(UpstreamMalformed(NOT_HTTP))
        if self._outside > HEAD_BYTES or len(self.headers) > HEAD_FIELDS:
            self._fail(UpstreamMalformed("the upstream's header or trailer section is too large"))
        if self._between and not data.endswith(CRLF):
            self._between = False  # a part of the next size line, of which the parser says nothing yet

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if not self._done and self._error is None:
            if not self.got_bytes:
                self._error = UpstreamUnreachable(
                    "the upstream closed the connection before answering", code="upstream_reset"
                )
            elif self._head_done and not self._framed and exc is None:
                self._done = True
            else:
                self._error = UpstreamTruncated("the upstream closed the connection in the middle of its answer")
        self.transport = None
        del self._parser  # it holds us: a cycle, of which the collector would hear late
        self.resume_writing()
        self._wake()

    def pause_writing(self) -> None:
        self._paused_writing = True

    def resume_writing(self) -> None:
        self._paused_writing = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # ------------------------------------------------------------------ httptools callbacks

    def on_message_begin(self) -> None:
        if self._done:
            raise UpstreamMalformed("bytes behind the upstream's answer")  # which stays done: the connection ends
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:
            return  # a trailer, which must not be merged into the head (RFC 9110 §6.5.1)
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self._interim += 1
            if self._interim > INTERIM:
                raise UpstreamMalformed("the upstream sends interim answers without end")
            return
        self._head_done = True
        for name, value in self.headers:
            if name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value.lower()):
                self._framed = True
            elif name == b"content-encoding" and value.strip().lower() in (b"gzip", b"x-gzip", b"deflate"):
                self._inflate = Inflate()

    def on_body(self, body: bytes) -> None:
        self._outside = 0
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > HIGH and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()

    def on_chunk_header(self) -> None:
        self._between = False

    def on_chunk_complete(self) -> None:
        self._between = True

    def on_message_complete(self) -> None:
        self._between = False
        if self.status >= 200:
            self._done = True
            self._keep = self._parser.should_keep_alive()

    # ------------------------------------------------------------------ waiting

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._error is None and not self._done:
            self._error = error
        self.abort()
        self._wake()

    def begin(self, total: float) -> None:
        """A new exchange on this connection: the clock of its total deadline starts."""
        self._reset()
        self.idle_since = 0.0
        self._total = self._limit = self._now() + total

    def limit(self, seconds: float | None) -> None:
        """All waits from now on end in `seconds` at the latest; None: only the total deadline holds."""
        self._limit = self._total if seconds is None else min(self._total, self._now() + seconds)
        if self._waiter is not None:
            self._arm()

    def _arm(self) -> None:
        expires = min(self._heard + self._patience, self._limit)
        if self._timer is None or self._timer.when() > expires:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(expires, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._now() < min(self._heard + self._patience, self._limit):
            self._arm()
            return
        self._fail(UpstreamTimeout(f"the upstream did not {self._why} in time"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _wait(self, seconds: float, why: str) -> None:
        self._waiter = self._loop.create_future()
        self._heard, self._patience, self._why = self._now(), seconds, why
        self._arm()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # ------------------------------------------------------------------ for the pool

    def send(self, head: bytes, body: bytes) -> None:
        if self.transport is None:
            raise UpstreamUnreachable("the upstream closed the connection before answering", code="upstream_reset")
        self.transport.write(head + body if len(body) < HEAD_BYTES else head)
        if len(body) >= HEAD_BYTES:
            self.transport.write(body)
        self._sent = True

    async def send_stream(self, head: bytes, body: AsyncIterator[bytes], chunked: bool) -> None:
        """An upload, piece by piece under back-pressure. Ends early, without error, where the upstream has answered or left; what
        the body's source raises is raised to who waits for the answer."""
        self._write(head)
        try:
            async for piece in body:
                if self.transport is None or self._done:
                    return
                if piece:
                    self._write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                    if self._paused_writing:
                        self._writable = self._loop.create_future()
                        await self._writable
        except Exception as error:  # noqa: BLE001 - handed on
            self._fail(error)
            return
        if chunked:
            self._write(b"0\r\n\r\n")
        self._sent = True

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    async def head(self, seconds: float) -> None:
        """Wait for the response head."""
        while not self._head_done:
            if self._error is not None:
                raise self._error
            await self._wait(seconds, "answer")

    async def pour(self, sink: Sink, seconds: float) -> bool:
        """Hands the body's bytes to `sink` as they arrive, until it says no (False) or the body ends (True)."""
        self._sink = sink
        try:
            while True:
                if self._tail:
                    await asyncio.sleep(0)
                if not self._deliver():
                    return False
                if self._tail:
                    continue
                if self._error is not None:
                    raise self._error
                if self._done:
                    if self._inflate is not None and self._inflate.halfway:
                        raise UpstreamTruncated("the upstream's compressed answer ended before its end")
                    return True
                await self._wait(seconds, REST)
        finally:
            self._sink = None

    def _deliver(self) -> bool:
        """Hands what has arrived to the sink, and lets go of it where it says no. Whether it is still there."""
        try:
            while self._chunks and self._sink is not None:
                data = self._take()
                if data and not self._sink(data):
                    self._sink = None
                if self._tail:
                    break
        except Exception as error:  # noqa: BLE001 - the reader's own, raised to it
            self._error = error
            self._chunks.clear()
            self._tail = False
        return self._sink is not None

    def _take(self) -> bytes:
        if self._inflate is not None:
            return self._inflated()
        chunks = self._chunks
        data = chunks.popleft() if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._buffered = 0
        if self._paused:
            self._resume()
        return data

    def _inflated(self) -> bytes:
        """One step of decompression. Behind a compressed body's end the answer is over, whatever its framing says."""
        assert self._inflate is not None
        packed = self._chunks.popleft()
        if self._inflate.over(packed):
            self._chunks.clear()
            self._tail, self._done = False, True
            self.abort()
            return b""
        data, rest = self._inflate.step(packed)
        self._buffered -= len(packed) - len(rest)
        self._tail = bool(rest)
        if rest:
            self._chunks.appendleft(rest)
        self._resume()
        return data

    def _resume(self) -> None:
        if self._paused and self._buffered == 0:
            self._paused = False
            if self.transport is not None:
                self.transport.resume_reading()

    @property
    def reusable(self) -> bool:
        """Whether the exchange ended so that another may follow."""
        return self.alive and self._done and self._keep and self._sent and not self._chunks and self._error is None

    @property
    def behind(self) -> bool:
        """Whether bytes wait for their reader."""
        return bool(self._chunks)

    @property
    def alive(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def abort(self) -> None:
        """End the connection now, unsent bytes and all."""
        self._stop_timer()
        if self.transport is not None:
            self.transport.abort()

    def rest(self, now: float) -> None:
        """Between two exchanges. The timer stays: the next one moves it."""
        self.idle_since = now
