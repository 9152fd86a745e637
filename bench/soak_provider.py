"""The soak's provider: it answers, breaks, and keeps a book of what it bills.

Rules of this file:
- One site, one port, one dialect, one price. What a request gets is drawn from its own number: a run can be repeated.
- The bill: input as soon as a request is taken up; output as it is produced, at the answer's pace, whether or not anybody reads it,
  until the connection ends. An error told in place of an answer is not billed. (Some providers bill less of what breaks, none more.)
- Nothing here knows how the gateway counts.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from random import Random

import msgspec

import tongue
from headgate.faults import answers
from headgate.faults.answers import ANTHROPIC, CHAT, GEMINI, RESPONSES, Spoken, Used
from headgate.faults.fault import JSON, LAST, SSE, chunk, head, identity
from headgate.faults.wire import Gone, Play, Seen, Wire, asked

DOLLARS = {"input": 3, "cache_read": "0.3", "output": 15}
"""A million tokens'."""
NANO = {"input": 3000, "cache_read": 300, "output": 15000}
"""A token's nano-dollars: the same prices, written by hand."""

AT_ONCE = {CHAT: 1, RESPONSES: 1, ANTHROPIC: 4, GEMINI: 6}
"""Tokens of one event of a stream."""
PACES = (0.008, 0.006, 0.01, 0.005)
"""Seconds a token of the sites' answers, before chance makes it a quarter less or a third more."""
FAULTY = 0.006
"""Of all attempts, beside what the down times break."""
DOWN, CYCLE = 3.0, 75.0
"""Each site answers 503 alone for so many seconds of each cycle."""
PADDING = chunk(b": " + b"-" * 98_304 + b"\n\n")
_NONCE = re.compile(rb"nonce (\d+)")


@dataclass(slots=True)
class Bill:
    """What one call is billed. `complete`: the whole answer was sent before the connection ended."""

    nonce: int
    site: str
    number: int
    request_id: str
    what: str
    stream: bool
    input: int = 0
    cached: int = 0
    output: int = 0
    complete: bool = False

    @property
    def cost(self) -> int:
        """Nano-dollars."""
        fresh = (self.input - self.cached) * NANO["input"]
        return fresh + self.cached * NANO["cache_read"] + self.output * NANO["output"]


@dataclass
class Answer:
    """What is said, and how fast. `pace`: seconds a token; `hidden`: tokens thought before the first is shown."""

    bill: Bill
    words: list[str]
    used: Used
    before: float
    pace: float
    padded: bool
    spoken: Spoken
    at_once: int


Broken = Callable[[Wire, Seen, Answer], Awaitable[None]]


class Site:
    """One provider. `book` has every call that it took up."""

    def __init__(self, name: str, dialect: str, *, seed: int, number: int, thinks: bool, book: list[Bill]) -> None:
        self.name, self.dialect, self.thinks = name, dialect, thinks
        self.book = book
        self.url = ""
        self._seed, self._phase = seed, number * CYCLE / 8
        self._pace = PACES[number % len(PACES)]
        self._began = time.monotonic()
        self._asked: dict[int, int] = {}
        self._wires: set[Wire] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._wire, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for wire in list(self._wires):
            wire.close()
        await asyncio.sleep(0.2)

    @property
    def connections(self) -> int:
        return len(self._wires)

    def _wire(self) -> Wire:
        wire = Wire(self._accept)
        self._wires.add(wire)
        wire.gone.add_done_callback(lambda _: self._wires.discard(wire))
        return wire

    def _accept(self, method: str, path: str, body: bytes, received: int) -> tuple[Seen, Play]:
        model, dialect, stream = asked(path, body)
        found = _NONCE.search(body)
        nonce = int(found[1]) if found else -1
        number = self._asked[nonce] = self._asked.get(nonce, 0) + 1
        draw = Random(f"{self._seed}/{nonce}/{self.name}/{number}")
        down = (time.monotonic() - self._began + self._phase) % CYCLE < DOWN
        what = "down" if down else draw.choice(list(BROKEN)) if draw.random() < FAULTY else "healthy"
        bill = Bill(nonce, self.name, number, f"{self.name}-{nonce}-{number}", what, stream)
        self.book.append(bill)
        answer = self._answer(draw, bill, body, model)
        seen = Seen(
            model=model,
            request_id=bill.request_id,
            method=method,
            path=path,
            at=time.monotonic(),
            number=number,
            dialect=dialect,
            stream=stream,
            received=received,
        )
        return seen, partial(PLAYS[what], answer=answer)

    def _answer(self, draw: Random, bill: Bill, body: bytes, model: str) -> Answer:
        count, hidden = draw.randrange(8, 160), draw.randrange(10, 80) if self.thinks else 0
        input_ = tongue.counted(msgspec.json.decode(body))
        used = Used(input_, count + hidden, draw.choice((0, 0, input_ // 2)), hidden)
        words, size = tongue.said(draw, count), AT_ONCE[self.dialect]
        events = ["".join(words[at : at + size]) for at in range(0, len(words), size)]
        return Answer(
            bill=bill,
            words=words,
            used=used,
            spoken=answers.stream(self.dialect, model, events, used),
            before=0.12 + draw.lognormvariate(-2.5, 0.8),
            pace=self._pace * draw.uniform(0.75, 1.35),
            padded=b"padded" in body,
            at_once=size,
        )


# ---------------------------------------------------------------------- what is produced


async def _produce(wire: Wire, answer: Answer, count: int) -> None:
    """So many tokens, at the answer's pace. Raises Gone when the client leaves meanwhile; what was produced until then is billed."""
    began = time.monotonic()
    try:
        await wire.rest(count * answer.pace)
    except Gone:
        answer.bill.output += min(count, int((time.monotonic() - began) / answer.pace))
        raise
    answer.bill.output += count


async def _take_up(wire: Wire, answer: Answer) -> None:
    answer.bill.input, answer.bill.cached = answer.used.input, answer.used.cached
    await wire.rest(answer.before)


async def _say(wire: Wire, answer: Answer, share: float = 1.0) -> None:
    """The stream up to this share of its content."""
    spoken = answer.spoken
    await wire.send(*map(chunk, spoken.opening))
    await _produce(wire, answer, answer.used.hidden)
    left = len(answer.words)
    for frame in spoken.words[: int(len(spoken.words) * share)]:
        await _produce(wire, answer, min(answer.at_once, left))
        left -= answer.at_once
        await wire.send(chunk(frame))
        if answer.padded:
            await wire.send(PADDING)
    if left > 0 and share == 1.0:  # Gemini's last words come with its mark
        await _produce(wire, answer, left)


async def _document(wire: Wire, seen: Seen, answer: Answer) -> bytes:
    """The whole answer, produced before its first byte."""
    await _produce(wire, answer, answer.used.output)
    return answers.whole(seen.dialect, seen.model, "".join(answer.words), answer.used)


async def _healthy(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _take_up(wire, answer)
    if seen.stream:
        await wire.send(head(SSE, identity(seen), keep=True))
        await _say(wire, answer)
        await wire.send(*map(chunk, [*answer.spoken.closing, *answer.spoken.mark]), LAST)
    else:
        body = await _document(wire, seen, answer)
        await wire.send(head(JSON, identity(seen), length=len(body), keep=True), body)
    answer.bill.complete = True


# ---------------------------------------------------------------------- what breaks


async def _refused_with(
    wire: Wire, seen: Seen, answer: Answer, status: int = 503, code: str = "server_error", *more: bytes
) -> None:
    body = answers.error(seen.dialect, status, code, "the soak breaks it")
    await wire.send(head(JSON, identity(seen), *more, status=status, length=len(body), keep=True), body)


async def _limited(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _refused_with(wire, seen, answer, 429, "rate_limit_exceeded", b"retry-after: 1")


async def _overloaded(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _refused_with(wire, seen, answer, 529, "overloaded")


async def _reset(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _take_up(wire, answer)
    wire.reset()


async def _close(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _take_up(wire, answer)
    wire.close()


async def _reset_in_head(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _take_up(wire, answer)
    await wire.send(b"HTTP/1.1 200 OK\r\ncontent-ty")
    await wire.rest(0.05)
    wire.reset()


async def _silent(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _take_up(wire, answer)
    await wire.silence()


async def _late(wire: Wire, seen: Seen, answer: Answer) -> None:
    """Signs of life, no content."""
    await _take_up(wire, answer)
    await wire.send(head(SSE if seen.stream else JSON, identity(seen)))
    while seen.stream:
        await wire.send(chunk(b": still there\n\n"))
        await wire.rest(0.5)
    await wire.silence()


async def _half(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _take_up(wire, answer)
    if seen.stream:
        await wire.send(head(SSE, identity(seen)))
        await _say(wire, answer, 0.5)
    else:
        body = await _document(wire, seen, answer)
        await wire.send(head(JSON, identity(seen), length=len(body)), body[: len(body) // 2])
    await wire.rest(0.02)


async def _cut(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _half(wire, seen, answer)
    wire.close()


async def _reset_later(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _half(wire, seen, answer)
    wire.reset()


async def _stall(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _half(wire, seen, answer)
    await wire.silence()


async def _ends_with(wire: Wire, seen: Seen, answer: Answer, last: bytes) -> None:
    """Half of the answer, and a body that ends as HTTP says it should."""
    await _take_up(wire, answer)
    await wire.send(head(SSE if seen.stream else JSON, identity(seen)))
    if seen.stream:
        await _say(wire, answer, 0.5)
    else:
        body = await _document(wire, seen, answer)
        await wire.send(chunk(body[: len(body) // 2]))
    await wire.send(*([chunk(last)] if last else []), LAST)
    wire.close()


async def _ends_early(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _ends_with(wire, seen, answer, b"")


async def _malformed(wire: Wire, seen: Seen, answer: Answer) -> None:
    await _ends_with(wire, seen, answer, b"data: {not json\n\n")


async def _error_later(wire: Wire, seen: Seen, answer: Answer) -> None:
    told = answers.error_frame(seen.dialect, seen.model, 500, "server_error", "the soak breaks it")
    await _ends_with(wire, seen, answer, told)


async def _error_first(wire: Wire, seen: Seen, answer: Answer) -> None:
    """An error with status 200 in place of the answer."""
    if seen.stream:
        told = answers.error_frame(seen.dialect, seen.model, 500, "server_error", "the soak breaks it")
        await wire.send(head(SSE, identity(seen), keep=True), chunk(told), LAST)
    else:
        await _refused_with(wire, seen, answer, 200)


async def _leaves_after(wire: Wire, seen: Seen, answer: Answer) -> None:
    """The kept connection ends behind a good answer."""
    await _healthy(wire, seen, answer)
    wire.close()


BROKEN: dict[str, Broken] = {
    "rate limited": _limited,
    "overloaded": _overloaded,
    "reset before its head": _reset,
    "closed before its head": _close,
    "reset in its head": _reset_in_head,
    "silent": _silent,
    "no content": _late,
    "cut": _cut,
    "reset in its answer": _reset_later,
    "stalled": _stall,
    "ended early": _ends_early,
    "malformed": _malformed,
    "error in its answer": _error_later,
    "error for an answer": _error_first,
    "closed behind its answer": _leaves_after,
}
PLAYS: dict[str, Broken] = {"healthy": _healthy, "down": _refused_with, **BROKEN}
