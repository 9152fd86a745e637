"""Stores in this process's memory: `MemoryBlobs` and `RecentObjects` are used as they are; ledger, keys and objects
serve tests and gateways that need to remember nothing. Same contracts as the databases (tests/stores)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from headgate.errors import BadRequest
from headgate.model.record import Held, Record, RequestRow, outrun

from .base import KeyRow, Objects, UsageLine, told


class MemoryBlobs:
    """`Blobs` that together hold at most `limit` bytes (keys and values): what was not used longest goes first. A
    value larger than the limit is not kept."""

    def __init__(self, limit: int = 64 << 20) -> None:
        self._limit = limit
        self._held: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self.bytes = 0

    def get(self, key: str, now: float) -> bytes | None:
        found = self._held.get(key)
        if found is None:
            return None
        if now >= found[1]:
            self._remove(key)
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: str, value: bytes, now: float, ttl: float) -> None:
        if key in self._held:
            self._remove(key)
        if len(key) + len(value) > self._limit:
            return
        self._held[key] = (value, now + ttl)
        self.bytes += len(key) + len(value)
        while self.bytes > self._limit:
            self._remove(next(iter(self._held)))

    def _remove(self, key: str) -> None:
        self.bytes -= len(key) + len(self._held.pop(key)[0])

    def __len__(self) -> int:
        return len(self._held)


class MemoryObjects:
    """The first owner of an id keeps it."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}

    def owner(self, identity: str) -> Held | None:
        return self._held.get(identity)

    def hold(self, held: Held) -> None:
        self._held.setdefault(held.id, held)


class RecentObjects:
    """`Objects` in front of a ledger that learns of them later: the last `limit` are known at once, as a client may
    name what it was just given. `hold` remembers only: the record itself goes through the spool."""

    def __init__(self, behind: Objects, limit: int = 10_000) -> None:
        self._behind = behind
        self._limit = limit
        self._recent: OrderedDict[str, Held] = OrderedDict()
        self._lock = threading.Lock()

    def owner(self, identity: str) -> Held | None:
        return self._behind.owner(identity) or self._recent.get(identity)

    def hold(self, held: Held) -> None:
        with self._lock:
            self._recent.setdefault(held.id, held)
            while len(self._recent) > self._limit:
                self._recent.popitem(last=False)


class MemoryKeys:
    def __init__(self) -> None:
        self._rows: dict[str, KeyRow] = {}
        self._version = 0

    def add(self, row: KeyRow) -> None:
        for other in self._rows.values():
            named = other.name == row.name and other.revoked is None
            if other.id == row.id or other.digest == row.digest or named:
                raise BadRequest(f"there is a key {other.name!r} already", code="key_exists", param="name")
        self._rows[row.id] = row
        self._version += 1

    def all(self) -> list[KeyRow]:
        return sorted(self._rows.values(), key=lambda row: (row.created, row.id))

    def revoke(self, identity: str, now: float) -> bool:
        found = [row for row in self._rows.values() if identity in (row.id, row.name) and row.revoked is None]
        for row in found:
            self._rows[row.id] = msgspec.structs.replace(row, revoked=now)
            self._version += 1
        return bool(found)

    def version(self) -> int:
        return self._version


class MemoryLedger:
    def __init__(self) -> None:
        self.requests: dict[str, RequestRow] = {}
        self.held: dict[str, Held] = {}

    def write(self, records: Iterable[Record]) -> None:
        for record in records:
            match record:
                case RequestRow():
                    self.requests.setdefault(record.id, record)
                case Held():
                    self.held.setdefault(record.id, record)

    def usage(self, *, since: float, until: float, group: str) -> list[UsageLine]:
        lines: dict[str, UsageLine] = {}
        for row in list(self.requests.values()):
            if since <= row.at < until:
                name = _group(row, group)
                line = lines.get(name)
                lines[name] = _added(line, name, row)
        if not lines:
            _group(None, group)
        return sorted(lines.values(), key=lambda line: (-line.charge, line.group))

    def request(self, identity: str) -> dict[str, Any] | None:
        row = self.requests.get(identity)
        return None if row is None else told(row)


def _group(row: RequestRow | None, group: str) -> str:
    match group:
        case "key":
            return row.key_name if row else ""
        case "tenant" | "model" | "provider":
            return str(getattr(row, group, ""))
        case "day":
            return datetime.fromtimestamp(row.at, UTC).strftime("%Y-%m-%d") if row else ""
        case _:
            raise BadRequest("usage is grouped by one of key, tenant, model, provider, day", param="group")


def _added(line: UsageLine | None, name: str, row: RequestRow) -> UsageLine:
    if line is None:
        line = UsageLine(
            group=name,
            requests=0,
            children=0,
            failed=0,
            input=0,
            output=0,
            cache_read=0,
            charge=0,
            hedged=0,
            unknown=0,
            estimated=0,
        )
    line.requests += not row.cause
    line.children += bool(row.cause)
    line.failed += not row.cause and row.outcome == "failed"
    if row.usage is not None and not row.origin:
        line.input += row.usage.input
        line.output += row.usage.output
        line.cache_read += row.usage.cache_read
        line.unknown += row.charge is None
    line.charge += row.charge or 0
    line.hedged += outrun(row.attempts)
    line.estimated += row.estimated
    return line
