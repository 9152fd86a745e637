"""Request bodies: read whole within a bound, or passed on piece by piece."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping

from headgate.errors import BadRequest, TooLarge
from headgate.http.incoming import Incoming


async def read_whole(incoming: Incoming, fields: Mapping[bytes, bytes], limit: int) -> bytes:
    """The whole body, decompressed, as its header fields say. Raises TooLarge before reading where the length is told, RequestTimeout,
    ClientLeft."""
    declared = fields.get(b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    body = await incoming.read()
    if not incoming.received:
        body += b"".join([piece async for piece in pieces(incoming, limit, len(body))])
    if len(body) > limit:
        raise _too_large(limit)
    encoding = fields.get(b"content-encoding")
    return body if encoding is None else _decoded(body, encoding.strip().lower(), limit)


def _decoded(body: bytes, encoding: bytes, limit: int) -> bytes:
    if encoding in (b"", b"identity"):
        return body
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):  # RFC 9110 §8.4.1
        raise BadRequest("content-encoding may be gzip, deflate or identity", code="unsupported_encoding")
    inflate = zlib.decompressobj(47)
    try:
        data = inflate.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequest("the compressed body is damaged") from error
    if len(data) > limit:
        raise _too_large(limit)
    if not inflate.eof:  # its checksum did not come: nobody knows what else did not
        raise BadRequest("the compressed body is cut")
    return data


async def pieces(incoming: Incoming, limit: int, size: int = 0) -> AsyncIterator[bytes]:
    """The body as it comes, after `size` bytes of it. Raises TooLarge, RequestTimeout, ClientLeft."""
    while piece := await incoming.read():
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        yield piece


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the request body is larger than {limit // 1048576} MiB")
