"""`headgate usage`: sums of the records, exact to the nano-dollar, with what is not known told as such."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate import clock
from headgate.cli import main
from headgate.cli.usage import dollars
from headgate.stores.spool import FileSpool
from headgate.stores.sqlite import open_stores
from stores import rows

NOW = rows.NOON + 3600
DAY = 86_400


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(clock, "wall", lambda: NOW)
    for name in ("HEADGATE_CONFIG", "HEADGATE_DATA"):
        monkeypatch.delenv(name, raising=False)
    stores = open_stores(Path("data/headgate.db"))
    stores.ledger.write(
        [
            rows.request("a", charge=1_500_000_000),
            rows.request("b", charge=None),
            rows.request("c", model="slow", charge=12_345, estimated=True, outcome="failed"),
            rows.request("d", model="slow", charge=7, at=NOW - 3 * DAY),
            rows.request("e", model="old", charge=7, at=NOW - 30 * DAY),
        ]
    )
    stores.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(("usage", *arguments))
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int | None)
    return caught.value.code or 0, out, err


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Costliest first, then the total; unknown and estimated marked, and explained below."""
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "MODEL  REQUESTS  FAILED  CHILDREN  INPUT  CACHED  OUTPUT                       COST",
        "fast          2       0         0  2,400   2,000     600          $1.50 + 1 unknown",
        "slow          2       1         0  2,400   2,000     600              ~$0.000012352",
        "total         4       1         0  4,800   4,000   1,200  ~$1.500012352 + 1 unknown",
        "",
        "unknown: requests at a price that nobody told; state it under `prices` in the config",
        "~: holds requests that ended before the provider told their usage, as estimated",
    ]


def test_children_are_no_requests_and_their_cost_is_in_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    stores = open_stores(Path("data/headgate.db"))
    stores.ledger.write([rows.request("a-shadow", parent="a", cause="shadow", charge=500_000_000, outcome="failed")])
    stores.close()
    _, out, _ = run(capsys)
    assert out.splitlines()[1] == "fast          2       0         1  3,600   3,000     900          $2.00 + 1 unknown"
    assert "children: calls made for requests (a shadow, a judge); tokens and cost hold theirs" in out


def test_what_hedges_cost_is_said_of_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    lost = rows.attempt(outcome="abandoned", first_us=None, cost=250_000_000)
    stores = open_stores(Path("data/headgate.db"))
    stores.ledger.write([rows.request("f", charge=250_012_345, attempts=[lost, rows.attempt(number=2)])])
    stores.close()
    _, out, _ = run(capsys)
    assert "hedged: $0.25 of it is for attempts that another one of their request was faster than" in out.splitlines()
    told = json.loads(run(capsys, "--json")[1])
    assert [line["hedged_nanodollars"] for line in told["lines"]] == [250_000_000, 0]
    assert told["total"]["hedged_nanodollars"] == 250_000_000


def test_days_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--by", "day")
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["2025-06-13", "2025-06-16"]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Amounts as integers and as exact text: no binary float."""
    code, out, _ = run(capsys, "--by", "tenant", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["by"], told["since"], told["until"]) == ("tenant", NOW - 7 * DAY, NOW)
    (line,) = told["lines"]
    assert (line["group"], line["requests"], line["unknown"], line["estimated"]) == ("acme", 4, 1, 1)
    assert (line["charge_nanodollars"], line["dollars"]) == (1_500_012_352, "1.500012352")
    assert told["total"] == {**line, "group": "total"}


@pytest.mark.parametrize(
    ("arguments", "requests"),
    [
        (("--since", "1d"), 3),
        (("--since", "365d"), 5),
        (("--since", "2025-06-13"), 4),
        (("--since", "2025-06-16T12:00:00Z"), 3),
        (("--since", "365d", "--until", "2d"), 2),
        (("--since", "10s"), 0),
    ],
)
def test_from_when_until_when(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], requests: int) -> None:
    _, out, _ = run(capsys, *arguments, "--json")
    assert json.loads(out)["total"]["requests"] == requests


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "yesterday"), "or a duration: 7d"),
        (("--since", "1d", "--until", "2d"), "not before the end"),
        (("--data", "elsewhere"), "no gateway has kept anything"),
    ],
)
def test_what_cannot_be_obeyed(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "") and said in err


def test_records_that_a_crash_left_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """They are in no sum until a gateway runs again: who looks just then is not misled. A running gateway's are on
    their way."""
    folder = Path("data/spool")
    stores = open_stores(Path("data/headgate.db"))
    spool = FileSpool(folder, stores.ledger, lambda *_: (None, None))
    spool.append([rows.request("f")])
    assert run(capsys)[2] == ""
    os.close(spool._claim)  # as the operating system does when the process dies
    code, out, err = run(capsys, "--json")
    assert code == 0 and json.loads(out)["total"]["requests"] == 4
    assert "bytes of records wait in the spool" in err
    os.close(spool._file)
    stores.close()


@given(st.integers(-(10**20), 10**20))
def test_dollars_are_exact(nano: int) -> None:
    """Nothing is rounded: read back they are the same nano-dollars."""
    text = dollars(nano)
    whole, _, part = text.partition(".")
    assert len(part) >= 2
    assert int(whole + part.ljust(9, "0")) == nano


@pytest.mark.parametrize(
    ("nano", "text"), [(0, "0.00"), (1, "0.000000001"), (1_500_000_000, "1.50"), (-12_345, "-0.000012345")]
)
def test_dollars_as_people_write_them(nano: int, text: str) -> None:
    assert dollars(nano) == text
