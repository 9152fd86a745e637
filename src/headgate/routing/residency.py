"""Where a request may be computed. `regions` of a key, its tenant and a model are one hard constraint: what is in all of them.

Rules of this file:
- No region named means any; once regions are demanded, a target that names none is not allowed: nobody knows where it computes.
- Names are compared as they are written: "eu" is not "eu-west-1". The operator names the regions of providers and targets.
- Nothing in common is a refusal, never "any".
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate.errors import Forbidden
from headgate.model.route import RouteTarget

CODE = "region_not_allowed"


def allowed(target: RouteTarget, regions: frozenset[str]) -> bool:
    """Whether a request with this constraint may go there; an empty one allows all."""
    return not regions or target.region in regions


def narrowed(*constraints: frozenset[str]) -> frozenset[str]:
    """What all of these allow. Raises Forbidden where that is nothing."""
    common: frozenset[str] = frozenset()
    for constraint in constraints:
        if constraint:
            if common and not common & constraint:
                raise Forbidden(
                    f"one rule allows the regions {listed(common)}, another {listed(constraint)}: nothing is in both",
                    code=CODE,
                )
            common = common & constraint if common else constraint
    return common


def listed(regions: Iterable[str]) -> str:
    return ", ".join(sorted(regions))
