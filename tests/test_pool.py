"""The event loop's pool of threads, as `headgate serve` makes it."""

from __future__ import annotations

import asyncio
import threading
from unittest import mock

import pytest

from headgate.cli.serve import THREADS, event_loop


def test_the_pool_has_all_its_threads_from_the_start() -> None:
    """As many as ever meet find a thread each, and none is added for them."""

    async def run() -> None:
        before = threading.active_count()
        together = threading.Barrier(THREADS, timeout=10.0)
        await asyncio.gather(*(asyncio.to_thread(together.wait) for _ in range(THREADS)))
        assert threading.active_count() == before

    alone = threading.active_count()
    with asyncio.Runner(loop_factory=event_loop) as runner:
        assert threading.active_count() == alone + THREADS
        runner.run(run())
    assert threading.active_count() == alone


def test_a_system_without_threads_fails_the_start() -> None:
    """Those that were started end: none waits for the others."""
    alone = threading.active_count()
    start, started = threading.Thread.start, 0

    def starting(thread: threading.Thread) -> None:
        nonlocal started
        started += 1
        if started == THREADS:
            raise RuntimeError("can't start new thread")
        start(thread)

    with mock.patch.object(threading.Thread, "start", starting), pytest.raises(RuntimeError, match="new thread"):
        event_loop()
    assert threading.active_count() == alone
