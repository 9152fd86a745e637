"""The stores in SQLite keep the contracts; and what is SQLite's own: files, migrations, other processes, a busy
interpreter."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from headgate.errors import ConfigError, Unavailable
from headgate.stores.sqlite import Stores, connection, open_stores
from headgate.stores.sqlite import ledger as ledger_module
from headgate.stores.sqlite.ledger import SqliteLedger
from headgate.stores.sqlite.schema import MIGRATIONS
from headgate.stores.sqlite.stores import SqliteKeys, SqliteObjects
from stores import rows
from stores.contract_keys import KeysContract
from stores.contract_ledger import LedgerContract
from stores.contract_objects import ObjectsContract
from stores.rows import NOON


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "headgate.db"


@pytest.fixture
def stores(path: Path) -> Iterator[Stores]:
    opened = open_stores(path)
    yield opened
    opened.close()


class TestSqliteLedger(LedgerContract):
    @pytest.fixture
    def ledger(self, stores: Stores) -> SqliteLedger:
        return stores.ledger


class TestSqliteKeys(KeysContract):
    @pytest.fixture
    def keys(self, stores: Stores) -> SqliteKeys:
        return stores.keys


class TestSqliteObjects(ObjectsContract):
    @pytest.fixture
    def objects(self, stores: Stores) -> SqliteObjects:
        return stores.objects

    def test_held_records_of_the_spool_are_owners_too(self, stores: Stores) -> None:
        stores.ledger.write([rows.held("file_1", kind="file")])
        assert stores.objects.owner("file_1") == rows.held("file_1", kind="file")


def test_everything_is_there_after_a_restart(path: Path) -> None:
    first = open_stores(path)
    first.keys.add(rows.key())
    first.ledger.write([rows.request()])
    version = first.keys.version()
    first.close()
    again = open_stores(path)
    assert again.keys.all() == [rows.key()] and again.keys.version() == version
    assert again.ledger.request("req_1") is not None
    again.close()


def test_only_the_owner_may_read_the_files(stores: Stores, path: Path) -> None:
    stores.keys.add(rows.key())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert "headgate.db-wal" in modes
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_acknowledged_commit_survives_a_power_cut(stores: Stores) -> None:
    """The spool drops its segments on the word of the ledger: each commit is synced (2 is FULL), not only the
    checkpoints."""
    assert stores.ledger._writer.number("PRAGMA synchronous") == 2


def test_a_newer_schema_is_refused(path: Path) -> None:
    """With the two versions and what to do; the file stays as it is."""
    open_stores(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(ConfigError, match=f"schema {len(MIGRATIONS) + 1}.*knows {len(MIGRATIONS)}") as refused:
        open_stores(path)
    assert refused.value.where == str(path) and "newer version" in refused.value.hint


def test_a_migration_that_fails_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All statements of all pending migrations are one transaction."""
    broken = (*MIGRATIONS, ("CREATE TABLE more (x)", "INSERT INTO nowhere VALUES (1)"))
    monkeypatch.setattr(connection, "MIGRATIONS", broken)
    with pytest.raises(Unavailable, match="nowhere"):
        open_stores(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        assert database.execute("PRAGMA user_version").fetchone() == (0,)


def test_an_old_file_is_migrated_and_keeps_its_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_stores(path)
    first.keys.add(rows.key())
    first.close()
    monkeypatch.setattr(connection, "MIGRATIONS", (*MIGRATIONS, ("ALTER TABLE held ADD COLUMN note TEXT",)))
    second = open_stores(path)
    second.objects.hold(rows.held())
    assert second.objects.owner("resp_1") == rows.held()
    assert second.keys.all() == [rows.key()]
    second.close()


def test_rows_of_the_first_tables_are_kept_as_records(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests and attempts that stood in columns are found as the records that they were: by sums, by id, by SQL."""
    usage, counts = '{"input":7,"output":2}', (7, 2, 0, 0, 0)
    spent = (
        "req_1.2",
        "req_1",
        2,
        NOON,
        "b",
        "m",
        "d",
        "c",
        "done",
        200,
        "",
        *counts,
        usage,
        30,
        1,
        "b/m@1",
        "u",
        5,
        6,
        7,
    )
    failed = (
        "req_1.1",
        "req_1",
        1,
        NOON,
        "a",
        "m",
        "d",
        "c",
        "failed",
        503,
        "down",
        *[None] * 6,
        0,
        0,
        None,
        "",
        None,
        None,
        9,
    )
    who = ("req_1", NOON, "acme", "key_1", "web", "d", "generate", "/p", "fast", 1, "done", 200, "", "b", "m", 2)
    more = (*counts, usage, 30, 1, '["seed"]', "[]", '["model"]', "t" * 32, "agent", 11, 12, 13, "", "")
    monkeypatch.setattr(connection, "MIGRATIONS", MIGRATIONS[:3])
    connection.prepare(path)
    with closing(sqlite3.connect(path)) as old:
        for table, row in (("attempts", spent), ("attempts", failed), ("requests", (*who, *more))):
            old.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        old.commit()
    monkeypatch.undo()
    stores = open_stores(path)
    (line,) = stores.ledger.usage(since=0, until=NOON + 1, group="key")
    assert (line.group, line.requests, line.input, line.charge, line.estimated) == ("web", 1, 7, 30, 1)
    told = stores.ledger.request("req_1")
    stores.close()
    assert told is not None
    assert (told["stream"], told["losses"], told["edits"], told["usage"]) == (
        True,
        ["seed"],
        ["model"],
        {"input": 7, "output": 2},
    )
    assert [(one["number"], one["cost"], one["error"]) for one in told["attempts"]] == [(1, 0, "down"), (2, 30, "")]
    with closing(sqlite3.connect(path)) as database:
        found = database.execute(
            "SELECT attempts, target, input, cache_write, stream, total_us FROM requests"
        ).fetchall()
        assert found == [(2, "m", 7, 0, 1, 12)]
        found = database.execute(
            "SELECT number, input, output, cost, price FROM attempts WHERE request_id = 'req_1'"
        ).fetchall()
        assert found == [(1, None, None, 0, None), (2, 7, 2, 30, "b/m@1")]
        assert database.execute("SELECT * FROM allocations").fetchall() == [
            ("req_1.1", "req_1", 0),
            ("req_1.2", "req_1", 30),
        ]


def test_what_hedges_cost_is_found_in_the_records_of_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beaten = rows.attempt(outcome="abandoned", first_us=None, cost=40)
    left = rows.attempt(number=2, at=NOON + 2, outcome="abandoned", first_us=None, cost=5)
    monkeypatch.setattr(connection, "MIGRATIONS", MIGRATIONS[:4])
    connection.prepare(path)
    with closing(sqlite3.connect(path)) as old:
        for name, attempts in {
            "a": [beaten, rows.attempt(number=2)],
            "b": [rows.attempt(), left],
            "c": [beaten],
        }.items():
            record = msgspec.json.encode(rows.request(name, attempts=attempts)).decode()
            old.execute(
                "INSERT INTO records VALUES (?, ?, 'acme', 'web', 'm', 'p', 'done', 200, '', '', 1, 1, 0, 47, 0, ?)",
                (name, NOON, record),
            )
        old.commit()
    monkeypatch.undo()
    stores = open_stores(path)
    (line,) = stores.ledger.usage(since=0, until=NOON + 1, group="key")
    stores.close()
    assert (line.charge, line.hedged) == (3 * 47, 40)


def test_sums_read_the_index_alone(stores: Stores) -> None:
    """A report over a month does not read the records of it."""
    database = stores.ledger._reader._database
    seen: list[str] = []
    database.set_trace_callback(seen.append)
    stores.ledger.usage(since=0, until=NOON, group="key")
    database.set_trace_callback(None)
    (plan, *_) = (row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {seen[-1]}"))
    assert "COVERING INDEX" in plan


def test_a_file_that_is_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not SQLite" * 100)
    with pytest.raises(ConfigError, match="not a database"):
        open_stores(path)


def test_a_locked_database_is_unavailable_and_nothing_is_half_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.01)
    stores = open_stores(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            stores.ledger.write([rows.request()])
        assert stores.ledger.request("req_1") is None  # readers go on
        other.execute("ROLLBACK")
    stores.ledger.write([rows.request()])
    assert stores.ledger.request("req_1") is not None
    stores.close()


def test_a_row_that_cannot_be_kept_takes_the_whole_batch_back(stores: Stores) -> None:
    """2**63 nano-dollars do not fit: the error is told, and no row of the batch stays."""
    with pytest.raises(OverflowError):
        stores.ledger.write([rows.request("a"), rows.request("b", charge=2**63)])
    assert stores.ledger.request("a") is None
    stores.ledger.write([rows.request("a")])


def test_processes_that_start_together_make_one_database(path: Path) -> None:
    """Each makes or migrates the file if it is first; all see every key."""
    script = """
import sys
from pathlib import Path
from headgate.stores.base import KeyRow
from headgate.stores.sqlite import open_stores
stores = open_stores(Path(sys.argv[1]))
n = sys.argv[2]
stores.keys.add(KeyRow(id=n, digest=n * 64, hint=n, name=n, tenant="t", created=float(n)))
stores.close()
"""
    children = [subprocess.Popen([sys.executable, "-c", script, str(path), str(n)]) for n in range(4)]
    assert [child.wait(30) for child in children] == [0] * 4
    stores = open_stores(path)
    assert [key.name for key in stores.keys.all()] == list("0123")
    assert stores.keys.version() == 4
    stores.close()


def test_reports_while_rows_are_written(stores: Stores) -> None:
    """A reader sees whole batches, and neither waits for the other."""
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not stop.is_set():
            seen.extend(line.requests for line in stores.ledger.usage(since=0, until=NOON + 1, group="tenant"))

    reader = threading.Thread(target=read)
    reader.start()
    for batch in range(20):
        stores.ledger.write([rows.request(f"{batch}-{n}") for n in range(50)])
    stop.set()
    reader.join()
    assert seen and all(count % 50 == 0 for count in seen) and seen == sorted(seen)


def test_a_busy_interpreter_does_not_starve_it(stores: Stores) -> None:
    """While another thread computes without a pause, a batch of 512 rows still takes well below a second: each
    statement has to win the interpreter lock back (5 ms at worst), so there must be few of them. One a row would take
    2.5 s."""
    records = [rows.request(f"r{n}") for n in range(512)]
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            sum(range(100))

    busy = threading.Thread(target=compute)
    busy.start()
    began = time.monotonic()
    stores.ledger.write(records)
    took = time.monotonic() - began
    stop.set()
    busy.join()
    assert took < 1.5


def test_batches_of_any_size_share_a_few_statements(stores: Stores) -> None:
    """Compiling one of a hundred rows takes longer than running it: no size of batch has one of its own."""
    seen: set[str] = set()

    class Recording:
        getlimit = stores.ledger._writer._database.getlimit

        def execute(self, statement: str, values: list[object]) -> None:
            assert statement.count("?") == len(values)
            seen.add(statement)
            stores.ledger._writer._database.execute(statement, values)

    numbers = iter(range(100_000))
    for size in range(1, 300):
        ledger_module._RECORDS.insert(Recording(), [rows.request(f"r{next(numbers)}") for _ in range(size)])  # type: ignore[arg-type]
    assert len(seen) == 8
    (line,) = stores.ledger.usage(since=0, until=NOON + 1, group="tenant")
    assert line.requests == next(numbers) == sum(range(1, 300))
