"""Keys that buy short-lived tokens: one exchange at a time, kept until shortly before the token ends.

Rules of this file:
- A token is renewed in its last fifth, at most five minutes early. Whoever finds it so renews it; others go on with
  the old one, and only wait where there is none that still lives.
- A renewal that fails while the old token lives is tried again after ten seconds; without a living token it is the
  call's failure. A caller that is cancelled in its exchange leaves the next one to do it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import urlsplit

from headgate import clock
from headgate.errors import UpstreamError, UpstreamRefused
from headgate.net import Call, Fetch, Headers, Origin
from headgate.providers.base import Credential

EARLY = 300.0
RETRY = 10.0


class _Kept:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.headers: Headers = []
        self.renew = 0.0
        self.ends = 0.0


class TokenExchange:
    """`ask` makes the call that buys a token, `read` takes token and life (seconds) from the answer's body."""

    static: ClassVar[bool] = False

    def __init__(
        self,
        ask: Callable[[Credential], Call],
        read: Callable[[bytes], tuple[str, float]],
        now: Callable[[], float] = clock.mono,
    ) -> None:
        self._ask = ask
        self._read = read
        self._now = now
        self._kept: dict[tuple[str, ...], _Kept] = {}

    async def headers(self, credential: Credential, fetch: Fetch) -> Headers:
        identity = (credential.name, credential.key, *credential.settings.values())
        kept = self._kept.get(identity)
        if kept is None:
            kept = self._kept[identity] = _Kept()
        now = self._now()
        if now < kept.renew or (now < kept.ends and kept.lock.locked()):
            return kept.headers
        async with kept.lock:
            if self._now() >= kept.renew:
                await self._renew(kept, credential, fetch)
            return kept.headers

    async def _renew(self, kept: _Kept, credential: Credential, fetch: Fetch) -> None:
        asked = self._now()
        try:
            status, _, body = await fetch(self._ask(credential))
            if status != 200:
                raise _refused(status)
            token, life = self._read(body)
        except UpstreamError:
            if self._now() >= kept.ends:
                raise
            kept.renew = self._now() + RETRY
            return
        kept.headers = [(b"authorization", f"Bearer {token}".encode())]
        kept.ends = asked + life
        kept.renew = kept.ends - min(EARLY, life / 5)


def _refused(status: int) -> UpstreamRefused:
    """Identity services answer a wrong key with 400; to the caller of a model that is the provider's 401."""
    retryable = status >= 500 or status == 429
    told = status if retryable else 401
    return UpstreamRefused(
        f"the provider's token service answered {status}", status=told, code="token_refused", retryable=retryable
    )


def origin_of(url: str) -> tuple[Origin, str]:
    """Where a configured URL leads, and its path with query."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Origin(scheme=parts.scheme, host=parts.hostname or "", port=port), path
