"""A provider made of a script, on a real socket, in a thread of its own.

`Upstream.script(reply, ...)` queues replies; each request takes the next one and is kept in `requests`, bytes as they came.
A Reply is written in the pieces it is given, so that a test decides where packets end.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field


@dataclass
class Reply:
    """`pieces` of the body; `raw`: the bytes of the whole response instead, head included. `after`: "keep" the connection,
    "close" it, "reset" it, or "hang". `delay`: seconds before the head, `pause`: between pieces."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    pieces: list[bytes] = field(default_factory=list)
    raw: bytes | None = None
    chunked: bool = False
    after: str = "keep"
    delay: float = 0.0
    pause: float = 0.0


@dataclass
class Seen:
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    closed: threading.Event = field(default_factory=threading.Event)
    """Set when the connection that the request came on is gone."""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


class Upstream:
    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self.connections = 0
        self.sent = 0
        """Pieces that the receiver's side has taken."""
        self._replies: deque[Reply] = deque()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, *replies: Reply) -> None:
        self._replies.extend(replies)

    def reset(self) -> None:
        self._replies.clear()
        self.requests.clear()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 26))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        seen: Seen | None = None
        try:
            while (seen := await self._read(reader)) is not None:
                self.requests.append(seen)
                reply = (
                    self._replies.popleft() if self._replies else Reply(500, pieces=[b'{"error":"nothing scripted"}'])
                )
                if not await self._write(reply, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if self.requests and seen is not None:
                seen.closed.set()
            for request in self.requests[-1:]:
                request.closed.set()
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Seen | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, path, _ = first.split(" ", 2)
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        named = dict(headers)
        if named.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        else:
            body = await reader.readexactly(int(named.get("content-length", "0")))
        return Seen(method, path, headers, body)

    async def _write(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.raw is not None:
            writer.write(reply.raw)
        else:
            headers = dict(reply.headers)
            length = sum(map(len, reply.pieces))
            headers |= {"transfer-encoding": "chunked"} if reply.chunked else {"content-length": str(length)}
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode("latin-1"))
            for piece in reply.pieces:
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if reply.chunked else piece)
                await writer.drain()
                self.sent += 1
                if reply.pause:
                    await asyncio.sleep(reply.pause)
            if reply.chunked and reply.after not in ("close", "reset", "hang"):
                writer.write(b"0\r\n\r\n")
        await writer.drain()
        if reply.after == "reset":
            writer.transport.abort()
            return False
        if reply.after == "hang":
            await reader.read(1)
            return False
        return reply.after == "keep"
