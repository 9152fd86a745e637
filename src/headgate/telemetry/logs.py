"""Structured logs: JSON lines (or a readable console), written by a thread of their own.

Rules of this file:
- A line handed over costs a list append; a pipe that nobody reads stalls the thread, not the gateway, and not its end.
- What is not written is counted in `dropped`: above BACKLOG waiting lines the oldest go. The ledger is the record, the log is for
  reading.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import stat
import sys
import threading
from collections import deque
from typing import Any, TextIO

import msgspec
import structlog

from headgate import clock
from headgate.model.exchange import Exchange

BACKLOG = 50_000
FLUSH = 0.2
PORTION = 1000
LAST_WORDS = 1.0
"""Seconds that the last lines have, where nobody reads."""


class Writer:
    """`write(line)` from anywhere; a thread joins and writes them to the file descriptor every FLUSH seconds. `dropped`: lines that
    were not written, by why: they waited too long ("backlog"), or the file did not take them ("refused")."""

    def __init__(self, file: int) -> None:
        self.dropped = {"backlog": 0, "refused": 0}
        self._file = file
        whole = stat.S_ISREG(os.fstat(file).st_mode)
        self._most = 1 << 20 if whole else select.PIPE_BUF
        """Bytes that a file takes without making us wait for a reader, once it says that it takes some: poll(2), pipe(7)."""
        self._poll = select.poll()
        self._poll.register(file, select.POLLOUT)
        self._lines: deque[bytes] = deque()
        self._until: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headgate-log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        lines = self._lines
        lines.append(line)
        if len(lines) > BACKLOG:
            with contextlib.suppress(IndexError):
                lines.popleft()
                self.dropped["backlog"] += 1

    def _run(self) -> None:
        while not self._stop.wait(FLUSH):
            self._flush()
        self._flush()
        self.dropped["refused"] += len(self._lines)

    def _flush(self) -> None:
        while lines := self._next():
            if not self._put(b"\n".join(lines) + b"\n"):
                self.dropped["refused"] += len(lines)
                return

    def _put(self, data: bytes) -> bool:
        """Whether all of it was written. False: there is nowhere left to say why; at the end, nobody has read it in time."""
        left = memoryview(data)
        while left:
            try:
                if self._poll.poll(100):
                    left = left[os.write(self._file, left[: self._most]) :]
                elif self._until is not None and clock.mono() > self._until:
                    return False
            except OSError:
                return False
        return True

    def _next(self) -> list[bytes]:
        """What is written at once: no more, so that those who wait for the interpreter lock do not wait long."""
        lines: list[bytes] = []
        with contextlib.suppress(IndexError):
            while len(lines) < PORTION:
                lines.append(self._lines.popleft())
        return lines

    def close(self) -> None:
        """Writes what waits, for as long as somebody reads it; LAST_WORDS else."""
        self._until = clock.mono() + LAST_WORDS
        self._stop.set()
        self._thread.join()


class _Logger:
    """What structlog hands a rendered line to: bytes of JSON, or the console's text."""

    def __init__(self, writer: Writer) -> None:
        self._write = writer.write

    def msg(self, line: str | bytes) -> None:
        self._write(line.encode(errors="replace") if isinstance(line, str) else line)

    def __getattr__(self, name: str) -> Any:
        return self.msg


class _Foreign(logging.Handler):
    """The standard library's records (uvicorn, asyncio) in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(record.levelno, record.getMessage())


def configure(level: str, format_: str, out: TextIO = sys.stderr) -> Writer:
    """Set up structlog and the standard library's logging to write to `out`. Levels: debug | info | warning | error."""
    writer = Writer(out.fileno())
    number = getattr(logging, level.upper())
    render: Any = (
        structlog.dev.ConsoleRenderer(colors=out.isatty())
        if format_ == "console"
        else structlog.processors.JSONRenderer(serializer=_encode)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _Logger(writer),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Foreign()]
    root.setLevel(max(number, logging.WARNING))
    return writer


def _encode(value: Any, **_: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)


class RequestLog:
    """The line of one finished request: its record, with the caller's address, which the ledger does not keep."""

    def __init__(self, writer: Writer) -> None:
        self._write = writer.write
        self._encode = msgspec.json.Encoder().encode

    def __call__(self, x: Exchange) -> None:
        record, client = x.record, x.request.client
        if record:  # else Account broke: the log has why
            self._write(b'%b,"client":%b}' % (record[:-1], self._encode(client)) if client else record)
