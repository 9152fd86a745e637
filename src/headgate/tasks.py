"""The only create_task. Every task has an owner that awaits or cancels it; a task that dies unheard is logged.

`strays` counts tasks that are alive now, for tests and the `headgate_tasks` gauge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

_alive: set[asyncio.Task[Any]] = set()
_log = structlog.get_logger("headgate.tasks")


def spawn(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """A task that is held until done, and whose unexpected death is logged."""
    task = asyncio.create_task(work, name=name)
    _alive.add(task)
    task.add_done_callback(_buried)
    return task


def begin(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task whose owner holds it, and which tells of its own failures."""
    return asyncio.get_running_loop().create_task(work)


def _buried(task: asyncio.Task[Any]) -> None:
    _alive.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("task died", task=task.get_name(), error=repr(error))


def strays() -> int:
    return len(_alive)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel and wait for the end, whatever it is; our own cancellation passes through."""
    task.cancel()
    await asyncio.wait({task})


async def shielded(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
    """Run to the end even if the caller is cancelled meanwhile; the cancellation is raised after it."""
    task = spawn(work(), name)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
