"""A fault, and the HTTP/1.1 that faults are made of.

Rules of this file:
- Each answer says `connection: close`, so that a fault always meets a connection of its own and a request that was sent twice is
  counted twice. The faults of kept connections have listeners to themselves.
"""

from __future__ import annotations

from msgspec import Struct

from headgate.faults import answers
from headgate.faults.wire import Play, Seen, Wire

SSE = b"text/event-stream; charset=utf-8"
JSON = b"application/json"
LAST = b"0\r\n\r\n"
MOMENT = 0.05
"""Seconds for bytes to reach the client before the connection breaks."""


class Fault(Struct, frozen=True, kw_only=True):
    """`name` is the model that selects it. `place` is where the provider listens for it."""

    name: str
    does: str
    must: str
    """What a correct gateway does about it."""
    play: Play
    place: str = "main"


def head(kind: bytes, *more: bytes, status: int = 200, length: int | None = None, keep: bool = False) -> bytes:
    """A response head; a body without length is chunked."""
    size = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
    lines = [b"HTTP/1.1 %d X" % status, b"content-type: " + kind, size, *more]
    lines += [] if keep else [b"connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def identity(seen: Seen) -> bytes:
    return b"x-request-id: " + seen.request_id.encode()


async def begin(wire: Wire, seen: Seen) -> None:
    """The head and the first half of the answer."""
    if seen.stream:
        spoken = answers.stream(seen.dialect, seen.model)
        await wire.send(head(SSE, identity(seen)), *map(chunk, spoken.half))
    else:
        body = answers.whole(seen.dialect, seen.model)
        await wire.send(head(JSON, identity(seen), length=len(body)), body[: len(body) // 2])


async def healthy(wire: Wire, seen: Seen, keep: bool = False) -> None:
    """The whole answer, as it should be."""
    if seen.stream:
        spoken = answers.stream(seen.dialect, seen.model)
        await wire.send(head(SSE, identity(seen), keep=keep), *map(chunk, spoken.all), LAST)
    else:
        await document(wire, seen, answers.whole(seen.dialect, seen.model), keep=keep)
    if not keep:
        wire.close()


async def document(wire: Wire, seen: Seen, body: bytes, *more: bytes, status: int = 200, keep: bool = False) -> None:
    """A body of a length that is told."""
    await wire.send(head(JSON, identity(seen), *more, status=status, length=len(body), keep=keep), body)
    if not keep:
        wire.close()


async def events(wire: Wire, seen: Seen, *frames: bytes) -> None:
    """A stream of these frames, whose body ends as HTTP says it should."""
    await wire.send(head(SSE, identity(seen)), *map(chunk, frames), LAST)
    wire.close()
