"""The feed in a process of its own: the same records, whatever becomes of either process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from headgate.model.record import Record
from headgate.model.usage import Usage
from headgate.stores import feeder as feeder_module
from headgate.stores import segment
from headgate.stores.feed import FEEDING
from headgate.stores.feeder import Feeder
from headgate.stores.recovery import Price
from headgate.stores.spool import FileSpool
from headgate.stores.sqlite import Stores, open_stores
from stores import rows


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    monkeypatch.setattr(feeder_module, "AGAIN", 0.01)
    opened = open_stores(tmp_path / "h.db")
    yield opened
    opened.close()


Make = Callable[..., FileSpool]


@pytest.fixture
def make(tmp_path: Path, stores: Stores) -> Iterator[Make]:
    """Spools whose feed is a process; ended after the test."""
    made: list[FileSpool] = []

    def make(price: Price = lambda *_: (None, None)) -> FileSpool:
        folder = tmp_path / "spool"
        spool = FileSpool(folder, stores.ledger, price, feeder=Feeder(folder, tmp_path / "h.db", price))
        made.append(spool)
        spool.start()
        return spool

    yield make
    for spool in made:
        spool.close()


def whole(n: int) -> list[Record]:
    return [rows.request(f"r{n}")]


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def pid(spool: FileSpool) -> int:
    """Of the process that feeds, once there is one that has reported."""
    assert spool._feeder is not None
    until(lambda: not spool._feeder._absent)  # type: ignore[union-attr]
    assert spool._feeder._child is not None
    return spool._feeder._child.pid


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "spool").iterdir() if path.name != FEEDING)


def alive(process: int) -> bool:
    """Neither gone nor a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_records_are_in_the_ledger_within_a_second(make: Make, stores: Stores) -> None:
    """With every field, and the state tells when nothing is left."""
    spool = make()
    pid(spool)
    began = time.monotonic()
    spool.append(whole(1))
    until(lambda: stores.ledger.request("r1"))
    assert time.monotonic() - began < 1.0
    told = stores.ledger.request("r1")
    assert told is not None
    assert told["charge"] == 12_345
    until(lambda: spool.state().unfed == 0)
    assert spool.state().lag == 0.0


def test_what_it_has_not_fed_at_the_end_is_fed_by_the_gateway(make: Make, stores: Stores, tmp_path: Path) -> None:
    """And neither files nor processes remain."""
    spool = make()
    child = pid(spool)
    for n in range(500):
        spool.append(whole(n))
    spool.close()
    assert not alive(child)
    assert left(tmp_path) == []
    (line,) = stores.ledger.usage(since=0, until=rows.NOON + 1, group="key")
    assert line.requests == 500


def test_an_end_before_the_process_has_begun(make: Make, stores: Stores, tmp_path: Path) -> None:
    spool = make()
    spool.append(whole(1))
    spool.close()
    assert stores.ledger.request("r1") is not None and left(tmp_path) == []


def test_another_process_follows_one_that_dies(make: Make, stores: Stores) -> None:
    """Records wait meanwhile; it is told, and nothing is lost or doubled."""
    with capture_logs() as logs:
        spool = make()
        first = pid(spool)
        spool.append(whole(1))
        until(lambda: stores.ledger.request("r1"))
        os.kill(first, signal.SIGKILL)
        spool.append(whole(2))
        until(lambda: stores.ledger.request("r2"))
    assert pid(spool) != first
    assert "the feed's process ended: records wait in the spool until the next one" in [log["event"] for log in logs]
    (line,) = stores.ledger.usage(since=0, until=rows.NOON + 1, group="key")
    assert (line.requests, line.charge) == (2, 2 * 12_345)


def test_signals_of_a_terminal_do_not_end_it(make: Make, stores: Stores) -> None:
    """They reach the gateway too, which drains first."""
    spool = make()
    child = pid(spool)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(child, number)
    spool.append(whole(1))
    until(lambda: stores.ledger.request("r1"))
    assert pid(spool) == child


def test_lag_grows_while_there_is_no_process(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that cannot even begin is seen, not taken for one that has nothing to do."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with capture_logs() as logs:
        spool = make()
        until(lambda: len(logs) > 1)
    first = spool.state().lag
    assert 0 < first < spool.state().lag


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="the system has no class for what may wait")
def test_it_runs_aside_and_one_that_is_late_is_replaced_for_a_while(
    make: Make, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that gets no processor (here it is stopped) says nothing; another takes its place, which competes for it, and feeds what
    waited. Later one that runs aside is back, and nobody is told of a fault."""
    monkeypatch.setattr(feeder_module, "LATE", 2.0)
    monkeypatch.setattr(feeder_module, "AWHILE", 0.5)
    with capture_logs() as logs:
        spool = make()
        first = pid(spool)
        assert os.sched_getscheduler(first) == os.SCHED_IDLE
        os.kill(first, signal.SIGSTOP)
        spool.append(whole(1))
        until(lambda: stores.ledger.request("r1"))
        second = pid(spool)
        assert second != first and not alive(first)
        assert os.sched_getscheduler(second) == os.SCHED_OTHER
        until(lambda: pid(spool) != second)
        assert os.sched_getscheduler(pid(spool)) == os.SCHED_IDLE
        spool.append(whole(2))
        until(lambda: stores.ledger.request("r2"))
    assert [log["log_level"] for log in logs] == ["warning"]


DEAD = """
import os, sys
from pathlib import Path
from headgate.stores.spool import FileSpool
from headgate.stores.memory import MemoryLedger
from stores import rows
spool = FileSpool(Path(sys.argv[1]), MemoryLedger(), lambda *a: (None, None))
spool.append([rows.opened("lost")])
os.kill(os.getpid(), 9)
"""


def test_the_requests_of_a_dead_process_are_closed_at_the_gateways_prices(
    make: Make, stores: Stores, tmp_path: Path
) -> None:
    """The process asks for them; what it has to tell is in the gateway's log."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[1]), *sys.path))}
    subprocess.run([sys.executable, "-c", DEAD, str(tmp_path / "spool")], env=environment, check=False, timeout=20)
    asked: list[tuple[str, str, Usage, float]] = []

    def price(*question: object) -> tuple[int | None, str | None]:
        asked.append(question)  # type: ignore[arg-type]
        return 20_000, "openai/gpt-5-mini@today"

    with capture_logs() as logs:
        spool = make(price)
        until(lambda: stores.ledger.request("lost"))
        spool.close()
    told = stores.ledger.request("lost")
    assert told is not None and (told["error"], told["charge"]) == ("gateway_crash", 20_000)
    assert asked == [("openai", "gpt-5-mini", Usage(input=1000, estimated=True), rows.NOON)]
    assert [log["event"] for log in logs] == ["closed the requests of a dead process"]
    assert left(tmp_path) == []


def test_a_price_that_cannot_be_told_begins_again(make: Make, stores: Stores, tmp_path: Path) -> None:
    """A defect of ours there closes no request at a wrong price: it is told, and tried again."""
    folder = tmp_path / "spool"
    folder.mkdir()
    os.close(segment.create(folder / segment.name("s0", 1), [segment.frame([rows.opened("lost")])]))
    tries = iter([ValueError("no prices yet"), None])

    def price(*_: object) -> tuple[int | None, str | None]:
        error = next(tries)
        if error is not None:
            raise error
        return 7, None

    with capture_logs() as logs:
        make(price)
        until(lambda: stores.ledger.request("lost"))
    told = stores.ledger.request("lost")
    assert told is not None and told["charge"] == 7
    assert logs[0]["event"] == "the feed cannot be served" and "no prices yet" in logs[0]["error"]


GATEWAY = """
import sys, time
from pathlib import Path
from headgate.stores.feeder import Feeder
from headgate.stores.spool import FileSpool
from headgate.stores.sqlite import open_stores
from stores import rows
folder = Path(sys.argv[1])
price = lambda *a: (1, None)
spool = FileSpool(folder / "spool", open_stores(folder / "h.db").ledger, price, feeder=Feeder(folder / "spool", folder / "h.db", price))
spool.start()
while spool._feeder._absent: time.sleep(0.005)
for n in range(300):
    spool.append([rows.opened(f"r{n}")])
    spool.append([rows.request(f"r{n}")])
print(spool._feeder._child.pid, flush=True)
time.sleep(60)
"""


def test_it_does_not_outlive_a_gateway_that_is_killed(stores: Stores, tmp_path: Path) -> None:
    """It ends by itself; the next start has every record, and closes no request twice."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[1]), *sys.path))}
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert gateway.stdout is not None
    child = int(gateway.stdout.readline())
    gateway.kill()
    gateway.wait()
    gateway.stdout.close()
    until(lambda: not alive(child))
    with closing(FileSpool(tmp_path / "spool", stores.ledger, lambda *_: (1, None))) as spool:
        spool.feed()
    assert left(tmp_path) == []
    (line,) = stores.ledger.usage(since=0, until=rows.NOON + 1, group="key")
    assert (line.requests, line.failed) == (300, 0)


def test_its_memory_is_small() -> None:
    """What a gateway's logs, server and catalog need is not loaded there."""
    script = "import sys, headgate.stores.feeder, headgate.stores.sqlite.ledger; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"structlog", "asyncio", "uvicorn", "uvloop", "headgate.catalog"} & set(told)
