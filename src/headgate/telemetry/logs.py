"""Structured logs: JSON lines (or a readable console), written by a thread of their own.

A line handed over costs a list append; a pipe that nobody reads stalls the thread, not the gateway. Above BACKLOG waiting lines
the oldest are dropped and counted: the ledger is the record, the log is for reading.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections import deque
from typing import Any, TextIO

import msgspec
import structlog
from msgspec import Struct

from headgate.model.exchange import Exchange

BACKLOG = 50_000
FLUSH = 0.2
PORTION = 1000


class Writer:
    """`write(line)` from anywhere; a thread joins and writes them every FLUSH seconds."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines: deque[str] = deque(maxlen=BACKLOG)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headgate-log", daemon=True)
        self._thread.start()
        self._writing = threading.Lock()

    def write(self, line: str) -> None:
        self._lines.append(line)

    def _run(self) -> None:
        while not self._stop.wait(FLUSH):
            self.flush()

    def flush(self) -> None:
        with self._writing:
            while lines := self._next():
                try:
                    self._out.write("\n".join(lines) + "\n")
                    self._out.flush()
                except (OSError, ValueError):
                    return  # nobody reads our standard output any more: there is nowhere left to say so

    def _next(self) -> list[str]:
        """What is written at once: no more, so that those who wait for the interpreter lock do not wait long."""
        lines: list[str] = []
        with contextlib.suppress(IndexError):
            while len(lines) < PORTION:
                lines.append(self._lines.popleft())
        return lines

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=1.0)
        self.flush()


class _Logger:
    def __init__(self, writer: Writer) -> None:
        self.msg = writer.write

    def __getattr__(self, name: str) -> Any:
        return self.msg


class _Foreign(logging.Handler):
    """The standard library's records (uvicorn, asyncio) in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(record.levelno, record.getMessage())


def configure(level: str, format_: str, out: TextIO = sys.stderr) -> Writer:
    """Set up structlog and the standard library's logging to write to `out`. Levels: debug | info | warning | error."""
    writer = Writer(out)
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


def _encode(value: Any, **_: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


class _Line(Struct, kw_only=True, omit_defaults=True):
    """What is told of a request. Empty fields are left out."""

    event: str
    at: float
    request: str
    outcome: str | None
    status: int
    method: str
    path: str
    dialect: str
    tenant: str = ""
    key: str = ""
    model: str = ""
    stream: bool = False
    provider: str = ""
    target: str = ""
    attempts: int = 0
    cost_nanos: int | None = None
    input: int | None = None
    output: int | None = None
    estimated: bool = False
    error: str = ""
    losses: list[str] = []
    findings: list[str] = []
    parent: str = ""
    cause: str = ""
    trace: str = ""
    client: str = ""
    total_ms: float = 0.0


class RequestLog:
    """The line of one finished request."""

    def __init__(self, writer: Writer) -> None:
        self._write = writer.write
        self._encode = msgspec.json.Encoder().encode

    def __call__(self, x: Exchange) -> None:
        identity, last, request = x.identity, x.served or (x.attempts[-1] if x.attempts else None), x.request
        line = _Line(
            event="request",
            at=round(x.at, 3),
            request=x.id,
            outcome=x.outcome,
            status=x.status,
            method=request.method,
            path=request.path,
            dialect=x.dialect.name,
            parent=x.parent,
            cause=x.cause,
            trace=x.trace_id,
            client=request.client,
            total_ms=x.total_us() / 1000,
        )
        if identity is not None:
            line.tenant, line.key = identity.tenant, identity.key_name
        if x.head is not None:
            line.model, line.stream = x.head.model, x.head.stream
        if last is not None:
            line.provider, line.target, line.attempts, line.cost_nanos = (
                last.provider,
                last.target,
                len(x.attempts),
                last.cost,
            )
            usage = last.usage
            if usage is not None:
                line.input, line.output, line.estimated = usage.input, usage.output, usage.estimated
        if x.error is not None:
            line.error = x.error.code
        if x.losses:
            line.losses = sorted({loss.what for loss in x.losses})
        if x.findings:
            line.findings = sorted({finding.guard for finding in x.findings})
        self._write(self._encode(line).decode())
