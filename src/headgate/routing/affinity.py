"""Which provider's prompt cache holds the beginning of a prompt. Pure memory, bounded; what it forgets costs money, never an error.

Rules of this file:
- Providers cache prefixes of the prompt (OpenAI from 1,024 tokens, Anthropic where marked) for five minutes or more after the last
  use. A prompt's beginning is told by a digest of its first 4 KiB, 16 KiB, 64 KiB, ...: clients send the same conversation
  with the same first bytes.
- What is remembered is bytes seen at a target; tokens are an estimate of them (four bytes each).
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

FIRST = 4096
STEP = 4
LEVELS = 5
KEPT = 8192
LIFE = 300.0
"""Seconds that a cache is taken to stay warm after its last use."""
BYTES_A_TOKEN = 4


class Warmth:
    """`tenant` separates: one tenant's prompt never says anything about another's."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._seen: OrderedDict[tuple[bytes, str], float] = OrderedDict()

    def tokens(self, beginnings: list[tuple[int, bytes]], target: str, now: float) -> int:
        """Tokens of the longest beginning that is warm at this target. `beginnings` as of the function below."""
        for size, digest in reversed(beginnings):
            if self._seen.get((digest, target), 0.0) > now:
                return size // BYTES_A_TOKEN
        return 0

    def used(self, beginnings: list[tuple[int, bytes]], target: str, now: float) -> None:
        """This prompt has just been answered there."""
        for _, digest in beginnings:
            self._seen[digest, target] = now + LIFE
            self._seen.move_to_end((digest, target))
        while len(self._seen) > self._kept:
            self._seen.popitem(last=False)


def beginnings(tenant: str, body: bytes) -> list[tuple[int, bytes]]:
    """(size, digest) of the prompt's beginnings, the shortest first; none for a body below FIRST bytes."""
    found: list[tuple[int, bytes]] = []
    digest = blake2b(tenant.encode(), digest_size=16)
    done, size = 0, FIRST
    for _ in range(LEVELS):
        if size > len(body):
            break
        digest.update(body[done:size])
        found.append((size, digest.digest()))
        done, size = size, size * STEP
    return found
