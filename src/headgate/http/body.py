"""Request bodies: read whole within a bound, or passed on piece by piece."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from headgate.errors import BadRequest, TooLarge
from headgate.net import Headers, header

Receive = Callable[[], Awaitable[dict[str, Any]]]


class ClientLeft(BaseException):
    """The client went before its request was complete. A BaseException: no handler of errors may take it for one."""


async def read_whole(receive: Receive, headers: Headers, limit: int, seconds: float) -> bytes:
    """The whole body, decompressed, with pauses of at most `seconds`. Raises TooLarge before reading where the length is told."""
    declared = header(headers, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientLeft
    if message.get("more_body"):
        try:
            body = await _rest(receive, body, limit, seconds)
        except TimeoutError as error:
            raise BadRequest("the body did not arrive in time", code="request_timeout") from error
    if len(body) > limit:
        raise _too_large(limit)
    encoding = header(headers, b"content-encoding")
    return body if encoding is None else _decoded(body, encoding.strip().lower(), limit)


async def _rest(receive: Receive, first: bytes, limit: int, seconds: float) -> bytes:
    """`seconds` bound each pause, not the whole: a large body on a slow line is no fault. Raises TimeoutError."""
    parts = [first]
    size = len(first)
    while True:
        async with asyncio.timeout(seconds):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        parts.append(piece)
        if not message.get("more_body"):
            return b"".join(parts)


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


async def pieces(receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes, for uploads."""
    size = 0
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
        if not message.get("more_body"):
            return


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the request body is larger than {limit // 1048576} MiB")
