"""An upstream's answer, while its connection is lent to it."""

from __future__ import annotations

from collections.abc import Callable

from headgate.http1.connection import Connection
from headgate.net import Call, Sink, one_piece


class Body:
    """A `net.Response` over a connection. The connection is handed back (`release`) exactly once."""

    __slots__ = ("_connection", "_idle", "_release", "headers", "status")

    def __init__(self, connection: Connection, call: Call, release: Callable[[Connection], None]) -> None:
        self._connection: Connection | None = connection
        self._idle = call.deadlines.idle
        self._release = release
        self.status = connection.status
        self.headers = connection.headers

    @property
    def behind(self) -> bool:
        return self._connection is not None and self._connection.behind

    async def read(self) -> bytes:
        return await one_piece(self.pour)

    async def pour(self, sink: Sink) -> bool:
        connection = self._connection
        if connection is None:
            return True
        ended = await connection.pour(sink, self._idle)
        if ended:
            self.close()
        return ended

    def limit(self, seconds: float | None) -> None:
        if self._connection is not None:
            self._connection.limit(seconds)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._release(connection)
