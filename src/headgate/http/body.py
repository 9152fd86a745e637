"""Request bodies: read whole within a bound, or passed on piece by piece.

An empty piece that is not the last says that the client has been silent for as long as it may be (server.py): each pause is
bounded, not the whole, for a large body on a slow line is no fault.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from headgate.errors import BadRequest, RequestTimeout, TooLarge
from headgate.net import Headers, header

Receive = Callable[[], Awaitable[dict[str, Any]]]


class ClientLeft(BaseException):
    """The client went before its request was complete. A BaseException: no handler of errors may take it for one."""


async def read_whole(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The whole body, decompressed. Raises TooLarge before reading where the length is told, RequestTimeout, ClientLeft."""
    declared = header(headers, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientLeft
    if message.get("more_body"):
        body = await _rest(receive, body, limit)
    if len(body) > limit:
        raise _too_large(limit)
    encoding = header(headers, b"content-encoding")
    return body if encoding is None else _decoded(body, encoding.strip().lower(), limit)


async def _rest(receive: Receive, first: bytes, limit: int) -> bytes:
    if not first:
        raise _silent()
    return first + b"".join([piece async for piece in pieces(receive, limit, len(first))])


def _decoded(body: bytes, encoding: bytes, limit: int) -> bytes:
    if encoding == b"identity":
        return body
    if encoding not in (b"gzip", b"deflate"):
        raise BadRequest("content-encoding may be gzip, deflate or identity", code="unsupported_encoding")
    inflate = zlib.decompressobj(47)
    try:
        data = inflate.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequest("the compressed body is damaged") from error
    if len(data) > limit:
        raise _too_large(limit)
    return data


async def pieces(receive: Receive, limit: int, size: int = 0) -> AsyncIterator[bytes]:
    """The body as it comes, after `size` bytes of it. Raises TooLarge, RequestTimeout, ClientLeft."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        if piece:
            yield piece
        elif message.get("more_body"):
            raise _silent()
        if not message.get("more_body"):
            return


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the request body is larger than {limit // 1048576} MiB")


def _silent() -> RequestTimeout:
    return RequestTimeout("the rest of the request body did not arrive in time: send it again")
