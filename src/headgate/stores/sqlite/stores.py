"""The stores over one SQLite file: keys, and owners of what is held upstream; the ledger has a file of its own."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from headgate.errors import BadRequest
from headgate.model.record import Held
from headgate.stores.base import KeyRow

from .connection import Connection, prepare
from .ledger import SqliteLedger, insert_held


class Stores(Struct, frozen=True):
    ledger: SqliteLedger
    keys: SqliteKeys
    objects: SqliteObjects

    def close(self) -> None:
        for store in (self.ledger, self.keys, self.objects):
            store.close()


def open_stores(path: Path) -> Stores:
    """The stores of a file, made or migrated where that is due. Raises ConfigError, Unavailable."""
    prepare(path)
    return Stores(SqliteLedger(path), SqliteKeys(path), SqliteObjects(path))


class SqliteKeys:
    def __init__(self, path: Path) -> None:
        self._database = Connection(path)

    def add(self, row: KeyRow) -> None:
        """Raises BadRequest if a valid key has this name, or any key this digest or id."""
        values = msgspec.structs.asdict(row)
        values["models"], values["scopes"] = (
            msgspec.json.encode(values[name]).decode() for name in ("models", "scopes")
        )
        with self._database.transaction() as database:
            taken = database.execute(
                "SELECT name FROM keys WHERE id = :id OR digest = :digest OR (name = :name AND revoked IS NULL)", values
            ).fetchone()
            if taken is not None:
                raise BadRequest(f"there is a key {taken[0]!r} already", code="key_exists", param="name")
            database.execute(
                "INSERT INTO keys (id, digest, hint, name, tenant, models, scopes, created, expires, revoked,"
                " priority) VALUES (:id, :digest, :hint, :name, :tenant, :models, :scopes, :created, :expires, :revoked,"
                " :priority)",
                values,
            )
            database.execute("UPDATE meta SET value = value + 1 WHERE name = 'keys_version'")

    def all(self) -> list[KeyRow]:
        rows = self._database.rows("SELECT * FROM keys ORDER BY created, id")
        for row in rows:
            row["models"], row["scopes"] = msgspec.json.decode(row["models"]), msgspec.json.decode(row["scopes"])
        return msgspec.convert(rows, list[KeyRow])

    def revoke(self, identity: str, now: float) -> bool:
        with self._database.transaction() as database:
            changed = database.execute(
                "UPDATE keys SET revoked = ? WHERE (id = ? OR name = ?) AND revoked IS NULL", (now, identity, identity)
            ).rowcount
            if changed:
                database.execute("UPDATE meta SET value = value + 1 WHERE name = 'keys_version'")
        return changed > 0

    def version(self) -> int:
        return self._database.number("SELECT value FROM meta WHERE name = 'keys_version'")

    def close(self) -> None:
        self._database.close()


class SqliteObjects:
    def __init__(self, path: Path) -> None:
        self._database = Connection(path)

    def owner(self, identity: str) -> Held | None:
        rows = self._database.rows("SELECT id, kind, at, tenant, site FROM held WHERE id = ?", (identity,))
        return Held(**rows[0]) if rows else None

    def hold(self, held: Held) -> None:
        with self._database.transaction() as database:
            insert_held(database, [held])

    def close(self) -> None:
        self._database.close()
