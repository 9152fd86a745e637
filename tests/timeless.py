"""An event loop whose time is its own: it stands still while something is to be done, and goes on to the next timer when nothing is. What
takes minutes is tested in no time, and the same way on a busy machine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Timeless(asyncio.SelectorEventLoop):
    """Its time goes on to the next timer when nothing else is to be done."""

    def __init__(self) -> None:
        self._now = 100.0
        super().__init__()

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def timed(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=Timeless) as runner:
        runner.run(main)
