"""What is left of a target's rate limit, as its answers tell it. Pure.

Sources: OpenAI, Groq, Together, Azure (`x-ratelimit-limit-requests`, `x-ratelimit-remaining-requests`, the same for tokens) and
Anthropic (`anthropic-ratelimit-requests-limit`, `-remaining`; also input-tokens, output-tokens, tokens).
"""

from __future__ import annotations

from headgate.net import Headers

LIFE = 60.0
"""Seconds that the word of an answer holds: limits are counted by the minute."""
_KINDS = (b"requests", b"tokens", b"input-tokens", b"output-tokens")
PAIRS: tuple[tuple[bytes, bytes], ...] = (
    *((b"x-ratelimit-remaining-" + kind, b"x-ratelimit-limit-" + kind) for kind in _KINDS),
    *((b"anthropic-ratelimit-" + kind + b"-remaining", b"anthropic-ratelimit-" + kind + b"-limit") for kind in _KINDS),
    (b"x-ratelimit-remaining", b"x-ratelimit-limit"),
)
"""(what is left, what there is)."""


def headroom(headers: Headers) -> float | None:
    """The smallest share that is left of any limit told, in [0, 1]; None where none is told."""
    told = {name: value for name, value in headers if b"ratelimit" in name}
    shares = [share for left, limit in PAIRS if (share := _share(told.get(left), told.get(limit))) is not None]
    return min(shares, default=None)


def _share(left: bytes | None, limit: bytes | None) -> float | None:
    if left is None or limit is None or not left.isdigit() or not limit.isdigit() or len(left) > 18 or len(limit) > 18:
        return None
    whole = int(limit)
    return min(1.0, int(left) / whole) if whole else None
