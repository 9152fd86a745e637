"""How many calls may be under way at once, learned from what becomes of them. Pure: no clock, no I/O.

Rules of this file:
- Growth needs use: a limit of which less than half was taken says nothing about what the target can bear. Before the first cut it
  doubles (slow start, RFC 5681), after one it creeps, and the faster the longer that cut is past (as in CUBIC, RFC 9438).
- Overload that the target tells (429, 503, 529, a deadline) cuts, but only as a share of all results: at a provider where one call
  in a hundred fails for load, a cut for each failure would strangle healthy traffic. Nor does a target that answers nobody tell what
  it can bear: it is away, which is a breaker's matter, and comes back with the limit that it left with (`answers`).
- Latency is judged by a low quantile of each window: a queue delays every call, a long prompt delays itself (CoDel, RFC 8289, tells
  a standing queue from a burst in this way). It is compared with the target's own past, and only while the limit is all in use.
- A cut for latency is an experiment. If the latency does not follow, our load was not the cause: the model is slow now. The limit
  is given back, and what was measured is the baseline from then on.
- A cut starts from what was under way, not from what was allowed. A limit is judged only by calls that began under it: where the
  answer takes ten seconds, so does each step (TCP's clock is its acknowledgements).

Shown in tests/limits/test_concurrency.py by simulation: a target that serves C at once, and is offered all it is allowed, settles
between 0.8 C and 2 C, whether C is 5 or 400; a healthy one is never throttled below its traffic; a storm of 429 is left within a few
latencies, and forgotten in half a minute.
"""

from __future__ import annotations

from math import inf

from msgspec import Struct


class AdaptiveTerms(Struct, frozen=True, kw_only=True):
    """`least` <= `initial` <= `most`, all >= 1."""

    initial: int = 64
    least: int = 4
    most: int = 1024
    window: float = 0.5
    """Seconds that are judged together, and more where they hold fewer than `samples` results."""
    samples: int = 50
    quantile: float = 0.25
    """Which of a window's latencies stands for it."""
    tolerance: float = 1.5
    """How many times its baseline the latency may be."""
    smoothing: float = 0.2
    """The weight of a window in the baseline."""
    backoff: float = 0.7
    """What a cut leaves."""
    creep: float = 0.1
    """Growth of a used limit in a window, right after a cut: a part of the limit, at least one."""
    share: float = 0.1
    """Of a window's results: so many that tell of overload cut the limit, and `signals` at least."""
    signals: int = 5
    answers: int = 0
    """So many results of a window must be none of overload for it to be cut."""
    memory: float = 10.0
    """Seconds since the cut in which that growth doubles, and so on up to a doubling of the limit."""


FULL = 0.9
"""The part of the limit that counts as all of it."""
HELPED = 0.7
"""A deep cut leaves half of a queue's latency, and all of one that has other causes: the mark is between them."""
ENOUGH = 20
"""Results that suffice for growth while there is room."""
LONG = 6
"""Latencies that a window must last before it is judged: the calls that end first are the short ones."""
TRUST = 120.0
"""Seconds for which a baseline that an experiment found is trusted."""
KEPT = 256
"""Latencies kept of one window: the last ones."""


class Adaptive:
    """The limit of one target (or of the gateway itself). `observe` costs a few additions; once a window it sorts KEPT numbers."""

    __slots__ = (
        "_baseline",
        "_began",
        "_changed",
        "_cut",
        "_enough",
        "_latencies",
        "_overloads",
        "_peak",
        "_proven",
        "_results",
        "_slow",
        "_trial",
        "limit",
        "terms",
    )

    _began: float
    _latencies: list[float]
    """Of this window, as all that `_open` sets."""
    _results: int
    _overloads: int
    _peak: int
    _enough: int
    """Results from which on the window may close."""

    def __init__(self, terms: AdaptiveTerms | None = None) -> None:
        self.terms = terms or AdaptiveTerms()
        self.limit = self.terms.initial
        """Calls that may be under way now."""
        self._cut = -inf
        self._changed = -inf
        """When the limit was last cut or raised: calls that began before tell of another limit."""
        self._baseline = inf
        self._proven = -inf
        """When an experiment last found nothing below the baseline."""
        self._slow = False
        """The window before was slow."""
        self._trial: list[tuple[float, int]] = []
        """The experiment: the latencies measured in it, and the limits under which they were."""
        self._open(-inf)

    def observe(self, now: float, inflight: int, first_seconds: float | None, overloaded: bool) -> None:
        """What became of one call. `now` is monotonic seconds, `inflight` the calls under way at the target with this one;
        `first_seconds` from its begin to its first content, or to its failure; None: it tells nothing of latency (cancelled, refused
        by a rule). `overloaded`: it failed for load (429, 503, 529, a deadline)."""
        if first_seconds is not None and now - first_seconds < self._changed:
            return
        if self._began == -inf:
            self._began = now - (first_seconds or 0.0)
        self._results += 1
        if inflight > self._peak:
            self._peak = inflight
        if overloaded:
            self._overloads += 1
            terms = self.terms
            told = self._overloads >= terms.signals and self._overloads >= terms.share * self._results
            if told and self._results - self._overloads >= terms.answers:
                self._trial.clear()
                self._shrink(now, terms.backoff)
                return
        elif first_seconds is not None:
            if len(self._latencies) == KEPT:
                self._latencies[self._results % KEPT] = first_seconds
            else:
                self._latencies.append(first_seconds)
        if self._results >= self._enough and now - self._began >= self.terms.window:
            self._close(now)

    def adopt(self, terms: AdaptiveTerms) -> None:
        """Go on under other terms: what was learned stays, within the new bounds. A limit that was never cut is the new initial."""
        if self._cut == -inf and self.limit == self.terms.initial:
            self.limit = terms.initial
        self.terms = terms
        self.limit = max(terms.least, min(self.limit, terms.most))

    def _shrink(self, now: float, backoff: float) -> None:
        self.limit = max(self.terms.least, int(min(self.limit, self._peak) * backoff))
        self._cut = self._changed = now
        self._open(now)

    def _open(self, now: float) -> None:
        self._began = now
        self._results = self._overloads = self._peak = 0
        self._enough = min(ENOUGH, self.terms.samples)
        self._latencies = []

    def _close(self, now: float) -> None:
        """A window is over: go on with the experiment, begin one, or learn and grow."""
        full = self._peak >= FULL * self.limit
        if full and self._results < self.terms.samples:
            self._enough = self.terms.samples
            return
        if len(self._latencies) * 2 >= min(self._results, KEPT):
            seconds = sorted(self._latencies)[int(len(self._latencies) * self.terms.quantile)]
            if full and now - self._began < LONG * seconds:
                self._enough = self._results + ENOUGH
                return
            if full and (self._trial or self._is_slow(seconds)):
                self._suspect(now, seconds)
                return
            self._slow = False
            self._trial.clear()
            self._learn(seconds)
        self._grow(now)
        self._open(now)

    def _is_slow(self, seconds: float) -> bool:
        return seconds > self.terms.tolerance * self._baseline

    def _learn(self, seconds: float) -> None:
        """Downwards always; upwards only while there was room, so that a queue of ours is never taken for the target's nature."""
        if self._baseline == inf:
            self._baseline = seconds
        elif seconds < self._baseline or self._peak * 2 <= self.limit:
            self._baseline += self.terms.smoothing * (seconds - self._baseline)

    def _suspect(self, now: float, seconds: float) -> None:
        """One slow window is chance; after two the limit is cut. That most often ends the queue, if it was ours. If not, or where the
        baseline itself is old, it is cut on while that helps. The latency before the first cut is no measure of that: the queue was
        still growing."""
        trial, backoff = self._trial, self.terms.backoff
        if not self._slow:
            self._slow = True
            self._open(now)
            return
        if len(trial) == 1 and not self._is_slow(seconds) and now - self._proven < TRUST:
            trial.clear()
            self._slow = False
            self._open(now)
            return
        trial.append((seconds, self.limit))
        if len(trial) <= 2:
            self._shrink(now, backoff ** len(trial))
        elif seconds < HELPED * trial[-2][0]:
            self._shrink(now, backoff**2)
        else:
            self._conclude(now, seconds)

    def _conclude(self, now: float, seconds: float) -> None:
        """The last cut did not help: this is how long the target takes, and whatever limit was as quick is none too high."""
        self._baseline, self._proven = seconds, now
        self.limit = max(limit for before, limit in self._trial if not self._is_slow(before))
        self._slow = False
        self._trial.clear()
        self._changed = now
        self._open(now)

    def _grow(self, now: float) -> None:
        if self._peak * 2 > self.limit:
            terms = self.terms
            rate = min(1.0, terms.creep * (1 + (now - self._cut) / terms.memory))
            self.limit = min(terms.most, self.limit + max(1, int(self.limit * rate)))
            self._changed = now
