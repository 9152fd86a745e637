"""Strategies: who is chosen, from what is known of the candidates alone."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.route import RouteTarget
from headgate.routing.affinity import FIRST, LIFE, Warmth, beginnings
from headgate.routing.balance import (
    Asking,
    Candidate,
    Cheapest,
    Fastest,
    Headroom,
    LeastBusy,
    RoundRobin,
    Sticky,
    Strategy,
    Weighted,
)
from headgate.routing.headroom import headroom


def target(name: str, weight: int | None = None) -> RouteTarget:
    return RouteTarget(site=name, model="m", weight=weight)


def some(**fields: list[object]) -> list[Candidate]:
    """Candidates a, b, c with these fields in their order."""
    count = max(len(values) for values in fields.values())
    rows = [{name: values[number] for name, values in fields.items()} for number in range(count)]
    return [
        Candidate(target=target("abc"[number], row.pop("weight", None)), **row)  # type: ignore[arg-type]
        for number, row in enumerate(rows)
    ]


def asking(turn: int = 0, draw: float = 0.5, session: str = "") -> Asking:
    return Asking(turn=turn, draw=draw, session=session)


@pytest.mark.parametrize(
    ("strategy", "candidates", "index", "why"),
    [
        (LeastBusy(), some(inflight=[3, 1, 2]), 1, "1 under way"),
        (LeastBusy(), some(inflight=[3, 1, 2], weight=[10, 1, 1]), 0, "3 under way"),
        (Fastest(), some(first=[0.8, 0.2, 0.4]), 1, "200 ms"),
        (Fastest(), some(first=[0.8, None, 0.4]), 1, "not yet measured"),
        (Fastest(), some(first=[0.8, None, 0.4], inflight=[0, 1, 0]), 2, "400 ms"),
        (Cheapest(), some(cost=[300, 100, 200]), 1, "cheapest"),
        (Cheapest(), some(cost=[None, 100, None]), 1, "cheapest"),
        (Cheapest(), some(cost=[None, None]), 0, "no price is known"),
        (Headroom(), some(headroom=[0.1, 0.9, 0.5]), 1, "90%"),
        (Sticky(otherwise=Cheapest()), some(cost=[300, 100]), 1, "cheapest"),
        (Sticky(otherwise=Cheapest(), by_prompt=True), some(cost=[90, 100], warm=[0, 0]), 0, "cheapest"),
        (Sticky(otherwise=Weighted(), by_prompt=True), some(warm=[0, 2000], cost=[None, None]), 1, "2000 tokens"),
        # what the other saves is less than the warm cache is worth, and more than it
        (Sticky(otherwise=Cheapest(), by_prompt=True), some(cost=[110, 100], warm=[0, 2000]), 1, "2000 tokens"),
        (Sticky(otherwise=Cheapest(), by_prompt=True), some(cost=[90, 100], warm=[0, 2000]), 0, "cheaper than"),
    ],
)
def test_each_strategy_compares_what_it_is_named_for(
    strategy: Strategy, candidates: list[Candidate], index: int, why: str
) -> None:
    choice = strategy.choose(candidates, asking())
    assert choice.at == index
    assert why in choice.why


def test_weights_are_shares_of_the_draw() -> None:
    candidates = some(weight=[3, 1, None])
    drawn = Counter(Weighted().choose(candidates, asking(draw=draw / 1000)).at for draw in range(1000))
    assert drawn == {0: 600, 1: 200, 2: 200}


def test_turns_go_round() -> None:
    candidates = some(inflight=[0, 0, 0])
    assert [RoundRobin().choose(candidates, asking(turn)).at for turn in range(6)] == [0, 1, 2, 0, 1, 2]


def test_the_fastest_strategy_measures_the_others_anew_now_and_then() -> None:
    """A target that was slow once is seen to have recovered: one request in twenty goes by chance."""
    candidates = some(first=[0.1, 5.0])
    chosen = [Fastest().choose(candidates, asking(turn, draw=0.9)).at for turn in range(200)]
    assert chosen.count(1) == 10


def test_equals_are_parted_by_chance() -> None:
    candidates = some(inflight=[2, 2, 2])
    assert {LeastBusy().choose(candidates, asking(draw=draw)).at for draw in (0.0, 0.4, 0.99)} == {0, 1, 2}


@given(st.lists(st.text(min_size=1), min_size=30, max_size=60, unique=True))
def test_a_session_stays_and_only_those_of_a_lost_target_move(sessions: list[str]) -> None:
    sticky = Sticky(otherwise=Weighted())
    whole = some(inflight=[0, 0, 0])
    at = {session: sticky.choose(whole, asking(session=session)).at for session in sessions}
    assert at == {session: sticky.choose(whole, asking(session=session, draw=0.1)).at for session in sessions}
    left = whole[:2]
    for session in sessions:
        moved = sticky.choose(left, asking(session=session)).at
        assert at[session] == 2 or moved == at[session]


def test_sessions_are_shared_out_by_weight() -> None:
    candidates = some(weight=[3, 1])
    sticky = Sticky(otherwise=Weighted())
    at = Counter(sticky.choose(candidates, asking(session=f"s{number}")).at for number in range(4000))
    assert 2850 < at[0] < 3150


@given(
    st.sampled_from(
        (Weighted(), RoundRobin(), LeastBusy(), Fastest(), Cheapest(), Headroom(), Sticky(otherwise=Headroom()))
    ),
    st.lists(
        st.builds(
            Candidate,
            target=st.builds(
                RouteTarget, site=st.sampled_from("abcdef"), model=st.just("m"), weight=st.none() | st.integers(1, 9)
            ),
            inflight=st.integers(0, 50),
            first=st.none() | st.floats(0, 100),
            cost=st.none() | st.integers(0, 10**9),
            headroom=st.floats(0, 1),
            warm=st.integers(0, 10**6),
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 10**6),
    st.floats(0, 1, exclude_max=True),
    st.text(max_size=5),
)
def test_a_choice_is_always_one_of_them_and_the_same_again(
    strategy: Strategy, candidates: list[Candidate], turn: int, draw: float, session: str
) -> None:
    asked = asking(turn, draw, session)
    choice = strategy.choose(candidates, asked)
    assert 0 <= choice.at < len(candidates)
    assert choice.why
    assert strategy.choose(candidates, asked) == choice


def test_a_warm_cache_is_known_by_the_longest_beginning_and_forgotten_in_time() -> None:
    warmth = Warmth()
    body = bytes(range(256)) * 100
    warmth.used(beginnings("t", body[:20_000]), "a/m", 1000.0)
    assert warmth.tokens(beginnings("t", body), "a/m", 1000.0) == 16384 // 4
    assert warmth.tokens(beginnings("t", body[: FIRST + 5] + b"other" * 4000), "a/m", 1000.0) == FIRST // 4
    assert warmth.tokens(beginnings("t", body), "b/m", 1000.0) == 0
    assert warmth.tokens(beginnings("t", body), "a/m", 1000.0 + LIFE) == 0
    assert warmth.tokens(beginnings("other tenant", body), "a/m", 1000.0) == 0
    assert beginnings("t", body[: FIRST - 1]) == []


def test_what_is_remembered_of_caches_is_bounded() -> None:
    warmth = Warmth(kept=10)
    for number in range(100):
        warmth.used(beginnings("t", b"%04d" % number * FIRST), "a/m", 0.0)
    assert len(warmth._seen) == 10


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ([], None),
        ([(b"x-ratelimit-limit-requests", b"100"), (b"x-ratelimit-remaining-requests", b"25")], 0.25),
        (
            [
                (b"x-ratelimit-limit-requests", b"100"),
                (b"x-ratelimit-remaining-requests", b"90"),
                (b"x-ratelimit-limit-tokens", b"40000"),
                (b"x-ratelimit-remaining-tokens", b"4000"),
            ],
            0.1,
        ),
        (
            [(b"anthropic-ratelimit-requests-limit", b"50"), (b"anthropic-ratelimit-requests-remaining", b"0")],
            0.0,
        ),
        ([(b"x-ratelimit-limit-requests", b"0"), (b"x-ratelimit-remaining-requests", b"0")], None),
        ([(b"x-ratelimit-limit-requests", b"many"), (b"x-ratelimit-remaining-requests", b"-1")], None),
        ([(b"x-ratelimit-limit-requests", b"10"), (b"x-ratelimit-remaining-requests", b"9" * 5000)], None),
    ],
)
def test_what_is_left_of_a_rate_limit_is_the_least_of_what_is_told(
    headers: list[tuple[bytes, bytes]], left: float | None
) -> None:
    assert headroom(headers) == left
