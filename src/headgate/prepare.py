"""What would go to one target: the client's own bytes with named edits, or a crossing through the neutral model.

Explain stops after this room; dispatch goes on with what it made. Nothing here connects to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

from headgate.dialects import carrier, splice
from headgate.dialects.base import Accepts, Dialect, Target, Written
from headgate.errors import BadRequest, NotFound
from headgate.model.exchange import Exchange
from headgate.model.prompt import Loss, Prompt
from headgate.model.route import RouteTarget
from headgate.net import Call, Fetch
from headgate.providers.base import Endpoint, Site
from headgate.providers.site import call_headers, url


class Prepared(Struct, kw_only=True):
    """What would be sent to one target, and what that loses."""

    target: RouteTarget
    site: Site
    endpoint: Endpoint
    dialect: Dialect
    same: bool
    body: bytes
    edits: list[str]
    losses: list[Loss]
    written: Written | None = None
    prompt: Prompt | None = None


class Prepare:
    """`max_output(site, model)`: a model's own cap, for dialects that demand one. `restore` puts back what the client's
    dialect had no slot for."""

    def __init__(
        self,
        *,
        sites: Mapping[str, Site],
        dialects: Mapping[str, Dialect],
        fetch: Fetch,
        max_output: Callable[[str, str], int | None],
        restore: Callable[[str, Prompt], None],
    ) -> None:
        self.sites = sites
        self._dialects = dialects
        self._fetch = fetch
        self._max_output = max_output
        self._restore = restore

    def __call__(self, x: Exchange, target: RouteTarget) -> Prepared:
        """What goes to this target. Raises Refused for what it cannot take."""
        site = self.sites.get(target.site)
        if site is None:
            raise NotFound(f"the provider {target.site!r} is not configured", code="model_not_found", param="model")
        endpoint = site.endpoint(target.dialect or x.dialect.name)
        dialect = self._dialects[endpoint.dialect]
        maximum = self._max_output(site.name, target.model)
        goal = Target(
            model=target.model,
            provider=site.provider.name,
            accepts=endpoint.accepts,
            default_max_tokens=maximum or 4096,
        )
        assert x.head is not None
        if x.head.state and (dialect is not x.dialect or not endpoint.accepts.state):
            raise BadRequest(
                f"{site.name} keeps no state that this request refers to or asks for: send the whole conversation",
                code="state_not_supported",
                param="previous_response_id",
            )
        if dialect is x.dialect and carrier.MAGIC not in x.body:
            if endpoint.accepts.verbatim:
                goal = msgspec.structs.replace(goal, accepts=Accepts(stream_usage=endpoint.accepts.stream_usage))
            edits = [*dialect.edits(x.head, goal), *x.edits]
            if x.request.model:  # named in the path: whether the body names one too, nobody has read
                edits = [msgspec.structs.replace(edit, present=False) for edit in edits]
            body = splice.apply(x.body, edits)
            names = [edit.name for edit in edits]
            return Prepared(
                target=target,
                site=site,
                endpoint=endpoint,
                dialect=dialect,
                same=True,
                body=body,
                edits=names,
                losses=[],
            )
        return self._cross(x, target, site, endpoint, goal)

    def _cross(self, x: Exchange, target: RouteTarget, site: Site, endpoint: Endpoint, goal: Target) -> Prepared:
        dialect = self._dialects[endpoint.dialect]
        assert x.head is not None and x.identity is not None and x.route is not None
        prompt = x.dialect.read(x.request_json())
        prompt.model = target.model
        prompt.stream = x.head.stream
        self._restore(x.identity.tenant, prompt)
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
            endpoint=endpoint,
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
        assert x.head is not None
        site, endpoint, dialect = prepared.site, prepared.endpoint, prepared.dialect
        operation, stream = x.request.operation, x.head.stream
        path = url(
            site,
            endpoint,
            dialect.path(prepared.target.model, operation, stream),
            operation,
            prepared.target.model,
            stream,
        )
        if prepared.same and stream and x.request.framing == "json-array":
            path = path.replace("?alt=sse", "").replace("&alt=sse", "")
        upward = dialect.up_headers if prepared.same else frozenset()
        client = [(n, v) for n, v in x.request.headers if n.decode("latin-1") in upward]
        headers = [
            *await call_headers(site, endpoint, self._fetch, client),
            (b"content-type", b"application/json"),
            (b"accept", b"text/event-stream" if stream else b"application/json"),
            (b"accept-encoding", b"identity"),
        ]
        if x.trace_id:
            headers.append((b"traceparent", f"00-{x.trace_id}-{x.span_id}-01".encode()))
        return Call(
            method="POST", origin=site.origin, path=path, headers=headers, body=prepared.body, deadlines=site.deadlines
        )
