"""What remains of a call. Rows are append-only and idempotent by id; amounts are nano-dollars (10⁻⁹ USD), None is *unknown*.

One RequestRow a request (the tenant's charge); in it one AttemptRow an attempt (the provider's bill): an attempt stands in the row of
the request that pays for it, so the charge is the sum of their costs. Times: `at` is seconds since the epoch, durations are microseconds.
The rows are kept as they are encoded here: a field is never renamed, and a new one has a default. They are values that refer to nothing
that refers to them, so the garbage collector need not look at them (`gc=False`).
`opened` rows are written before an attempt goes out: after a crash they show what was under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec import Struct, field

from .usage import Usage

Outcome: TypeAlias = Literal["done", "refused", "failed", "abandoned", "parked"]
Cause: TypeAlias = Literal["", "shadow", "judge", "coalesced"]
"""Why a call was made that no caller asked for: "" for a caller's own request, else it is a child of the one named as `parent`."""

Origin: TypeAlias = Literal["", "carried", "coalesced", "replayed"]
"""Where an answer came from that is not of attempts of the request's own: a call of the gateway's that was made for it, one that was
under way already, one that is over. The tokens of such a request are its child's, or of the child that the trail names."""


class Opened(Struct, kw_only=True, omit_defaults=True, gc=False, tag="opened", tag_field="event"):
    """A request is about to go upstream, or to be shown another's stream. Closed by its RequestRow; else recovery writes one (outcome
    "failed", estimated)."""

    id: str
    at: float
    tenant: str
    key_id: str
    key_name: str
    dialect: str
    operation: str
    model: str
    stream: bool
    provider: str
    target: str
    credential: str
    input_estimate: int
    price: str | None = None
    parent: str = ""
    cause: Cause = ""
    origin: Origin = ""
    """Of an answer that another call pays for: no attempt of its own was under way."""


class AttemptRow(Struct, kw_only=True, omit_defaults=True, gc=False):
    number: int
    """From 1, in the order of their beginning."""
    at: float
    provider: str
    """The site: the provider's name in this gateway."""
    target: str
    dialect: str
    credential: str
    outcome: Outcome
    status: int = 0
    error: str = ""
    usage: Usage | None = None
    cost: int | None = None
    estimated: bool = False
    price: str | None = None
    """Which price was used: "provider/model@date"."""
    upstream_request_id: str = ""
    headers_us: int | None = None
    first_us: int | None = None
    total_us: int = 0


def outrun(attempts: Sequence[AttemptRow]) -> int:
    """Nano-dollars, where they are known, of one request's attempts that were given up because another one had begun to answer since they
    began: the price of its hedges. (Those of a caller who left were outrun by nobody.)"""
    if len(attempts) < 2:
        return 0
    answered = [one.at + one.first_us / 1e6 for one in attempts if one.first_us is not None]
    given_up = (one for one in attempts if one.outcome == "abandoned" and one.first_us is None)
    return sum(one.cost or 0 for one in given_up if any(at >= one.at for at in answered))


class RequestRow(
    Struct, kw_only=True, omit_defaults=True, gc=False, tag="request", tag_field="event", rename={"id": "request"}
):
    """Its JSON is the request's line in the log as well: lines about a request name it as `request`."""

    id: str
    at: float
    tenant: str
    key_id: str
    key_name: str
    dialect: str
    operation: str
    method: str = "POST"
    path: str
    model: str
    stream: bool
    outcome: Outcome
    status: int
    error: str = ""
    provider: str = ""
    target: str = ""
    attempts: list[AttemptRow] = field(default_factory=list)
    usage: Usage | None = None
    charge: int | None = None
    estimated: bool = False
    losses: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    edits: list[str] = field(default_factory=list)
    trace_id: str = ""
    user_agent: str = ""
    first_us: int | None = None
    total_us: int = 0
    upstream_us: int = 0
    parent: str = ""
    """The id of the request that this one was made for; its `cause` says why. Such a child's money is its tenant's like any other."""
    cause: Cause = ""
    origin: Origin = ""


class Held(Struct, kw_only=True, omit_defaults=True, gc=False, tag="held", tag_field="event"):
    """An object that a provider holds for a tenant (a file, a stored response, ...): later calls go to the same site."""

    id: str
    kind: str
    at: float
    tenant: str
    site: str


Record: TypeAlias = Opened | RequestRow | Held
