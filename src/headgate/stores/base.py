"""What the gateway needs remembered, as protocols. Nothing on the hot path awaits one of these.

- `Spool`: append now (one buffered write to the operating system), keep later: a thread syncs it and feeds the Ledger.
- `Ledger`, `Keys`: the database; blocking, called from threads, the CLI and the management API only. Idempotent by id.
- `Directory`: all keys resident in memory, a snapshot that is replaced whole; no look-up on a miss.
- `Blobs`: small values with a time to live. `Objects`: who owns what is held upstream.
`now` is always an argument (seconds since the epoch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from msgspec import Raw, Struct, to_builtins
from msgspec.structs import asdict

from headgate.model.identity import Identity
from headgate.model.record import AttemptRow, Held, Opened, Record, RequestRow


class KeyRow(Struct, kw_only=True):
    """A virtual key as stored: `digest` is HMAC-SHA256(pepper, key) in hex; the key itself is shown once and kept nowhere.
    `hint` is its last four characters."""

    id: str
    digest: str
    hint: str
    name: str
    tenant: str
    models: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    created: float
    expires: float | None = None
    regions: tuple[str, ...] = ()
    """Of keys that the config declares."""
    revoked: float | None = None
    priority: int = 5


class Spool(Protocol):
    def begin(self, request_id: str, opened: Callable[[], Opened]) -> None:
        """A request goes upstream. Kept within a fraction of a second, unless it ends before; `opened` is asked only then, by
        any thread. Raises OSError when the disk refuses."""
        ...

    def keep(self, request_id: str) -> None:
        """What was begun under this id survives the death of the process when this returns: the first part of its answer is
        about to be shown. Raises OSError."""
        ...

    def append(self, records: Sequence[Record | Raw], ends: str = "") -> None:
        """All of these (or their JSON) survive the death of the process when this returns. `ends`: the id of the request that is over with
        them. Raises OSError when the disk refuses."""
        ...

    def close(self) -> None: ...


class Ledger(Protocol):
    def write(self, records: Iterable[Record]) -> None: ...

    def usage(self, *, since: float, until: float, group: str) -> list[UsageLine]:
        """Sums by "key", "tenant", "model", "provider" or "day"."""
        ...

    def request(self, identity: str) -> dict[str, Any] | None:
        """One request with its attempts, as `told` tells it."""
        ...


def told(row: RequestRow | AttemptRow) -> dict[str, Any]:
    """A row for people: every field, null where it is not known."""
    fields = asdict(row)
    fields["usage"] = None if row.usage is None else to_builtins(row.usage)
    if isinstance(row, RequestRow):
        fields["attempts"] = [told(attempt) for attempt in row.attempts]
    return fields


class UsageLine(Struct, kw_only=True):
    """Requests are the callers' own. Their children (calls that were made for them: a shadow, a judge) are counted apart; the tokens and
    amounts are those of both; tokens of a shared answer are those of the child that asked for it."""

    group: str
    requests: int
    children: int
    failed: int
    """Of the requests."""
    input: int
    output: int
    cache_read: int
    charge: int
    """Nano-dollars, where the charge is known."""
    hedged: int
    """Of the charge: what attempts cost that another one of their request was faster than."""
    unknown: int
    """Requests and children that used tokens at an unknown price."""
    estimated: int
    """Requests and children whose usage is estimated."""


class Keys(Protocol):
    def add(self, row: KeyRow) -> None: ...

    def all(self) -> list[KeyRow]: ...

    def revoke(self, identity: str, now: float) -> bool:
        """By id or name; False if there is none that is still valid."""
        ...

    def version(self) -> int:
        """Changes whenever a key was added or revoked, also by another process."""
        ...


class Directory(Protocol):
    def look(self, digest: bytes, now: float) -> Identity | None:
        """The identity of a digest, from memory. Raises Unavailable when the snapshot is older than `max_stale`."""
        ...


class Blobs(Protocol):
    def get(self, key: str, now: float) -> bytes | None: ...

    def put(self, key: str, value: bytes, now: float, ttl: float) -> None: ...


class Objects(Protocol):
    def owner(self, identity: str) -> Held | None:
        """May read a database: for routes that name a held object, never for plain generation."""
        ...

    def hold(self, held: Held) -> None: ...
