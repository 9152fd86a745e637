"""The laboratory's provider in a thread, for tests that hold sockets in their own hands."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

from headgate.faults.provider import Provider
from headgate.faults.wire import Seen


class Laboratory:
    """The provider on a loop of its own; `stop` ends both."""

    def __init__(self, folder: Path) -> None:
        self.provider = Provider(folder)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self.provider.start())

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def seen(self, model: str) -> list[Seen]:
        return self.provider.seen(model)

    def stop(self) -> None:
        self._do(self.provider.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
