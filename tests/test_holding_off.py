"""The server keeps a client's next request in its socket when it is told to, and accepts many connections in one turn of its loop."""

from __future__ import annotations

import asyncio
import socket
import time

import uvicorn
import uvloop

from headgate.cli.serve import ACCEPTS, handles
from headgate.http.incoming import Incoming
from headgate.http.server import bounded

REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
HELD = 0.4


async def app(incoming: Incoming) -> None:
    incoming.answer(200, [], b"ok")
    if incoming.path == "/held":
        incoming.hold_off(HELD)


async def seconds(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes = REQUEST) -> float:
    began = time.monotonic()
    writer.write(request)
    await reader.readuntil(b"ok")
    return time.monotonic() - began


def test_a_client_that_is_held_off_is_read_again_after_its_time() -> None:
    """Its refusal comes at once; the next answer after the time; the one behind that at once again. Others do not notice, and one
    that leaves meanwhile does no harm."""

    async def run() -> None:
        config = uvicorn.Config(
            app, http=bounded(65536, 10.0, lambda: 60.0), interface="asgi3", lifespan="off", log_config=None, port=0
        )  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        serving = asyncio.create_task(server._serve([listener]))
        held, other, gone = [await asyncio.open_connection(*address[:2]) for _ in range(3)]
        at_once = await seconds(*held, REQUEST.replace(b" / ", b" /held "))
        await seconds(*gone, REQUEST.replace(b" / ", b" /held "))
        gone[1].close()
        quick = await seconds(*other)
        late = await seconds(*held)
        again = await seconds(*held)
        assert at_once < HELD / 2 and quick < HELD / 2 and again < HELD / 2
        assert HELD * 0.8 < late < HELD + 1.0
        for _, writer in (held, other):
            writer.close()
        server.should_exit = True
        await serving

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def test_many_connections_are_accepted_in_one_turn_of_the_loop() -> None:
    """A loop under load takes long turns: one connection a turn would keep newcomers, health checks too, waiting for a minute."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        turns: list[int] = []
        turn = 0

        class Counted(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                turns.append(turn)
                transport.abort()  # type: ignore[attr-defined]

        listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        clients = [socket.create_connection(listener.getsockname()) for _ in range(3 * ACCEPTS)]
        servers = [await loop.create_server(Counted, sock=handle) for handle in handles(listener)]
        for turn in range(20):  # noqa: B007 - connection_made reads it
            await asyncio.sleep(0)
        assert len(turns) == 3 * ACCEPTS
        assert len(set(turns)) <= 6
        for server in servers:
            server.close()
        for client in clients:
            client.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
