"""Server-sent events, read incrementally (WHATWG HTML §9.2.6) with every event's own bytes kept.

Rules of this file:
- Bytes may be cut anywhere: inside a UTF-8 sequence, between CR and LF, inside the BOM. Nothing is decoded to text here.
- Line ends are LF, CRLF or CR; a leading BOM is skipped; "data:" with or without one space; several data lines join with LF.
- An `Item` holds the exact bytes from the end of the item before it: comments, blank lines and unknown fields ride along, so
  that the items' `raw` joined are the input. Comments between events become items of their own with no data.
- An item grows to `limit` bytes at most: beyond it the stream is refused (UpstreamMalformed). Pieces that end no item are appended
  and not looked at again: an item costs time in proportion to its size, however it is cut.
"""

from __future__ import annotations

import re

from msgspec import Struct

from headgate.errors import UpstreamMalformed


class Item(Struct):
    """One event: its bytes, its `event:` name, its data (None: a block without data), where the data stands in `raw` if it is
    one unbroken line."""

    raw: bytes
    event: str = ""
    data: bytes | None = None
    span: tuple[int, int] | None = None


_USUAL = re.compile(rb"(?:event: ([^\r\n]*+)\n)?data: ([^\r\n]*+)\n\n")
"""The usual shape of an event, told by one match. Others are walked line by line, with the same outcome."""
SHORT = 65536
"""Bytes waiting for an event's end above which the match is not tried again with each piece."""


class Parser:
    __slots__ = ("_limit", "_scan", "_start", "waiting")
    closing = b""
    """A stream has no end of its own."""

    def __init__(self, limit: int = 32 * 1024 * 1024) -> None:
        self.waiting = bytearray()  # an item whose end has not come
        self._scan = 0  # where the search for a block's end goes on
        self._limit = limit
        self._start = True

    def feed(self, data: bytes) -> list[Item]:
        """The items that these bytes complete."""
        waiting = self.waiting
        if waiting:
            ends = _block_end(waiting[-3:] + data, 0) >= 0
            waiting += data
            if not ends:
                return self._wait()
            data = bytes(waiting)
        return self._items(data)

    def _items(self, buffer: bytes) -> list[Item]:
        if not (self._start or self.waiting) and (alone := _USUAL.fullmatch(buffer)) is not None:  # as most events come
            name, begin = alone[1], alone.start(2)
            event = "" if name is None else name.decode("utf-8", "replace")
            return [Item(buffer, event, alone[2], (begin, len(buffer) - 2))]
        items: list[Item] = []
        at = 0
        scan = self._scan
        size = len(buffer)
        while at < size:
            usual = None if scan > SHORT or self._start else _USUAL.match(buffer, at)
            if usual is not None:
                end = usual.end()
                event, begin = usual[1], usual.start(2) - at
                items.append(
                    Item(
                        buffer[at:end],
                        "" if event is None else event.decode("utf-8", "replace"),
                        usual[2],
                        (begin, end - at - 2),
                    )
                )
            else:
                end = _block_end(buffer, scan)
                if end < 0:
                    break
                items.append(self._item(buffer[at:end]))
            at = scan = end
        if at < size:
            self.waiting = bytearray(buffer[at:])
            self._wait()
        elif self.waiting:
            self.waiting.clear()
            self._scan = 0
        return items

    def _wait(self) -> list[Item]:
        """For the end of what has come so far. Raises UpstreamMalformed where that is too much already."""
        self._scan = max(0, len(self.waiting) - 3)
        if len(self.waiting) > self._limit:
            raise UpstreamMalformed("an event of the upstream's stream is too large", code="upstream_too_large")
        return []

    def end(self) -> list[Item]:
        """What is left when the body ends. A block without its blank line still counts: some servers never send the last one."""
        rest, self.waiting, self._scan = bytes(self.waiting), bytearray(), 0
        return [self._item(rest)] if rest else []

    def _item(self, raw: bytes) -> Item:
        first, self._start = self._start, False
        if not first or not raw.startswith(b"\xef\xbb\xbf"):
            return _parse(raw)
        item = _parse(raw[3:])
        span = item.span
        return Item(raw, item.event, item.data, (span[0] + 3, span[1] + 3) if span else None)


def _block_end(buffer: bytes | bytearray, scan: int) -> int:
    """The index after the next blank line at or after `scan`, or -1. A CR at the very end waits: an LF may follow."""
    best = buffer.find(b"\n\n", scan)
    best = best + 2 if best >= 0 else -1
    if buffer.find(b"\r", scan, best if best >= 0 else len(buffer)) < 0:
        return best
    for mark in (b"\r\n\r\n", b"\n\r\n", b"\r\r\n", b"\r\n\n", b"\r\r", b"\n\r"):
        at = buffer.find(mark, scan, best if best >= 0 else len(buffer))
        if at < 0:
            continue
        end = at + len(mark)
        if mark[-1:] == b"\r" and (end == len(buffer) or buffer[end : end + 1] == b"\n"):
            continue  # undecided, or one of the longer marks
        if best < 0 or end < best:
            best = end
    return best


def _parse(raw: bytes) -> Item:
    event = ""
    data: list[bytes] = []
    span: tuple[int, int] | None = None
    at = 0
    for line in raw.splitlines(keepends=True):
        bare = line.rstrip(b"\r\n")
        if bare.startswith(b"data"):
            skip = 5 if bare[4:5] == b":" else 4 if len(bare) == 4 else 0
            if skip:
                if bare[5:6] == b" ":
                    skip = 6
                data.append(bare[skip:])
                span = (at + skip, at + len(bare)) if len(data) == 1 else None
        elif bare.startswith(b"event:"):
            event = bare[6:].removeprefix(b" ").decode("utf-8", "replace")
        at += len(line)
    return Item(raw, event, b"\n".join(data) if data else None, span)
