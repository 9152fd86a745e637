"""A streamed JSON array, split into its items as they arrive (RFC 8259 §5), each with its own bytes kept.

Rules of this file:
- Bytes may be cut anywhere: inside a UTF-8 sequence, after a backslash, between two items. Only brackets and quotes are
  looked at, all of them ASCII, so nothing is decoded to text here; whether a document is good JSON its decoder says.
- An `Item` holds the bytes since the item before it: the opening bracket, commas and white space ride in front of a
  document, the closing bracket in an item of its own without data. The items' `raw` joined are the input.
- A body that is not an array is given on as one document (an error object sent in place of the array).
- An item grows to `limit` bytes at most: beyond it the stream is refused (UpstreamMalformed).
"""

from __future__ import annotations

import re

from headgate.dialects.sse import Item
from headgate.errors import UpstreamMalformed

_MARK = re.compile(rb'["{}\[\]]')
_STRING_END = re.compile(rb'["\\]')
_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


class Parser:
    __slots__ = ("_array", "_begin", "_buffer", "_closed", "_depth", "_in_string", "_limit", "_scan")

    def __init__(self, limit: int = 32 * 1024 * 1024) -> None:
        self._buffer = b""
        self._scan = 0  # where the search goes on
        self._begin = -1  # where the document under way begins in the buffer
        self._depth = 0  # brackets open inside the document
        self._in_string = False
        self._array: bool | None = None  # None: nothing but white space so far
        self._closed = False
        self._limit = limit

    def feed(self, data: bytes) -> list[Item]:
        """The items that these bytes complete."""
        self._buffer = self._buffer + data if self._buffer else data
        items: list[Item] = []
        if self._array is None and not self._opened():
            return items
        while not self._closed and self._array:
            item = self._next()
            if item is None:
                break
            items.append(item)
        if len(self._buffer) > self._limit:
            raise UpstreamMalformed("a document of the upstream's stream is too large")
        return items

    def end(self) -> list[Item]:
        """What is left when the body ends: the closing bracket and white space, or a document that was cut off."""
        rest, self._buffer = self._buffer, b""
        if not rest:
            return []
        begin = self._begin if self._array else 0
        text = rest[begin:].strip(_SPACE) if begin >= 0 and not self._closed else b""
        if not text:
            return [Item(rest)]
        at = rest.index(text, begin)
        return [Item(rest, "", text, (at, at + len(text)))]

    def _opened(self) -> bool:
        """Skips to the first sign; False while there is none."""
        text = self._buffer
        at = 3 if text.startswith(_BOM) else 0
        if _BOM.startswith(text[:3]) and len(text) < 3:
            return False
        while at < len(text) and text[at] in _SPACE:
            at += 1
        if at == len(text):
            return False
        self._array = text[at] == 0x5B
        self._scan = at + 1
        return True

    def _next(self) -> Item | None:
        """The next item; None where its end has not arrived."""
        if self._begin < 0 and not self._begun():
            return None
        if self._closed:
            return None
        buffer = self._buffer
        end = self._document_end()
        if end < 0:
            return None
        item = Item(buffer[:end], "", buffer[self._begin : end], (self._begin, end))
        self._buffer = buffer[end:]
        self._scan, self._begin = 0, -1
        return item

    def _begun(self) -> bool:
        """Finds where the next document begins; sees the array's end."""
        buffer, at = self._buffer, self._scan
        while at < len(buffer) and (buffer[at] in _SPACE or buffer[at] == 0x2C):
            at += 1
        self._scan = at
        if at == len(buffer):
            return False
        if buffer[at] == 0x5D:
            self._closed = True
            return True
        self._begin = at
        return True

    def _document_end(self) -> int:
        """The index after the document, or -1. A document that is no object, array or string ends before "," or "]"."""
        buffer, at = self._buffer, self._scan
        if buffer[self._begin] not in b'{["':
            return self._atom_end()
        while True:
            found = (_STRING_END if self._in_string else _MARK).search(buffer, at)
            if found is None:
                self._scan = len(buffer)
                return -1
            at, sign = found.end(), buffer[found.start()]
            if sign == 0x5C:
                if at == len(buffer):
                    self._scan = at - 1
                    return -1
                at += 1
            elif sign == 0x22:
                self._in_string = not self._in_string
                if not self._in_string and self._depth == 0:
                    return at
            elif sign in b"{[":
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth <= 0:
                    self._depth = 0
                    return at

    def _atom_end(self) -> int:
        at = self._scan
        while at < len(self._buffer):
            if self._buffer[at] in b",] \t\r\n":
                return at
            at += 1
        self._scan = at
        return -1
