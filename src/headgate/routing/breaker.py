"""The circuit breaker of one target with one key: closed, open, half-open.

    closed ── too many errors or slow calls ──> open ── its time is over ──> half-open ── `probes` answers ──> closed
                                                  ^                              │
                                                  └── one error, or all too slow ┘  (open for twice as long)

Rules of this file:
- `admit` gives a token, which `record` takes once. Closed, all calls share the token of the period; half-open, each probe has its
  own. A token of an earlier period is void: a late result says how the target was, and decides nothing about how it is.
- Only what speaks of the target counts. A 429, the caller's own error, a call that was cancelled before it was slow are "ignored":
  they free a probe's slot.
- A bad result opens, a good one never does, though it may be the one that completes the minimum.
- Where an active probe is to decide (`probed`), open does not end by time alone: it is held until `clear`.
- A probe that does not report gives its slot back after `probe_lease`; when it does report, while still half-open, it counts.
- Open turns half-open by time alone, so that looking (`state`, `allows`, `opens_again`, `seen`) changes nothing. Whoever wants to
  be told of turns (`turned`) is told of this one when the first probe is let through.
- The window is a ring of BUCKETS counts: fixed memory, O(1) a call, exact to a tenth of the window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from msgspec import Struct

State: TypeAlias = Literal["closed", "open", "half_open"]
Result: TypeAlias = Literal["ok", "error", "slow", "ignored"]
"""Of one call. "slow": it answered late, or not until it was late. "ignored": it says nothing about the target's health."""

BUCKETS = 10
HELD = 1.0
"""Seconds after which to look again at one that is held."""


class BreakerTerms(Struct, frozen=True, kw_only=True):
    """When to stop asking a target, and for how long. Times in seconds, rates as shares in (0, 1]."""

    window: float = 30.0
    """Results older than this are forgotten, a tenth of it at a time."""
    minimum: int = 20
    """Calls within the window before it may open: one failure of two calls is no rate."""
    error_rate: float = 0.5
    """Share of errors among the calls of the window at which it opens."""
    slow_rate: float = 0.8
    """Share of slow calls at which it opens, or re-opens after its probes."""
    slow_after: float | None = None
    """Time to the first content from which a call is slow; None: no call is."""
    open_for: float = 5.0
    """First time open. Each re-opening doubles it; a full close brings it back here."""
    open_most: float = 60.0
    """What the doubling ends at."""
    probes: int = 3
    """Half-open: at most so many calls in flight, and so many answers close it."""
    probe_lease: float = 60.0
    """A probe that has not reported for so long no longer holds its slot."""
    probed: bool = False
    """Once open, it stays so until somebody has asked the target aside (`clear`)."""

    def speed(self, first_content: float) -> Literal["ok", "slow"]:
        """The result of a call that answered, by its seconds to the first content."""
        return "ok" if self.slow_after is None or first_content < self.slow_after else "slow"


class Seen(Struct, frozen=True):
    """Counts of calls within the window. `errors` and `slow` do not overlap."""

    calls: int
    errors: int
    slow: int

    @property
    def error_rate(self) -> float:
        return self.errors / self.calls if self.calls else 0.0


class Turn(Struct, frozen=True):
    """A change of state, and what brought it about."""

    was: State
    now: State
    why: str


def nobody(turn: Turn) -> None:
    return None


class Window:
    """Counts over the last BUCKETS spans of `window / BUCKETS` seconds, the present one included. A `now` that lies before the
    present span counts there: a caller may have read its clock a little earlier than another."""

    __slots__ = ("_bad", "_calls", "_ends", "_slow", "_span", "_turn", "calls", "errors", "slow")

    def __init__(self, window: float) -> None:
        self._span = window / BUCKETS
        self._turn = 0
        self._ends = 0.0
        self.clear()

    def clear(self) -> None:
        self.calls = self.errors = self.slow = 0
        self._calls = [0] * BUCKETS
        self._bad = [0] * BUCKETS
        self._slow = [0] * BUCKETS

    def add(self, result: Result, now: float) -> None:
        if now >= self._ends:
            self._roll(now)
        at = self._turn % BUCKETS
        self._calls[at] += 1
        self.calls += 1
        if result == "error":
            self._bad[at] += 1
            self.errors += 1
        elif result == "slow":
            self._slow[at] += 1
            self.slow += 1

    def _roll(self, now: float) -> None:
        """Begin the span of `now`: what fell out of the window is taken off the sums."""
        for at in self._passed(now):
            self.calls -= self._calls[at]
            self.errors -= self._bad[at]
            self.slow -= self._slow[at]
            self._calls[at] = self._bad[at] = self._slow[at] = 0
        self._turn = int(now // self._span)
        self._ends = (self._turn + 1) * self._span

    def _passed(self, now: float) -> list[int]:
        """The buckets that are too old at `now`."""
        steps = min(BUCKETS, int(now // self._span) - self._turn)
        return [(self._turn + step) % BUCKETS for step in range(1, steps + 1)]

    def seen(self, now: float) -> Seen:
        """The counts at `now`, without effect."""
        old = self._passed(now)
        return Seen(
            self.calls - sum(self._calls[at] for at in old),
            self.errors - sum(self._bad[at] for at in old),
            self.slow - sum(self._slow[at] for at in old),
        )


class Breaker:
    """May this target be called? `now` is seconds of a clock that never goes back, larger than 0."""

    __slots__ = (
        "_answers",
        "_cleared",
        "_closed",
        "_open_for",
        "_probes",
        "_serial",
        "_since",
        "_slow_answers",
        "_turned",
        "_until",
        "_window",
        "terms",
    )

    def __init__(self, terms: BreakerTerms, turned: Callable[[Turn], None] = nobody) -> None:
        self.terms = terms
        self._turned = turned
        self._window = Window(terms.window)
        self._serial = 0  # the last token handed out
        self._closed: int | None = None  # the token of all calls while closed
        self._probes: dict[int, float] = {}  # token -> admitted at; never more than terms.probes
        self._until = 0.0  # when open: half-open from here on,
        self._cleared = True  # where nobody is to be asked aside first
        self._close()

    def renew(self, terms: BreakerTerms) -> None:
        """Other terms hold from now on. It begins anew, closed."""
        if self._closed is None:
            self._turned(Turn("open", "closed", "its terms are new"))
        self.terms = terms
        self._window = Window(terms.window)
        self._close()

    # ------------------------------------------------------------------ looking

    def state(self, now: float) -> State:
        if self._closed is not None:
            return "closed"
        return "open" if self.held or now < self._until else "half_open"

    @property
    def held(self) -> bool:
        """Open until `clear`."""
        return self._closed is None and not self._cleared

    def allows(self, now: float) -> bool:
        """Would `admit` let a call through? Without effect."""
        return self._closed is not None or (
            self._cleared and now >= self._until and self._in_flight(now) < self.terms.probes
        )

    def opens_again(self, now: float) -> float:
        """Seconds until a call may go at the latest, 0.0 where one may go now. While all probes are out, that is the end of the
        oldest one's lease; while it is held nobody knows, and it is a guess."""
        if self.allows(now):
            return 0.0
        if self.held:
            return max(self._until - now, HELD)
        if now < self._until:
            return self._until - now
        return min(self._probes.values()) + self.terms.probe_lease - now

    def seen(self, now: float) -> Seen:
        """The calls of the window while closed; once open, those that led to it, as they age."""
        return self._window.seen(now)

    # ------------------------------------------------------------------ calling

    def admit(self, now: float) -> int | None:
        """A token (> 0) for one call, to be given to `record`; None: the target is not to be called. Half-open, it takes a
        probe's slot."""
        if self._closed is not None:
            return self._closed
        if not self.allows(now):
            return None
        self._probes = {token: at for token, at in self._probes.items() if not self._lapsed(at, now)}
        if self._serial == self._since:
            answers = " and its provider answers" if self.terms.probed else ""
            self._turned(Turn("open", "half_open", f"{self._open_for:g} s are over{answers}"))
        self._serial += 1
        self._probes[self._serial] = now
        return self._serial

    def record(self, token: int, result: Result, now: float) -> State | None:
        """What became of an admitted call; once for each. A token that `admit` never gave (0) counts for nothing. Gives the state
        that this brought about, None where it changed nothing."""
        if token != self._closed:
            return self._probed(token, result, now) if token > self._since else None
        if result == "ignored":
            return None
        window, terms = self._window, self.terms
        window.add(result, now)
        if result == "ok" or window.calls < terms.minimum:
            return None
        if window.errors >= terms.error_rate * window.calls or window.slow >= terms.slow_rate * window.calls:
            bad = f"{window.errors} errors and {window.slow} slow of {window.calls} calls in {terms.window:g} s"
            self._turned(Turn("closed", "open", bad))
            return self._open(now, terms.open_for)
        return None

    def _probed(self, token: int, result: Result, now: float) -> State | None:
        self._probes.pop(token, None)
        if result == "ignored":
            return None
        if result == "error":
            return self._reopen(now, "a probe failed")
        self._answers += 1
        self._slow_answers += result == "slow"
        if self._answers < self.terms.probes:
            return None
        if self._slow_answers >= self.terms.slow_rate * self._answers:
            return self._reopen(now, "its probes were slow")
        self._turned(Turn("half_open", "closed", f"{self._answers} probes answered"))
        return self._close()

    # ------------------------------------------------------------------ changing

    def clear(self) -> None:
        """The target answers: it need not be held any longer."""
        self._cleared = True

    def _close(self) -> State:
        self._serial += 1
        self._closed = self._since = self._serial  # no token is larger: the probes' are void
        self._probes = {}
        self._open_for = 0.0
        self._answers = self._slow_answers = 0
        self._window.clear()
        return "closed"

    def _open(self, now: float, seconds: float) -> State:
        self._closed = None
        self._since = self._serial  # what is larger is a probe of the half-open time to come
        self._probes = {}
        self._open_for = seconds
        self._until = now + seconds
        self._cleared = not self.terms.probed
        self._answers = self._slow_answers = 0
        return "open"

    def _reopen(self, now: float, why: str) -> State:
        self._turned(Turn("half_open", "open", why))
        return self._open(now, min(self._open_for * 2, self.terms.open_most))

    def _in_flight(self, now: float) -> int:
        return sum(not self._lapsed(at, now) for at in self._probes.values())

    def _lapsed(self, at: float, now: float) -> bool:
        return now >= at + self.terms.probe_lease
