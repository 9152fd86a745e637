"""A compressed body (gzip, deflate: RFC 9110 §8.4.1), opened in bounded steps: a bomb meets the reader's limit before it meets our
memory."""

from __future__ import annotations

import zlib

from headgate.errors import UpstreamMalformed

STEP = 256 * 1024
_MEMBER = (b"\x1f\x8b", b"\x1f")
"""How a member of a gzip body begins, or as much of it as has come."""


class Inflate:
    __slots__ = ("_begun", "_stream")

    def __init__(self) -> None:
        self._begun = False
        self._stream = zlib.decompressobj(47)

    def over(self, packed: bytes) -> bool:
        """Whether these bytes stand behind the body's end. A gzip body is one member or several (RFC 1952 §2.2)."""
        return self._stream.eof and packed[:2] not in _MEMBER

    def step(self, packed: bytes) -> tuple[bytes, bytes]:
        """What one step opens of these bytes, and what it leaves to the next one: some of this member, or what follows on it."""
        if self._stream.eof:
            self._stream = zlib.decompressobj(31)
        self._begun = True
        try:
            data = self._stream.decompress(packed, STEP)
        except zlib.error as error:
            raise UpstreamMalformed("the upstream's compressed answer is damaged") from error
        return data, self._stream.unconsumed_tail or self._stream.unused_data

    @property
    def halfway(self) -> bool:
        """In the middle of a body. One without a byte is none (answers to HEAD, and some errors)."""
        return self._begun and not self._stream.eof
