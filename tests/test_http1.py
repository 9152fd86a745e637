"""The HTTP/1.1 client against a real socket: framings, reuse, deadlines, and every way an upstream can break off."""

from __future__ import annotations

import asyncio
import gc
import gzip
import time
import zlib
from collections.abc import AsyncIterator

import pytest

from fakes import Reply, Upstream
from headgate.errors import (
    TooLarge,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from headgate.http1 import Pool
from headgate.http1.connection import Connection
from headgate.net import Call, Deadlines, Origin

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both event loops: their transports differ."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()
    await asyncio.sleep(0)


def call(upstream: Upstream, body: bytes | AsyncIterator[bytes] = b"{}", **deadlines: float) -> Call:
    return Call(
        method="POST",
        origin=Origin("http", "127.0.0.1", upstream.port),
        path="/v1/x?y=1",
        headers=[(b"content-type", b"application/json"), (b"authorization", b"Bearer k")],
        body=body,
        deadlines=Deadlines(**deadlines),
    )


async def whole(pool: Pool, request: Call) -> bytes:
    response = await pool(request)
    try:
        return b"".join([part async for part in parts(response)])
    finally:
        response.close()


async def parts(response: object) -> AsyncIterator[bytes]:
    while data := await response.read():  # type: ignore[attr-defined]
        yield data


async def test_a_request_is_what_was_asked_and_the_connection_is_used_again(pool: Pool, script: Upstream) -> None:
    script.script(Reply(pieces=[b"one"]), Reply(pieces=[b"t", b"wo"], chunked=True))
    before = script.connections
    assert await whole(pool, call(script, b'{"a":1}')) == b"one"
    assert await whole(pool, call(script)) == b"two"
    assert script.connections - before == 1
    seen = script.requests[0]
    assert (seen.method, seen.path, seen.body) == ("POST", "/v1/x?y=1", b'{"a":1}')
    assert seen.headers == [
        ("host", f"127.0.0.1:{script.port}"),
        ("content-type", "application/json"),
        ("authorization", "Bearer k"),
        ("content-length", "7"),
    ]


async def test_an_upload_is_chunked_when_its_length_is_not_known(pool: Pool, script: Upstream) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b""
        yield b"d" * 100_000

    script.script(Reply(pieces=[b"ok"]))
    assert await whole(pool, call(script, body())) == b"ok"
    assert script.requests[0].body == b"abc" + b"d" * 100_000


async def test_what_an_uploads_source_raises_is_raised_to_who_waits(pool: Pool, script: Upstream) -> None:
    """At once, not when the provider's deadline has passed: an upload that is too large, or stops coming."""

    async def body() -> AsyncIterator[bytes]:
        yield b"abc"
        raise TooLarge("too large")

    script.script(Reply(pieces=[b"ok"]))
    with pytest.raises(TooLarge):
        await asyncio.wait_for(whole(pool, call(script, body())), 1)


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

BROKEN: dict[str, tuple[Reply, type[UpstreamError]]] = {
    "closed before answering": (Reply(raw=b"", after="close"), UpstreamUnreachable),
    "reset before answering": (Reply(raw=b"", after="reset"), UpstreamUnreachable),
    "closed in the head": (Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-", after="close"), UpstreamTruncated),
    "closed in a counted body": (
        Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", after="close"),
        UpstreamTruncated,
    ),
    "closed in a chunked body": (Reply(pieces=[b"abc"], chunked=True, after="close"), UpstreamTruncated),
    "reset in the body": (Reply(pieces=[b"abc"], chunked=True, after="reset"), UpstreamTruncated),
    "not HTTP": (Reply(raw=b"SSH-2.0-OpenSSH\r\n\r\n", after="close"), UpstreamMalformed),
    "a bad chunk size": (
        Reply(raw=b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", after="hang"),
        UpstreamMalformed,
    ),
    "endless header": (Reply(raw=b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000, after="hang"), UpstreamMalformed),
    "endless headers": (Reply(raw=b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000, after="hang"), UpstreamMalformed),
    "a storm of interim answers": (Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 100, after="hang"), UpstreamMalformed),
    "endless trailers": (
        Reply(raw=CHUNKED + b"2\r\nok\r\n0\r\n" + b"x: y\r\n" * 200_000, after="hang"),
        UpstreamMalformed,
    ),
    "an endless trailer": (
        Reply(raw=CHUNKED + b"2\r\nok\r\n0\r\nx: " + b"a" * 1_000_000, after="hang"),
        UpstreamMalformed,
    ),
    "silence": (Reply(raw=b"", after="hang"), UpstreamTimeout),
    "silence in the body": (Reply(pieces=[b"abc"], chunked=True, after="hang"), UpstreamTimeout),
    "damaged compression": (
        Reply(headers={"content-encoding": "gzip"}, pieces=[b"not gzip at all"]),
        UpstreamMalformed,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_is_one_typed_error_in_time(name: str, pool: Pool, script: Upstream) -> None:
    reply, error = BROKEN[name]
    script.script(reply)
    began = time.monotonic()
    with pytest.raises(error):
        await whole(pool, call(script, headers=0.3, idle=0.3))
    assert time.monotonic() - began < 2
    assert pool.open_connections == 0


async def test_a_body_without_length_ends_with_the_connection(pool: Pool, script: Upstream) -> None:
    script.script(Reply(raw=b"HTTP/1.1 200 OK\r\n\r\nall of it", after="close"))
    assert await whole(pool, call(script)) == b"all of it"
    assert pool.open_connections == 0


async def test_interim_answers_are_skipped(pool: Pool, script: Upstream) -> None:
    script.script(
        Reply(raw=b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    )
    response = await pool(call(script))
    assert (response.status, response.headers) == (200, [(b"content-length", b"2")])
    assert await response.read() == b"ok"
    response.close()


ENDED = {
    "counted": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
    "chunked": (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
    "empty": (b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n", 503, b""),
    "without a body": (b"HTTP/1.1 204 X\r\n\r\n", 204, b""),
}


@pytest.mark.parametrize("name", ENDED)
@pytest.mark.parametrize(
    "behind",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx: y\r\n\r\nevil",
        b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.",
        b"junk",
    ],
    ids=["an answer", "a farewell", "an interim answer", "some of a head", "no HTTP"],
)
async def test_what_comes_behind_an_answer_is_none(name: str, behind: bytes, pool: Pool, script: Upstream) -> None:
    """Its status and body stay as they are, and the connection is not used again (RFC 9112 §6.3)."""
    raw, status, body = ENDED[name]
    script.script(Reply(raw=raw + behind), Reply(pieces=[b"next"]))
    before = script.connections
    response = await pool(call(script))
    assert (response.status, await response.read()) == (status, body)
    assert await response.read() == b""
    response.close()
    assert (b"x", b"y") not in response.headers
    assert pool.open_connections == 0
    assert await whole(pool, call(script)) == b"next"
    assert script.connections - before == 2


async def test_trailers_are_not_merged_into_the_head(pool: Pool, script: Upstream) -> None:
    """However many (RFC 9110 §6.5.1); the next answer's head is its own."""
    trailers = b"retry-after: 9\r\n" * 300
    script.script(Reply(raw=CHUNKED + b"2\r\nok\r\n0\r\n" + trailers + b"\r\n"), Reply(headers={}, pieces=[b"next"]))
    before = script.connections
    response = await pool(call(script))
    assert await response.read() == b"ok"
    assert await response.read() == b""
    assert response.headers == [(b"transfer-encoding", b"chunked")]
    response.close()
    response = await pool(call(script))
    assert response.headers == [(b"content-length", b"4")]
    assert await response.read() == b"next"
    response.close()
    assert script.connections - before == 1


async def test_padded_chunk_sizes_are_read(pool: Pool, script: Upstream) -> None:
    """Some servers write each with as many bytes; before an extension blanks are the grammar's own (RFC 9112 §7.1.1)."""
    padded = CHUNKED + b"2   \r\nok\r\n1 ;a=b\r\n!\r\n0   \r\n\r\n"
    script.script(Reply(raw=padded), Reply(raw=padded))
    before = script.connections
    assert [await whole(pool, call(script)), await whole(pool, call(script))] == [b"ok!", b"ok!"]
    assert script.connections - before == 1


async def test_a_stale_connection_is_replaced_without_the_caller_noticing(
    pool: Pool, script: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upstream closes an idle connection just when we use it again: no byte came, so the request goes out anew."""
    monkeypatch.setattr("headgate.http1.pool.QUICK", 5.0)  # a busy machine is not quick
    script.script(Reply(pieces=[b"one"]), Reply(raw=b"", after="close"), Reply(pieces=[b"two"]))
    assert await whole(pool, call(script)) == b"one"
    assert await whole(pool, call(script)) == b"two"


async def test_a_request_that_may_have_been_worked_on_is_not_sent_anew(pool: Pool, script: Upstream) -> None:
    """The upstream takes it, and dies later than a close that was under way: it may bill that, so who asks must know."""
    script.script(Reply(pieces=[b"one"]), Reply(raw=b"", delay=0.3, after="close"), Reply(pieces=[b"two"]))
    assert await whole(pool, call(script)) == b"one"
    with pytest.raises(UpstreamUnreachable):
        await whole(pool, call(script))
    assert len(script.requests) == 2


async def test_a_connection_closed_while_idle_is_not_used(pool: Pool, script: Upstream) -> None:
    script.script(Reply(pieces=[b"one"], after="close"), Reply(pieces=[b"two"]))
    assert await whole(pool, call(script)) == b"one"
    await asyncio.sleep(0.05)
    assert await whole(pool, call(script)) == b"two"
    assert len(script.requests) == 2


TEXT = b"some text " * 1000
PACKED = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "gzip of several members": ("gzip", b"".join(map(gzip.compress, (TEXT[:4000], b"", TEXT[4000:])))),
    "gzip with padding": ("gzip", gzip.compress(TEXT) + b"\0" * 50),
    "deflate twice": ("deflate", zlib.compress(TEXT) * 2),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("size", [7, 100_000])
async def test_compressed_answers_are_opened(name: str, size: int, pool: Pool, script: Upstream) -> None:
    """Members of gzip are joined (RFC 1952 §2.2), deflate has none; what else comes behind the end is dropped."""
    encoding, packed = PACKED[name]
    script.script(
        Reply(
            headers={"content-encoding": encoding}, pieces=[packed[i : i + size] for i in range(0, len(packed), size)]
        )
    )
    assert await whole(pool, call(script)) == TEXT


@pytest.mark.parametrize("before", [b"", gzip.compress(b"one")], ids=["the first", "the second"])
async def test_a_member_that_breaks_off_is_told(before: bytes, pool: Pool, script: Upstream) -> None:
    """The framing is whole; what it frames is not."""
    cut = before + gzip.compress(b"two")[:-9]
    script.script(Reply(headers={"content-encoding": "gzip"}, pieces=[cut]))
    with pytest.raises(UpstreamTruncated):
        await whole(pool, call(script))


async def test_a_compressed_answer_is_over_at_its_end_whatever_comes_behind(pool: Pool, script: Upstream) -> None:
    """Nobody reads on for ever, nor keeps what nobody wants."""
    before = script.sent
    script.script(
        Reply(
            headers={"content-encoding": "gzip"},
            pieces=[gzip.compress(TEXT), *[b"g" * 262_144] * 400],
            chunked=True,
            after="hang",
        )
    )
    assert await whole(pool, call(script, idle=0.5)) == TEXT
    assert pool.open_connections == 0
    assert await asyncio.to_thread(script.requests[0].closed.wait, 2)
    assert script.sent - before < 100


async def test_each_member_is_handed_on_when_it_comes(pool: Pool, script: Upstream) -> None:
    """Also the second one of a piece: it does not wait for the next piece."""
    packed = [gzip.compress(text) for text in (b"one", b"two", b"three")]
    script.script(
        Reply(
            headers={"content-encoding": "gzip"},
            pieces=[packed[0], packed[1] + packed[2]],
            chunked=True,
            pause=0.1,
            after="hang",
        )
    )
    got: list[bytes] = []
    response = await pool(call(script, idle=0.5))
    with pytest.raises(UpstreamTimeout):
        await response.pour(lambda data: got.append(data) is None)
    response.close()
    assert got == [b"one", b"two", b"three"]


async def test_a_decompression_bomb_meets_the_readers_limit_first(pool: Pool, script: Upstream) -> None:
    script.script(Reply(headers={"content-encoding": "gzip"}, pieces=[gzip.compress(b"\0" * 50_000_000)]))
    with pytest.raises(UpstreamMalformed):
        await pool.fetch(call(script), limit=1_000_000)


async def test_others_have_their_turn_while_a_bomb_is_unpacked(pool: Pool, script: Upstream) -> None:
    """50 kB on the wire are 50 MB of work: it is done in steps."""
    script.script(Reply(headers={"content-encoding": "gzip"}, pieces=[gzip.compress(b"\0" * 50_000_000)]))
    size = since = worst = 0

    async def others() -> None:
        nonlocal since
        while True:
            since = 0
            await asyncio.sleep(0)

    response = await pool(call(script))
    waiting = asyncio.get_running_loop().create_task(others())
    while data := await response.read():
        size += len(data)
        since += len(data)
        worst = max(worst, since)
    waiting.cancel()
    response.close()
    assert size == 50_000_000
    assert worst <= 1_000_000, "bytes unpacked between two turns"


async def test_closing_early_ends_the_upstreams_work(pool: Pool, script: Upstream) -> None:
    script.script(Reply(pieces=[b"abc"], chunked=True, after="hang"))
    response = await pool(call(script))
    assert await response.read() == b"abc"
    response.close()
    assert await asyncio.to_thread(script.requests[0].closed.wait, 1)


async def test_cancelling_ends_the_upstreams_work(pool: Pool, script: Upstream) -> None:
    script.script(Reply(raw=b"", after="hang"))
    task = asyncio.get_running_loop().create_task(whole(pool, call(script)))
    while not script.requests:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(script.requests[0].closed.wait, 1)
    assert pool.open_connections == 0


async def test_a_limit_on_all_reads_holds_although_bytes_keep_coming(pool: Pool, script: Upstream) -> None:
    """A stream of pings is not a first token."""
    script.script(Reply(pieces=[b": ping\n\n"] * 50, chunked=True, pause=0.05))
    response = await pool(call(script))
    response.limit(0.3)
    began = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        while await response.read():
            pass
    assert time.monotonic() - began < 1
    response.close()


async def test_nobody_listens(pool: Pool) -> None:
    origin = Origin("http", "127.0.0.1", 1)
    with pytest.raises(UpstreamUnreachable) as caught:
        await pool(Call(method="GET", origin=origin, path="/", headers=[]))
    assert caught.value.code == "connection_refused"
    assert "127.0.0.1" not in caught.value.message


async def test_a_name_that_does_not_resolve(pool: Pool) -> None:
    with pytest.raises(UpstreamUnreachable):
        await pool(Call(method="GET", origin=Origin("http", "no-such-host.invalid", 80), path="/", headers=[]))


async def test_a_line_break_in_a_header_never_becomes_a_second_header(pool: Pool, script: Upstream) -> None:
    request = call(script)
    request.headers.append((b"x", b"a\r\ny: b"))
    with pytest.raises(UpstreamMalformed):
        await pool(request)


async def test_back_pressure_reaches_the_upstream(pool: Pool, script: Upstream) -> None:
    """A reader that does not read makes the sender wait: what is buffered is bounded."""
    script.script(Reply(pieces=[b"x" * 100_000] * 400, chunked=True))
    response = await pool(call(script))
    await asyncio.sleep(0.3)
    assert response._connection is not None
    assert response._connection._buffered < 2_000_000
    size = 0
    while data := await response.read():
        size += len(data)
    assert size == 40_000_000
    response.close()


async def test_what_is_poured_stops_at_a_no_and_goes_on_where_it_stopped(pool: Pool, script: Upstream) -> None:
    """Each piece goes to the sink once, in order, whatever it answers; at the end the connection is used again."""
    before = script.connections
    for often in (1, 2, 5):
        script.script(Reply(pieces=[b"%d," % number for number in range(30)], chunked=True, pause=0.001))
        response = await pool(call(script))
        got: list[bytes] = []

        def take(data: bytes, got: list[bytes] = got, often: int = often) -> bool:
            got.append(data)
            return len(got) % often != 0

        while not await response.pour(take):
            assert len(got) % often == 0
        assert b"".join(got) == b"".join(b"%d," % number for number in range(30))
        assert await response.pour(take)
        assert await response.read() == b""
    assert script.connections - before == 1


async def test_what_a_sink_raises_is_raised_to_the_reader(pool: Pool, script: Upstream) -> None:
    """In the middle of an answer, and at its last piece; the connection is not used again."""
    for position in (1, 2):
        script.script(Reply(pieces=[b"one", b"two"], chunked=True, pause=0.02))
        response = await pool(call(script))
        seen = 0

        def take(data: bytes, position: int = position) -> bool:
            nonlocal seen
            seen += 1
            if seen == position:
                raise LookupError(data.decode())
            return True

        with pytest.raises(LookupError):
            await response.pour(take)
        response.close()
        assert seen == position
        assert pool.open_connections == 0


async def test_what_is_poured_ends_in_time(pool: Pool, script: Upstream) -> None:
    """The idle deadline counts from the last piece, a limit set by the sink from when it was set."""
    script.script(Reply(pieces=[b"x"] * 8, chunked=True, pause=0.1, after="hang"))
    response = await pool(call(script, idle=0.4))
    began = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        await response.pour(lambda data: True)
    assert 1.0 < time.monotonic() - began < 2.0
    response.close()
    script.script(Reply(pieces=[b"x"], chunked=True, after="hang"))
    response = await pool(call(script))

    def last(data: bytes) -> bool:
        response.limit(0.2)
        return True

    began = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        await response.pour(last)
    assert time.monotonic() - began < 1
    response.close()


async def test_cancelling_what_is_poured_ends_the_upstreams_work(pool: Pool, script: Upstream) -> None:
    script.script(Reply(pieces=[b"x"], chunked=True, after="hang"))
    response = await pool(call(script))
    begun = asyncio.Event()

    def take(data: bytes) -> bool:
        begun.set()
        return True

    task = asyncio.ensure_future(response.pour(take))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    response.close()
    assert await asyncio.to_thread(script.requests[0].closed.wait, 1)


async def test_a_connection_that_is_gone_waits_for_no_collector(pool: Pool, script: Upstream) -> None:
    """Its parser holds it, and it holds the answer's bytes."""
    script.script(Reply(pieces=[b"one"]))
    gc.collect()
    gc.disable()
    try:
        assert await whole(pool, call(script)) == b"one"
        pool.close()
        await asyncio.sleep(0.01)
        assert not [one for one in gc.get_objects() if issubclass(type(one), Connection)]
    finally:
        gc.enable()
