"""The soak's callers: four dialects, whole and streamed; most read to the end, some leave, some read slowly, some do both.

Rules of this file:
- A request names itself in its text (`nonce N`, which the provider bills by) and in its user agent (`soak-N`, which the ledger has).
- A caller reads HTTP by hand and to the end of the answer: `Seen` is what it was told.
- Connections are kept for a few requests, as an SDK's are, and closed by whoever leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import msgspec

import tongue
from headgate.faults.answers import ANTHROPIC, CHAT, GEMINI, RESPONSES

KEPT = 20
"""Requests on one connection."""
PATIENCE = 60.0
SLOW_BYTES, SLOW_PAUSE = 65_536, 0.05
MANNERS = (("reads", 980), ("leaves", 4), ("leaves at once", 1), ("reads slowly", 14), ("reads slowly and leaves", 1))
"""What a caller does, and of how many requests in a thousand."""


class Left(Exception):
    """The caller had enough."""


@dataclass
class Told:
    """What all callers were told. `answered`: nonces that got a response head."""

    asked: int = 0
    manners: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    answered: set[int] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Ask:
    nonce: int
    data: bytes
    manner: str


class Callers:
    """`count` callers, together about `rate` requests a second."""

    def __init__(self, port: int, keys: list[str], models: dict[str, list[str]], *, seed: int) -> None:
        self.told = Told()
        self._port, self._keys, self._models, self._seed = port, keys, models, seed

    async def run(self, seconds: float, rate: float, count: int) -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(self._caller(number, until, count / rate) for number in range(count)))

    async def _caller(self, number: int, until: float, every: float) -> None:
        draw = Random(f"{self._seed}/caller/{number}")
        await asyncio.sleep(every * draw.random())
        while time.monotonic() < until:
            with contextlib.suppress(Left, OSError, asyncio.IncompleteReadError, TimeoutError):
                await self._connection(draw, until, every)

    async def _connection(self, draw: Random, until: float, every: float) -> None:
        wire = socket.socket()
        slow = draw.random() < 0.1
        if slow:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.setblocking(False)
        await asyncio.get_running_loop().sock_connect(wire, ("127.0.0.1", self._port))
        reader, writer = await asyncio.open_connection(sock=wire, limit=SLOW_BYTES)
        try:
            for _ in range(draw.randrange(1, KEPT)):
                if time.monotonic() >= until:
                    return
                began = time.monotonic()
                await self._one(reader, writer, self._ask(draw), draw)
                await asyncio.sleep(max(0.0, began + every * draw.uniform(0.5, 1.5) - time.monotonic()))
        finally:
            writer.transport.abort() if draw.random() < 0.3 else writer.close()

    # ------------------------------------------------------------------ one request

    def _ask(self, draw: Random) -> Ask:
        self.told.asked += 1
        nonce = self.told.asked
        manner = draw.choices([name for name, _ in MANNERS], [share for _, share in MANNERS])[0]
        self.told.manners[manner] += 1
        dialect = draw.choice((CHAT, RESPONSES, ANTHROPIC, GEMINI))
        stream = "slowly" in manner or draw.random() < 0.7
        text = f"nonce {nonce} " + "padded " * ("slowly" in manner)
        text += "".join(tongue.said(draw, min(4000, int(draw.lognormvariate(6.4, 0.9)))))
        cap = 400 if dialect == ANTHROPIC or draw.random() < 0.5 else None
        model = draw.choice(self._models[dialect])
        path, body = _request(dialect, model, text, stream, cap)
        data = msgspec.json.encode(body)
        lines = [
            f"POST {path} HTTP/1.1",
            "host: soak",
            f"authorization: Bearer {draw.choice(self._keys)}",
            f"user-agent: soak-{nonce}",
            "content-type: application/json",
            f"content-length: {len(data)}",
        ]
        return Ask(nonce, "\r\n".join([*lines, "", ""]).encode() + data, manner)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ask: Ask, draw: Random) -> None:
        began = time.monotonic()
        enough = None
        if ask.manner == "leaves at once":
            enough = draw.uniform(0.0, 0.05)
        elif "leaves" in ask.manner:
            enough = draw.uniform(0.0, 1.5)
        writer.write(ask.data)
        try:
            async with asyncio.timeout(PATIENCE if enough is None else enough):
                ended = await self._read(reader, ask)
        except TimeoutError:
            self.told.ended["left" if enough is not None else "no end"] += 1
            raise Left from None
        except (OSError, asyncio.IncompleteReadError):
            self.told.ended["cut"] += 1
            raise
        self.told.ended[ended] += 1
        self.told.seconds.append(time.monotonic() - began)

    async def _read(self, reader: asyncio.StreamReader, ask: Ask) -> str:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        self.told.answered.add(ask.nonce)
        status = int(head.split(" ")[1])
        self.told.statuses[status] += 1
        length = next((line for line in head.split("\r\n") if line.startswith("content-length:")), "")
        if length:
            await reader.readexactly(int(length.partition(":")[2]))
            return "answered" if status == 200 else "refused"
        last = b""
        slow = "slowly" in ask.manner
        while size := int(await reader.readline(), 16):
            left = size + 2
            while left:
                piece = await reader.read(min(left, SLOW_BYTES))
                if not piece:
                    raise asyncio.IncompleteReadError(b"", left)
                left -= len(piece)
                last = (last + piece)[-400:]
                if slow:
                    await asyncio.sleep(SLOW_PAUSE * len(piece) / SLOW_BYTES)
        await reader.readline()
        return "answered with an error at its end" if b"error" in last else "answered"


def _request(dialect: str, model: str, text: str, stream: bool, cap: int | None) -> tuple[str, dict[str, object]]:
    message = {"role": "user", "content": text}
    if dialect == GEMINI:
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body: dict[str, object] = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        return f"/v1beta/models/{model}:{verb}", body | ({"generationConfig": {"maxOutputTokens": cap}} if cap else {})
    if dialect == RESPONSES:
        body = {"model": model, "input": text, "stream": stream, "store": False}
        return "/v1/responses", body | ({"max_output_tokens": cap} if cap else {})
    body = {"model": model, "messages": [message], "stream": stream} | ({"max_tokens": cap} if cap else {})
    return "/v1/messages" if dialect == ANTHROPIC else "/v1/chat/completions", body
