"""How fast a target speaks, as its completed answers tell: the bound on what it produced and we did not see.

An answer that ends before its usage was told may be billed for more than was seen of it: a whole answer is made before its first byte
comes, thoughts are not shown, and a client that does not keep up leaves bytes unread. What was made in a time is at most what the
target makes in that time.
"""

from __future__ import annotations

from math import ceil

UNKNOWN = 200.0
"""Tokens a second of a target that has not yet completed an answer: faster than most serve large models."""
MARGIN = 1.1
"""An answer may be made faster than any of late."""
FADES = 0.995
"""Of the fastest, with each answer: one that came out of some buffer at once is forgotten after a few hundred."""
LEAST_TOKENS, LEAST_SECONDS = 16, 0.25
"""Shorter answers tell nothing of a pace."""
UNDER_WAY = 0.05
"""Seconds between what a provider produces and what we have of it, and back until it knows that we left."""


class Throughput:
    __slots__ = ("fastest", "thinks")

    def __init__(self) -> None:
        self.fastest: float | None = None
        self.thinks = False
        """It produces tokens that it does not show."""

    def told(self, output: int, reasoning: int, first: float, total: float) -> None:
        """A completed answer of `output` tokens, of which `reasoning` were not shown, took `total` seconds, `first` of them until its
        first content."""
        if reasoning:
            self.thinks = True
        pace = output / total if output >= LEAST_TOKENS and total >= LEAST_SECONDS else 0.0
        shown, span = output - reasoning, total - first
        if shown >= LEAST_TOKENS and span >= LEAST_SECONDS:
            pace = max(pace, shown / span)
        if pace:
            self.fastest = pace if self.fastest is None else max(pace, self.fastest * FADES)

    def within(self, seconds: float) -> int:
        """Tokens that it produces in this time, at most."""
        return ceil((UNKNOWN if self.fastest is None else self.fastest * MARGIN) * seconds)
