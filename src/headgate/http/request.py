"""One request on a server's connection: its body as it comes in, its answer as it goes out."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from headgate.errors import RequestTimeout
from headgate.http.incoming import ClientLeft
from headgate.net import Headers

if TYPE_CHECKING:
    from headgate.http.server import Connection

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"  # RFC 9110 §15.2: a client reads over it, expected or not
LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}
_TOGETHER = 65_536
"""Bytes of a body up to which copying it behind its head costs less than a write of two pieces."""
_BODILESS = frozenset((204, 304))


class Request:
    """An `Incoming` on a connection."""

    __slots__ = (
        "_body",
        "_chunked",
        "_connection",
        "_framed",
        "_head",
        "_reader",
        "_silent",
        "begun",
        "bodiless",
        "events",
        "expects",
        "headers",
        "keep",
        "method",
        "over",
        "path",
        "peer",
        "poured",
        "query",
        "received",
        "task",
        "waiting",
    )

    def __init__(self, connection: Connection, method: str, path: str, query: bytes, headers: Headers) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.peer = connection.peer
        self.keep = True
        self.expects = False
        """It waits for a 100 before it sends its body."""
        self.task: asyncio.Task[None] | None = None
        self.begun = False
        self.over = False
        self.poured = False
        """Its answer is under way, in pieces between which something may stand."""
        self.events = False
        """It is a stream of events."""
        self.bodiless = False
        self._connection = connection
        self._body: list[bytes] = []
        self.received = False
        """All of its body is here."""
        self.waiting = 0
        """Bytes of the body that nobody has read yet."""
        self._silent = False
        self._reader: asyncio.Future[None] | None = None
        self._head = b""
        """Of the answer: not sent yet."""
        self._framed = True
        self._chunked = False
        """The head is sent, and all that follows are chunks."""

    # ------------------------------------------------------------------ the request's body

    def take(self, data: bytes) -> None:
        self._body.append(data)
        self.waiting += len(data)
        self._silent = False
        self._wake()

    def fall_silent(self) -> None:
        self._silent = True
        self._wake()

    def complete(self) -> None:
        self.received = True
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def read(self) -> bytes:
        connection = self._connection
        while not self._body:
            if connection.lost:
                raise ClientLeft
            if self.received:
                return b""
            if self._silent:
                raise RequestTimeout("the rest of the request body did not arrive in time: send it again")
            if self.expects:
                self.expects = False
                connection.transport.write(INTERIM)
            connection.read_on()
            self._reader = connection.loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self.waiting = 0
        return data

    # ------------------------------------------------------------------ the answer

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        if not self._connection.lost:
            head = self._first(status, [*headers, (b"content-length", b"%d" % len(body))])
            if self.bodiless:
                body = b""
            if len(body) < _TOGETHER:
                self._connection.transport.write(head + body)
            else:
                self._connection.transport.writelines((head, body))
            self._ended()

    def begin(self, status: int, headers: Headers) -> None:
        self.events = any(value.startswith(b"text/event-stream") for name, value in headers if name == b"content-type")
        if (
            self._connection.version == "1.0"
        ):  # no chunks there: the end of the connection ends the answer (RFC 9112 §6.3)
            self.keep = self._framed = False
        elif status not in _BODILESS:
            headers = [*headers, (b"transfer-encoding", b"chunked")]
        self._head = self._first(status, headers)

    def _first(self, status: int, headers: Headers) -> bytes:
        """The answer's head. A line break in a header is a defect, and must not become a second header."""
        assert not self.begun
        self.bodiless = self.method == "HEAD" or status in _BODILESS
        if not self.keep:
            headers = [*headers, (b"connection", b"close")]
        fields = [*self._connection.state.default_headers, *headers]
        head = b"\r\n".join([LINES.get(status) or b"HTTP/1.1 %d " % status, *map(b": ".join, fields)])
        if head.count(b"\n") != len(fields) or head.count(b"\r") != len(fields):
            raise ValueError("a line break in a header of an answer")
        self.begun = True
        return head + b"\r\n\r\n"

    def write(self, data: bytes) -> bool:
        connection = self._connection
        if connection.lost:
            return True
        if self._chunked:
            connection.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._pour(data)
        return connection.writable is None

    def _pour(self, data: bytes) -> None:
        """The first piece, behind the head; and all where there are no chunks."""
        self.poured = True
        head, self._head = self._head, b""
        if self.bodiless:
            data = head
        elif self._framed:
            self._chunked = True
            data = b"%b%x\r\n%b\r\n" % (head, len(data), data)
        else:
            data = head + data
        self._connection.transport.write(data)

    async def drain(self) -> None:
        writable = self._connection.writable
        if writable is not None:
            await writable

    def end(self) -> None:
        if not self._connection.lost:
            last = self._head if self.bodiless or not self._framed else self._head + b"0\r\n\r\n"
            if last:
                self._connection.transport.write(last)
            self._ended()

    def _ended(self) -> None:
        self.over = True
        self._connection.answered(self)

    def cut(self) -> None:
        if not self.over and not self._connection.lost:
            self._connection.transport.close()

    def hold_off(self, seconds: float) -> None:
        self._connection.hold_off(seconds)
