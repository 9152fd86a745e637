"""Pass-through: a provider's other paths, by allow-list, governed like everything else.

Rules of this file:
- (method, path below the provider's base) must match a row of the provider's table; everything else is 403. The path is matched as
  it came, percent-encoded dots and slashes refused: what we match is what the provider reads.
- Bytes pass in both directions without being collected; only answers that may bring ids of held objects are read (bounded), and
  lists are filtered to the tenant's own.
- An object that is held upstream belongs to the tenant that made it: another tenant's id does not exist.
- Authenticated, admitted and recorded like any request; usage is unknown unless the answer tells it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from headgate import clock
from headgate.dialects.base import Edit
from headgate.dialects.splice import apply
from headgate.errors import BadRequest, Forbidden, HeadgateError, NotFound, UpstreamMalformed
from headgate.http import routes
from headgate.http.body import pieces
from headgate.http.headers import own, passed
from headgate.http.incoming import Incoming
from headgate.http.ingress import Ingress
from headgate.model.exchange import Exchange
from headgate.model.record import AttemptRow, Held
from headgate.model.usage import Usage
from headgate.net import Call, Headers, Open, Response, header
from headgate.pipeline import fail, finish
from headgate.providers.base import Allow, Endpoint, Site
from headgate.providers.site import call_headers, passing
from headgate.stages.admit import Admit
from headgate.stages.resolve import Resolve
from headgate.stores.base import Objects, Spool

READ_LIMIT = 32 * 1024 * 1024
UPLOADS = 8
"""How many times larger than a request that is read may one be that passes through."""
_UP = (b"content-type", b"content-length", b"accept", b"openai-beta", b"anthropic-beta", b"range", b"x-goog-upload-")
_DOWN = (b"content-type", b"content-disposition", b"content-range", b"x-goog-upload-", b"openai-", b"retry-after")
_UNSAFE = re.compile(r"%2e|%2f|%5c|%00|\\|//|/\.\.?(/|$)", re.I)


class Opaque:
    def __init__(
        self, *, open_: Open, fetch: Any, objects: Objects, spool: Spool, resolve: Resolve, admit: Admit
    ) -> None:
        self._open = open_
        self._fetch = fetch
        self._objects = objects
        self._spool = spool
        self._resolve = resolve
        self._admit = admit

    async def __call__(self, ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        entered = [*await ingress.pipeline.authenticate(x), self._admit]
        try:
            await self._admit.start(x)
            await self._serve(ingress, x, match, incoming)
        except BaseException as raised:
            fail(x, entered, x.interrupted or raised)
            if x.interrupted is not None and not incoming.begun:
                raise x.interrupted from raised
            raise
        finish(x, entered, "done", x.attempts[-1].status)

    async def _serve(self, ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        if _UNSAFE.search(match.rest) or not match.rest.startswith("/"):
            raise BadRequest("the path is not in its plain form", code="invalid_path")
        sites = ingress.pipeline.dispatch.prepare.sites
        candidates = _of(match.site, sites.values()) if match.site else _likely(x, sites.values())
        body: bytes | None = None
        site, allow = self._allowed(x, match, candidates)
        if header(x.request.headers, b"content-type") in (b"application/json", None) and x.request.method in (
            "POST",
            "PATCH",
            "PUT",
        ):
            body = await x.request.read_body()
            site, body = self._named_model(x, site, allow, candidates, body)
            self._own_names(x, allow, body, site)
        elif allow.names:
            raise BadRequest("this path takes JSON", code="unsupported_media_type")
        if x.route is None:
            self._resolve.passed_to(x, site.name)
        path, endpoint = passing(site, allow, match.rest)
        call = Call(
            method=x.request.method,
            origin=site.origin,
            path=path + _query(x.request.query),
            headers=await self._headers(x, site, endpoint, body is None),
            body=body if body is not None else pieces(incoming, ingress.bounds.max_body * UPLOADS),
            deadlines=site.deadlines,
        )
        await self._relay(x, site, allow, call, incoming)

    # ------------------------------------------------------------------ what may pass

    def _allowed(self, x: Exchange, match: routes.Match, candidates: list[Site]) -> tuple[Site, Allow]:
        """The site and the row of its table; an object named in the path decides the site, and must be the tenant's."""
        assert x.identity is not None
        fitting: list[tuple[Site, Allow, str]] = []
        for site in candidates:
            for allow in site.provider.opaque:
                if allow.method == x.request.method and (hit := _pattern(allow.pattern).fullmatch(match.rest)):
                    fitting.append((site, allow, unquote(hit.groupdict().get("id") or "")))
                    break
        if not fitting:
            what = "is not among the paths that are passed through"
            what = f"{what} to {match.site}" if match.site else f"is no path of this gateway, and {what} to a provider"
            raise Forbidden(f"{x.request.method} {x.request.path} {what}", code="path_not_allowed")
        site, allow, identity = fitting[0]
        if allow.uses and identity:
            held = self._owned(x, identity)
            for site, allow, _ in fitting:
                if site.id == held.site:
                    return site, allow
            raise NotFound(f"there is no {identity!r}", code="object_not_found")
        return site, allow

    def _owned(self, x: Exchange, identity: str) -> Held:
        held = self._objects.owner(identity)
        if held is None or x.identity is None or held.tenant != x.identity.tenant:
            raise NotFound(f"there is no {identity!r}", code="object_not_found")
        return held

    def _named_model(
        self, x: Exchange, site: Site, allow: Allow, candidates: list[Site], body: bytes
    ) -> tuple[Site, bytes]:
        """A model named in the body is resolved like any other: allow-lists hold, aliases work, the provider's own name goes up."""
        if not body:
            return site, body
        try:
            named = msgspec.json.decode(body, type=_Named)
        except (msgspec.DecodeError, RecursionError):
            raise BadRequest("the body is not a valid JSON object") from None
        if named.model is None:
            return site, body
        x.request.site = x.request.site or site.name
        route = self._resolve.passed(x, named.model)
        target = next(
            (t for t in route.targets if any(t.site == c.id and allow in c.provider.opaque for c in candidates)), None
        )
        if target is None:
            raise Forbidden(f"the provider of {named.model!r} does not offer this path", code="path_not_allowed")
        x.route = replace(route, targets=(target,))
        site = next(c for c in candidates if c.id == target.site)
        edit = Edit(name="model", path=("model",), value=msgspec.json.encode(target.model), present=True)
        return site, apply(body, [edit]) if target.model != named.model else body

    def _own_names(self, x: Exchange, allow: Allow, body: bytes, site: Site) -> None:
        if not allow.names or not body:
            return
        json = msgspec.json.decode(body)
        for path, _ in allow.names:
            for identity in _walk(json, path.split(".")):
                if self._owned(x, identity).site != site.name:
                    raise NotFound(f"{identity!r} is held by another provider", code="object_elsewhere")

    async def _headers(self, x: Exchange, site: Site, endpoint: Endpoint, streamed: bool) -> Headers:
        client = [(n, v) for n, v in x.request.headers if n.startswith(_UP) and (streamed or n != b"content-length")]
        headers = await call_headers(site, endpoint, self._fetch, client)
        return [*headers, (b"accept-encoding", b"identity")]

    # ------------------------------------------------------------------ the way back

    async def _relay(self, x: Exchange, site: Site, allow: Allow, call: Call, incoming: Incoming) -> None:
        began = clock.mono_ns()
        row = AttemptRow(
            number=1,
            at=x.at,
            provider=site.name,
            target=x.route.targets[0].model if x.route is not None else "",
            dialect="opaque",
            credential=site.credential.name,
            outcome="failed",
        )
        x.attempts.append(row)
        response: Response | None = None
        try:
            response = await self._open(call)
            row.status = response.status
            row.headers_us = (clock.mono_ns() - began) // 1000
            await self._answer(x, site, allow, response, incoming, row)
            row.outcome = "done"
        except HeadgateError as error:
            row.error = error.code
            raise
        except BaseException:
            row.outcome = "abandoned"
            raise
        finally:
            row.total_us = (clock.mono_ns() - began) // 1000
            if response is not None:
                response.close()

    async def _answer(
        self, x: Exchange, site: Site, allow: Allow, response: Response, incoming: Incoming, row: AttemptRow
    ) -> None:
        headers = [*own(x), *passed(response.headers)]
        headers += [(n, v) for n, v in response.headers if n.startswith(_DOWN)]
        json = b"json" in (header(response.headers, b"content-type") or b"")
        if json and response.status < 300:
            body = await _collect(response)
            body = self._told(x, site, allow, body, row)
            incoming.answer(response.status, headers, body)
            return
        incoming.begin(response.status, headers)
        while piece := await response.read():
            if not incoming.write(piece):
                await incoming.drain()
        incoming.end()

    def _told(self, x: Exchange, site: Site, allow: Allow, body: bytes, row: AttemptRow) -> bytes:
        """What a JSON answer tells us: ids of new objects, usage; and which items of a list are the tenant's."""
        if not (allow.creates or allow.brings or allow.lists or b'"usage"' in body):
            return body
        try:
            json = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UpstreamMalformed("the upstream's answer is not valid JSON") from error
        if not isinstance(json, dict):
            return body
        if isinstance(usage := json.get("usage"), dict):
            row.usage = _usage(usage)
        if allow.creates:
            for identity in _walk(json, allow.id_field.split(".")):
                self._hold(x, site, identity.rsplit("/", 1)[-1], allow.creates)
        for path, kind in allow.brings:
            for identity in _walk(json, path.split(".")):
                self._hold(x, site, identity, kind)
        if allow.lists and isinstance(items := json.get(allow.items), list):
            json[allow.items] = [item for item in items if self._is_own(x, item, allow)]
            for edge in ("first_id", "last_id"):
                if edge in json:
                    kept = json[allow.items]
                    json[edge] = kept[0 if edge == "first_id" else -1].get("id") if kept else None
            return msgspec.json.encode(json)
        return body

    def _is_own(self, x: Exchange, item: Any, allow: Allow) -> bool:
        for identity in _walk(item, allow.id_field.split(".")):
            held = self._objects.owner(identity.rsplit("/", 1)[-1])
            return held is not None and x.identity is not None and held.tenant == x.identity.tenant
        return False

    def _hold(self, x: Exchange, site: Site, identity: str, kind: str) -> None:
        assert x.identity is not None
        held = Held(id=identity, kind=kind, at=x.at, tenant=x.identity.tenant, site=site.name)
        self._objects.hold(held)
        self._spool.append((held,))


def _of(name: str, sites: Iterable[Site]) -> list[Site]:
    """The sites of a provider: one a key."""
    return [site for site in sites if site.name == name]


def _likely(x: Exchange, sites: Iterable[Site]) -> list[Site]:
    """The sites that a path without a provider's name may mean: those that speak the client's own dialect first."""
    own = "anthropic_messages" if x.request.header(b"anthropic-version") else x.dialect.name
    return sorted(sites, key=lambda site: all(endpoint.dialect != own for endpoint in site.provider.endpoints[:1]))


class _Named(msgspec.Struct):
    model: str | None = None


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    parts: list[str] = []
    seen = False
    for piece in re.split(r"(\{id\}|\{rest\})", pattern):
        if piece == "{id}":
            parts.append("[^/]+" if seen else "(?P<id>[^/:]+)")
            seen = True
        elif piece == "{rest}":
            parts.append(".+")
        else:
            parts.append(re.escape(piece))
    return re.compile("".join(parts))


def _walk(json: Any, path: list[str]) -> Iterator[str]:
    """The strings at a dotted path; lists on the way are walked."""
    if isinstance(json, list):
        for item in json:
            yield from _walk(item, path)
    elif not path:
        if isinstance(json, str) and json:
            yield json
    elif isinstance(json, dict) and path[0] in json:
        yield from _walk(json[path[0]], path[1:])


async def _collect(response: Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    while piece := await response.read():
        size += len(piece)
        if size > READ_LIMIT:
            raise UpstreamMalformed("the upstream's answer is too large", code="upstream_too_large")
        parts.append(piece)
    return b"".join(parts)


def _usage(usage: dict[str, Any]) -> Usage:
    def count(*names: str) -> int:
        return next((value for name in names if isinstance(value := usage.get(name), int)), 0)

    return Usage(
        input=count("prompt_tokens", "input_tokens", "total_tokens"),
        output=count("completion_tokens", "output_tokens"),
        native=usage,
    )


def _query(query: bytes) -> str:
    """The client's query, without a key that it may hold."""
    kept = "&".join(
        part for part in query.decode("latin-1").split("&") if part and not part.startswith(("key=", "$alt="))
    )
    return f"?{kept}" if kept else ""
