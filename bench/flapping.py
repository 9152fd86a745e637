"""`python bench/flapping.py`: requests over targets that flap, in simulated time: Headgate against a plain round-robin with three retries.

Rules of this file:
- Headgate is the gateway itself, its whole path from the request to the last byte; only the sockets are replaced (`net.Open`) and the
  clock (simulated.py). Nothing of its decisions is written again here.
- Both meet the same world: when each target is well and how it is not, who asks when, and how long an answer takes, are drawn from
  the seed alone, whoever asks. Deadlines are the same for both.
- The plain one asks the targets in turns, and the next one at once when an attempt failed before its content, three times.
- The bill: input when a request is taken up, output as it is made until the connection ends. Extra spend is what was billed above one
  whole answer for each request that got one, as a share of that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import tempfile
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import structlog
import yaml

import simulated
from headgate import clock
from headgate.app import Gateway
from headgate.config.load import load
from headgate.errors import UpstreamError, UpstreamTimeout, UpstreamTruncated, UpstreamUnreachable
from headgate.net import Call, Headers, Origin, Response

RESULTS = Path(__file__).with_name("flapping.json")
KEY = "sk-hg-key-of-the-simulation"
TARGETS = 4
RATE = 10.0
"""Requests a second."""
SEVERITIES = {"calm": 0.02, "rough": 0.1, "storm": 0.3}
"""The share of the time that a target is not well."""
SPELL = 20.0
"""Seconds that a target is unwell, on average."""
ILLS = ("refuses", "fails", "silent", "slow", "limited", "cuts")
INPUT = 500
PRICE = (3000, 15000)
"""Nano-dollars a token of input and of output."""
PIECES = 8
DEADLINES = {"headers": 10.0, "first_token": 10.0, "idle": 5.0}
POLICIES = ("round-robin, 3 retries", "Headgate", "Headgate, hedged")
OPTIONS: dict[str, dict[str, Any]] = {
    "Headgate": {},
    "Headgate, hedged": {"hedge": {"share": 0.1}, "midstream": "continue"},
}


class World:
    """The targets' days, and what was billed."""

    def __init__(self, severity: str, seed: int, seconds: float) -> None:
        self.seed = seed
        self.billed = 0
        self.calls: Counter[str] = Counter()
        share = SEVERITIES[severity]
        self._days = [self._day(Random(f"{seed}/{severity}/{target}"), share, seconds) for target in range(TARGETS)]

    @staticmethod
    def _day(draw: Random, share: float, seconds: float) -> tuple[list[float], list[str]]:
        """When spells begin, and what each is."""
        at, begins, what = 0.0, [0.0], [""]
        while at < seconds:
            at += draw.expovariate(share / SPELL / (1 - share))
            begins.append(at)
            what.append(draw.choice(ILLS))
            at += draw.expovariate(1 / SPELL)
            begins.append(at)
            what.append("")
        return begins, what

    def ill(self, target: int, now: float) -> str:
        """What it has; "" if it is well."""
        begins, what = self._days[target]
        return what[bisect_right(begins, now) - 1]

    async def open(self, call: Call) -> Answer:
        """`net.Open`: a call at the target that its port names."""
        call.sent = True
        target = call.origin.port - 9000
        now = clock.mono() - simulated.BEGIN
        ill = self.ill(target, now)
        number = int(json.loads(call.body)["messages"][0]["content"].split()[1])
        answer = Answer(self, target, number, ill)
        self.calls[ill or "well"] += 1
        try:
            await answer.begin()
        except BaseException:
            answer.close()
            raise
        return answer


@cache
def _said(seed: int, number: int) -> tuple[float, float, int]:
    """Seconds until its first token, seconds a token, tokens: of the answer to this request, whoever gives it."""
    draw = Random(f"{seed}/{number}")
    return draw.lognormvariate(-0.7, 0.5), draw.uniform(0.01, 0.03), draw.randrange(20, 400)


class Answer(Response):
    """A streamed answer, made in simulated time."""

    def __init__(self, world: World, target: int, number: int, ill: str) -> None:
        self.status = {"fails": 503, "limited": 429}.get(ill, 200)
        self.headers: Headers = [(b"content-type", b"text/event-stream" if self.status == 200 else b"application/json")]
        if ill == "limited":
            self.headers.append((b"retry-after", b"2"))
        self._world, self._ill = world, ill
        self._wait, self._pace, self._tokens = _said(world.seed, number)
        self._wait *= (0.8 + 0.1 * target) * (10.0 if ill == "slow" else 1.0)
        self._at = self._began = asyncio.get_running_loop().time()
        self._until: float | None = None
        self._sent = 0
        self._open = True

    async def begin(self) -> None:
        if self._ill == "refuses":
            self._billed(0, 0)
            await asyncio.sleep(0.002)
            raise UpstreamUnreachable("refused", code="connection_refused")
        if self.status != 200:
            self._billed(0, 0)
        await self._reach(60.0 if self._ill == "silent" else min(self._wait, 0.05), DEADLINES["headers"])

    async def _reach(self, seconds: float, within: float) -> None:
        """So many seconds further in what is made. Raises UpstreamTimeout where that is not `within` its deadlines."""
        now = asyncio.get_running_loop().time()
        due = self._at = self._at + seconds
        last = now + within if self._until is None else min(now + within, self._until)
        await asyncio.sleep(max(0.0, min(due, last) - now))
        if due > last:
            raise UpstreamTimeout("too late")

    async def read(self) -> bytes:
        if self.status != 200:
            self.close()
            body, self.status = (b'{"error":{"message":"no"}}', self.status) if self._sent == 0 else (b"", self.status)
            self._sent = 1
            return body
        if self._sent > PIECES:
            return b""
        each = self._tokens * self._pace / PIECES
        await self._reach(self._wait if self._sent == 0 else each, DEADLINES["idle"] if self._sent else 60.0)
        if self._ill == "cuts" and self._sent == PIECES // 2:
            self.close()
            raise UpstreamTruncated("cut")
        self._sent += 1
        if self._sent <= PIECES:
            return _chunk({"content": f"part {self._sent} "})
        usage = {"prompt_tokens": INPUT, "completion_tokens": self._tokens, "total_tokens": INPUT + self._tokens}
        self.close()
        return _chunk({}, "stop") + _frame({"choices": [], "usage": usage}) + b"data: [DONE]\n\n"

    def limit(self, seconds: float | None) -> None:
        self._until = None if seconds is None else asyncio.get_running_loop().time() + seconds

    def close(self) -> None:
        """What was made until now is billed."""
        if self._open:
            spent = asyncio.get_running_loop().time() - self._began - self._wait
            made = 0 if self._ill == "silent" else min(self._tokens, max(0, round(spent / self._pace)))
            self._billed(INPUT, made)

    def _billed(self, input_: int, output: int) -> None:
        self._open = False
        self._world.billed += input_ * PRICE[0] + output * PRICE[1]


def _frame(document: dict[str, Any]) -> bytes:
    return f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'm', **document})}\n\n".encode()


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    return _frame({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


# ---------------------------------------------------------------------- who asks


class Caller:
    """An `Incoming` that notes when its content began, and whether it ended well."""

    method, path, query, peer = "POST", "/v1/chat/completions", b"", "127.0.0.1"
    begun, keep, received = False, True, True

    def __init__(self, body: bytes) -> None:
        told = {"authorization": f"Bearer {KEY}", "content-type": "application/json", "content-length": str(len(body))}
        self.headers: Headers = [(name.encode(), value.encode()) for name, value in told.items()]
        self._body = body
        self._status = 0
        self._last = b""
        self.first: float | None = None

    async def read(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def begin(self, status: int, headers: Headers) -> None:
        self.begun, self._status = True, status

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self.begin(status, headers)

    def write(self, data: bytes) -> bool:
        if self.first is None:
            self.first = clock.mono()
        self._last = data
        return True

    async def drain(self) -> None:
        return None

    def end(self) -> None:
        return None

    def cut(self) -> None:
        return None

    def hold_off(self, seconds: float) -> None:
        return None

    @property
    def well(self) -> bool:
        return self._status == 200 and b"[DONE]" in self._last and b'"error"' not in self._last


@dataclass
class Found:
    """What became of the requests. `waits`: seconds until the content of those that were answered whole."""

    asked: int = 0
    minimum: int = 0
    waits: list[float] = field(default_factory=list)

    def note(self, world: World, number: int, began: float, first: float | None, well: bool) -> None:
        self.asked += 1
        if well and first is not None:
            self.waits.append(first - began)
            self.minimum += INPUT * PRICE[0] + _said(world.seed, number)[2] * PRICE[1]

    def told(self, world: World) -> dict[str, float]:
        ordered = sorted(self.waits)
        return {
            "asked": self.asked,
            "success": round(len(ordered) / self.asked, 4),
            "extra": round(world.billed / self.minimum - 1, 4),
            "p50": round(ordered[len(ordered) // 2], 3),
            "p99": round(ordered[int(len(ordered) * 0.99)], 3),
            "calls": world.calls.total(),
        }


def _body(number: int) -> bytes:
    message = {"role": "user", "content": f"request {number}"}
    return json.dumps({"model": "flapping", "messages": [message], "stream": True}).encode()


class Plain:
    """A round-robin with three retries."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._turn = 0

    async def ask(self, number: int) -> tuple[float | None, bool]:
        for _ in range(4):
            call = _call(self._turn % TARGETS, _body(number))
            self._turn += 1
            first = None
            try:
                answer = await self._world.open(call)
                answer.limit(DEADLINES["first_token"])
                while data := await answer.read():
                    if answer.status != 200:
                        break
                    first = first or clock.mono()
                    answer.limit(None)
                    if b"[DONE]" in data:
                        return first, True
            except UpstreamError:
                pass
            finally:
                if "answer" in locals():
                    answer.close()
            if first is not None:
                return first, False  # it has been shown: there is no second answer
        return None, False


def _call(target: int, body: bytes) -> Call:
    return Call(method="POST", origin=Origin("http", "127.0.0.1", 9000 + target), path="/", headers=[], body=body)


class Gated:
    """Headgate as it is, with these options of the model."""

    def __init__(self, world: World, folder: Path, options: dict[str, Any]) -> None:
        timeouts = {name: f"{seconds:g}s" for name, seconds in DEADLINES.items()}
        site = {"type": "openai_compatible", "api_key": "x", "timeouts": timeouts, "accepts": {"prefill": "message"}}
        config = {
            "data": str(folder / "data"),
            "discover": False,
            "keys": [{"name": "k", "key": KEY}],
            "providers": {f"t{n}": site | {"base_url": f"http://127.0.0.1:{9000 + n}/v1"} for n in range(TARGETS)},
            "models": {
                "flapping": {"targets": [f"t{n}/m" for n in range(TARGETS)], "strategy": "round_robin", **options}
            },
            "telemetry": {"log": {"level": "error", "requests": False}},
        }
        path = folder / "headgate.yaml"
        path.write_text(yaml.safe_dump(config))
        (folder / "data").mkdir()
        self.gateway = Gateway(load(path, {}), {})
        self.gateway.app.pipeline.dispatch.attempts._open = world.open

    async def ask(self, number: int) -> tuple[float | None, bool]:
        self.gateway.directory.refresh(clock.wall())  # no thread runs beside it
        caller = Caller(_body(number))
        await self.gateway.app(caller)
        return caller.first, caller.well


async def _asked(world: World, plain: bool, folder: Path, options: dict[str, Any], count: int) -> dict[str, float]:
    asks = Plain(world) if plain else Gated(world, folder, options)
    found = Found()
    draw = Random(f"{world.seed}/arrivals")

    async def one(number: int) -> None:
        began = clock.mono()
        first, well = await asks.ask(number)
        found.note(world, number, began, first, well)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))
            await asyncio.sleep(draw.expovariate(RATE))
    if isinstance(asks, Gated):
        asks.gateway.close()
    return found.told(world)


def simulate(policy: str, severity: str, count: int, seed: int = 1) -> dict[str, float]:
    """What becomes of `count` requests."""
    world = World(severity, seed, count / RATE * 1.2 + 600)
    with tempfile.TemporaryDirectory(prefix="headgate-flapping-") as folder:
        work = _asked(world, policy not in OPTIONS, Path(folder), OPTIONS.get(policy, {}), count)
        return simulated.run(work, simulated.Loop(), seed)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    count = parser.parse_args().requests
    told: dict[str, Any] = {"requests": count, "targets": TARGETS, "rate": RATE, "spell": SPELL}
    told |= {"severities": SEVERITIES, "found": {}}
    for severity in SEVERITIES:
        for policy in POLICIES:
            told["found"].setdefault(severity, {})[policy] = found = simulate(policy, severity, count)
            print(severity, policy, found, flush=True)
    if count >= 10_000:
        few = {policy: simulate(policy, "rough", FEW) for policy in POLICIES}
        RESULTS.write_text(json.dumps(told | {"few": few}, indent=1) + "\n")


FEW = 400
"""Requests of the smaller run, which a test repeats."""

if __name__ == "__main__":
    main()
