"""One request's way through the gateway: what each room wrote about it.

Each field is assigned in its owner's file only (tests/test_architecture.py holds the table). Fields of the request are the
ingress's; nobody changes what the client sent but through `edits`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from headgate.errors import BadRequest

from .identity import Identity
from .prompt import Loss
from .record import AttemptRow, Cause, Origin, Outcome
from .route import Route
from .trail import Trail

if TYPE_CHECKING:
    from headgate.dialects.base import Dialect, Edit, Head
    from headgate.errors import HeadgateError


class Request(Struct, kw_only=True):
    """What the client asked. Header names are lower case. `read_body` reads it whole (bounded); `stream_body` piece by piece."""

    method: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    credential: bytes
    operation: str
    """generate | count | opaque | models"""
    model: str = ""
    """From the URL, where the dialect puts it there."""
    stream: bool | None = None
    """From the URL likewise."""
    framing: str = "sse"
    """How a streamed answer is framed for this client."""
    idempotent: bool = False
    """It carries an Idempotency-Key."""
    site: str = ""
    """A provider prefix of the path ("/openai/v1/..."): bare model names mean this site's."""
    read_body: Callable[[], Awaitable[bytes]]
    client: str = ""
    fields: dict[bytes, bytes] = {}
    """The first value of each header."""

    def __post_init__(self) -> None:
        if not self.fields:
            self.fields = dict(reversed(self.headers))

    def header(self, name: bytes) -> bytes:
        return self.fields.get(name, b"")


class Exchange(Struct, kw_only=True, eq=False):
    id: str
    at: float
    """Arrival, seconds since the epoch."""
    t0: int
    """Arrival, monotonic nanoseconds."""
    request: Request
    dialect: Dialect
    trail: Trail
    parent: str = ""
    """Of a child (children.py): the id of the exchange that it was made for."""
    cause: Cause = ""
    """And what for."""
    origin: Origin = ""
    """Of an answer that is not of attempts of its own."""
    dry: bool = False
    """Explain: every decision is made, nothing is called, nothing is spent."""

    body: bytes = b""
    head: Head | None = None
    json: dict[str, Any] | None = None
    """The request's JSON, parsed when a stage or a crossing first needs it, guards' edits included."""
    edits: list[Edit] = field(default_factory=list)
    identity: Identity | None = None
    priority: int = 0
    """0 to 9: the key's, unless the request lowered it."""
    admitted: bool = False
    """It has a slot of the gateway's capacity."""
    load: Callable[[], int] = lambda: 0
    """How full the gateway is now: requests under way and waiting, in percent of those that it lets in at once."""
    hold_off: float = 0.0
    """Seconds for which nothing more is read from the client's connection once it has its refusal."""
    route: Route | None = None
    findings: list[Any] = field(default_factory=list)
    attempts: list[AttemptRow] = field(default_factory=list)
    served: AttemptRow | None = None
    """Of the attempts, the one that the answer comes from."""
    losses: list[Loss] = field(default_factory=list)
    target_edits: list[str] = field(default_factory=list)
    interrupted: HeadgateError | None = None
    """Why we end it before its end: its task is cancelled after this was set."""
    outcome: Outcome | None = None
    status: int = 0
    error: HeadgateError | None = None
    first_ns: int = 0
    """Monotonic nanoseconds at which the first content of the answer was ready for the client."""
    total_us: int = 0
    """Microseconds from arrival to the end."""
    record: bytes = b""
    """Its RequestRow as JSON, once it is over."""
    upstream_ns: int = 0
    """Nanoseconds spent waiting for providers before the answer began."""
    held_id: str = ""
    """The answer's id, where the provider keeps the answer, and the site that does."""
    held_site: str = ""
    trace_id: str = ""
    span_id: str = ""

    def request_json(self) -> dict[str, Any]:
        """The request's JSON, decoded once. Raises BadRequest. Guards' replacements are made in it as well as in `edits`."""
        if self.json is None:
            self.json = parse_object(self.body)
        return self.json


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises BadRequest for anything else, nesting bombs included."""
    try:
        json = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest("the body is not valid JSON") from error
    if not isinstance(json, dict):
        raise BadRequest("the body is not a JSON object")
    return json
