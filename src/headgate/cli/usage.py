"""`headgate usage`: requests, tokens and cost, summed up from the records.

Dollars are exact: nano-dollars with the point in its place. What is not known is not in them: requests at an unknown
price are counted apart ("+ 3 unknown"), and sums that hold estimates are marked ("~").
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer

from headgate import clock
from headgate.config import forms
from headgate.errors import ConfigError
from headgate.stores.base import UsageLine
from headgate.stores.feed import left_behind

from .data import SPOOL, Where, opened, settings, table

NANO = 10**9


class Group(StrEnum):
    key = "key"
    tenant = "tenant"
    model = "model"
    provider = "provider"
    day = "day"


def usage(
    by: Annotated[Group, typer.Option(help="What to sum up by.")] = Group.model,
    since: Annotated[str, typer.Option(help="From when on: 24h, 7d, 2027-01-01, 2027-01-01T12:00:00Z.")] = "7d",
    until: Annotated[str | None, typer.Option(help="Until when, likewise; now if not given.")] = None,
    where: Where = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Sum up requests, tokens and cost."""
    now = clock.wall()
    begin, end = _moment("--since", since, now), now if until is None else _moment("--until", until, now)
    if begin >= end:
        raise ConfigError("this is not before the end", where="--since")
    folder = settings(where).data
    with opened(folder) as stores:
        lines = stores.ledger.usage(since=begin, until=end, group=by.value)
    if (left := left_behind(folder / SPOOL)) > 0:
        print(
            f"{left:,} bytes of records wait in the spool until a gateway runs: they are not counted", file=sys.stderr
        )
    total = summed(lines)
    if json:
        told = {"by": by.value, "since": begin, "until": end, "lines": [_told(line) for line in lines]}
        print(msgspec.json.encode({**told, "total": _told(total)}).decode())
        return
    if by is Group.day:
        lines.sort(key=lambda line: line.group)
    head = (by.value.upper(), "REQUESTS", "FAILED", "CHILDREN", "INPUT", "CACHED", "OUTPUT", "COST")
    rows = [_cells(line) for line in (*lines, total)]
    print(table([head, *rows], right=frozenset(range(1, 8))))
    for note in _notes(total):
        print(note)


def _moment(where: str, given: str, now: float) -> float:
    """A duration counts back from now."""
    try:
        return float(now - forms.DURATION.read(given))
    except ValueError:
        pass
    try:
        return float(forms.MOMENT.read(given))
    except ValueError as error:
        raise ConfigError(f"{given!r}: {error}, or a duration: 7d", where=where) from None


def summed(lines: list[UsageLine]) -> UsageLine:
    counts = {
        name: sum(getattr(line, name) for line in lines) for name in UsageLine.__struct_fields__ if name != "group"
    }
    return UsageLine(group="total", **counts)


def dollars(nano: int) -> str:
    """Exact, with at least two decimals: 12_345 -> "0.000012345", 1_500_000_000 -> "1.50"."""
    whole, part = divmod(abs(nano), NANO)
    decimals = f"{part:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}{whole}.{decimals}"


def _told(line: UsageLine) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(line)
    told["charge_nanodollars"], told["hedged_nanodollars"] = told.pop("charge"), told.pop("hedged")
    return {**told, "dollars": dollars(line.charge)}


def _cells(line: UsageLine) -> tuple[str, ...]:
    counts = (line.requests, line.failed, line.children, line.input, line.cache_read, line.output)
    return (line.group or "-", *(f"{count:,}" for count in counts), cost(line))


def cost(line: UsageLine) -> str:
    """ "~": in parts estimated; "+ 3 unknown": so many requests' cost is not in it; "unknown": nobody's is."""
    mark = "~" if line.estimated else ""
    if not line.unknown:
        return f"{mark}${dollars(line.charge)}"
    return f"{mark}${dollars(line.charge)} + {line.unknown:,} unknown"


def _notes(total: UsageLine) -> list[str]:
    notes = []
    if total.children:
        notes.append("children: calls made for requests (a shadow, a judge); tokens and cost hold theirs")
    if total.hedged:
        notes.append(
            f"hedged: ${dollars(total.hedged)} of it is for attempts that another one of their request was faster than"
        )
    if total.unknown:
        notes.append("unknown: requests at a price that nobody told; state it under `prices` in the config")
    if total.estimated:
        notes.append("~: holds requests that ended before the provider told their usage, as estimated")
    return ["", *notes] if notes else []
