"""What a target produces in a time: never less than it did, as far as its completed answers tell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headgate.routing.throughput import LEAST_TOKENS, UNKNOWN, Throughput

speeds = st.floats(20, 400)
waits = st.floats(0, 3)
lengths = st.integers(LEAST_TOKENS, 4000)


@given(speeds, st.lists(st.tuples(waits, lengths), min_size=1, max_size=20), st.floats(0, 1))
def test_a_streamed_answer_that_is_cut_had_no_more_than_that(
    speed: float, answers: list[tuple[float, int]], share: float
) -> None:
    """Of a target at one speed, where one answer was long enough to tell it: whenever the next is cut, wherever its thoughts end."""
    target = Throughput()
    for wait, length in answers:
        target.told(length, 0, wait, wait + length / speed)
    wait, length = answers[-1]
    if target.fastest is not None and any(length / speed >= 0.25 for _, length in answers):
        produced = share * length
        assert target.within(wait + produced / speed) >= int(produced)


@given(speeds, waits, lengths, st.floats(0, 1))
def test_a_whole_answer_that_is_cut_had_no_more_than_that(speed: float, wait: float, length: int, share: float) -> None:
    """A whole answer tells its pace with the wait in it; the next one of its length is still bounded at every moment."""
    target = Throughput()
    total = wait + length / speed
    target.told(length, 0, total, total)
    if target.fastest is not None:
        produced = share * length
        assert target.within(wait + produced / speed) >= int(produced)


def test_who_is_not_known_is_taken_for_fast_and_short_answers_tell_nothing() -> None:
    target = Throughput()
    assert target.within(2.0) == 2 * UNKNOWN
    target.told(LEAST_TOKENS - 1, 0, 0.1, 3.0)
    target.told(1000, 0, 0.1, 0.11)
    assert target.within(2.0) == 2 * UNKNOWN, "what came out of a buffer at once is no pace"


def test_a_fast_day_is_forgotten() -> None:
    target = Throughput()
    target.told(400, 0, 0.0, 1.0)
    fast = target.within(1.0)
    for _ in range(500):
        target.told(100, 0, 0.0, 1.0)
    assert 100 <= target.within(1.0) < fast / 2


def test_who_thinks_unseen_is_known_by_its_usage() -> None:
    target = Throughput()
    target.told(100, 0, 0.2, 1.0)
    assert not target.thinks
    target.told(100, 60, 0.8, 1.0)
    assert target.thinks
