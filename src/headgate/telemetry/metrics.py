"""Prometheus metrics of finished exchanges. Label values are bounded: names from config and catalog, tables of our own.

Children are cached by their labels: a request costs a few dict look-ups and additions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from headgate.model.exchange import Exchange

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_OVERHEAD = (0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)
_TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")


class Metrics:
    def __init__(self, gauges: dict[str, tuple[str, Callable[[], float]]] | None = None) -> None:
        self.registry = CollectorRegistry()
        new: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter(
            "headgate_requests", "Requests by outcome.", ["dialect", "model", "provider", "outcome", "status"], **new
        )
        self._attempts = Counter(
            "headgate_attempts", "Attempts at providers.", ["provider", "model", "outcome", "status"], **new
        )
        self._tokens = Counter("headgate_tokens", "Tokens by kind.", ["provider", "model", "kind"], **new)
        self._cost = Counter(
            "headgate_cost_dollars", "What attempts cost, where the price is known.", ["provider", "model"], **new
        )
        self._unknown = Counter("headgate_price_unknown", "Attempts at an unknown price.", ["provider", "model"], **new)
        self._estimated = Counter(
            "headgate_usage_estimated", "Attempts whose usage is estimated.", ["provider", "model"], **new
        )
        self._losses = Counter("headgate_losses", "What crossings could not carry.", ["what"], **new)
        self._findings = Counter("headgate_findings", "What guards found.", ["guard", "place", "mode", "action"], **new)
        self._seconds = Histogram(
            "headgate_request_seconds", "Whole requests.", ["dialect", "provider"], buckets=_SECONDS, **new
        )
        self._first = Histogram(
            "headgate_first_token_seconds", "To the first content.", ["provider"], buckets=_SECONDS, **new
        )
        self._overhead = Histogram(
            "headgate_overhead_seconds",
            "Until the answer began, less the time spent waiting for providers.",
            buckets=_OVERHEAD,
            **new,
        )
        for name, (about, read) in (gauges or {}).items():
            Gauge(name, about, **new).set_function(read)
        self._children: dict[tuple[Any, ...], Any] = {}

    def _child(self, metric: Any, *labels: str) -> Any:
        key = (metric, labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

    def __call__(self, x: Exchange) -> None:
        """One finished exchange. A model name that no route knows is not a label."""
        last = x.attempts[-1] if x.attempts else None
        provider = last.provider if last is not None else ""
        model = x.route.alias if x.route is not None else ""
        child = self._child
        child(self._requests, x.dialect.name, model, provider, x.outcome or "", str(x.status)).inc()
        child(self._seconds, x.dialect.name, provider).observe(x.total_us() / 1e6)
        if x.first_ns:
            child(self._first, provider).observe((x.first_ns - x.t0) / 1e9)
            self._overhead.observe(max(0.0, (x.first_ns - x.t0 - x.upstream_ns) / 1e9))
        for attempt in x.attempts:
            self._attempt(attempt)
        for loss in {loss.what for loss in x.losses}:
            child(self._losses, loss).inc()
        for finding in x.findings:
            child(self._findings, finding.guard, finding.place, finding.mode, finding.action).inc(finding.count)

    def _attempt(self, attempt: Any) -> None:
        child, labels = self._child, (attempt.provider, attempt.target)
        child(self._attempts, *labels, attempt.outcome, str(attempt.status)).inc()
        usage = attempt.usage
        if usage is None:
            return
        for kind in _TOKENS:
            count = getattr(usage, kind)
            if count:
                child(self._tokens, *labels, kind).inc(count)
        if attempt.cost is None:
            child(self._unknown, *labels).inc()
        else:
            child(self._cost, *labels).inc(attempt.cost / 1e9)
        if usage.estimated:
            child(self._estimated, *labels).inc()

    def expose(self) -> bytes:
        return generate_latest(self.registry)
