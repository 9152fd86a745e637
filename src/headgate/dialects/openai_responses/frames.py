"""The frames of a stream: each event by its name, with its type and the next sequence number."""

from __future__ import annotations

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


class Frames:
    def __init__(self, wanted: bool = True, number: int = 0) -> None:
        self._wanted = wanted
        self._number = number
        self._waiting: list[bytes] = []

    def say(self, kind: str, **fields: Any) -> None:
        """The values are written now: what they become later does not show."""
        if self._wanted:
            data = _encode({"type": kind, "sequence_number": self._number, **fields})
            self._waiting.append(b"event: %s\ndata: %s\n\n" % (kind.encode(), data))
            self._number += 1

    def take(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        return data
