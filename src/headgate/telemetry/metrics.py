"""Prometheus metrics of finished exchanges.

Rules of this file:
- A request costs one dict look-up and additions to plain numbers; Prometheus' own types are built when somebody scrapes
  (measured: 11 µs a request with its counters and their locks, 2 so).
- Label values are bounded: names of the config and tables of our own. Model names that clients may invent ("openai/anything")
  count under their own name up to MODELS of them, then under "other".
- Everything is summed on the event loop's thread and read by the scrape's: a scrape may see a request half counted, never lost.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from headgate.model.exchange import Exchange
from headgate.model.record import AttemptRow, outrun

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()
MODELS = 500
LOSSES = 300
_MS, _S = 1000, 1_000_000
_SECONDS = (
    *(ms * _MS for ms in (5, 10, 25, 50, 100, 250, 500)),
    *(int(s * _S) for s in (1, 2.5, 5, 10, 30, 60, 120, 300, 600)),
)
_OVERHEAD = (250, 500, *(ms * _MS for ms in (1, 2, 5, 10, 50, 250)))
"""Bounds in microseconds."""
_TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")

Gauges = dict[str, tuple[str, Callable[[], float]]]
Counts = dict[str, tuple[str, str, Mapping[str, int]]]
"""Name -> (what it counts, the label, the counts by that label's value)."""
Levels = dict[str, tuple[str, str, Callable[[], Iterable[tuple[str, float]]]]]
"""Name -> (what it tells, the label, what reads the level for each of that label's values)."""


class _Histogram:
    """Of times: taken in microseconds, told in seconds."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0

    def observe(self, value: int) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def told(self) -> tuple[list[tuple[str, float]], float]:
        """Buckets and sum, as Prometheus' own types take them."""
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*(str(bound / 1e6) for bound in self._bounds), "+Inf"), self.counts, strict=True):
            total += count
            buckets.append((bound, total))
        return buckets, self.sum / 1e6


class _Requests:
    """Sums over the requests of one (dialect, model, provider, outcome, status)."""

    __slots__ = ("count", "first", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = _Histogram(_SECONDS)
        self.first = _Histogram(_SECONDS)


class _Attempts:
    """Sums over the attempts of one (provider, model, outcome, status)."""

    __slots__ = ("cost", "count", "estimated", "tokens", "unknown")

    def __init__(self) -> None:
        self.count = self.cost = self.unknown = self.estimated = 0
        self.tokens = [0] * len(_TOKENS)


class Metrics:
    """An observer of exchanges, and a collector for Prometheus."""

    def __init__(
        self, gauges: Gauges | None = None, counts: Counts | None = None, levels: Levels | None = None
    ) -> None:
        self._gauges = gauges or {}
        self._counts = counts or {}
        self._levels = levels or {}
        self._requests: dict[tuple[str, str, str, str, int], _Requests] = {}
        self._attempts: dict[tuple[str, str, str, int], _Attempts] = {}
        self._children: dict[tuple[str, str], int] = {}
        """By cause and outcome."""
        self._lost: dict[str, int] = {}
        """Nano-dollars of attempts that lost against another one of the same request, by model."""
        self._shared: dict[tuple[str], int] = {}
        """By origin."""
        self._losses: dict[tuple[str], int] = {}
        self._findings: dict[tuple[str, str, str, str], int] = {}
        self._overhead = _Histogram(_OVERHEAD)
        self._models: set[str] = set()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def __call__(self, x: Exchange) -> None:
        """One finished exchange."""
        if x.cause:
            made = (x.cause, x.outcome or "")
            self._children[made] = self._children.get(made, 0) + 1
        else:
            self._request(x)
        for attempt in x.attempts:
            self._attempt(attempt)
        if lost := outrun(x.attempts):
            self._outrun(x, lost)
        for loss in {loss.what for loss in x.losses}:
            told = (loss,) if (loss,) in self._losses or len(self._losses) < LOSSES else ("other",)
            self._losses[told] = self._losses.get(told, 0) + 1
        for f in x.findings:
            label = (f.guard, f.place, f.mode, f.action)
            self._findings[label] = self._findings.get(label, 0) + f.count

    def _request(self, x: Exchange) -> None:
        last = x.served or (x.attempts[-1] if x.attempts else None)
        if x.origin:
            self._shared[(x.origin,)] = self._shared.get((x.origin,), 0) + 1
        model = x.route.alias if x.route is not None else ""
        provider, outcome = last.provider if last is not None else "", x.outcome or ""
        sums = self._requests.get((x.dialect.name, model, provider, outcome, x.status))
        if sums is None:
            key = (x.dialect.name, self._bounded(model), provider, outcome, x.status)
            sums = self._requests.setdefault(key, _Requests())
        sums.count += 1
        sums.seconds.observe(x.total_us)
        if x.first_ns:
            waited = x.first_ns - x.t0
            sums.first.observe(waited // 1000)
            self._overhead.observe(max(0, waited - x.upstream_ns) // 1000)

    def _outrun(self, x: Exchange, cost: int) -> None:
        model = self._bounded(x.route.alias) if x.route is not None else ""
        self._lost[model] = self._lost.get(model, 0) + cost

    def _bounded(self, model: str) -> str:
        """The name that a model's sums have. Who finds sums under a name needs not ask: it is one of these."""
        if model and model not in self._models:
            if len(self._models) >= MODELS:
                return "other"
            self._models.add(model)
        return model

    def _attempt(self, attempt: AttemptRow) -> None:
        sums = self._attempts.get((attempt.provider, attempt.target, attempt.outcome, attempt.status))
        if sums is None:
            key = (attempt.provider, self._bounded(attempt.target), attempt.outcome, attempt.status)
            sums = self._attempts.setdefault(key, _Attempts())
        sums.count += 1
        usage = attempt.usage
        if usage is None:
            return
        tokens = sums.tokens
        tokens[0] += usage.input
        tokens[1] += usage.output
        tokens[2] += usage.cache_read
        tokens[3] += usage.cache_write
        tokens[4] += usage.reasoning
        if attempt.cost is None:
            sums.unknown += 1
        else:
            sums.cost += attempt.cost
        if usage.estimated:
            sums.estimated += 1

    # ------------------------------------------------------------------ for a scrape

    def expose(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        requests, attempts = list(self._requests.items()), list(self._attempts.items())
        yield _counter(
            "headgate_requests",
            "Requests by outcome.",
            ("dialect", "model", "provider", "outcome", "status"),
            ((key, sums.count) for key, sums in requests),
        )
        yield _histogram("headgate_request_seconds", "Whole requests.", ((k, s.seconds) for k, s in requests))
        yield _histogram(
            "headgate_first_token_seconds", "Arrival to first content.", ((k, s.first) for k, s in requests)
        )
        overhead = HistogramMetricFamily(
            "headgate_overhead_seconds", "Arrival to first content, less the time spent waiting for providers."
        )
        overhead.add_metric([], *self._overhead.told())
        yield overhead
        yield _counter(
            "headgate_children",
            "Calls made for requests (a shadow, a judge): no request of a caller's.",
            ("cause", "outcome"),
            list(self._children.items()),
        )
        yield _counter(
            "headgate_shared_answers",
            "Requests whose answer came from a call that is not theirs alone.",
            ("origin",),
            list(self._shared.items()),
        )
        yield from self._of_attempts(attempts)
        yield _counter("headgate_losses", "What crossings could not carry.", ("what",), list(self._losses.items()))
        yield _counter(
            "headgate_findings",
            "What guards found.",
            ("guard", "place", "mode", "action"),
            list(self._findings.items()),
        )
        yield _counter(
            "headgate_hedge_cost_dollars",
            "What attempts cost that another one of the same request was faster than.",
            ("model",),
            [((name,), cost / 1e9) for name, cost in list(self._lost.items())],
        )
        for name, (about, label, counts) in self._counts.items():
            yield _counter(name, about, (label,), [((value,), count) for value, count in list(counts.items())])
        for name, (about, label, levels) in self._levels.items():
            family = GaugeMetricFamily(name, about, labels=(label,))
            for value, level in levels():
                family.add_metric([value], level)
            yield family
        for name, (about, read) in self._gauges.items():
            yield GaugeMetricFamily(name, about, value=read())

    def _of_attempts(self, attempts: list[tuple[tuple[str, str, str, int], _Attempts]]) -> Iterator[Metric]:
        names = ("provider", "model")
        yield _counter(
            "headgate_attempts",
            "Attempts at providers.",
            ("provider", "model", "outcome", "status"),
            ((key, sums.count) for key, sums in attempts),
        )
        by_target: dict[tuple[str, str], list[_Attempts]] = {}
        for key, sums in attempts:
            by_target.setdefault(key[:2], []).append(sums)
        tokens = CounterMetricFamily("headgate_tokens", "Tokens by kind.", labels=(*names, "kind"))
        for target, parts in by_target.items():
            for number, kind in enumerate(_TOKENS):
                tokens.add_metric([*target, kind], sum(part.tokens[number] for part in parts))
        yield tokens
        sums_of: tuple[tuple[str, str, Callable[[_Attempts], float]], ...] = (
            ("headgate_cost_dollars", "What attempts cost, where the price is known.", lambda part: part.cost / 1e9),
            ("headgate_price_unknown", "Attempts at an unknown price.", lambda part: part.unknown),
            ("headgate_usage_estimated", "Attempts whose usage is estimated.", lambda part: part.estimated),
        )
        for name, about, read in sums_of:
            yield _counter(name, about, names, ((target, sum(map(read, parts))) for target, parts in by_target.items()))


def _counter(name: str, about: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[Any, ...], float]]) -> Metric:
    family = CounterMetricFamily(name, about, labels=labels)
    for key, value in values:
        family.add_metric([str(part) for part in key], value)
    return family


def _histogram(name: str, about: str, values: Iterable[tuple[tuple[Any, ...], _Histogram]]) -> Metric:
    """Histograms are by dialect and provider only: the others would multiply the buckets."""
    family = HistogramMetricFamily(name, about, labels=("dialect", "provider"))
    merged: dict[tuple[str, str], _Histogram] = {}
    for key, histogram in values:
        target = (key[0], key[2])
        into = merged.get(target)
        if into is None:
            into = merged[target] = _Histogram(_SECONDS)
        into.counts = [a + b for a, b in zip(into.counts, histogram.counts, strict=True)]
        into.sum += histogram.sum
    for target, into in merged.items():
        family.add_metric(list(target), *into.told())
    return family
