"""The sums that a scrape sees: of the requests that ended, under names that stay few."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from headgate.app import DIALECTS
from headgate.model.exchange import Exchange, Request
from headgate.model.record import AttemptRow
from headgate.model.route import Route, RouteTarget
from headgate.model.trail import Trail
from headgate.model.usage import Usage
from headgate.routing.policy import Policy
from headgate.telemetry.metrics import MODELS, Metrics


async def nothing() -> bytes:
    return b""


def ended(model: str = "m", **fields: Any) -> Exchange:
    """A request that took 3 s, 1.2 s to its first content, of which 1 s was the provider's."""
    request = Request(
        method="POST", path="/", query=b"", headers=[], credential=b"", operation="generate", read_body=nothing
    )
    row = AttemptRow(
        number=1,
        at=0.0,
        provider="site",
        target=model,
        dialect="openai_chat",
        credential="site",
        outcome="done",
        status=200,
        usage=Usage(input=5, output=7),
        cost=2_000_000_000,
    )
    x = Exchange(id="req_1", at=0.0, t0=10**9, request=request, dialect=DIALECTS["openai_chat"], trail=Trail())
    x.route = Route(alias=model, targets=(RouteTarget(site="site", model=model),), policy=Policy())
    x.attempts.append(row)
    x.outcome, x.status, x.total_us, x.first_ns, x.upstream_ns = "done", 200, 3_000_000, 2_200_000_000, 10**9
    for name, value in fields.items():
        setattr(x, name, value)
    return x


def samples(metrics: Metrics, name: str, label: str = "le") -> dict[str, float]:
    return {
        sample.labels.get(label, ""): sample.value
        for family in text_string_to_metric_families(metrics.expose().decode())
        for sample in family.samples
        if sample.name == name
    }


def test_times_are_told_in_seconds() -> None:
    """A bound belongs to its bucket."""
    metrics = Metrics()
    metrics(ended())
    metrics(ended(total_us=2_500_000))
    assert samples(metrics, "headgate_request_seconds_sum") == {"": 5.5}
    buckets = samples(metrics, "headgate_request_seconds_bucket")
    assert list(buckets.items())[7:11] == [("1.0", 0), ("2.5", 1), ("5.0", 2), ("10.0", 2)]
    assert (
        next(iter(buckets)) == "0.005"
        and buckets["+Inf"] == samples(metrics, "headgate_request_seconds_count")[""] == 2
    )
    assert samples(metrics, "headgate_first_token_seconds_sum") == {"": 2.4}
    assert samples(metrics, "headgate_overhead_seconds_sum") == {"": 0.4}
    overhead = samples(metrics, "headgate_overhead_seconds_bucket")
    assert (next(iter(overhead)), overhead["0.05"], overhead["0.25"]) == ("0.00025", 0, 2)


def test_a_request_that_showed_nothing_has_no_first_token() -> None:
    metrics = Metrics()
    metrics(ended(first_ns=0, outcome="failed", status=502))
    assert samples(metrics, "headgate_first_token_seconds_count") == {"": 0}
    assert samples(metrics, "headgate_requests_total", "outcome") == {"failed": 1}


def test_names_that_clients_invent_stay_few() -> None:
    """Those beyond the bound count together, each time; those within it under their own."""
    metrics = Metrics()
    for _ in range(2):
        for number in range(MODELS + 20):
            metrics(ended(f"m{number}"))
    for name, factor in (("headgate_requests_total", 1), ("headgate_cost_dollars_total", 2)):
        counted = samples(metrics, name, "model")
        assert len(counted) == MODELS + 1
        assert (counted["m0"], counted[f"m{MODELS - 1}"], counted["other"]) == (2 * factor, 2 * factor, 40 * factor)
