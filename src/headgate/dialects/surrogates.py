"""Halves of a character that a stream's documents are cut at: `{"text": "\\ud83d"}`, then `{"text": "\\ude00"}`.

JSON's grammar allows a lone surrogate escape and leaves what it means open (RFC 8259 §8.2). Relays in JavaScript write them: its
strings are UTF-16, and `JSON.stringify` escapes what is no pair (ECMA-262 §25.5.2.3). Readers that want Unicode refuse such a document.
Here each gets what can be read in its place: the character in the document that has its second half, nothing in the one that ends in
the first; a half whose other is nowhere is U+FFFD (Unicode 15 §3.9), or nothing at the end of a text.
"""

from __future__ import annotations

import re

_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(
    _HIGH + _LOW + rb"|(?P<high>" + _HIGH + rb')(?P<last>(?="))?|(?P<first>(?<=[^\\]"))?(?P<low>' + _LOW + rb")|\\.",
    re.S,
)
"""A pair, a half, or another escape. A quote before a half is the string's own but where a backslash stands before it."""
_UNKNOWN = b"\\ufffd"


class Halves:
    """One stream's. `whole`: the documents are not pieces of one another."""

    __slots__ = ("_high", "_whole")

    def __init__(self, whole: bool = False) -> None:
        self._high = b""
        self._whole = whole

    def joined(self, data: bytes) -> bytes:
        """The document without lone halves."""
        if b"\\ud" not in data and b"\\uD" not in data:
            return data
        before, self._high = self._high, b""

        def mended(found: re.Match[bytes]) -> bytes:
            if high := found["high"]:
                if self._whole or found["last"] is None:
                    return _UNKNOWN
                self._high = high
                return b""
            if low := found["low"]:
                return before + low if before and found["first"] is not None else _UNKNOWN
            return found[0]

        return _ESCAPE.sub(mended, data)
