"""What is measured of a running system, one function a measure.

Rules of this file:
- A figure is the median of its rounds; what they were stands beside it. In each round the systems take turns.
- Processor time of a load: the system's clock after it has gone quiet, less the clock before.
- The cost of a chunk is a slope: streams of many chunks less streams of one, by the chunks that they differ in.
"""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

from load import IdleStreams, Load, Loop
from processes import Process
from systems import System

CONNECTIONS = 16
CHUNKS = 100
IDLE_STREAMS, WARM_STREAMS = 500, 20

Figure = dict[str, Any]


class Running:
    """A started system, and how often each of its sites was asked."""

    def __init__(self, system: System, process: Process, start_seconds: float) -> None:
        self.system = system
        self.process = process
        self.start_seconds = start_seconds
        self.asked = 0

    async def load(self, request: bytes, total: int, connections: int = CONNECTIONS) -> Load:
        async with Loop(self.system.port, connections) as loop:
            done = await loop.run(request, total)
        self.asked += total
        return done

    async def cpu(self, request: bytes, total: int, connections: int = CONNECTIONS) -> tuple[float, Load]:
        """µs of processor time a request."""
        total = max(int(total * self.system.speed), connections)
        await self.load(request, max(total // 10, connections), connections)
        before = await asyncio.to_thread(self.process.settled_cpu_ns)
        done = await self.load(request, total, connections)
        after = await asyncio.to_thread(self.process.settled_cpu_ns)
        return (after - before) / total / 1000, done


async def request_cost(running: Running, request: bytes, total: int) -> Figure:
    cost, load = await running.cpu(request, total)
    return {
        "cpu_us": round(cost, 1),
        "per_second": round(len(load.latencies) / load.seconds),
        "p50_us": round(load.percentile(0.5)),
        "p99_us": round(load.percentile(0.99)),
    }


async def chunk_cost(running: Running, one: bytes, many: bytes, waves: int) -> Figure:
    """`one`, `many`: requests for streams of one chunk and of CHUNKS. `glued`: the share of chunks that did not come alone."""
    streams = running.system.streams
    short, _ = await running.cpu(one, int(4 * streams / running.system.speed), streams)
    before = await asyncio.to_thread(running.process.settled_cpu_ns)
    load = await running.load(many, streams * waves, streams)
    after = await asyncio.to_thread(running.process.settled_cpu_ns)
    long = (after - before) / (streams * waves) / 1000
    sent = streams * waves * CHUNKS
    return {
        "cpu_us": round((long - short) / (CHUNKS - 1), 2),
        "stream_us": round(short),
        "glued": round(max(0.0, 1 - load.pieces / sent), 3),
        "streams": streams,
        "chunks_per_second": round(sent / load.seconds),
    }


async def added_latency(running: Running, request: bytes, direct_port: int, direct: bytes, total: int) -> Figure:
    """One client, through the system and past it, in turns; µs."""
    total = max(int(total * min(1.0, running.system.speed * 3)), 200)
    await running.load(request, total // 10, 1)
    through = await running.load(request, total, 1)
    async with Loop(direct_port, 1) as loop:
        await loop.run(direct, total // 10)
        past = await loop.run(direct, total)
    return {
        "added_p99_us": round(through.percentile(0.99) - past.percentile(0.99)),
        "added_p50_us": round(through.percentile(0.5) - past.percentile(0.5)),
        "p50_us": round(through.percentile(0.5)),
        "p99_us": round(through.percentile(0.99)),
        "direct_p50_us": round(past.percentile(0.5)),
        "direct_p99_us": round(past.percentile(0.99)),
    }


async def stream_memory(running: Running, request: bytes, context: Any = None) -> Figure:
    """Resident bytes of one idle stream: of a system that has just started and served a few."""
    streams = IdleStreams(running.system.port, context)
    try:
        await streams.open(request, WARM_STREAMS)
        await streams.close()
        await asyncio.to_thread(running.process.settled_cpu_ns)
        before = running.process.memory()
        await streams.open(request, IDLE_STREAMS)
        await asyncio.to_thread(running.process.settled_cpu_ns)
        after = running.process.memory()
    finally:
        await streams.close()
    running.asked += WARM_STREAMS + IDLE_STREAMS
    return {
        "kb": round((after["rss"] - before["rss"]) / IDLE_STREAMS / 1000, 1),
        "pss_kb": round((after["pss"] - before["pss"]) / IDLE_STREAMS / 1000, 1),
        "streams": IDLE_STREAMS,
    }


def joined(rounds: list[Figure]) -> Figure:
    """The median of each number of some rounds, and what each round had for the first."""
    first = next(iter(rounds[0]))
    merged: Figure = {
        name: round(statistics.median(figure[name] for figure in rounds), 3 if name == "glued" else 2)
        for name in rounds[0]
    }
    return merged | {"rounds": [figure[first] for figure in rounds]}
