"""A ceiling on the work of one request and of one streamed chunk, that needs no clock: calls, lines and memory, counted.

The whole path runs in this process: the real ASGI app with key check, guard, prices, ledger, log and trail; only the provider is
canned. Counted are calls of Python and of C functions, lines executed, and the most memory that a request holds at once (what only the
garbage collector could free included: it is off meanwhile). They are the same on every machine, and on a busy one; but each version of
Python counts in its own way, so the ceilings are those of 3.11.

`CEILINGS` is 10 % above what was counted on 2026-11-22. It may only shrink: a change that needs more says why it is worth it, and takes
the work away elsewhere. (A request's grew once by a fifth of its calls, when admission, breakers, rate limits, learned concurrency and
the plan of targets came. It has shrunk by a quarter of its lines since, with answers that are told apart by their type and headers that
are looked up; a chunk's to a sixteenth, with streams that wake no task, frames that are told by their form and texts
that go on before anybody looks at them.)
"""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest
import yaml

from asked import Asked
from headgate import clock
from headgate.app import Gateway
from headgate.config.load import load
from headgate.net import Call, Headers, Response
from raw import chunk, sse
from work import LineCount

KEY = "sk-hg-key-of-this-test"
PROSE = "The gate at the head of the canal lets in as much water as the fields below it need. "
CHAT = {"model": "site/m", "messages": [{"role": "user", "content": PROSE * 10}]}
MESSAGES = {**CHAT, "max_tokens": 100}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": PROSE * 10}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350},
}
USAGE = {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300}
FEW, MANY = 20, 120
PATHS = {"same dialect": ("/v1/chat/completions", CHAT), "crossing": ("/v1/messages", MESSAGES)}

CEILINGS: dict[str, dict[str, tuple[int, int, int, int]]] = {
    "same dialect": {
        "request": (269, 200, 1438, 14970),
        "stream": (605, 620, 3024, 16730),
        "chunk": (6, 8, 23, 60),
    },
    "crossing": {
        "request": (442, 336, 2112, 18292),
        "stream": (1280, 1116, 5944, 19860),
        "chunk": (32, 30, 149, 75),
    },
}
"""Client -> what -> (calls of Python, calls of C, lines, bytes held at once)."""


class Canned(Response):
    """A provider's answer (a `net.Response`) that arrives in the pieces it is given."""

    status = 200

    def __init__(self, kind: str, pieces: list[bytes]) -> None:
        self.headers: Headers = [(b"content-type", kind.encode()), (b"x-request-id", b"up-1")]
        self._pieces = iter(pieces)

    async def read(self) -> bytes:
        return next(self._pieces, b"")

    def limit(self, seconds: float | None) -> None:
        return None

    def close(self) -> None:
        return None


def answered(chunks: int) -> tuple[str, list[bytes]]:
    """Content type and pieces of the provider's answer: whole, or so many chunks. Made before anything is counted."""
    if not chunks:
        return "application/json", [json.dumps(ANSWER).encode()]
    words = [chunk(f" {word}") for word in (PROSE * 10).split()[:chunks]]
    return "text/event-stream", sse(*words, chunk(None, "stop"), chunk(usage=USAGE), "[DONE]")


class Lines:
    """Where the log goes."""

    def __init__(self) -> None:
        self.count = 0
        self.dropped: dict[str, int] = {}

    def write(self, line: bytes) -> None:
        assert b'"event":"request"' in line
        self.count += 1


class Counted(Asked):
    """Keeps of its answer what the tests ask for: memory is measured here."""

    sent = 0
    last = b""
    trail = False

    def begin(self, status: int, headers: Headers) -> None:
        self.status = status
        self.trail = any(name == b"x-headgate-trail" for name, _ in headers)

    def write(self, data: bytes) -> bool:
        self.sent += 1
        self.last = data
        return True


class Bench:
    """The gateway, and requests that it is asked again and again."""

    def __init__(self, folder: Path) -> None:
        self.lines = Lines()
        path = folder / "headgate.yaml"
        path.write_text(
            yaml.safe_dump(
                {
                    "data": str(folder / "data"),
                    "discover": False,
                    "keys": [{"name": "k", "key": KEY, "scopes": ["trail"]}],
                    "guards": [{"name": "ssn", "pattern": r"\b\d{3}-\d{2}-\d{4}\b"}],
                    "prices": [{"model": "site/*", "input": 1, "output": 2}],
                    "providers": {
                        "site": {"type": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "api_key": "x"}
                    },
                }
            )
        )
        (folder / "data").mkdir()
        self.gateway = Gateway(load(path, {}), {}, self.lines)  # type: ignore[arg-type]
        self.gateway.app.pipeline.dispatch.attempts._open = self._open
        self.calls = 0
        self._answer = answered(0)

    async def _open(self, call: Call) -> Canned:
        self.calls += 1
        return Canned(*self._answer)

    def request(self, client: str, chunks: int = 0) -> Ask:
        """One request, ready to be asked: whole, or streamed in so many chunks. No thread runs beside it, so keys are read here."""
        self.gateway.directory.refresh(clock.wall())
        path, body = PATHS[client]
        data = json.dumps(body | ({"stream": True} if chunks else {})).encode()
        headers = {
            "host": "127.0.0.1",
            "authorization": f"Bearer {KEY}",
            "content-type": "application/json",
            "user-agent": "test",
        }
        answer = answered(chunks)
        asked = Counted(path, data, headers)

        async def ask() -> None:
            self._answer = answer
            self.asked = copy.copy(asked)
            await self.gateway.app(self.asked)
            assert self.asked.status == 200, self.asked.last

        return ask


Ask = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("work"))
    yield made
    made.gateway.close()


async def counted_calls(ask: Ask) -> tuple[int, int]:
    """Calls of Python functions (a coroutine's going on is one, too), calls of C functions."""
    counts: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        counts[event] += 1

    sys.setprofile(profile)
    try:
        await ask()
    finally:
        sys.setprofile(None)
    return counts["call"], counts["c_call"]


async def counted_lines(ask: Ask) -> int:
    with LineCount() as lines:
        await ask()
    return lines.count


async def most_bytes(ask: Ask) -> int:
    """The most that was held at once beyond what was held before."""
    tracemalloc.start()
    try:
        await ask()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        await ask()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


class Work(NamedTuple):
    calls: int
    c_calls: int
    lines: int
    bytes: int


async def counted(ask: Ask) -> Work:
    """The least of some times: caches are warm, and no collection or table that happens to grow falls into it."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            await ask()
        calls = [await counted_calls(ask) for _ in range(3)]
        lines = [await counted_lines(ask) for _ in range(3)]
        sizes = [await most_bytes(ask) for _ in range(3)]
    finally:
        gc.enable()
    return Work(*min(calls), min(lines), min(sizes))


def measured(bench: Bench, client: str) -> dict[str, Work]:
    async def work() -> dict[str, Work]:
        whole = await counted(bench.request(client))
        few, many = await counted(bench.request(client, FEW)), await counted(bench.request(client, MANY))
        return {
            "request": whole,
            "stream": few,
            "chunk": Work(*((more - less) / (MANY - FEW) for more, less in zip(many, few, strict=True))),
        }

    with asyncio.Runner() as runner:
        return runner.run(work())


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the ceilings were counted on Python 3.11")
@pytest.mark.parametrize("client", PATHS)
def test_the_work_stays_below_its_ceiling(bench: Bench, client: str) -> None:
    """A stream's own work is that of one with few chunks; a chunk's is what one more of them costs."""
    found = measured(bench, client)
    for what, work in found.items():
        for name, value, ceiling in zip(Work._fields, work, CEILINGS[client][what], strict=True):
            assert value <= ceiling, f"{client}, {what}: {value} {name}, of {ceiling} at most; counted: {found}"


@pytest.mark.parametrize("client", PATHS)
def test_what_is_counted_is_the_whole_path(bench: Bench, client: str) -> None:
    """The provider is called, the answer shown chunk by chunk, the log has its line, the spool its records, the trail its header."""
    before = bench.lines.count, bench.calls
    with asyncio.Runner() as runner:
        runner.run(bench.request(client, MANY)())
        assert bench.asked.over and bench.asked.sent >= MANY
        assert bench.asked.trail
        runner.run(bench.request(client)())
        assert bench.asked.over
    assert (bench.lines.count, bench.calls) == (before[0] + 2, before[1] + 2)
    written = b"".join(path.read_bytes() for path in (bench.gateway.data / "spool").rglob("*") if path.is_file())
    assert written.count(b'"event":"request"') == bench.calls


@pytest.mark.parametrize("client", PATHS)
def test_requests_leave_nothing_behind(bench: Bench, client: str) -> None:
    """Memory does not grow with requests: of 300 more, less than one block each stays."""

    async def grown() -> int:
        ask = bench.request(client, FEW)
        for _ in range(300):  # the rings of the last departures and latencies are full then
            await ask()
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(300):
            await ask()
        gc.collect()
        return sys.getallocatedblocks() - before

    with asyncio.Runner() as runner:
        assert runner.run(grown()) < 300
