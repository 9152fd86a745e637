"""Faults of the way to a provider: name, TCP, TLS, and HTTP/1.1 below its bodies."""

from __future__ import annotations

import asyncio
import zlib

from headgate.faults import answers
from headgate.faults.fault import JSON, LAST, MOMENT, SSE, Fault, begin, chunk, document, head, healthy, identity
from headgate.faults.wire import Play, Seen, Wire

ELSEWHERE = "try another target, or the same again; without one, a typed error in time"
TOLD = "before content: try another target; after it: end the stream with one typed error, never with success"
RIGHT = "give the answer as if nothing were odd"
PINGS = 200
ENDLESS = 4 << 20
"""Bytes of headers that never end: as much as is sent before giving up."""
BOMB_BLOCKS = 256
INTERIM = 200


async def _reset_before_headers(wire: Wire, seen: Seen) -> None:
    wire.reset()


async def _close_before_headers(wire: Wire, seen: Seen) -> None:
    wire.close()


async def _reset_in_headers(wire: Wire, seen: Seen) -> None:
    await wire.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/ev")
    await wire.rest(MOMENT)
    wire.reset()


async def _reset_in_answer(wire: Wire, seen: Seen) -> None:
    await begin(wire, seen)
    await wire.rest(MOMENT)
    wire.reset()


async def _silent(wire: Wire, seen: Seen) -> None:
    await wire.silence()


async def _silent_after_headers(wire: Wire, seen: Seen) -> None:
    await wire.send(head(SSE if seen.stream else JSON, identity(seen)))
    await wire.silence()


async def _slow_first_token(wire: Wire, seen: Seen) -> None:
    """Signs of life keep coming, so that only a deadline for the first token ends the wait."""
    opening = answers.stream(seen.dialect, seen.model).opening
    await wire.send(head(SSE, identity(seen)), *map(chunk, opening))
    for _ in range(PINGS):
        await wire.send(chunk(b": still thinking\n\n"))
        await wire.rest(0.1)
    wire.close()


async def _stall(wire: Wire, seen: Seen) -> None:
    await begin(wire, seen)
    await wire.silence()


async def _cut(wire: Wire, seen: Seen) -> None:
    await begin(wire, seen)
    await wire.rest(MOMENT)
    wire.close()


async def _cut_length(wire: Wire, seen: Seen) -> None:
    spoken = answers.stream(seen.dialect, seen.model)
    body = b"".join(spoken.all) if seen.stream else answers.whole(seen.dialect, seen.model)
    said = b"".join(spoken.half) if seen.stream else body[: len(body) // 2]
    await wire.send(head(SSE if seen.stream else JSON, identity(seen), length=len(body)), said)
    await wire.rest(MOMENT)
    wire.close()


async def _bad_chunk(wire: Wire, seen: Seen) -> None:
    if seen.stream:
        await begin(wire, seen)
    else:
        await wire.send(head(JSON, identity(seen)), chunk(answers.whole(seen.dialect, seen.model)[:40]))
    await wire.rest(MOMENT)
    await wire.send(b"zz;not-a-size\r\n")
    await wire.silence()


async def _trickle(wire: Wire, seen: Seen) -> None:
    """One byte at a time. Pauses are few: a busy machine must not make of it a provider that is too slow."""
    if seen.stream:
        data = head(SSE, identity(seen)) + b"".join(map(chunk, answers.stream(seen.dialect, seen.model).all)) + LAST
    else:
        body = answers.whole(seen.dialect, seen.model)
        data = head(JSON, identity(seen), length=len(body)) + body
    for at in range(len(data)):
        await wire.send(data[at : at + 1])
        if at % 4 == 0:
            await (asyncio.sleep(0) if at % 100 else wire.rest(0.005))
    wire.close()


async def _bomb(wire: Wire, seen: Seen) -> None:
    """BOMB_BLOCKS MiB of blanks, a thousandth of it on the wire. A flushed block is the same bytes each time: packed once."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    opening = b'data: {"id": "' if seen.stream else b'{"id": "'
    start = packer.compress(opening) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    await wire.send(head(SSE if seen.stream else JSON, identity(seen), b"content-encoding: gzip"), chunk(start))
    for _ in range(BOMB_BLOCKS):
        await wire.send(chunk(block))
    await wire.silence()


async def _endless_headers(wire: Wire, seen: Seen) -> None:
    await wire.send(b"HTTP/1.1 200 OK\r\n")
    for number in range(ENDLESS // 1000):
        await wire.send(b"x-endless-%d: %s\r\n" % (number, b"a" * 980))
    await wire.silence()


async def _interim_storm(wire: Wire, seen: Seen) -> None:
    await wire.send(*[b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"] * INTERIM)
    await wire.silence()


async def _interim_few(wire: Wire, seen: Seen) -> None:
    await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
    await healthy(wire, seen)


async def _redirect(wire: Wire, seen: Seen) -> None:
    await document(wire, seen, b"", b"location: /followed/" + seen.model.encode(), status=307)


async def _stale_idle(wire: Wire, seen: Seen) -> None:
    """Answers, and ends the kept connection a moment later."""
    await healthy(wire, seen, keep=True)
    await wire.rest(MOMENT)
    wire.close()


async def _stale_race(wire: Wire, seen: Seen) -> None:
    """The second request meets a connection that is closed as it arrives."""
    if seen.number == 2:
        wire.close()
    else:
        await healthy(wire, seen, keep=True)


def _fault(name: str, play: Play, does: str, must: str, place: str = "main") -> Fault:
    return Fault(name=name, does=does, must=must, play=play, place=place)


CONNECTION_FAULTS = (
    _fault("refused", healthy, "nobody listens", ELSEWHERE, "refused"),
    _fault("dns", healthy, "its name does not resolve", ELSEWHERE, "dns"),
    _fault("tls-wrong-host", healthy, "its certificate is another host's", ELSEWHERE, "tls-wrong-host"),
    _fault("tls-expired", healthy, "its certificate has expired", ELSEWHERE, "tls-expired"),
    _fault("tls-plain", healthy, "speaks plain text on a TLS port", ELSEWHERE, "tls-plain"),
    _fault("reset-before-headers", _reset_before_headers, "resets the connection before it answers", ELSEWHERE),
    _fault("close-before-headers", _close_before_headers, "closes the connection before it answers", ELSEWHERE),
    _fault("reset-in-headers", _reset_in_headers, "resets the connection in its header section", ELSEWHERE),
    _fault("silent", _silent, "accepts and says nothing", ELSEWHERE),
    _fault("silent-after-headers", _silent_after_headers, "says nothing behind its headers", ELSEWHERE),
    _fault("slow-first-token", _slow_first_token, "sends signs of life but no content", ELSEWHERE),
    _fault("endless-headers", _endless_headers, "sends headers without end", ELSEWHERE),
    _fault("interim-storm", _interim_storm, f"sends {INTERIM} interim (1xx) answers", ELSEWHERE),
    _fault("redirect", _redirect, "redirects", "never follow it; " + ELSEWHERE),
    _fault("gzip-bomb", _bomb, f"packs {BOMB_BLOCKS} MiB into a small gzip body", "stop unpacking; " + ELSEWHERE),
    _fault("reset-in-answer", _reset_in_answer, "resets the connection in mid-answer", TOLD),
    _fault("stall-in-answer", _stall, "falls silent in mid-answer", TOLD),
    _fault("cut", _cut, "closes the connection in mid-answer", TOLD),
    _fault("cut-length", _cut_length, "closes the connection before its content-length is reached", TOLD),
    _fault("bad-chunk-size", _bad_chunk, "sends a chunk size that is no number", TOLD),
    _fault("trickle", _trickle, "sends one byte at a time", RIGHT),
    _fault("interim-few", _interim_few, "sends 100 and 103 before its answer", RIGHT),
    _fault("stale-idle", _stale_idle, "closes the kept connection between two requests", RIGHT, "stale-idle"),
    _fault("stale-race", _stale_race, "closes the kept connection as a request arrives", RIGHT, "stale-race"),
    _fault("tls-healthy", healthy, "answers under a valid certificate: the control of the TLS faults", RIGHT, "tls"),
    _fault("healthy", healthy, "answers", RIGHT),
)
