"""What the spool and its feed have to tell: in this process's log, or, from the feed's own process, in the gateway's (feeder.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Sink: TypeAlias = Callable[[str, str, dict[str, Any]], None]
"""(level, event, fields)."""


def _structlog(level: str, event: str, fields: dict[str, Any]) -> None:
    import structlog  # here, because the feed's own process does without: it would double its memory

    getattr(structlog.get_logger("headgate.spool"), level)(event, **fields)


sink: Sink = _structlog


def warning(event: str, **fields: Any) -> None:
    sink("warning", event, fields)


def error(event: str, **fields: Any) -> None:
    sink("error", event, fields)
