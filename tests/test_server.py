"""The HTTP/1.1 server on real sockets, with a handler that tells what it was asked: one connection's bytes in and out."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest
import uvicorn
import uvloop

from headgate.http.incoming import Incoming
from headgate.http.server import Connection, bounded
from headgate.net import Headers

HEAD_BYTES, HEAD_SECONDS, BODY_SECONDS = 2000, 0.2, 0.3
LARGE = b"x" * 100_000
CLOSE = b"connection: close\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


class Server:
    """Talks to one client. `asked` are the paths so far, `fields` the last request's once its body was read."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fields: Headers = []

    async def _answer(self, incoming: Incoming) -> None:
        self.asked.append(incoming.path)
        body = b""
        while incoming.path != "/unread" and (piece := await incoming.read()):
            body += piece
        self.fields = incoming.headers
        if incoming.path in ("/pieces", "/cut"):
            incoming.begin(200, [(b"content-type", b"text/plain")])
            incoming.write(b"one")
            incoming.write(b"two")
            incoming.end() if incoming.path == "/pieces" else incoming.cut()
        else:
            incoming.answer(200, [], LARGE if incoming.path == "/large" else incoming.path.encode() + b" " + body)

    async def _talk(self, data: bytes, client: Client) -> bytes:
        http = bounded(HEAD_BYTES, HEAD_SECONDS, lambda: BODY_SECONDS)
        config = uvicorn.Config(self._answer, interface="asgi3", http=http, ws="none", lifespan="off")  # type: ignore[arg-type]
        config.load()
        state = uvicorn.Server(config).server_state
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: http(config, state, {}), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname()[:2])
        try:
            writer.write(data)
            return await asyncio.wait_for(client(reader, writer), 5)
        finally:
            writer.close()
            listening.close()

    def talk(self, data: bytes, client: Client | None = None) -> bytes:
        """Sends these bytes. What comes back until the server closes, or what the client makes of it."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(self._talk(data, client or (lambda reader, writer: reader.read())))


def get(path: str, more: bytes = b"", version: str = "1.1", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/{version}\r\nhost: x\r\n".encode() + more + b"\r\n"


def bodies(got: bytes) -> list[bytes]:
    """Of answers whose heads tell their length."""
    found = []
    while got:
        head, _, got = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        found.append(got[:length])
        got = got[length:]
    return found


def test_requests_sent_without_waiting_are_answered_in_their_order() -> None:
    one = get("/a", b"content-length: 3\r\n", method="POST") + b"abc"
    assert bodies(Server().talk(one + get("/b%20c?q") + get("/d", CLOSE))) == [b"/a abc", b"/b c ", b"/d "]


def test_a_client_that_does_not_read_is_not_answered_on() -> None:
    """Of two hundred large answers only those are made that its buffers take. Nothing is lost when it reads."""
    server = Server()

    async def reads_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        before = -1
        while before != len(server.asked):
            before = len(server.asked)
            await asyncio.sleep(0.1)
        assert 0 < before < 190
        return await reader.read()

    got = server.talk(get("/large") * 199 + get("/d", CLOSE), reads_late)
    assert [len(body) for body in bodies(got)] == [len(LARGE)] * 199 + [3]


def test_a_body_that_nobody_reads_is_read_over() -> None:
    unread = get("/unread", b"content-length: 300000\r\n", method="POST") + b"y" * 300_000
    assert bodies(Server().talk(unread + get("/d", CLOSE))) == [b"/unread ", b"/d "]


CHUNKS = get("/a", b"transfer-encoding: chunked\r\n", method="POST") + b"3\r\nabc\r\n0\r\n"


def test_trailers_are_not_merged_into_the_head() -> None:
    """Or a field that somebody on the way took out of the head would come in behind (RFC 9110 §6.5.1)."""
    server = Server()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        return await reader.readuntil(b"/a abc")

    assert bodies(server.talk(CHUNKS + b"authorization: Bearer evil\r\n\r\n", one)) == [b"/a abc"]
    assert server.fields == [(b"host", b"x"), (b"transfer-encoding", b"chunked")]
    assert bodies(server.talk(CHUNKS + b"x: y\r\n\r\n" + get("/d", CLOSE))) == [b"/a abc", b"/d "]


@pytest.mark.parametrize("trailer", [b"x: " + b"a" * HEAD_BYTES, b"x: y\r\n" * HEAD_BYTES])
def test_trailers_are_bounded(trailer: bytes) -> None:
    async def trails(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        await asyncio.sleep(0.05)
        writer.write(trailer)
        return await reader.read()

    assert Server().talk(CHUNKS, trails).startswith(b"HTTP/1.1 431 ")


def test_who_waits_for_a_100_gets_it_when_the_body_is_read() -> None:
    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        return await reader.read()

    expecting = get("/a", b"content-length: 3\r\nexpect: 100-continue\r\n" + CLOSE, method="POST")
    assert bodies(Server().talk(expecting, waits)) == [b"/a abc"]


def test_an_answer_in_pieces_is_chunked_and_to_an_old_client_ends_with_the_connection() -> None:
    head, _, body = Server().talk(get("/pieces", CLOSE)).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    head, _, body = Server().talk(get("/pieces", version="1.0")).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head and b"connection: close" in head
    assert body == b"onetwo"


def test_a_cut_answer_has_no_end() -> None:
    assert Server().talk(get("/cut")).endswith(b"3\r\none\r\n3\r\ntwo\r\n")


@pytest.mark.parametrize("path", ["/a", "/pieces"])
def test_head_is_answered_without_a_body(path: str) -> None:
    assert Server().talk(get(path, CLOSE, method="HEAD")).endswith(b"\r\n\r\n")


def test_an_offer_of_another_protocol_is_passed_over() -> None:
    """The request is answered in HTTP/1.1, and is the last one on its connection."""
    offer = b"connection: Upgrade\r\nupgrade: websocket\r\n"
    assert bodies(Server().talk(get("/a", offer) + b"frames of it")) == [b"/a "]


@pytest.mark.parametrize("framed", [b"content-length: 3\r\n\r\nabc", CHUNKED + b"\r\n3\r\nabc\r\n0\r\n\r\n"])
def test_the_body_of_a_request_that_offers_another_protocol_is_read(framed: bytes) -> None:
    """As JDK's client sends them to an http:// address, wherever packets end; others follow on the connection."""
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAA\r\n"
    first = get("/a", offer, method="POST")[:-2] + framed
    for cut in range(0, len(first), 7):
        server = Server()

        async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: int = cut) -> bytes:
            writer.write(first[cut:])
            got = await reader.readuntil(b"/a abc")
            writer.write(first + get("/b", CLOSE))
            return got + await reader.read()

        assert bodies(server.talk(first[:cut], rest)) == [b"/a abc", b"/a abc", b"/b "]
        assert (b"upgrade", b"h2c") not in server.fields


def test_a_broken_body_behind_an_offer_of_another_protocol_is_refused() -> None:
    offer = b"connection: Upgrade\r\nupgrade: h2c\r\n"
    assert Server().talk(get("/a", offer + CHUNKED, method="POST") + b"zz\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "behind", [b"\r\n", b"GET", b"NONSENSE\r\n\r\n", get("/x", b"x: " + b"a" * HEAD_BYTES + b"\r\n")]
)
def test_what_stands_behind_a_request_does_not_spoil_its_answer(behind: bytes) -> None:
    """An empty line, some of a head, no HTTP, too much of it: the first request has its answer whole."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        return await reader.readuntil(b"/a abc")

    first = get("/a", b"content-length: 3\r\n", method="POST") + b"abc"
    assert bodies(Server().talk(first + behind, one)) == [b"/a abc"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /a HTT", b"408"),
        (get("/a", b"x: " + b"a" * HEAD_BYTES + b"\r\n"), b"431"),
        (get("/a", b"x: y\r\n" * 200), b"431"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", b"400"),
        (get("/a", b"transfer-encoding: chunked\r\n", method="POST") + b"zz\r\n", b"400"),
    ],
    ids=["half a head", "a long head", "many fields", "bytes that are none", "a broken body"],
)
def test_what_is_no_request_is_refused(data: bytes, status: bytes) -> None:
    got = Server().talk(data)
    assert b"HTTP/1.1 " + status in got and got.count(b'{"error":') == 1


def test_a_connection_that_is_gone_waits_for_no_collector() -> None:
    """A parser holds its connection: what one leaves behind, buffers too, would else stay until a full collection."""
    gc.collect()
    gc.disable()
    try:
        Server().talk(get("/a", CLOSE))
        assert not [one for one in gc.get_objects() if issubclass(type(one), Connection)]
    finally:
        gc.enable()
