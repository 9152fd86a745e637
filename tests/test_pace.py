"""A stream's floor: what trickles has failed, what is slow for the caller's sake has not. Time is the loop's own, and stands still while
something is to be done."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import UpstreamTimeout
from headgate.meter import Meter
from headgate.model.events import PartDelta
from headgate.net import Headers, Response
from headgate.pace import Paced
from headgate.routing.policy import RateTerms
from timeless import timed

TERMS = RateTerms(tokens=10.0, window=2.0)
"""20 tokens in 2 seconds: 60 letters."""


class Slow(Response):
    """Says so many characters after so many seconds, each time it is read."""

    status = 200

    def __init__(self, meter: Meter, says: list[tuple[float, int]]) -> None:
        self.headers: Headers = []
        self.closed = False
        self._meter = meter
        self._says = iter(says)

    async def read(self) -> bytes:
        said = next(self._says, None)
        if said is None:
            return b""
        await asyncio.sleep(said[0])
        if said[1]:
            self._meter.observe([PartDelta(part=0, kind="text", text="x" * said[1])])
        return b"x"

    def limit(self, seconds: float | None) -> None:
        return None

    def close(self) -> None:
        self.closed = True


async def read(says: list[tuple[float, int]], rest: float = 0.0) -> float:
    """After how many seconds it failed, 0.0 if it came to its end. `rest`: what the caller takes for himself behind each piece."""
    loop = asyncio.get_running_loop()
    meter = Meter(b"")
    meter.observe([PartDelta(part=0, kind="text", text="yes")])  # the content from which on it is measured
    response = Paced(Slow(meter, says), meter, TERMS)
    began = loop.time()
    try:
        while await response.read():
            await asyncio.sleep(rest)
    except UpstreamTimeout as error:
        assert error.code == "too_slow"
        return loop.time() - began
    finally:
        response.close()
    return 0.0


@pytest.mark.parametrize(
    ("says", "fails"),
    [
        pytest.param([(0.9, 30)] * 10, 0.0, id="just enough"),
        pytest.param([(0.9, 27)] * 10, 2.0, id="just too little"),
        pytest.param([(0.25, 1)] * 100, 2.0, id="a trickle never falls silent"),
        pytest.param([(1.9, 0)], 0.0, id="shorter than a window"),
        pytest.param([(5.0, 1000)], 2.0, id="it would have said much"),
        pytest.param([(0.5, 1000), (1.0, 0), (1.0, 30), (1.0, 30)], 0.0, id="each window counts for itself"),
        pytest.param([(0.5, 1000), (1.0, 0), (3.0, 30)], 4.0, id="what was said before its window does not count"),
    ],
)
def test_when_a_stream_is_too_slow(says: list[tuple[float, int]], fails: float) -> None:
    async def main() -> None:
        assert await read(says) == pytest.approx(fails)

    timed(main())


def test_a_caller_who_reads_slowly_makes_nobody_slow() -> None:
    """Ten characters for each tenth of a second that the provider needs, and the caller rests a minute after each."""

    async def main() -> None:
        assert await read([(0.1, 10)] * 50, rest=60.0) == 0.0
        assert await read([(0.3, 9)] * 50, rest=60.0) == pytest.approx(2.0 + 6 * 60.0)

    timed(main())


def test_there_is_one_timer_however_many_pieces_come() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        meter = Meter(b"")
        response = Paced(Slow(meter, [(0.0, 10)] * 1000), meter, TERMS)
        for _ in range(1000):
            await response.read()
        assert sum(not timer.cancelled() for timer in loop._scheduled) == 1  # type: ignore[attr-defined]
        response.close()
        assert all(timer.cancelled() for timer in loop._scheduled)  # type: ignore[attr-defined]

    timed(main())


def test_who_reads_may_be_cancelled() -> None:
    async def main() -> None:
        meter = Meter(b"")
        response = Paced(Slow(meter, [(1.0, 1000)]), meter, TERMS)
        task = asyncio.get_running_loop().create_task(response.read())
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        response.close()

    timed(main())


pieces = st.lists(st.tuples(st.sampled_from((0.0, 0.25, 0.5, 1.0, 3.0)), st.sampled_from((0, 9, 30, 60))), max_size=20)


@given(says=pieces, rest=st.sampled_from((0.0, 0.75, 5.0)))
@settings(max_examples=200, deadline=None)
def test_it_fails_exactly_where_a_window_of_waiting_brought_too_little(
    says: list[tuple[float, int]], rest: float
) -> None:
    """Against a count over the provider's own time, in which the caller's rests do not exist."""
    spoken: list[tuple[float, int]] = []
    now = 0.0
    for seconds, characters in says:
        now += seconds
        spoken.append((now, characters))
    ends = [TERMS.window * number for number in range(1, int(now / TERMS.window) + 1)]

    def brought(end: float, at_the_end: bool) -> int:
        """In the window that ends here; what comes at the very moment of its end may count for it or for the next."""
        begin = end - TERMS.window
        return sum(
            n for at, n in spoken if begin < at < end or (at == end and at_the_end) or (at == begin and begin == 0)
        )

    surely = any(
        brought(end, True) + sum(n for at, n in spoken if at == end - TERMS.window) < 60 for end in ends if end < now
    )
    possibly = any(brought(end, False) < 60 for end in ends)

    async def main() -> None:
        failed = await read(says, rest) > 0
        assert failed or not surely
        assert possibly or not failed

    timed(main())
