"""A chunk of a chunked body (RFC 9112 §7.1) that arrived alone and whole, told by its length: the parser and its callbacks cost ten
times as much."""

from __future__ import annotations

CRLF = b"\r\n"
MOST = 4096
"""Bytes, framing included."""


def _lines() -> list[bytes]:
    """The size line that so many bytes begin with if they are one chunk; for lengths that no chunk has, one that never stands there."""
    lines = [b"-"] * MOST
    for size in range(1, MOST):
        line = b"%x\r\n" % size
        if (whole := len(line) + size + 2) < MOST:
            lines[whole] = line
    return lines


_LINES = _lines()


def alone(data: bytes) -> bytes:
    """What the one chunk holds that these bytes are; b"" where they may be something else. They follow on a chunk's end."""
    if len(data) < MOST and data.startswith(line := _LINES[len(data)]) and data.endswith(CRLF):
        return data[len(line) : -2]
    return b""
