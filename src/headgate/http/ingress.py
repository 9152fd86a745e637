"""What answers every request: an Incoming becomes an Exchange, a Flow becomes its answer.

Rules of this file:
- Nothing of the body is read before the key is known.
- A credential in two places, or one header twice, is refused: two readers of it might differ.
- When the client leaves, the request's task is cancelled at once; what was under way upstream is closed by the flow.
- When the gateway ends a request (drain.py), its client is told in the answer's own words: an error status where nothing was sent,
  the dialect's error event in a stream. Never is it left to take the end of the bytes for the end of the answer.
- Every error is told in the dialect of the path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from headgate import clock
from headgate.dialects.base import Dialect, Json
from headgate.errors import BadRequest, Draining, HeadgateError, NotFound, RequestTimeout, Upgrade, UpstreamRefused
from headgate.http import routes
from headgate.http.body import read_whole
from headgate.http.drain import Drain
from headgate.http.headers import error_headers, reply_headers, trace
from headgate.http.incoming import ClientLeft, Incoming
from headgate.model.exchange import Exchange, Request
from headgate.model.trail import Trail
from headgate.net import Headers
from headgate.pipeline import Flow, Pipeline, finish, told

Handler = Callable[["Ingress", Exchange, routes.Match, Incoming], Awaitable[None]]

_CREDENTIALS = frozenset((b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key"))
IDEMPOTENCY = b"idempotency-key"
_ONCE = frozenset(
    (*_CREDENTIALS, b"content-type", b"content-encoding", b"host", b"traceparent", b"x-headgate-strict", IDEMPOTENCY)
)
_TWO_KEYS = "two different keys are given: send one"
ANSWERED = frozenset(("generate", "count"))
"""Operations that the pipeline answers."""
JSON = (b"content-type", b"application/json")
WHILE_DRAINING = frozenset(("live", "ready", "metrics"))


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    max_body: int = 64 * 1024 * 1024
    body_seconds: float = 60.0


class Ingress:
    def __init__(
        self,
        *,
        pipeline: Pipeline,
        dialects: Mapping[str, Dialect],
        handlers: Mapping[str, Handler],
        bounds: Bounds,
        client_address: Callable[[Incoming], str],
        drain: Drain,
    ) -> None:
        self.pipeline = pipeline
        self.dialects = dialects
        self.bounds = bounds
        self.drain = drain
        self._handlers = handlers
        self._client_address = client_address
        self.routes = routes.Routes(pipeline.dispatch.prepare.sites)

    async def __call__(self, incoming: Incoming) -> None:
        match = self.routes(incoming.method, incoming.path)
        x = exchange(incoming, match, self.dialects[match.dialect], self.bounds)
        task = asyncio.current_task()
        assert task is not None
        self.drain.under_way[task] = x
        try:
            try:
                check_headers(x.request)
                x.request.idempotent = IDEMPOTENCY in x.request.fields
                x.request.credential = credential(x.request, match)
                x.request.client = self._client_address(incoming)
                if self.drain.begun and match.operation not in WHILE_DRAINING:
                    raise Draining("the gateway stops and takes nothing new: ask again", retry_after=1.0)
                if match.operation in ANSWERED:
                    await self._generate(x, incoming)
                    return
                handler = self._handlers.get(match.operation)
                if handler is None:
                    raise NotFound(f"there is nothing at {incoming.method} {incoming.path}", code="unknown_path")
                await handler(self, x, match, incoming)
            except HeadgateError as error:
                refuse(x, error, incoming)
                if x.hold_off:
                    incoming.hold_off(x.hold_off)
            except Exception as error:  # noqa: BLE001 - a defect is logged and told as one
                refuse(x, told(error, x), incoming)
        except (asyncio.CancelledError, ClientLeft):  # it is ended, or the client left, and the flow is closed
            if x.interrupted is not None and x.outcome is None:
                refuse(x, x.interrupted, incoming)
        finally:
            incoming.cut()
            del self.drain.under_way[task]
            if x.error is not None:
                x.error.__traceback__ = None  # its frames hold `x`: a cycle, of which the collector would hear late

    async def _generate(self, x: Exchange, incoming: Incoming) -> None:
        flow = await self.pipeline.start(x)
        try:
            if flow.whole:
                await _whole(flow, x, incoming)
            else:
                await _streamed(flow, x, incoming)
        except asyncio.CancelledError:
            if x.interrupted is not None:  # an answer that is not over and not shown is refused; a shown one stays cut
                flow.interrupt(x.interrupted)
            raise
        finally:
            flow.abandon()


async def _whole(flow: Flow, x: Exchange, incoming: Incoming) -> None:
    parts: list[bytes] = []

    def take(data: bytes) -> bool:
        parts.append(data)
        return True

    await flow.pour(take)
    incoming.answer(flow.status, reply_headers(x, flow), parts[0] if len(parts) == 1 else b"".join(parts))


async def _streamed(flow: Flow, x: Exchange, incoming: Incoming) -> None:
    first = await flow.next()
    incoming.begin(flow.status, reply_headers(x, flow))
    incoming.write(first)
    over = False
    try:
        while not over:
            await incoming.drain()
            over = await flow.pour(incoming.write)
    except asyncio.CancelledError:
        if x.interrupted is None:
            raise
        if last := flow.interrupt(x.interrupted):  # behind what waits for the client to read
            incoming.write(last)
    await incoming.drain()
    incoming.end()


def exchange(incoming: Incoming, match: routes.Match, dialect: Dialect, bounds: Bounds) -> Exchange:
    headers, query = incoming.headers, incoming.query
    fields = dict(reversed(headers))
    request = Request(
        method=incoming.method,
        path=incoming.path,
        query=query,
        headers=headers,
        credential=b"",
        operation=match.operation,
        model=match.model,
        stream=match.stream,
        framing="json-array" if match.stream and b"alt=sse" not in query else "sse",
        site=match.site,
        fields=fields,
        read_body=lambda: read_whole(incoming, fields, bounds.max_body),
    )
    x = Exchange(
        id=clock.new_id("req_"), at=clock.wall(), t0=clock.mono_ns(), request=request, dialect=dialect, trail=Trail()
    )
    x.trace_id, x.span_id = trace(request.header(b"traceparent"))
    return x


def check_headers(request: Request) -> None:
    if len(request.fields) == len(request.headers):
        return
    seen: set[bytes] = set()
    for name, _ in request.headers:
        if name in _ONCE:
            if name in seen:
                raise BadRequest(f"the header {name.decode()} is given twice", code="duplicate_header")
            seen.add(name)


def credential(request: Request, match: routes.Match) -> bytes:
    """The key, from wherever the client's SDK puts it. Two different keys in one request are refused."""
    found = b""
    for name in _CREDENTIALS & request.fields.keys():
        value = request.fields[name]
        if value and name == b"authorization":
            kind, _, value = value.partition(b" ")
            if kind.lower() != b"bearer":
                raise BadRequest("the authorization header is not a bearer token", code="invalid_authorization")
        value = value.strip()
        if found and value and value != found:
            raise BadRequest(_TWO_KEYS, code="ambiguous_credentials")
        found = found or value  # an SDK whose variable is set to nothing sends an empty field beside another
    if match.dialect == "gemini" and b"key=" in request.query:
        for value in map(str.encode, parse_qs(request.query.decode("latin-1")).get("key", [])):
            if found and value != found:
                raise BadRequest(_TWO_KEYS, code="ambiguous_credentials")
            found = value
    return found


def refuse(x: Exchange, error: HeadgateError, incoming: Incoming) -> None:
    """An error as the answer, where there is none yet. An upstream's own error body goes as it is to a client of the same dialect."""
    finish(x, (), "refused", error.status)
    if incoming.begun:
        return
    headers: Headers = []
    if isinstance(error, Upgrade):
        headers = [(b"upgrade", b"HTTP/1.1"), (b"connection", b"upgrade")]
    elif isinstance(error, Draining | RequestTimeout):
        incoming.keep = False
    headers += error_headers(x, error)
    if isinstance(error, UpstreamRefused) and error.body and error.same_dialect == x.dialect.name:
        body = error.body
    else:
        body = msgspec.json.encode(x.dialect.error_body(error, x.id))
    incoming.answer(error.status, [*headers, JSON], body)


def send_json(incoming: Incoming, json: Json | list[Any], status: int = 200) -> None:
    incoming.answer(status, [JSON], msgspec.json.encode(json))


_CLIENTS = ((b"anthropic-version", "anthropic_messages"), (b"x-goog-api-key", "gemini"))
"""A header that only this dialect's clients send -> the dialect. Google's SDK lists models below /v1, as the others do."""


def lean_to_client(ingress: Ingress, x: Exchange, match: routes.Match) -> None:
    """Model lists share one path between dialects: the client's own headers tell which shape it reads."""
    if match.dialect == "openai_chat":
        named = (dialect for header, dialect in _CLIENTS if x.request.header(header))
        x.dialect = ingress.dialects[next(named, match.dialect)]
