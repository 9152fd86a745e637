"""What every Ledger does."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from headgate.errors import BadRequest
from headgate.model.usage import Usage
from headgate.stores.base import Ledger
from stores import rows
from stores.rows import DAY, NOON


class LedgerContract:
    def test_a_request_is_told_with_its_attempts(self, ledger: Ledger) -> None:
        """Everything that was written, with usage as one object, and unknown as null."""
        first = rows.attempt(outcome="failed", status=503, usage=None, cost=None, price=None, first_us=None)
        row = rows.request(attempts=[first, rows.attempt(number=2)])
        ledger.write([row])
        told = ledger.request("req_1")
        assert told is not None
        attempts = told.pop("attempts")
        assert isinstance(attempts, list)
        assert [one["number"] for one in attempts] == [1, 2]
        assert attempts[0]["usage"] is None and attempts[0]["cost"] is None and attempts[0]["first_us"] is None
        assert attempts[1]["cost"] == 12_345 and attempts[1]["usage"]["cache_read"] == 1000
        usage = told.pop("usage")
        assert isinstance(usage, dict) and usage["native"] == {"prompt_tokens": 1200}
        assert told == {name: getattr(row, name) for name in row.__struct_fields__ if name not in ("usage", "attempts")}

    def test_an_unknown_request(self, ledger: Ledger) -> None:
        assert ledger.request("req_none") is None

    def test_the_same_rows_again_change_nothing(self, ledger: Ledger) -> None:
        """Records are kept by id: the first one stays, a second sending is not counted."""
        ledger.write([rows.request()])
        before = ledger.request("req_1")
        ledger.write([rows.request(), rows.request(charge=99, attempts=[])])
        assert ledger.request("req_1") == before
        (line,) = ledger.usage(since=0, until=NOON + 1, group="tenant")
        assert (line.requests, line.charge) == (1, 12_345)

    def test_many_rows_at_once(self, ledger: Ledger) -> None:
        """Any number of rows, of all types mixed."""
        records = [
            record
            for n in range(1003)
            for record in (rows.opened(f"req_{n}"), rows.request(f"req_{n}"), rows.held(f"resp_{n}"))
        ]
        ledger.write(iter(records))
        ledger.write([])
        (line,) = ledger.usage(since=0, until=NOON + 1, group="model")
        assert (line.requests, line.charge, line.input) == (1003, 1003 * 12_345, 1003 * 1200)

    def test_sums_by_every_group(self, ledger: Ledger) -> None:
        """Costliest first, then by name; since counts, until does not."""
        ledger.write(
            [
                rows.request("a", charge=5),
                rows.request("b", key_name="batch", tenant="other", model="slow", provider="anthropic", charge=7),
                rows.request("c", at=NOON + DAY, charge=1),
                rows.request("d", at=NOON + 2 * DAY, charge=1),
                rows.request("e", at=NOON - 1, charge=1),
            ]
        )
        expected = {
            "key": [("batch", 1, 7), ("web", 2, 6)],
            "tenant": [("other", 1, 7), ("acme", 2, 6)],
            "model": [("slow", 1, 7), ("fast", 2, 6)],
            "provider": [("anthropic", 1, 7), ("openai", 2, 6)],
            "day": [("2025-06-16", 2, 12), ("2025-06-17", 1, 1)],
        }
        for group, sums in expected.items():
            lines = ledger.usage(since=NOON, until=NOON + 2 * DAY, group=group)
            assert [(line.group, line.requests, line.charge) for line in lines] == sums

    def test_unknown_failed_and_estimated_are_counted_not_guessed(self, ledger: Ledger) -> None:
        """A request that used something at an unknown price is unknown, one that was refused used nothing."""
        ledger.write(
            [
                rows.request("a", charge=None),
                rows.request("b", charge=None, usage=None, outcome="refused", status=429),
                rows.request("c", outcome="failed", status=502, usage=None, charge=None),
                rows.request("d", estimated=True, usage=Usage(input=1, output=2, estimated=True), charge=3),
            ]
        )
        (line,) = ledger.usage(since=0, until=NOON + 1, group="tenant")
        assert (line.requests, line.failed, line.unknown, line.estimated) == (4, 1, 1, 1)
        assert (line.charge, line.input, line.output) == (3, 1201, 302)

    def test_children_count_apart_and_their_money_counts(self, ledger: Ledger) -> None:
        """A failed child is no failed request; its tokens, and its unknown or estimated cost, are in the sums."""
        ledger.write(
            [
                rows.request("a", charge=5),
                rows.request("a-shadow", parent="a", cause="shadow", charge=7, estimated=True, outcome="failed"),
                rows.request("a-judge", parent="a", cause="judge", charge=None),
            ]
        )
        (line,) = ledger.usage(since=0, until=NOON + 1, group="tenant")
        assert (line.requests, line.children, line.failed) == (1, 2, 0)
        assert (line.charge, line.input, line.unknown, line.estimated) == (12, 3600, 1, 1)
        told = ledger.request("a-shadow")
        assert told is not None and (told["parent"], told["cause"]) == ("a", "shadow")

    def test_what_hedges_cost_is_told_of_the_charge(self, ledger: Ledger) -> None:
        """An attempt that was given up when another one had begun to answer; not one whose caller left, before an answer or within
        one, also where an earlier answer had broken off."""
        beaten = rows.attempt(outcome="abandoned", first_us=None, cost=40)
        left = rows.attempt(number=2, at=NOON + 2, outcome="abandoned", first_us=None, cost=5)
        cut = rows.attempt(outcome="failed", first_us=420_000, cost=3)
        ledger.write(
            [
                rows.request("a", charge=47, attempts=[beaten, rows.attempt(number=2, at=NOON + 1, cost=7)]),
                rows.request("b", charge=5, attempts=[left], outcome="abandoned"),
                rows.request("c", charge=8, attempts=[cut, left], outcome="abandoned"),
                rows.request("d", charge=9, attempts=[rows.attempt(outcome="abandoned", cost=9)], outcome="abandoned"),
                rows.request("e", charge=None, attempts=[replace(beaten, cost=None), rows.attempt(number=2, cost=7)]),
            ]
        )
        (line,) = ledger.usage(since=0, until=NOON + 1, group="tenant")
        assert (line.charge, line.hedged, line.unknown) == (69, 40, 1)

    def test_amounts_are_exact(self, ledger: Ledger) -> None:
        """Integers beyond what a float holds."""
        huge = 2**60 + 1
        ledger.write([rows.request(charge=huge, attempts=[rows.attempt(cost=huge)])])
        assert ledger.usage(since=0, until=NOON + 1, group="key")[0].charge == huge
        told = ledger.request("req_1")
        assert told is not None and told["charge"] == huge == told["attempts"][0]["cost"]

    def test_no_requests_no_lines(self, ledger: Ledger) -> None:
        assert ledger.usage(since=0, until=NOON, group="day") == []

    def test_an_unknown_group_is_refused(self, ledger: Ledger) -> None:
        with pytest.raises(BadRequest, match="key, tenant, model, provider, day"):
            ledger.usage(since=0, until=NOON, group="colour")
