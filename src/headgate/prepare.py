"""What would go to one target: the client's own bytes with named edits, or a crossing through the neutral model.

Explain stops after this room; dispatch goes on with what it made. Nothing here connects to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from headgate.dialects import carrier, splice
from headgate.dialects.base import Accepts, Dialect, Target, Written
from headgate.errors import BadRequest, NotFound
from headgate.model.ability import Abilities
from headgate.model.exchange import Exchange
from headgate.model.prompt import Loss, Message, Prompt, Text
from headgate.model.route import RouteTarget
from headgate.net import Call, Fetch, Headers
from headgate.providers.base import Endpoint, Site
from headgate.providers.site import call_headers, url

WAYS = 4096
"""Remembered; clients can name any model of a provider, so the number is bounded."""
DEFAULT_CAP = 4096
"""Output tokens, where a dialect demands a cap, the client gave none and the model's own is not known."""


class Way(Struct, kw_only=True):
    """From one client dialect to one target."""

    site: Site
    endpoint: Endpoint
    dialect: Dialect
    same: bool
    state: bool
    goal: Target
    path: str
    upward: frozenset[bytes]
    headers: tuple[tuple[bytes, bytes], ...]
    authenticated: Headers | None = None
    """The headers with credentials, where these never change."""


class Prepared(Struct, kw_only=True):
    """What would be sent to one target, and what that loses."""

    target: RouteTarget
    site: Site
    way: Way
    dialect: Dialect
    same: bool
    body: bytes
    edits: list[str]
    losses: list[Loss]
    written: Written | None = None
    prompt: Prompt | None = None


class Prepare:
    """`abilities(site, model)`: what is known of a model, for dialects that demand an output cap or tell a model how to
    think. `restore` puts back what the client's dialect had no slot for."""

    def __init__(
        self,
        *,
        sites: Mapping[str, Site],
        dialects: Mapping[str, Dialect],
        fetch: Fetch,
        abilities: Callable[[str, str], Abilities | None],
        restore: Callable[[str, Prompt], None],
    ) -> None:
        self.sites = sites
        self._dialects = dialects
        self._fetch = fetch
        self._abilities = abilities
        self._restore = restore
        self._ways: dict[tuple[object, ...], Way] = {}

    def __call__(self, x: Exchange, target: RouteTarget) -> Prepared:
        """What goes to this target. Raises Refused for what it cannot take."""
        way = self.way(x, target)
        head = x.head
        assert head is not None
        if head.state and not way.state:
            raise BadRequest(
                f"{way.site.name} keeps no state that this request refers to or asks for: send the whole conversation",
                code="state_not_supported",
                param="previous_response_id",
            )
        if not way.same or (not head.prose and carrier.MAGIC in x.body):
            return self._cross(x, target, way)
        edits = way.dialect.edits(head, way.goal)
        if x.request.model:  # named in the path: whether the body names one too, nobody has read
            edits = [replace(edit, present=False) for edit in edits]
        if x.edits:
            edits = [*edits, *x.edits]
        return Prepared(
            target=target,
            site=way.site,
            dialect=way.dialect,
            same=True,
            body=splice.apply(x.body, edits, head.bulk),
            edits=[edit.name for edit in edits],
            losses=[],
            way=way,
        )

    def continued(self, x: Exchange, target: RouteTarget, so_far: str) -> Prepared:
        """What makes this target go on behind the text that an answer had when it broke off. Raises BadRequest where it would begin
        another answer instead."""
        way = self.way(x, target)
        if way.goal.accepts.prefill == "none":
            raise BadRequest(f"{target.name} does not go on with a text", code="cannot_continue")
        return self._cross(x, target, way, so_far)

    def way(self, x: Exchange, target: RouteTarget) -> Way:
        """All that is the same for every request of this client dialect to this target."""
        key = (target, x.dialect.name, x.request.operation, bool(x.head and x.head.stream), x.request.framing)
        way = self._ways.get(key)
        if way is None:
            if len(self._ways) >= WAYS:
                self._ways.clear()
            way = self._ways[key] = self._way(x, target)
        return way

    def _way(self, x: Exchange, target: RouteTarget) -> Way:
        site = self.sites.get(target.site)
        if site is None:
            raise NotFound(f"the provider {target.site!r} is not configured", code="model_not_found", param="model")
        endpoint = site.endpoint(target.dialect or x.dialect.name)
        dialect = self._dialects[endpoint.dialect]
        same = dialect is x.dialect
        accepts = endpoint.accepts
        if same and accepts.verbatim:
            accepts = Accepts(stream_usage=accepts.stream_usage, prefill=accepts.prefill)
        known = self._abilities(site.name, target.model) or Abilities()
        if known.thinking is not None:
            accepts = replace(accepts, thinking=known.thinking)
            if known.thinking == "adaptive" and dialect.family == "anthropic":
                accepts = replace(accepts, prefill="none")  # Claude from Opus 4.6 on refuses a prefilled answer
        goal = Target(
            model=target.model,
            provider=site.provider.name,
            accepts=accepts,
            default_max_tokens=known.max_output or DEFAULT_CAP,
        )
        operation, stream = x.request.operation, bool(x.head and x.head.stream)
        path = ""
        if same or operation == "generate":  # a foreign count is estimated, not asked for
            path = url(site, endpoint, dialect.path(target.model, operation, stream), operation, target.model, stream)
        if same and stream and x.request.framing == "json-array":
            path = path.replace("?alt=sse", "").replace("&alt=sse", "")
        return Way(
            site=site,
            endpoint=endpoint,
            dialect=dialect,
            same=same,
            state=same and endpoint.accepts.state,
            goal=goal,
            path=path,
            upward=frozenset(name.encode() for name in dialect.up_headers) if same else frozenset(),
            headers=(
                (b"content-type", b"application/json"),
                (b"accept", b"text/event-stream" if stream else b"application/json"),
                (b"accept-encoding", b"identity"),
            ),
        )

    def _cross(self, x: Exchange, target: RouteTarget, way: Way, so_far: str = "") -> Prepared:
        site, dialect, goal = way.site, way.dialect, way.goal
        assert x.head is not None and x.identity is not None and x.route is not None
        prompt = x.dialect.read(x.request_json())
        prompt.model = target.model
        prompt.stream = x.head.stream
        self._restore(x.identity.tenant, prompt)
        if so_far:
            prompt.messages.append(Message(role="assistant", parts=[Text(text=so_far)]))
        written = dialect.write(prompt, goal)
        if written.losses and (x.route.strict or x.request.header(b"x-headgate-strict").lower() == b"true"):
            named = sorted({loss.what for loss in written.losses})
            raise BadRequest(
                f"strict: {site.name}/{target.model} cannot carry {', '.join(named)}",
                code="lossy_crossing",
                param=named[0],
            )
        return Prepared(
            target=target,
            site=site,
            way=way,
            dialect=dialect,
            same=False,
            body=msgspec.json.encode(written.json),
            edits=[f"crossing:{x.dialect.name}>{dialect.name}"],
            losses=written.losses,
            written=written,
            prompt=prompt,
        )

    async def call(self, x: Exchange, prepared: Prepared) -> Call:
        """The HTTP request of an attempt, authenticated."""
        way, site = prepared.way, prepared.site
        upward = way.upward
        client = []
        if not upward.isdisjoint(x.request.fields):
            client = [pair for pair in x.request.headers if pair[0] in upward]
        own = way.authenticated
        if own is None or client:
            own = await call_headers(site, way.endpoint, self._fetch, client)
            if not client and (way.endpoint.auth or site.provider.auth).static:
                way.authenticated = own
        headers = [*own, *way.headers]
        if x.trace_id:
            headers.append((b"traceparent", f"00-{x.trace_id}-{x.span_id}-01".encode()))
        return Call(
            method="POST",
            origin=site.origin,
            path=way.path,
            headers=headers,
            body=prepared.body,
            deadlines=site.deadlines,
        )
