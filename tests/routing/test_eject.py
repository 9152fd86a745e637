"""Who is ejected: far worse than the others, never many, never on thin evidence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.routing import eject
from headgate.routing.eject import EjectTerms


def ejected(rates: list[tuple[str, int, float]], terms: EjectTerms) -> frozenset[str]:
    return frozenset(eject.ejected(rates, terms))


TERMS = EjectTerms(minimum=20, peers=3, margin=0.3, floor=0.2, most=0.5)


@pytest.mark.parametrize(
    ("rates", "out"),
    [
        pytest.param([], "", id="nobody"),
        pytest.param([("a", 100, 0.0), ("b", 100, 0.0), ("c", 100, 0.9)], "c", id="one is bad"),
        pytest.param([("a", 100, 0.9), ("b", 100, 0.9), ("c", 100, 0.9)], "", id="all are bad: not the target's fault"),
        pytest.param([("a", 100, 0.9), ("b", 100, 0.0)], "", id="two know no majority"),
        pytest.param([("a", 100, 0.0), ("b", 19, 0.0), ("c", 100, 0.9)], "", id="too few with enough calls"),
        pytest.param(
            [("a", 100, 0.0), ("b", 100, 0.0), ("c", 19, 1.0), ("d", 100, 0.0)], "", id="too few calls itself"
        ),
        pytest.param([("a", 100, 0.1), ("b", 100, 0.1), ("c", 100, 0.3)], "", id="not worse by the margin"),
        pytest.param([("a", 100, 0.0), ("b", 100, 0.0), ("c", 100, 0.31)], "c", id="worse by the margin"),
        pytest.param(
            [("a", 100, 0.0), ("b", 100, 0.65), ("c", 100, 0.9)], "c", id="measured against the others, not itself"
        ),
        pytest.param([(n, 100, 0.0 if n in "abc" else 1.0) for n in "abcde"], "de", id="two of five"),
        pytest.param([(n, 100, 0.0 if n in "ab" else 1.0) for n in "abcd"], "cd", id="half of four: the most"),
        pytest.param(
            [("a", 99, 0.0), ("b", 99, 0.0), ("c", 99, 0.8), ("d", 99, 0.9), ("e", 9, 0.0), ("f", 9, 0.0)],
            "cd",
            id="those not judged are no peers",
        ),
    ],
)
def test_who_is_ejected(rates: list[tuple[str, int, float]], out: str) -> None:
    assert ejected(rates, TERMS) == frozenset(out)


def test_a_low_rate_is_no_outlier_however_good_the_others_are() -> None:
    terms = EjectTerms(margin=0.01, floor=0.2)
    assert ejected([("a", 100, 0.0), ("b", 100, 0.0), ("c", 100, 0.19)], terms) == frozenset()
    assert ejected([("a", 100, 0.0), ("b", 100, 0.0), ("c", 100, 0.2)], terms) == {"c"}


def test_where_there_is_room_for_one_the_worst_goes() -> None:
    terms = EjectTerms(margin=0.1, most=0.34)
    assert ejected([("a", 99, 0.0), ("b", 99, 0.9), ("c", 99, 0.8), ("d", 99, 0.0), ("e", 99, 0.0)], terms) == {"b"}
    assert ejected([("a", 99, 0.0), ("b", 99, 0.0), ("c", 99, 0.9)], EjectTerms(most=0.3)) == frozenset()


def test_what_shows_it_is_said() -> None:
    out = eject.ejected([("a", 100, 0.0), ("b", 100, 0.02), ("c", 100, 0.4), ("d", 100, 0.02)], TERMS)
    assert out == {"c": "40 % errors against 2 % of its peers"}


def test_nobody_is_ejected_where_none_may_be() -> None:
    assert ejected([("a", 99, 0.0), ("b", 99, 0.0), ("c", 99, 1.0)], EjectTerms(most=0.0)) == frozenset()


shares = st.floats(0.0, 1.0)
fleets = st.dictionaries(st.sampled_from("abcdefghij"), st.tuples(st.integers(0, 60), shares), max_size=10)
terms_ = st.builds(EjectTerms, margin=shares, floor=shares, most=shares, peers=st.integers(0, 5))


@given(fleets, terms_)
def test_what_always_holds(fleet: dict[str, tuple[int, float]], terms: EjectTerms) -> None:
    """Few, with calls enough, bad enough, far worse than the best that stays; whatever the order they are told in."""
    rates = [(name, calls, rate) for name, (calls, rate) in fleet.items()]
    out = ejected(rates, terms)
    judged = {name: rate for name, (calls, rate) in fleet.items() if calls >= terms.minimum}
    assert out <= judged.keys()
    assert len(out) <= terms.most * len(judged)
    assert out != judged.keys() or not judged, "somebody stays"
    assert not out or len(judged) >= terms.peers
    assert not out or max(judged.values()) == max(judged[name] for name in out), "the worst is among them"
    stay = [rate for name, rate in judged.items() if name not in out]
    for name in out:
        assert judged[name] >= terms.floor
        assert judged[name] > min(stay) + terms.margin
    assert ejected(rates[::-1], terms) == out
