"""The spool: what was appended is in the ledger in the end, whatever dies, fills up or breaks in between."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from headgate.errors import Unavailable
from headgate.model.record import Held, Opened, Record, RequestRow
from headgate.model.usage import Usage
from headgate.stores import segment
from headgate.stores.feed import FEEDING
from headgate.stores.memory import MemoryLedger
from headgate.stores.recovery import Price
from headgate.stores.spool import Bounds, FileSpool
from headgate.stores.sqlite import open_stores
from stores import rows

SMALL = Bounds(segment=2000, limit=1 << 20, sync_every=0.02, feed_every=0.01)


class Ledger(MemoryLedger):
    """Can be down, and can refuse one record for good."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.poison: str | None = None
        self.written: list[Record] = []

    def write(self, records: Iterable[Record]) -> None:
        records = list(records)
        if self.down:
            raise Unavailable("the ledger is down")
        if any(getattr(record, "id", "") == self.poison for record in records):
            raise OverflowError("cannot be kept")
        self.written += records
        super().write(records)


def two_cents(provider: str, target: str, usage: Usage, at: float) -> tuple[int | None, str | None]:
    assert usage.estimated
    return usage.input * 20, f"{provider}/{target}"


def no_price(provider: str, target: str, usage: Usage, at: float) -> tuple[int | None, str | None]:
    return None, None


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


Make = Callable[..., FileSpool]


@pytest.fixture
def make(tmp_path: Path, ledger: Ledger) -> Iterator[Make]:
    made: list[FileSpool] = []

    def make(price: Price = two_cents, bounds: Bounds = SMALL) -> FileSpool:
        spool = FileSpool(tmp_path / "spool", ledger, price, bounds)
        made.append(spool)
        return spool

    yield make
    for spool in made:
        spool.close()


def die(spool: FileSpool) -> None:
    """What the operating system does to the files of a process that is killed."""
    spool._stop.set()
    spool._feed._stop.set()
    for thread in (spool._thread, spool._feed._thread):
        if thread is not None:
            thread.join()
    os.close(spool._file)
    os.close(spool._claim)
    for owner in spool._feed._owners.values():
        owner.close()
    if spool._feed._claim is not None:
        os.close(spool._feed._claim)
    spool._closed = True


def whole(n: int) -> list[Record]:
    return [rows.request(f"r{n}"), rows.held(f"o{n}")]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def files(folder: Path) -> list[str]:
    """All but the file whose lock elects the feed."""
    return sorted(path.name for path in (folder / "spool").iterdir() if path.name != FEEDING)


def test_records_reach_the_ledger(make: Make, ledger: Ledger) -> None:
    """In order, once, and with every field."""
    spool = make()
    for n in range(20):
        spool.append(whole(n))
    assert ledger.written == []
    assert spool.feed() == 40
    assert ledger.written == [record for n in range(20) for record in whole(n)]
    assert spool.feed() == 0


def test_one_append_is_one_write(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """And neither a sync nor anything else that waits for a disk."""
    spool = make()
    calls: list[str] = []
    for name in ("write", "fsync", "fdatasync", "open"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, real=real, name=name: (calls.append(name), real(*a))[1])
    spool.append(whole(1))
    assert calls == ["write"]
    spool.sync()
    assert calls == ["write", "fdatasync"]
    spool.sync()
    assert calls == ["write", "fdatasync"]


def test_segments_change_by_size_and_go_when_the_ledger_has_them(make: Make, tmp_path: Path) -> None:
    spool = make()
    for n in range(10):
        spool.append(whole(n))
        spool.sync()
    segments = [name for name in files(tmp_path) if name.endswith(".log")]
    assert len(segments) > 4
    assert spool.state().bytes == sum((tmp_path / "spool" / name).stat().st_size for name in segments)
    spool.feed()
    left = [name for name in files(tmp_path) if name.endswith(".log")]
    assert left == segments[-2:], "the newest is empty: the one before may still have been written to"
    assert spool.state().unfed == 0
    spool.append(whole(10))
    spool.feed()
    assert [name for name in files(tmp_path) if name.endswith(".log")] == segments[-1:]


def test_segments_that_fill_while_the_ledger_writes_are_not_dropped(
    make: Make, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The feed works on what it saw; what is appended, and even sealed, meanwhile is for the next round."""
    spool = make()
    numbers = iter(range(1, 8))
    real = ledger.write

    def write(records: Iterable[Record]) -> None:
        real(records)
        for n in itertools.islice(numbers, 4):
            spool.append(whole(n))
            spool.sync()

    monkeypatch.setattr(ledger, "write", write)
    spool.append(whole(0))
    while spool.feed():
        pass
    assert list(ledger.requests) == [f"r{n}" for n in range(8)]
    assert len([name for name in files(tmp_path) if name.endswith(".log")]) <= 2


def test_nothing_is_left_after_an_orderly_end(make: Make, ledger: Ledger, tmp_path: Path) -> None:
    """`close` feeds the rest; after it nothing is taken."""
    spool = make()
    spool.append(whole(1))
    spool.close()
    assert ledger.written == whole(1)
    assert files(tmp_path) == []
    with pytest.raises(OSError, match="closed"):
        spool.append(whole(2))
    spool.close()


def test_a_ledger_that_is_down_only_makes_it_grow(make: Make, ledger: Ledger) -> None:
    """Up to the bound: then an append is refused, and taken again once the ledger has caught up."""
    spool = make(bounds=Bounds(segment=2000, limit=20_000))
    ledger.down = True
    taken = 0
    with pytest.raises(OSError, match="at its bound") as refused:
        for taken in itertools.count():
            spool.append(whole(taken))
            spool.sync()
            with pytest.raises(Unavailable):
                spool.feed()
    assert refused.value.errno == errno.EDQUOT
    assert 15_000 < spool.state().bytes <= 20_000 and spool.state().unfed > 15_000
    ledger.down = False
    spool.feed()
    spool.sync()
    spool.append(whole(taken))
    spool.feed()
    assert list(ledger.requests) == [f"r{n}" for n in range(taken + 1)]


def test_a_ledger_that_is_down_at_the_end_gets_it_at_the_next_start(make: Make, ledger: Ledger) -> None:
    spool = make()
    spool.append(whole(1))
    ledger.down = True
    spool.close()
    ledger.down = False
    make().feed()
    assert ledger.written == whole(1)


def test_a_record_that_the_ledger_refuses_does_not_stop_the_others(make: Make, ledger: Ledger, tmp_path: Path) -> None:
    """It is set aside, loudly, and can be read there."""
    spool = make()
    ledger.poison = "r2"
    with capture_logs() as logs:
        for n in range(4):
            spool.append(whole(n))
        spool.feed()
    assert list(ledger.requests) == ["r0", "r1", "r3"]
    assert spool.state().rejected == 1
    assert [log["log_level"] for log in logs] == ["error"]
    line = (tmp_path / "spool" / segment.REJECTED).read_bytes()
    assert segment.unframe(line.rstrip(b"\n")) == [rows.request("r2")]


def test_a_record_of_another_version_is_set_aside(make: Make, ledger: Ledger, tmp_path: Path) -> None:
    """A downgrade does not lose what the newer version wrote."""
    spool = make()
    body = b'[{"event":"invoice","id":"x"}]'
    os.write(spool._file, b"%08x %b\n" % (segment.crc32(body), body))
    spool.append(whole(1))
    spool.feed()
    assert list(ledger.requests) == ["r1"]
    assert body in (tmp_path / "spool" / segment.REJECTED).read_bytes()


# disks


def test_a_full_disk_refuses_and_leaves_no_half_record(
    make: Make, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short write is taken back, so that what follows is read."""
    spool = make()
    spool.append(whole(1))
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[: len(data) // 2]))
    with pytest.raises(OSError, match="no space"):
        spool.append(whole(2))
    monkeypatch.setattr(os, "write", real)
    spool.append(whole(3))
    spool.feed()
    assert ledger.written == whole(1) + whole(3)
    assert spool.state().damaged == 0


def test_a_half_record_that_cannot_be_taken_back_ends_its_segment(
    make: Make, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appends are refused until there is another segment; nothing of the half one is read."""
    spool = make()
    spool.append(whole(1))
    real = os.write

    def broken(file: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: real(file, data[: len(data) // 2]))
        patch.setattr(os, "ftruncate", broken)
        with pytest.raises(OSError):
            spool.append(whole(2))
    with pytest.raises(OSError, match="the disk refused"):
        spool.append(whole(2))
    assert spool.state().fault
    spool.sync()
    spool.append(whole(3))
    spool.feed()
    assert ledger.written == whole(1) + whole(3)
    assert not spool.state().fault


def test_a_disk_that_fails_at_the_sync_refuses_until_it_takes_data_again(
    make: Make, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed sync the operating system may have forgotten the data: only a new file that was synced is
    trusted."""
    spool = make()
    spool.append(whole(1))

    def broken(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        patch.setattr(os, "fsync", broken)
        for _ in range(2):
            with pytest.raises(OSError):
                spool.sync()
        with pytest.raises(OSError, match="the disk refused"):
            spool.append(whole(2))
    spool.sync()
    spool.append(whole(3))
    spool.feed()
    assert ledger.written == whole(1) + whole(3)


def test_what_was_begun_while_the_disk_refused_is_kept_by_a_later_round(
    make: Make, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round that fails forgets nobody: the crash finds the request."""
    spool = make()
    spool.begin("r1", partial(rows.opened, "r1"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: 0)
        with pytest.raises(OSError, match="no space"):
            spool.sync()
    spool.sync()
    die(spool)
    with capture_logs():
        make().feed()
    assert ledger.requests["r1"].error == "gateway_crash"


def test_a_folder_that_cannot_be_written_is_told_at_the_start(tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(OSError):
        FileSpool(tmp_path / "spool", ledger, two_cents)


# crashes


def test_a_dead_process_is_recovered_at_the_next_start(make: Make, ledger: Ledger, tmp_path: Path) -> None:
    dead = make()
    for n in range(10):
        dead.append(whole(n))
        dead.sync()
    die(dead)
    spool = make()
    with capture_logs():
        spool.feed()
    assert ledger.written == [record for n in range(10) for record in whole(n)]
    spool.close()
    assert files(tmp_path) == []


def test_a_living_process_is_left_alone(make: Make, ledger: Ledger, tmp_path: Path) -> None:
    """Several workers share the folder: one of them feeds for all, but closes nobody's requests."""
    other, spool = make(), make()
    other.append([rows.opened()])
    spool.append(whole(1))
    assert spool.feed() == 3
    assert other.feed() == 0
    assert list(ledger.requests) == ["r1"]
    other.append([rows.request("req_1")])
    spool.feed()
    assert ledger.requests["req_1"] == rows.request("req_1")


def test_another_feed_takes_over(make: Make, ledger: Ledger) -> None:
    """When the one that fed for all has died: from the files' start, which changes nothing in the ledger."""
    other, spool = make(), make()
    for n in range(3):
        other.append(whole(n))
        spool.append(whole(10 + n))
    other.feed()
    die(other)
    spool.append(whole(20))
    spool.feed()
    assert sorted(ledger.requests) == ["r0", "r1", "r10", "r11", "r12", "r2", "r20"]
    assert all(row.error == "" for row in ledger.requests.values())


def test_a_sibling_that_dies_is_recovered_while_running(make: Make, ledger: Ledger) -> None:
    other, spool = make(), make()
    other.append([rows.opened()])
    spool.start()
    time.sleep(0.1)
    assert not ledger.requests
    die(other)
    until(lambda: "req_1" in ledger.requests)


@pytest.mark.parametrize("cut", [1, 5, 9, 200])
def test_a_torn_last_line_is_reported_and_skipped(make: Make, ledger: Ledger, cut: int) -> None:
    """A power cut in the middle of a write."""
    dead = make()
    for n in range(3):
        dead.append(whole(n))
    line = segment.frame(whole(3))
    os.write(dead._file, line[:cut])
    die(dead)
    spool = make()
    with capture_logs() as logs:
        spool.feed()
    assert list(ledger.requests) == ["r0", "r1", "r2"]
    assert spool.state().damaged == 1
    assert [log["event"] for log in logs] == ["skipped a damaged line"]


def test_any_damage_costs_only_the_lines_it_hits(make: Make, ledger: Ledger, tmp_path: Path) -> None:
    """Every byte of the middle line in turn: the others are always there, and the damaged one never comes back
    changed."""
    path = tmp_path / "one.log"
    lines = [segment.frame([rows.held(f"h{n}")]) for n in range(3)]
    for place in range(len(lines[1])):
        for wrong in (b"\n", b"\0", b"7"):
            middle = lines[1][:place] + wrong + lines[1][place + 1 :]
            path.write_bytes(b"".join((segment.MAGIC, lines[0], middle, lines[2])))
            reader = segment.Reader(path)
            with capture_logs():
                records = reader.read(path.stat().st_size, 100)
                reader.end(path.stat().st_size)
            reader.close()
            expected = [0, 1, 2] if middle == lines[1] else [0] if place == len(middle) - 1 else [0, 2]
            assert records == [rows.held(f"h{n}") for n in expected], (place, wrong)


def test_a_line_longer_than_a_chunk(tmp_path: Path) -> None:
    """A usage object may be of any size."""
    path = tmp_path / "one.log"
    big = rows.request(user_agent="x" * 3_000_000)
    path.write_bytes(b"".join((segment.MAGIC, *(segment.frame([one]) for one in (big, rows.held(), big)))))
    reader = segment.Reader(path)
    found: list[Record] = []
    while records := reader.read(path.stat().st_size, 1):
        assert len(records) == 1
        found += records
    reader.close()
    assert found == [big, rows.held(), big]


def test_a_file_that_is_just_being_made_is_not_judged(make: Make, ledger: Ledger, tmp_path: Path) -> None:
    """It is there before its first line is: read in the next round; and removed with the rest if its maker died so."""
    other, spool = make(), make()
    other.append(whole(1))
    path = tmp_path / "spool" / segment.name(other._owner, 2)
    path.touch()
    spool.feed()
    path.write_bytes(segment.MAGIC + segment.frame(whole(2)))
    spool.feed()
    assert list(ledger.requests) == ["r1", "r2"]
    (tmp_path / "spool" / segment.name(other._owner, 3)).write_bytes(segment.MAGIC[:5])
    die(other)
    spool.feed()
    assert not [name for name in files(tmp_path) if name.startswith(other._owner)]


def test_a_file_of_another_format_is_left_alone(make: Make, tmp_path: Path) -> None:
    """And told once, not at each round."""
    spool = make()
    path = tmp_path / "spool" / "s0-00000001.log"
    path.write_bytes(b"headgate-spool 3\nsomething newer\n")
    with capture_logs() as logs:
        for _ in range(3):
            spool.feed()
    assert path.read_bytes() == b"headgate-spool 3\nsomething newer\n"
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["left files of another format alone"]


# requests that a crash cut off


def recovered(make: Make, appended: Iterable[list[Record]], price: Price = two_cents) -> None:
    dead = make(price)
    for records in appended:
        dead.append(records)
    die(dead)
    with capture_logs():
        make(price).feed()


def test_a_request_that_a_crash_cut_off_is_closed(make: Make, ledger: Ledger) -> None:
    """Failed, with the estimated input charged, everything estimated marked so."""
    recovered(make, [whole(1), [rows.opened("r2")]])
    row = ledger.requests["r2"]
    assert (row.outcome, row.error, row.status) == ("failed", "gateway_crash", 0)
    assert (row.charge, row.estimated, row.usage) == (20_000, True, Usage(input=1000, estimated=True))
    assert (row.tenant, row.key_name, row.model, row.provider, row.at) == ("acme", "web", "fast", "openai", rows.NOON)
    (lost,) = row.attempts
    assert (lost.number, lost.outcome, lost.cost, lost.estimated) == (1, "failed", 20_000, True)
    assert lost.price == "openai/gpt-5-mini" and lost.credential == "main"
    assert ledger.requests["r1"] == rows.request("r1")


def test_a_child_that_a_crash_cut_off_is_still_a_child(make: Make, ledger: Ledger) -> None:
    recovered(make, [[rows.opened("r2-shadow", parent="r2", cause="shadow")]])
    row = ledger.requests["r2-shadow"]
    assert (row.parent, row.cause, row.error, row.charge) == ("r2", "shadow", "gateway_crash", 20_000)


def test_one_that_was_shown_anothers_answer_costs_nothing(make: Make, ledger: Ledger) -> None:
    recovered(make, [[rows.opened("r2", origin="coalesced")]])
    row = ledger.requests["r2"]
    assert (row.error, row.charge, row.estimated, row.usage, row.attempts) == ("gateway_crash", 0, False, None, [])
    assert row.origin == "coalesced"


def test_an_unknown_price_stays_unknown(make: Make, ledger: Ledger) -> None:
    recovered(make, [[rows.opened()]], no_price)
    assert ledger.requests["req_1"].charge is None
    assert [attempt.cost for attempt in ledger.requests["req_1"].attempts] == [None]


def test_of_several_attempts_the_last_is_charged(make: Make, ledger: Ledger) -> None:
    """Those before it had failed; what they used died with the process. The number tells that there were some."""
    recovered(
        make,
        [
            [rows.opened()],
            [rows.opened(at=rows.NOON + 1)],
            [rows.opened(at=rows.NOON + 2, provider="anthropic", target="claude")],
        ],
    )
    row = ledger.requests["req_1"]
    assert (row.charge, row.provider, row.at) == (20_000, "anthropic", rows.NOON)
    assert [(attempt.number, attempt.target) for attempt in row.attempts] == [(3, "claude")]


def test_recovering_twice_gives_the_same_rows(make: Make, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recovery that dies before it removed the files is done again."""
    dead = make()
    dead.append([rows.opened()])
    die(dead)
    spool = make()
    with monkeypatch.context() as patch, capture_logs():
        patch.setattr(Path, "unlink", lambda path, missing_ok=False: (_ for _ in ()).throw(OSError("gone")))
        spool.feed()
    first = dict(ledger.requests)
    assert len(first) == 1
    with capture_logs():
        make().feed()
    assert ledger.requests == first


def test_an_open_request_outlives_its_segment(make: Make, ledger: Ledger, tmp_path: Path) -> None:
    """A long stream was opened many segments ago: those are gone, and a crash still finds it. So does one that is
    opened and closed in between not."""
    dead = make()
    dead.append([rows.opened("long")])
    dead.append([rows.opened("long", at=rows.NOON + 1)])
    for n in range(40):
        dead.append([rows.opened(f"r{n}")])
        if n == 30:
            dead.append([rows.opened("late")])
        dead.append(whole(n))
        dead.sync()
        dead.feed()
    logs = [name for name in files(tmp_path) if name.endswith(".log")]
    assert len(logs) <= 3, "segments stay although the ledger has them"
    die(dead)
    before = set(ledger.requests)
    with capture_logs():
        make().feed()
    assert set(ledger.requests) - before == {"long", "late"}
    row = ledger.requests["long"]
    assert (row.attempts[0].number, row.charge, row.at) == (2, 20_000, rows.NOON)


def test_what_is_read_to_its_end_is_not_held_open(make: Make, tmp_path: Path) -> None:
    """Of a living process's files the feed holds neither the checkpoint nor one that was removed."""
    spool = make()
    spool.append([rows.opened("long")])
    for turn in range(3):
        for n in range(40):
            spool.append([rows.opened(f"r{n}/{turn}"), *whole(n)])
            spool.sync()
            spool.feed()
        if turn == 1:
            spool.append([rows.request("long")])
        names = [path.rpartition("-")[2] for path in held(tmp_path / "spool")]
        assert names, "the last segment is held"
        assert not [name for name in names if name.startswith("00000000") or "deleted" in name]


def held(folder: Path) -> list[str]:
    """The segments in this folder, removed ones too, that this process has open."""
    paths = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing's own
            paths.append(os.readlink(f"/proc/self/fd/{number}"))
    return [path for path in paths if path.startswith(str(folder)) and ".log" in path]


def test_every_moment_of_a_segments_removal_tells_the_same_story(
    make: Make, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies before the n-th change of the folder, for each n: "open" is always closed by recovery as a
    crash, "closed" never is."""
    for n in range(12):
        ledger.requests.clear()
        dead = make()
        dead.append([rows.opened("open")])
        dead.append([rows.opened("closed")])
        dead._change()
        dead.feed()  # drops segment 1: both are in the checkpoint
        dead.append([rows.request("closed", outcome="done")])
        dead.append([rows.opened("other")])
        dead._change()
        dead.append([rows.request("other", outcome="done")])
        changes = itertools.count()

        class Killed(BaseException):
            pass

        def counted(
            real: Callable[..., object], stop: int = n, changes: Iterator[int] = changes
        ) -> Callable[..., object]:
            def change(*arguments: object, **more: object) -> object:
                if next(changes) == stop:
                    raise Killed
                return real(*arguments, **more)

            return change

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", counted(Path.rename))
            patch.setattr(Path, "unlink", counted(Path.unlink))
            patch.setattr(segment, "create", counted(segment.create))
            with suppress(Killed):
                dead.feed()
        die(dead)
        with capture_logs():
            spool = make()
            spool.feed()
            spool.close()
        crashed = {row.id for row in ledger.requests.values() if row.error == "gateway_crash"}
        assert crashed == {"open"}, n
        assert set(ledger.requests) == {"open", "closed", "other"}
        assert files(tmp_path) == []
        if next(changes) <= n:
            return
    raise AssertionError("more changes than were tried")


CHILD = """
import itertools, sys, structlog
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
from pathlib import Path
from headgate.stores.spool import Bounds, FileSpool
from headgate.stores.sqlite import open_stores
from stores import rows
folder = Path(sys.argv[1])
ledger = open_stores(folder / "h.db").ledger
bounds = Bounds(segment=20000, sync_every=0.01, feed_every=0.01)
spool = FileSpool(folder / "spool", ledger, lambda *a: (1, None), bounds)
spool.start()
for n in itertools.count():
    spool.append([rows.opened(f"{sys.argv[2]}-{n}")])
    if n % 10:
        spool.append([rows.request(f"{sys.argv[2]}-{n}")])
    print(n, flush=True)
"""


def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    """A process appends and prints ids at full speed and is killed, three times; every printed id is in the database,
    each with the outcome it had, and those that were open are crashes."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    printed: dict[str, int] = {}
    for life in ("x", "y", "z"):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), life],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        assert child.stdout is not None
        for line in child.stdout:
            printed[life] = int(line)
            if printed[life] == 700:
                child.send_signal(signal.SIGKILL)
        child.wait(10)
        child.stdout.close()
    with closing(open_stores(tmp_path / "h.db").ledger) as ledger, capture_logs():
        spool = FileSpool(tmp_path / "spool", ledger, two_cents)
        spool.feed()
        spool.close()
        assert files(tmp_path) == []
        for life, last in printed.items():
            for n in range(last + 1):
                row = ledger.request(f"{life}-{n}")
                assert row is not None
                if n < last:
                    assert row["error"] == ("" if n % 10 else "gateway_crash")


# threads


def test_it_works_by_itself(make: Make, ledger: Ledger) -> None:
    """Threads sync, feed and change segments while four others append."""
    spool = make()
    spool.start()

    def work(name: int) -> None:
        for n in range(100):
            spool.append(whole(name * 1000 + n))

    workers = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    until(lambda: len(ledger.written) >= 800)
    assert len(ledger.requests) == 400 and len(ledger.written) == 800
    state = spool.state()
    assert state.unfed == 0 and state.lag == 0.0 and state.damaged == 0


def test_it_recovers_from_a_ledger_that_was_down(make: Make, ledger: Ledger) -> None:
    """Told once, not at each try; lag and bytes tell how far behind it is."""
    ledger.down = True
    with capture_logs() as logs:
        spool = make()
        spool.start()
        spool.append(whole(1))
        time.sleep(0.3)
        state = spool.state()
        assert state.unfed > 100 and 0.2 < state.lag < 5
        ledger.down = False
        until(lambda: len(ledger.written) == 2)
    assert [log["event"] for log in logs] == ["records wait in the spool"]


def test_the_recovered_rows_fit_the_database(tmp_path: Path) -> None:
    """Through SQLite as well, where types are checked by somebody else."""
    stores = open_stores(tmp_path / "h.db")
    dead = FileSpool(tmp_path / "spool", stores.ledger, two_cents)
    dead.append([rows.opened(), rows.opened("req_2")])
    die(dead)
    with capture_logs():
        spool = FileSpool(tmp_path / "spool", stores.ledger, two_cents)
        spool.feed()
        spool.close()
    told = stores.ledger.request("req_1")
    assert told is not None and told["charge"] == 20_000 and told["estimated"] is True
    assert told["attempts"][0]["cost"] == 20_000
    (line,) = stores.ledger.usage(since=0, until=rows.NOON + 1, group="key")
    assert (line.requests, line.failed, line.estimated, line.charge) == (2, 2, 2, 40_000)
    stores.close()


def test_types_of_records_are_told_apart() -> None:
    records = [*whole(1), rows.opened()]
    assert segment.unframe(segment.frame(records)[:-1]) == records
    assert {type(record) for record in records} == {Opened, RequestRow, Held}


def test_a_request_that_ends_within_a_round_costs_one_line_and_one_that_does_not_is_kept(
    make: Make, ledger: Ledger, tmp_path: Path
) -> None:
    """`begin` writes nothing by itself; the round, or `keep`, does. A crash then finds those that never ended."""

    def told() -> int:
        return sum(path.read_bytes().count(b'"opened"') for path in (tmp_path / "spool").iterdir())

    spool = make()
    for number in range(4):
        spool.begin(f"r{number}", partial(rows.opened, f"r{number}"))
    spool.append(whole(0), ends="r0")
    assert told() == 0
    spool.keep("r1")
    assert told() == 1
    spool.append(whole(1), ends="r1")
    spool.sync()
    assert told() == 3, "r1 was kept, r2 and r3 are under way"
    spool.append(whole(2), ends="r2")
    die(spool)
    again = make()
    again.feed()
    assert {id: row.error for id, row in ledger.requests.items()} == {
        "r0": "",
        "r1": "",
        "r2": "",
        "r3": "gateway_crash",
    }
