"""The schema, as numbered migrations: each a tuple of statements, applied once and in order, in one transaction.

Rules of this file:
- A migration that was ever released is never edited: a change is a new migration. `PRAGMA user_version` counts those
  applied.
- Amounts are INTEGER nano-dollars, times REAL seconds since the epoch, durations INTEGER microseconds; NULL is
  *unknown*.
- A request is kept as JSON text, as model/record.py encodes it; what is summed or looked for has columns of its own, and
  sums read one index. Who asks in SQL finds everything in the views `requests`, `attempts` and `allocations` (whose
  request pays how much of which attempt).
- No STRICT tables: SQLite before 3.37 is still shipped with supported systems.
"""

from __future__ import annotations

_USAGE = ("input", "output", "cache_read", "cache_write", "reasoning")
_REQUEST = (
    "at tenant key_id key_name dialect operation path model stream! outcome status error provider target usage?"
    " charge estimated! losses? findings? edits? trace_id user_agent first_us total_us upstream_us parent cause"
)
_ATTEMPT = (
    "number at provider target dialect credential outcome status error usage? cost estimated! price"
    " upstream_request_id headers_us first_us total_us"
)


def _members(columns: str) -> str:
    """Columns as what json_object takes; "?": JSON already, "!": a truth value."""
    forms = {"?": "json({0})", "!": "json(CASE WHEN {0} THEN 'true' ELSE 'false' END)"}
    named = [(column.rstrip("?!"), forms.get(column[-1], "{0}")) for column in columns.split()]
    return ", ".join(f"'{name}', {form.format(name)}" for name, form in named)


def _columns(json: str, members: str) -> str:
    """Members of a JSON text as columns; NAME=VALUE: what is left out where it has this value."""
    named = [member.partition("=") for member in members.split()]
    return ", ".join(
        f"coalesce(json_extract({json}, '$.{name}'), {default}) AS {name}"
        if default
        else f"json_extract({json}, '$.{name}') AS {name}"
        for name, _, default in named
    )


def _counts(json: str) -> str:
    """The counts of a usage object, 0 where they are left out; null without one."""
    return ", ".join(
        f"CASE WHEN json_type({json}, '$.usage') = 'object' THEN coalesce(json_extract({json}, '$.usage.{name}'), 0) END"
        f" AS {name}"
        for name in _USAGE
    )


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
    (
        """CREATE TABLE records (
            id TEXT PRIMARY KEY, at REAL NOT NULL, tenant TEXT NOT NULL, key_name TEXT NOT NULL, model TEXT NOT NULL,
            provider TEXT NOT NULL, outcome TEXT NOT NULL, status INTEGER NOT NULL, error TEXT NOT NULL,
            cause TEXT NOT NULL, input INTEGER, output INTEGER, cache_read INTEGER, charge INTEGER,
            estimated INTEGER NOT NULL, record TEXT NOT NULL)""",
        f"""INSERT INTO records SELECT id, at, tenant, key_name, model, provider, outcome, status, error, cause, input,
            output, cache_read, charge, estimated, json_object('event', 'request', 'request', id, {_members(_REQUEST)}, 'attempts', (
                SELECT json_group_array(json(attempt)) FROM (
                    SELECT json_object({_members(_ATTEMPT)}) AS attempt FROM attempts
                    WHERE request_id = requests.id ORDER BY number, attempts.id)))
        FROM requests ORDER BY at""",  # noqa: S608 - constants of this file
        "DROP TABLE requests",
        "DROP TABLE attempts",
        "DROP TABLE allocations",
        """CREATE INDEX records_summed ON records (at, tenant, key_name, model, provider, outcome, cause, input, output,
            cache_read, charge, estimated)""",
        f"""CREATE VIEW requests AS SELECT id, at, tenant, key_name, model, provider, outcome, status, error, cause, charge,
            estimated, coalesce(json_array_length(record, '$.attempts'), 0) AS attempts, {_counts("record")},
            {_columns("record", "key_id dialect operation path stream target='' usage losses='[]' findings='[]' edits='[]'")},
            {_columns("record", "trace_id='' user_agent='' first_us total_us=0 upstream_us=0 parent='' origin=''")} FROM records""",  # noqa: S608
        f"""CREATE VIEW attempts AS SELECT records.id || '.' || json_extract(value, '$.number') AS id,
            records.id AS request_id, {_counts("value")},
            {_columns("value", "number at provider target dialect credential outcome status=0 error='' usage cost")},
            {_columns("value", "estimated=0 price upstream_request_id='' headers_us first_us total_us=0")}
        FROM records, json_each(record, '$.attempts')""",  # noqa: S608
        """CREATE VIEW allocations AS SELECT id AS attempt_id, request_id, cost AS amount FROM attempts
        WHERE cost IS NOT NULL""",
    ),
    (
        "ALTER TABLE records ADD COLUMN hedged INTEGER NOT NULL DEFAULT 0",
        """UPDATE records SET hedged = (
            SELECT coalesce(sum(lost.cost), 0) FROM attempts AS lost
            WHERE lost.request_id = records.id AND lost.outcome = 'abandoned' AND lost.first_us IS NULL AND EXISTS (
                SELECT 1 FROM attempts AS won
                WHERE won.request_id = records.id AND won.at + won.first_us / 1e6 >= lost.at))
        WHERE json_array_length(record, '$.attempts') > 1""",
        "DROP INDEX records_summed",
        """CREATE INDEX records_summed ON records (at, tenant, key_name, model, provider, outcome, cause, input, output,
            cache_read, charge, hedged, estimated)""",
    ),
)
