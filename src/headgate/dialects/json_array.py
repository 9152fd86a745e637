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

_MARK = re.compile(rb'[{}\[\]]|"(?:[^"\\]++|\\.)*+("?)', re.S)
"""A bracket, or a string: group 1 is empty where its end has not arrived."""
_STRING_REST = re.compile(rb'(?:[^"\\]++|\\.)*+("?)', re.S)
_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


class Parser:
    __slots__ = ("_array", "_begin", "_closed", "_depth", "_in_string", "_limit", "_scan", "_start", "waiting")

    def __init__(self, limit: int = 32 * 1024 * 1024) -> None:
        self.waiting = bytearray()
        self._start = 0  # where the item under way begins in the buffer
        self._scan = 0  # where the search goes on
        self._begin = -1  # where its document begins
        self._depth = 0  # brackets open inside the document
        self._in_string = False
        self._array: bool | None = None  # None: nothing but white space so far
        self._closed = False
        self._limit = limit

    def feed(self, data: bytes) -> list[Item]:
        """The items that these bytes complete."""
        self.waiting += data
        items: list[Item] = []
        if self._array is None and not self._opened():
            return items
        while self._array and not self._closed:
            item = self._next()
            if item is None:
                break
            items.append(item)
        if self._start:
            del self.waiting[: self._start]
            self._scan -= self._start
            self._begin -= self._start if self._begin >= 0 else 0
            self._start = 0
        if len(self.waiting) > self._limit:
            raise UpstreamMalformed("a document of the upstream's stream is too large", code="upstream_too_large")
        return items

    def end(self) -> list[Item]:
        """What is left when the body ends: the closing bracket and white space, or a document that was cut off."""
        rest = bytes(self.waiting)
        self.waiting.clear()
        if not rest:
            return []
        begin = self._begin if self._array else 0
        text = rest[begin:].strip(_SPACE) if begin >= 0 and not self._closed else b""
        if not text:
            return [Item(rest)]
        at = rest.index(text, begin)
        return [Item(rest, "", text, (at, at + len(text)))]

    @property
    def closing(self) -> bytes:
        """What an array that ends here lacks of its end."""
        return b"]" if self._array and not self._closed else b""

    def _opened(self) -> bool:
        """Skips to the first sign; False while there is none."""
        text = self.waiting
        at = 3 if text.startswith(_BOM) else 0
        if len(text) < 3 and _BOM.startswith(text):
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
        end = -1 if self._closed else self._document_end()
        if end < 0:
            return None
        start, begin = self._start, self._begin
        raw = bytes(self.waiting[start:end])
        self._start = self._scan = end
        self._begin = -1
        return Item(raw, "", raw[begin - start :], (begin - start, end - start))

    def _begun(self) -> bool:
        """Finds where the next document begins; sees the array's end."""
        buffer, at = self.waiting, self._scan
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
        buffer = self.waiting
        if buffer[self._begin] not in b'{["':
            return self._atom_end()
        while True:
            found = _STRING_REST.match(buffer, self._scan) if self._in_string else _MARK.search(buffer, self._scan)
            if found is None:
                self._scan = len(buffer)
                return -1
            self._scan = found.end()
            sign = 0x22 if self._in_string else buffer[found.start()]
            if sign == 0x22:
                self._in_string = not found[1]
                if self._in_string:
                    return -1
            elif sign in b"{[":
                self._depth += 1
            else:
                self._depth = max(0, self._depth - 1)
            if self._depth == 0:
                return self._scan

    def _atom_end(self) -> int:
        at = self._scan
        while at < len(self.waiting):
            if self.waiting[at] in b",] \t\r\n":
                return at
            at += 1
        self._scan = at
        return -1
