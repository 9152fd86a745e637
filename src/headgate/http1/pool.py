"""Connections to upstreams, kept for reuse by origin. Fulfils `net.Open` (call the pool) and `net.Fetch` (`fetch`).

Rules of this file:
- Last in, first out: the warmest connection serves next, the others age and are closed after IDLE seconds.
- A reused connection that dies before a single byte came, and at once, is replaced by a new one, once: the server had closed it while
  it was idle, and that was under way to us. After longer than opening one takes (a round trip and more, at least QUICK) the server may
  have worked on the request, and billed it: that is the caller's to judge, as is a new connection's death.
- Whoever is cancelled leaves no open socket behind.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from headgate import tasks
from headgate.errors import UpstreamError, UpstreamMalformed, UpstreamTimeout, UpstreamUnreachable
from headgate.http1.body import Body
from headgate.http1.connection import Connection
from headgate.net import Call, Headers, Origin

IDLE = 55.0
KEPT = 512
QUICK = 0.1
"""Seconds: sooner, no provider has read a request, worked on it for money and failed."""

_FOREIGN: tuple[tuple[type[BaseException], str, str], ...] = (
    (ssl.SSLCertVerificationError, "tls_certificate", "the upstream's TLS certificate is not valid"),
    (ssl.SSLError, "tls_failed", "the TLS handshake with the upstream failed"),
    (ConnectionRefusedError, "connection_refused", "the upstream refused the connection"),
    (ConnectionResetError, "upstream_reset", "the upstream reset the connection"),
    (TimeoutError, "connect_timeout", "the upstream could not be connected in time"),
    (OSError, "upstream_unreachable", "the upstream could not be reached"),
)
"""Foreign exception -> (code, message). The first row that fits counts; name resolution failures are OSErrors."""


class Pool:
    def __init__(self) -> None:
        self._idle: dict[Origin, deque[Connection]] = {}
        self._contexts: dict[tuple[object, ...], ssl.SSLContext] = {}
        self._in_use: set[Connection] = set()
        self._gone: set[Origin] = set()
        """Origins that the config named once and does not any more: connections to them are not kept."""
        self._sweeper: asyncio.TimerHandle | None = None

    async def __call__(self, call: Call) -> Body:
        connection = self._take(call.origin) or await self._connect(call)
        began = connection._loop.time()
        call.sent = True
        try:
            await self._exchange(connection, call)
        except UpstreamUnreachable:
            if not connection.served or connection.got_bytes or not isinstance(call.body, bytes):
                raise
            if connection._loop.time() - began > max(QUICK, connection.opened_in):
                raise
            connection = await self._connect(call)
            await self._exchange(connection, call)
        return Body(connection, call, self._releaser(call.origin))

    async def fetch(self, call: Call, *, limit: int = 1 << 20) -> tuple[int, Headers, bytes]:
        response = await self(call)
        try:
            parts: list[bytes] = []
            size = 0
            while data := await response.read():
                size += len(data)
                if size > limit:
                    raise UpstreamMalformed("the answer is larger than expected")
                parts.append(data)
            return response.status, response.headers, b"".join(parts)
        finally:
            response.close()

    async def _exchange(self, connection: Connection, call: Call) -> None:
        """Send the call and wait for the response head; on any way out but success the connection is gone."""
        self._in_use.add(connection)
        upload: asyncio.Task[None] | None = None
        try:
            connection.begin(call.deadlines.total)
            if isinstance(call.body, bytes):
                connection.send(_head(call, connection, len(call.body)), call.body)
            else:
                sized = any(name == b"content-length" for name, _ in call.headers)
                upload = tasks.spawn(
                    connection.send_stream(_head(call, connection, None), call.body, chunked=not sized),
                    "upstream upload",
                )
            await connection.head(call.deadlines.headers)
            if upload is not None and upload.done():
                await upload
        except BaseException:
            self._in_use.discard(connection)
            connection.abort()
            if upload is not None and not upload.done():
                await tasks.cancel(upload)
            raise

    def _releaser(self, origin: Origin) -> Callable[[Connection], None]:
        def release(connection: Connection) -> None:
            self._in_use.discard(connection)
            if not connection.reusable or origin in self._gone:
                connection.abort()
                return
            connection.served += 1
            connection.rest(connection._loop.time())
            kept = self._idle.setdefault(origin, deque())
            kept.append(connection)
            if len(kept) > KEPT:
                kept.popleft().abort()
            if self._sweeper is None:
                self._sweeper = connection._loop.call_later(IDLE / 2, self._sweep, connection._loop)

        return release

    def _take(self, origin: Origin) -> Connection | None:
        kept = self._idle.get(origin)
        while kept:
            connection = kept.pop()
            if connection.alive:
                return connection
        return None

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeper = None
        horizon = loop.time() - IDLE
        for origin in list(self._idle):
            kept = self._idle[origin]
            while kept and (not kept[0].alive or kept[0].idle_since < horizon):
                kept.popleft().abort()
            if not kept:
                del self._idle[origin]
        if self._idle:
            self._sweeper = loop.call_later(IDLE / 2, self._sweep, loop)

    async def _connect(self, call: Call) -> Connection:
        try:
            began = asyncio.get_running_loop().time()
            async with asyncio.timeout(call.deadlines.connect):
                connection = await self._open_socket(call.origin)
            connection.opened_in = connection._loop.time() - began
            return connection
        except UpstreamError:
            raise
        except TimeoutError as error:
            raise UpstreamTimeout("the upstream could not be connected in time", code="connect_timeout") from error
        except (OSError, ssl.SSLError) as error:
            raise _translated(error) from error

    async def _open_socket(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        context = self._context(origin) if origin.scheme == "https" else None
        if origin.proxy is None:
            _, connection = await loop.create_connection(
                lambda: Connection(loop),
                origin.host,
                origin.port,
                ssl=context,
                server_hostname=origin.host if context else None,
            )
            return connection
        return await self._through_proxy(loop, origin, context)

    async def _through_proxy(
        self, loop: asyncio.AbstractEventLoop, origin: Origin, context: ssl.SSLContext | None
    ) -> Connection:
        """A tunnel (CONNECT) for https, the absolute form of the request line for http (RFC 9112 §3.2.2)."""
        proxy = urlsplit(origin.proxy or "")
        proxy_context = ssl.create_default_context() if proxy.scheme == "https" else None
        port = proxy.port or (443 if proxy_context else 80)
        _, tunnel = await loop.create_connection(
            lambda: Connection(loop), proxy.hostname or "", port, ssl=proxy_context
        )
        authorization = _proxy_authorization(proxy.username, proxy.password)
        if context is None:
            tunnel.head_form = f"http://{origin.netloc}".encode()
            tunnel.proxy_headers = authorization
            return tunnel
        target = f"{origin.host}:{origin.port}".encode()
        connected = False
        try:
            tunnel.begin(30.0)
            lines = [b"CONNECT " + target + b" HTTP/1.1", b"host: " + target, *authorization]
            tunnel.send(b"\r\n".join(lines) + b"\r\n\r\n", b"")
            await tunnel.head(30.0)
            tunnel.rest(0.0)
            if tunnel.status != 200:
                raise UpstreamUnreachable(f"the egress proxy answered {tunnel.status}", code="proxy_refused")
            assert tunnel.transport is not None
            connection = Connection(loop)
            transport = await loop.start_tls(tunnel.transport, connection, context, server_hostname=origin.host)
            if transport is None:
                raise UpstreamUnreachable("the TLS handshake with the upstream failed", code="tls_failed")
            connection.connection_made(transport)
            connected = True
            return connection
        finally:
            if not connected:
                tunnel.abort()

    def _context(self, origin: Origin) -> ssl.SSLContext:
        terms = (origin.ca_file, origin.cert_file, origin.key_file, origin.verify)
        context = self._contexts.get(terms)
        if context is None:
            context = ssl.create_default_context(cafile=origin.ca_file)
            context.set_alpn_protocols(["http/1.1"])
            if origin.cert_file:
                context.load_cert_chain(origin.cert_file, origin.key_file)
            if not origin.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._contexts[terms] = context
        return context

    def renew(self, gone: set[Origin], wanted: set[Origin]) -> None:
        """Another config is served: connections to origins that are gone end when they are idle, and files of certificates are read
        again for new connections."""
        self._gone = (self._gone | gone) - wanted
        for origin in gone:
            for connection in self._idle.pop(origin, ()):
                connection.abort()
        self._contexts.clear()

    def close(self) -> None:
        """End every connection, in use or not."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in [*self._in_use, *(c for kept in self._idle.values() for c in kept)]:
            connection.abort()
        self._idle.clear()
        self._in_use.clear()

    @property
    def open_connections(self) -> int:
        return len(self._in_use) + sum(map(len, self._idle.values()))


def _translated(error: BaseException) -> UpstreamUnreachable:
    for kind, code, message in _FOREIGN:
        if isinstance(error, kind):
            return UpstreamUnreachable(message, code=code)
    return UpstreamUnreachable("the upstream could not be reached")


def _proxy_authorization(user: str | None, password: str | None) -> list[bytes]:
    if not user:
        return []
    plain = f"{unquote(user)}:{unquote(password or '')}".encode()
    return [b"proxy-authorization: Basic " + base64.b64encode(plain)]


@lru_cache(maxsize=1024)
def _host(origin: Origin) -> bytes:
    return origin.netloc.encode("ascii" if origin.netloc.isascii() else "idna")


def _head(call: Call, connection: Connection, length: int | None) -> bytes:
    """The request head. Header values come from config and our own code, or were checked at the ingress; a line break in one is a
    defect that must not become a second header."""
    lines = [
        b"%b %b%b HTTP/1.1" % (call.method.encode(), connection.head_form, call.path.encode("ascii")),
        b"host: " + _host(call.origin),
        *map(b": ".join, call.headers),
        *connection.proxy_headers,
    ]
    if length is None:
        if not any(name == b"content-length" for name, _ in call.headers):
            lines.append(b"transfer-encoding: chunked")
    elif length or call.method not in ("GET", "HEAD", "DELETE"):
        lines.append(b"content-length: %d" % length)
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        raise UpstreamMalformed("a line break in a request header")
    return head + b"\r\n\r\n"
