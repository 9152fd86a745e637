"""`python bench/overload.py`: how Headgate fares when it is asked five times what it can do.

Rules of this file:
- Capacity is what 32 clients get who ask one after the other. Then CLIENTS clients ask at fixed times, together so many times that,
  whatever they are told: no one of them heeds Retry-After. Who is not answered yet does not ask again.
- Nothing is given to the gateway but its defaults, a key, a guard, the ledger and the log.
- What counts was asked after WARM and answered before the end: answers by status, and how long each took; meanwhile /health/ready is
  asked on new connections.
- Gateway, provider and clients share the machine: where it has two cores, a good part of what is lost, they take.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import cast

import uvloop

import bodies
import systems
from measure import Running
from processes import free_port
from run import KB, Bench

CLIENTS, STEADY = 3000, 32
WARM, SECONDS = 6.0, 12.0

Times = dict[int, list[float]]
"""Status -> seconds that each answer took."""


class Client(asyncio.Protocol):
    """One kept connection. It asks every `every` seconds, or at once when that is 0; where the answer takes longer, after that."""

    def __init__(self, request: bytes, every: float, times: Times) -> None:
        self._request, self._every, self._times = request, every, times
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self.counts = False
        """What it asks now belongs to the measured part."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self) -> None:
        if not self.transport.is_closing():
            self._asked, self._counted = time.perf_counter(), self.counts
            self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            return
        took = time.perf_counter() - self._asked
        if self.counts and self._counted:
            self._times[int(head[9:12])].append(took)
        self._buffer = b""
        if self._every:
            self._loop.call_later(max(0.0, self._every - took), self.ask)
        else:
            self.ask()


async def load(running: Running, request: bytes, clients: int, every: float) -> Times:
    port = running.system.port
    times: Times = defaultdict(list)
    loop = asyncio.get_running_loop()
    open_ = [
        (await loop.create_connection(lambda: Client(request, every, times), "127.0.0.1", port))[1]
        for _ in range(clients)
    ]
    for number, client in enumerate(open_):
        loop.call_later(every * number / clients, client.ask)
    await asyncio.sleep(WARM)
    for client in open_:
        client.counts = True
    before, began = running.process.cpu_ns(), time.perf_counter()
    health = await _watched(port)
    seconds = time.perf_counter() - began
    print(f"gateway: {(running.process.cpu_ns() - before) / 1e9 / seconds:.2f} of a core")
    for client in open_:
        client.counts = False
        client.transport.abort()
    times[0] = health
    await asyncio.sleep(1)
    return times


async def _watched(port: int) -> list[float]:
    """Seconds that each look at the gateway's health took, for SECONDS."""
    found = []
    end = time.perf_counter() + SECONDS
    while (began := time.perf_counter()) < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        if b" 200 " not in answer:
            raise SystemExit(f"not ready: {answer!r}")
        found.append(time.perf_counter() - began)
        await asyncio.sleep(0.1)
    return found


def report(what: str, times: Times) -> None:
    print(what)
    for status, seconds in sorted(times.items()):
        ordered = sorted(seconds)
        figures = "  ".join(f"p{share} {ordered[int(len(ordered) * share / 100)] * 1e3:7.1f}" for share in (50, 90, 99))
        rate = f"{len(ordered) / SECONDS:6.0f}/s" if status else " " * 8
        print(f"  {status or 'health':<7}{rate}  ms: {figures}  max {ordered[-1] * 1e3:.0f}", flush=True)


async def run(folder: Path, factors: list[float]) -> None:
    bench = Bench(folder, quick=True)
    with bench.upstreams():
        system = systems.headgate(folder / "headgate", free_port(), bench.sites)
        request = system.request("small", bodies.chat_request("small/m", KB))
        with bench.one(system) as running:
            times = await load(running, request, STEADY, 0.0)
            capacity = len(times[200]) / SECONDS
            report(f"capacity: {STEADY} clients, one request after the other", times)
            for factor in factors:
                every = CLIENTS / (factor * capacity)
                times = await load(running, request, CLIENTS, every)
                report(f"{factor:g} x capacity: {CLIENTS} clients, each asks every {every:.2f} s", times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("factors", nargs="*", type=float, default=[1.0, 2.0, 5.0])
    factors = parser.parse_args().factors
    with tempfile.TemporaryDirectory(prefix="headgate-overload-") as folder:
        uvloop.run(run(Path(folder), factors))


if __name__ == "__main__":
    sys.exit(main())
