"""The schema, as numbered migrations: each a tuple of statements, applied once and in order, in one transaction.

Rules of this file:
- A migration that was ever released is never edited: a change is a new migration. `PRAGMA user_version` counts those
  applied.
- Amounts are INTEGER nano-dollars, times REAL seconds since the epoch, durations INTEGER microseconds; NULL is
  *unknown*.
- Lists and usage objects are JSON text; counts that are summed have columns of their own.
- No STRICT tables: SQLite before 3.37 is still shipped with supported systems.
"""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        "INSERT INTO meta (name, value) VALUES ('keys_version', 0)",
        """CREATE TABLE keys (
            id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, hint TEXT NOT NULL, name TEXT NOT NULL,
            tenant TEXT NOT NULL, models TEXT NOT NULL, scopes TEXT NOT NULL, created REAL NOT NULL, expires REAL,
            revoked REAL)""",
        "CREATE UNIQUE INDEX keys_name ON keys (name) WHERE revoked IS NULL",
        """CREATE TABLE requests (
            id TEXT PRIMARY KEY, at REAL NOT NULL, tenant TEXT NOT NULL, key_id TEXT NOT NULL, key_name TEXT NOT NULL,
            dialect TEXT NOT NULL, operation TEXT NOT NULL, path TEXT NOT NULL, model TEXT NOT NULL,
            stream INTEGER NOT NULL, outcome TEXT NOT NULL, status INTEGER NOT NULL, error TEXT NOT NULL,
            provider TEXT NOT NULL, target TEXT NOT NULL, attempts INTEGER NOT NULL, input INTEGER, output INTEGER,
            cache_read INTEGER, cache_write INTEGER, reasoning INTEGER, usage TEXT, charge INTEGER,
            estimated INTEGER NOT NULL, losses TEXT NOT NULL, findings TEXT NOT NULL, edits TEXT NOT NULL,
            trace_id TEXT NOT NULL, user_agent TEXT NOT NULL, first_us INTEGER, total_us INTEGER NOT NULL,
            upstream_us INTEGER NOT NULL)""",
        "CREATE INDEX requests_at ON requests (at)",
        """CREATE TABLE attempts (
            id TEXT PRIMARY KEY, request_id TEXT NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL,
            provider TEXT NOT NULL, target TEXT NOT NULL, dialect TEXT NOT NULL, credential TEXT NOT NULL,
            outcome TEXT NOT NULL, status INTEGER NOT NULL, error TEXT NOT NULL, input INTEGER, output INTEGER,
            cache_read INTEGER, cache_write INTEGER, reasoning INTEGER, usage TEXT, cost INTEGER,
            estimated INTEGER NOT NULL, price TEXT, upstream_request_id TEXT NOT NULL, headers_us INTEGER,
            first_us INTEGER, total_us INTEGER NOT NULL)""",
        "CREATE INDEX attempts_request ON attempts (request_id)",
        """CREATE TABLE allocations (
            attempt_id TEXT NOT NULL, request_id TEXT NOT NULL, amount INTEGER NOT NULL,
            PRIMARY KEY (attempt_id, request_id)) WITHOUT ROWID""",
        "CREATE INDEX allocations_request ON allocations (request_id)",
        """CREATE TABLE held (
            id TEXT PRIMARY KEY, kind TEXT NOT NULL, at REAL NOT NULL, tenant TEXT NOT NULL, site TEXT NOT NULL)""",
    ),
    ("ALTER TABLE keys ADD COLUMN priority INTEGER NOT NULL DEFAULT 5",),
    (
        "ALTER TABLE requests ADD COLUMN parent TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE requests ADD COLUMN cause TEXT NOT NULL DEFAULT ''",
    ),
)
