"""The feed in a process of its own: what a gateway begins and speaks to (`Feeder`), and what runs there (`main`).

Why: a thread that reads, decodes and inserts must win the interpreter lock from the event loop again and again. Measured on two cores
at full load: 38 µs of the thread and 19 µs of the loop a request, against 24 µs of a process, and half a millisecond less at p99.

Rules of this file:
- Everything that matters is in the files (feed.py): the process may be killed at any time, and another one begins.
- It writes JSON lines to its standard output: how far it is, what the log should have, and what an attempt cost that a crash cut off.
  Only the last is answered, by one line on its standard input.
- It ends when its standard input does, so it never outlives the gateway; signals of a terminal or a service manager, which
  reach all processes of a gateway, do not end it before.
- It runs aside: when nobody else wants the processor (SCHED_IDLE, where there is that: sched(7)). Beside one client its rounds had
  held up every hundredth request; added p99 is 0.8 ms in place of 2.0. On a machine without an idle moment that would starve it, and
  nothing but privilege takes it back: where it is late, one that competes takes its place for a while.
- It imports what it needs and no more: 16 MB.
"""

from __future__ import annotations

import gc
import io
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias, cast

import msgspec
from msgspec import Struct

from headgate import clock
from headgate.model.usage import Usage

from . import log
from .feed import Feed
from .recovery import Price

EVERY = 0.25
"""Seconds between rounds: a record is in the ledger within so long, and what a round costs is paid so often."""
AGAIN = 1.0
"""Seconds until another process begins for one that ended."""
BEAT = 1.0
"""Seconds after which it reports although nothing has changed: silence then says that it does not run."""
LATE, AWHILE = 2.0, 300.0
"""Seconds of lag that are too much for one that runs aside, and for how long one that competes takes its place."""
ASIDE = "aside"


class Report(Struct, frozen=True, tag="report"):
    """How far it is, as in spool.State."""

    unfed: int = 0
    lag: float = 0.0
    damaged: int = 0
    rejected: int = 0


class Told(Struct, frozen=True, tag="told"):
    level: str
    event: str
    fields: dict[str, Any]


class Question(Struct, frozen=True, tag="price"):
    provider: str
    target: str
    usage: Usage
    at: float


class Answer(Struct, frozen=True):
    cost: int | None
    price: str | None


_encode = msgspec.json.Encoder(enc_hook=str).encode
_message = msgspec.json.Decoder(Report | Told | Question).decode
_answer = msgspec.json.Decoder(Answer).decode
Child: TypeAlias = "subprocess.Popen[bytes]"


class Feeder:
    """The gateway's end. `price` is asked, by a thread of ours, for attempts that a crash cut off."""

    def __init__(self, folder: Path, database: Path, price: Price) -> None:
        self._command = [sys.executable, "-m", __name__, str(folder), str(database)]
        self._price = price
        self._report = Report()
        self._heard = clock.mono()
        self._absent = True
        self._competes_until = 0.0
        self._child: Child | None = None
        self._lock = threading.Lock()
        """Guards the child's standard input: it is answered on, and closed."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            replaced = False
            try:
                replaced = self._serve()
            except Exception as error:  # noqa: BLE001 - a thread that dies would let the spool fill unseen
                log.error("the feed cannot be served", error=repr(error))
            self._absent = True
            if not replaced:
                self._stop.wait(AGAIN)

    def _serve(self) -> bool:
        """One process, from its beginning to its end. Whether we ended it, for another to take its place at once."""
        aside = clock.mono() >= self._competes_until
        command = [*self._command, ASIDE] if aside else self._command
        with self._lock:
            if self._stop.is_set():
                return False
            pipe = subprocess.PIPE
            self._child = child = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0)  # noqa: S603
        replaced = False
        try:
            with cast("io.RawIOBase", child.stdout) as output:
                for line in _lines(output, BEAT):
                    if line:
                        self._heard_of(child, _message(line))
                    if replaced := self._is_to_be_replaced(aside):
                        break
        finally:
            self._end_input(child)
            if replaced and aside:
                child.kill()  # it might take long to hear of its end
            child.wait()
        if not replaced and not self._stop.is_set():
            log.error("the feed's process ended: records wait in the spool until the next one")
        return replaced

    def _is_to_be_replaced(self, aside: bool) -> bool:
        now = clock.mono()
        if aside and self.lag() > LATE:
            log.warning("the feed has no idle moment: it competes for the processor from now on", seconds=AWHILE)
            self._competes_until = now + AWHILE
            return True
        return not aside and now >= self._competes_until and not self.unfed

    def _heard_of(self, child: Child, message: Report | Told | Question) -> None:
        match message:
            case Report():
                self._report, self._heard, self._absent = message, clock.mono(), False
            case Told():
                log.sink(message.level, message.event, message.fields)
            case Question():
                answer = Answer(*self._price(message.provider, message.target, message.usage, message.at))
                with self._lock:
                    if child.stdin is not None and not child.stdin.closed:
                        child.stdin.write(_encode(answer) + b"\n")

    def _end_input(self, child: Child) -> None:
        with self._lock:
            assert child.stdin is not None
            child.stdin.close()

    @property
    def unfed(self) -> int:
        return self._report.unfed

    @property
    def damaged(self) -> int:
        return self._report.damaged

    @property
    def rejected(self) -> int:
        return self._report.rejected

    def lag(self) -> float:
        """Seconds since the ledger had everything, or since anybody knew."""
        silent = clock.mono() - self._heard
        return self._report.lag + silent if self._report.unfed or self._absent or silent > 2 * BEAT else 0.0

    def close(self) -> None:
        """The process ends after the round that it is in; what is left then is for the caller's own last round."""
        with self._lock:
            self._stop.set()
            child = self._child
        if child is None:
            return
        self._end_input(child)
        self._thread.join(10.0)
        if self._thread.is_alive():
            log.error("the feed does not end: its process is killed")
            child.kill()
            self._thread.join()


def _lines(output: io.RawIOBase, every: float) -> Iterator[bytes]:
    """The lines of a pipe as they come, until its end; b"" where none has come for so many seconds."""
    begun = b""
    while True:
        if not select.select([output], [], [], every)[0]:
            yield b""
            continue
        data = output.read(io.DEFAULT_BUFFER_SIZE)
        if not data:
            return
        *whole, begun = (begun + data).split(b"\n")
        yield from whole


# ------------------------------------------------------------------ there


class _Link:
    """The process's end. SystemExit when the gateway is gone."""

    def __init__(self) -> None:
        self.feed: Feed | None = None
        self._last: Report | None = None
        self._said = 0.0

    def tell(self, level: str, event: str, fields: dict[str, Any]) -> None:
        self._say(Told(level, event, fields))

    def price(self, provider: str, target: str, usage: Usage, at: float) -> tuple[int | None, str | None]:
        self._say(Question(provider, target, usage, at))
        line = sys.stdin.buffer.readline()
        if not line:
            raise SystemExit
        answer = _answer(line)
        return answer.cost, answer.price

    def over(self, seconds: float) -> bool:
        """Whether the input has ended, of which nothing else can come now; waits so long."""
        feed = self.feed
        assert feed is not None
        report = Report(feed.unfed, feed.lag(), feed.damaged, feed.rejected)
        now = clock.mono()
        if report != self._last or now - self._said >= BEAT:
            self._last, self._said = report, now
            self._say(report)
        return bool(select.select([sys.stdin], [], [], seconds)[0])

    def _say(self, message: Report | Told | Question) -> None:
        """Straight to the file: a buffer that is left would be written at exit, to a pipe that nobody reads any more."""
        try:
            os.write(sys.stdout.fileno(), _encode(message) + b"\n")
        except BrokenPipeError:
            raise SystemExit from None


def main(folder: str, database: str, manner: str = "") -> None:
    if manner == ASIDE and hasattr(os, "SCHED_IDLE"):
        with suppress(PermissionError):  # a sandbox may forbid it: then it competes
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    from .sqlite.ledger import SqliteLedger  # the gateway has it already

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    link = _Link()
    log.sink = link.tell
    link.feed = Feed(Path(folder), SqliteLedger(Path(database)), link.price, every=EVERY)
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)  # a batch leaves no cycles
    link.feed.run(link.over)


if __name__ == "__main__":
    main(*sys.argv[1:])
