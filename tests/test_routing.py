"""Which target is next: order of preference, weights for the first, and when trying on makes no sense."""

from __future__ import annotations

import pytest

from headgate.errors import BadRequest, HeadgateError, Internal, UpstreamRefused, UpstreamTimeout, UpstreamTruncated
from headgate.model.route import Route, RouteTarget
from headgate.routing.plan import may_go_elsewhere, next_target

A, B, C = (RouteTarget(site=name, model="m") for name in "abc")


def test_without_weights_the_order_decides() -> None:
    route = Route(alias="r", targets=(A, B, C))
    timeout = UpstreamTimeout("t")
    assert next_target(route, [], None, 0.99) == A
    assert next_target(route, [A], timeout, 0.0) == B
    assert next_target(route, [A, B], timeout, 0.0) == C
    assert next_target(route, [A, B, C], timeout, 0.0) is None


def test_weights_share_out_the_first_attempts_and_the_order_the_rest() -> None:
    heavy, light = RouteTarget(site="h", model="m", weight=3), RouteTarget(site="l", model="m", weight=1)
    route = Route(alias="r", targets=(A, light, heavy))
    first = [next_target(route, [], None, draw / 1000) for draw in range(1000)]
    assert (first.count(heavy), first.count(light), first.count(A)) == (750, 250, 0)
    assert next_target(route, [heavy], UpstreamTimeout("t"), 0.0) == A


@pytest.mark.parametrize(
    ("failure", "elsewhere"),
    [
        (UpstreamTimeout("t"), True),
        (UpstreamTruncated("t"), True),
        (UpstreamRefused("busy", status=529), True),
        (UpstreamRefused("rate", status=429), True),
        (UpstreamRefused("the gateway's own key is wrong there", status=401), True),
        (UpstreamRefused("bad request", status=400), False),
        (UpstreamRefused("unprocessable", status=422), False),
        (BadRequest("b"), False),
        (Internal("i"), False),
    ],
    ids=lambda value: f"{type(value).__name__}{getattr(value, 'status', '')}",
)
def test_another_target_is_tried_when_the_fault_is_the_providers(failure: HeadgateError, elsewhere: bool) -> None:
    assert may_go_elsewhere(failure) is elsewhere
    assert (next_target(Route(alias="r", targets=(A, B)), [A], failure, 0.0) == B) is elsewhere
