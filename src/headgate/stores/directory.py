"""Who has which key, resident in memory: one dict of digests, replaced whole, never looked up elsewhere on a miss.

Rules of this file:
- `refresh` asks the store's version at most every `every` seconds and reads all keys only when it changed: a
  revocation, also one by another process, acts within `every` + one read, which is well below a second.
- A snapshot that could not be confirmed for `max_stale` seconds is not used: `look` raises Unavailable. Better nobody
  than somebody whose key was revoked meanwhile.
- Keys that the config declares win: the config owns them, the store cannot revoke them. `declare` replaces them all.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import structlog

from headgate import clock
from headgate.errors import HeadgateError, Unavailable
from headgate.model.identity import Identity

from .base import KeyRow, Keys

_log = structlog.get_logger("headgate.directory")


def identity_of(row: KeyRow) -> Identity:
    return Identity(
        key_id=row.id,
        key_name=row.name,
        tenant=row.tenant,
        models=row.models,
        scopes=frozenset(row.scopes),
        expires=row.expires,
        priority=row.priority,
        regions=frozenset(row.regions),
    )


class ResidentDirectory:
    """A `Directory`. `look` belongs on the hot path; `refresh` reads the store and does not: `start` has a thread do
    it."""

    def __init__(
        self, keys: Keys, declared: Iterable[KeyRow] = (), *, max_stale: float = 10.0, every: float = 0.25
    ) -> None:
        self._keys = keys
        self._declared = _valid(declared)
        self._stored: dict[bytes, Identity] = {}
        self._version: int | None = None
        self._checked: float | None = None
        self._confirmed = float("-inf")
        self._max_stale, self._every = max_stale, every
        self._failing = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self, digest: bytes, now: float) -> Identity | None:
        if now - self._confirmed > self._max_stale:
            raise Unavailable("the keys could not be confirmed lately: try again in a moment", retry_after=1.0)
        identity = self._declared.get(digest) or self._stored.get(digest)
        if identity is not None and identity.expires is not None and now >= identity.expires:
            return None
        return identity

    def refresh(self, now: float) -> bool:
        """Bring the snapshot up to date if `every` seconds have passed; whether it was replaced. A store that does not
        answer is logged once and tried again: `look` decides how long that is bearable. A clock set back counts as
        time passed."""
        if self._checked is not None and 0 <= now - self._checked < self._every:
            return False
        self._checked = now
        try:
            version = self._keys.version()
            changed = version != self._version
            if changed:
                self._stored = _valid(self._keys.all())
                self._version = version
        except (HeadgateError, OSError) as error:
            if not self._failing:
                _log.error("the keys cannot be read", error=str(error))
            self._failing = True
            return False
        self._confirmed = now
        self._failing = False
        return changed

    def declare(self, declared: Iterable[KeyRow]) -> None:
        """These, and no others, are declared from now on."""
        self._declared = _valid(declared)

    def start(self) -> None:
        """Read the keys now, and keep them fresh from a thread until `close`."""
        self.refresh(clock.wall())
        self._thread = threading.Thread(target=self._repeat, name="directory", daemon=True)
        self._thread.start()

    def _repeat(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self.refresh(clock.wall())
            except Exception as error:  # noqa: BLE001 - a thread that dies would make every look-up stale for good
                _log.error("the keys could not be refreshed", error=repr(error))

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def identities(self) -> list[Identity]:
        return list((self._stored | self._declared).values())

    def __len__(self) -> int:
        return len(self._stored | self._declared)


def _valid(rows: Iterable[KeyRow]) -> dict[bytes, Identity]:
    """Expiry is judged at each look, revocation here. The version is read before the rows: a change in between is seen
    next time."""
    return {bytes.fromhex(row.digest): identity_of(row) for row in rows if row.revoked is None}
