"""What is shared of an answer, decided without I/O: every reader gets every frame once and in order, and what is held is bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from headgate.errors import UpstreamTruncated
from headgate.flights import recording, table
from headgate.flights.recording import FRAME, Held, Reader, Recording
from headgate.flights.table import KEEP, Table
from headgate.flights.wish import Wish, wish_of
from headgate.guards.base import Guard
from headgate.model.events import Frame
from headgate.model.route import Route, RouteTarget
from headgate.routing.policy import Policy
from routing.requests import WHO, request

MOST, TOTAL, BEHIND, AHEAD = 12 * FRAME, 24 * FRAME, 6 * FRAME, 3 * FRAME
"""As in the code, but near enough to be reached."""


class Flown:
    """A flight, as far as a table knows it."""

    def __init__(self, held: Held) -> None:
        self.recording = Recording(held)
        self.come: list[Frame] = []
        """Every frame there ever was."""
        self.got: dict[Reader, list[Frame]] = {}
        self.ended = False
        self.burden = 0


def weight(frame: Frame) -> int:
    return 2 * len(frame.raw) + FRAME


class Sharing(RuleBasedStateMachine):
    """Against a model that keeps everything. Keys are numbers; time is what the rules say."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        for module, name, value in (
            (recording, "BEHIND", BEHIND),
            (recording, "AHEAD", AHEAD),
            (table, "MOST", MOST),
            (table, "TOTAL", TOTAL),
        ):
            self.patch.setattr(module, name, value)
        self.table: Table[Flown] = Table()
        self.now = 0.0
        self.flights: list[Flown] = []
        self.under_way: dict[int, Flown] = {}
        self.until: dict[int, tuple[Flown, float]] = {}
        """Kept at most so long; room may have been made before."""

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            self.patch.undo()

    def some(self, number: int) -> Flown:
        return self.flights[-1 - number % min(len(self.flights), 4)]

    # ------------------------------------------------------------------ what happens

    @rule(key=st.integers(0, 3))
    def somebody_asks(self, key: int) -> None:
        found = self.table.find(key, self.now)
        if found is None:
            assert key not in self.under_way
            flight = Flown(self.table.held)
            self.table.begin(key, flight)
            self.under_way[key] = flight
            self.flights.append(flight)
        else:
            flight = found
            kept = self.until.get(key)
            assert found is self.under_way.get(key) or (kept is not None and kept[0] is found and self.now < kept[1])
        reader = flight.recording.join()
        assert (reader is not None) == flight.recording.open
        if reader is not None:
            flight.got[reader] = []

    @precondition(lambda self: self.flights)
    @rule(number=st.integers(0, 99), sizes=st.lists(st.integers(0, FRAME), min_size=1, max_size=4), end=st.booleans())
    def more_comes(self, number: int, sizes: list[int], end: bool) -> None:
        flight = self.some(number)
        if flight.ended or flight.recording.ahead:  # the carrier waits
            return
        behind = {reader: sum(map(weight, flight.come[reader.at :])) for reader in flight.recording.readers}
        was_open = flight.recording.open
        frames = [Frame(raw=b"x" * size) for size in sizes]
        flight.come += frames
        flight.recording.add(frames, end)
        for reader, left in behind.items():
            assert reader.cut == (not was_open and left > BEHIND), "who is cut had its chance, and did not take it"
        self.table.grown(flight)

    @precondition(lambda self: self.flights)
    @rule(number=st.integers(0, 99), which=st.integers(0, 9))
    def somebody_reads(self, number: int, which: int) -> None:
        flight = self.some(number)
        if not flight.got:
            return
        reader = list(flight.got)[which % len(flight.got)]
        self.read(flight, reader)

    def read(self, flight: Flown, reader: Reader) -> None:
        frames = flight.recording.take(reader)
        if reader.cut:
            assert not frames
            return
        flight.got[reader] += frames
        assert all(one is other for one, other in zip(flight.got[reader], flight.come, strict=True)), "all, in order"

    @precondition(lambda self: self.flights)
    @rule(number=st.integers(0, 99))
    def all_read_but_the_first(self, number: int) -> None:
        flight = self.some(number)
        for reader in list(flight.got)[1:]:
            self.read(flight, reader)

    @precondition(lambda self: self.flights)
    @rule(number=st.integers(0, 99), which=st.integers(0, 9))
    def somebody_leaves(self, number: int, which: int) -> None:
        flight = self.some(number)
        if flight.got:
            reader = list(flight.got)[which % len(flight.got)]
            flight.recording.leave(reader)
            del flight.got[reader]

    @precondition(lambda self: self.flights)
    @rule(number=st.integers(0, 99), size=st.integers(1, 5 * FRAME))
    def it_is_told_who_answers(self, number: int, size: int) -> None:
        flight = self.some(number)
        if not flight.come and flight.recording.open:
            flight.recording.burden(size)
            flight.burden += size

    @precondition(lambda self: self.under_way)
    @rule(number=st.integers(0, 99), well=st.booleans(), kept=st.booleans())
    def one_ends(self, number: int, well: bool, kept: bool) -> None:
        key = list(self.under_way)[number % len(self.under_way)]
        flight = self.under_way.pop(key)
        flight.ended = True
        flight.recording.end(None if well else UpstreamTruncated("cut"))
        self.table.end(key, flight, self.now, keep=well and kept)
        if well and kept and flight.recording.open:
            self.until[key] = flight, self.now + KEEP
        else:
            assert not flight.recording.open, "nobody joins what is not kept"
            assert self.table.find(key, self.now) is None

    @rule(seconds=st.floats(0.1, KEEP))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.table.expire(self.now)
        for key, (flight, until) in list(self.until.items()):
            if until <= self.now:
                assert not flight.recording.open
                del self.until[key]

    # ------------------------------------------------------------------ what holds

    @invariant()
    def what_is_held_is_what_somebody_may_still_want(self) -> None:
        for flight in getattr(self, "flights", []):
            one = flight.recording
            if one.open:
                assert one.size == sum(map(weight, flight.come)) + flight.burden
                assert one.size <= MOST or not flight.come
            else:
                first = min((reader.at for reader in one.readers), default=len(flight.come))
                assert one.size == sum(map(weight, flight.come[first:]))
            if one.readers:
                left = min(sum(map(weight, flight.come[reader.at :])) for reader in one.readers)
                assert one.ahead == (left > AHEAD)

    @invariant()
    def all_together_is_bounded(self) -> None:
        flights = getattr(self, "flights", [])
        if flights:
            assert self.table.held.bytes == sum(flight.recording.size for flight in flights)
            held_open = sum(flight.recording.size for flight in flights if flight.recording.open and flight.come)
            assert held_open <= TOTAL


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_reader_of_one_great_piece_is_not_cut_for_its_size() -> None:
    """What came last is nobody's fault: only who leaves it there while still more comes is slow."""
    held = Held()
    one = Recording(held)
    fast, slow = one.join(), one.join()
    assert fast is not None
    assert slow is not None
    one.close()
    great = Frame(raw=b"x" * (recording.BEHIND // 2))
    one.add([great], False)
    assert (fast.cut, slow.cut, one.ahead) == (False, False, True)
    assert list(one.take(fast)) == [great]
    one.add([Frame(raw=b"y")], True)
    assert (fast.cut, slow.cut) == (False, True)
    assert len(one.take(fast)) == 1
    assert fast.complete
    assert held.bytes == 0, "nothing is held for who was cut"


def test_the_oldest_answers_make_room() -> None:
    room: Table[Flown] = Table()
    for key in range(6):
        flight = Flown(room.held)
        room.begin(key, flight)
        flight.recording.add([Frame(raw=b"x" * (7 << 20))], True)
        room.grown(flight)
        flight.recording.end(None)
        room.end(key, flight, float(key), keep=True)
    assert [key for key in range(6) if room.find(key, 6.0) is not None] == [2, 3, 4, 5]
    assert room.find(5, 5.0 + KEEP) is None
    assert room.held.bytes == 0


def posed(*, idempotent: bool = False, **more: Any) -> Wish | None:
    """What a request may share its answer with. `more`: what differs from the plain one."""
    config, guards = more.pop("config", 1), more.pop("guards", ())
    route = {name: more.pop(name) for name in ("strict", "targets", "policy") if name in more}
    x = request(**more)
    x.request.idempotent = idempotent
    x.route = replace(ROUTE, **route)
    return wish_of(x, config, guards)


ROUTE = Route(alias="auto", targets=(RouteTarget(site="s", model="m"),), policy=Policy(coalesce=True))
NEIGHBOUR = replace(WHO, key_id="k2")
STRANGER = replace(WHO, tenant="legal")
KEYED: dict[str, Any] = {"idempotent": True, "headers": {"idempotency-key": "k"}}


@pytest.mark.parametrize(
    ("more", "shared"),
    [
        ({}, True),
        ({"identity": NEIGHBOUR}, True),
        ({"headers": {"x-client-request-id": "7", "user-agent": "u"}}, True),
        ({"identity": STRANGER}, False),
        ({"body": "ho"}, False),
        ({"config": 2}, False),
        ({"strict": True}, False),
        ({"targets": (RouteTarget(site="s", model="n"),)}, False),
        ({"policy": Policy(coalesce=True)}, False),
        ({"headers": {"openai-beta": "b"}}, False),
        ({"headers": {"x-headgate-strict": "true"}}, False),
    ],
)
def test_what_makes_two_requests_one(more: dict[str, Any], shared: bool) -> None:
    first, second = posed(), posed(**more)
    assert first is not None
    assert second is not None
    assert (first.key == second.key) == shared
    assert first.key != getattr(posed(**KEYED), "key", None)


@pytest.mark.parametrize(
    ("more", "one", "same"),
    [
        ({}, True, True),
        ({"config": 2, "policy": Policy()}, True, True),
        ({"body": "ho"}, True, False),
        ({"identity": NEIGHBOUR}, False, True),
        ({"identity": STRANGER}, False, True),
        ({"guards": (Guard(name="g", pattern="p"),)}, False, True),
    ],
)
def test_whose_an_idempotency_key_is(more: dict[str, Any], one: bool, same: bool) -> None:
    """One key, the same request: the answer again. One key, another request: refused. Another key: a call of its own."""
    first, second = posed(**KEYED), posed(**(KEYED | more))
    assert first is not None
    assert second is not None
    assert (first.key == second.key, first.digest == second.digest) == (one, same)


@pytest.mark.parametrize("asked", [{"store": True}, {"previous_response_id": "resp_1", "store": False}])
def test_what_a_provider_keeps_is_not_shared_for_being_alike(asked: dict[str, Any]) -> None:
    body = {"model": "auto", "input": "hi"} | asked
    assert posed(body=body, dialect="openai_responses") is None
    assert posed(body={"model": "auto", "input": "hi", "store": False}, dialect="openai_responses") is not None
    assert posed(body=body, dialect="openai_responses", **KEYED) is not None
