"""The only source of time and chance. Everything else takes `now`, `draw` or an id as an argument.

`wall` is seconds since the epoch (for records), `mono` seconds of a clock that never goes back (for deadlines).
"""

from __future__ import annotations

import os
import random
import time

wall = time.time
wall_ns = time.time_ns
mono = time.monotonic
mono_ns = time.monotonic_ns


def draw() -> float:
    """A number in [0, 1) for balancing and jitter; not for secrets."""
    return random.random()


def secret(length: int) -> bytes:
    """`length` bytes fit for keys."""
    return os.urandom(length)


def new_id(prefix: str) -> str:
    """`prefix` + 32 hexadecimal digits: 48 bits of milliseconds, 80 bits of chance; sorted by time."""
    return f"{prefix}{int(time.time() * 1000) << 80 | random.getrandbits(80):032x}"
