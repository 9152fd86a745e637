"""One structured log line and the metrics of a request, when everything about it is known. Never a text, never a secret."""

from __future__ import annotations

from collections.abc import Callable

from headgate.model.exchange import Exchange
from headgate.stages.base import Stage


class Audit(Stage):
    name = "audit"

    def __init__(self, observers: tuple[Callable[[Exchange], None], ...]) -> None:
        self._observers = observers

    def finish(self, x: Exchange) -> None:
        if not x.dry:
            for observe in self._observers:
                observe(x)
