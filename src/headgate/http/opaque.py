"""Pass-through: a provider's other paths, by allow-list, governed like everything else.

Rules of this file:
- (method, path below the provider's base) must match a row of the provider's table; everything else is 403. The path is matched
  decoded, and encoded again as it goes up; dots and slashes encoded twice are refused: what we match is what the provider reads.
- What is kept upstream passes in both directions without being collected. What a model works on is read for the model's name, and
  answers that may bring ids of held objects for these (both bounded); lists are filtered to the tenant's own.
- An object that is held upstream belongs to the tenant that made it: another tenant's id does not exist.
- Authenticated, admitted and recorded like any request; usage is unknown unless the answer tells it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import replace

from headgate import clock
from headgate.dialects.held import held
from headgate.errors import BadRequest, Forbidden, HeadgateError, NotFound, UpstreamMalformed
from headgate.http import routes
from headgate.http.body import pieces
from headgate.http.headers import own, passed
from headgate.http.incoming import Incoming
from headgate.http.ingress import Ingress, lean_to_client
from headgate.http.named import Named, in_form, in_json, renamed, walk
from headgate.model.exchange import Exchange
from headgate.model.record import AttemptRow, Held
from headgate.model.usage import Usage
from headgate.net import Call, Headers, Open, Response, header, unsaid
from headgate.pipeline import fail, finish
from headgate.providers.base import Allow, Endpoint, Site
from headgate.providers.site import call_headers, passing
from headgate.stages.admit import Admit
from headgate.stages.resolve import MOST_OBJECTS, Resolve
from headgate.stores.base import Objects, Spool

READ_LIMIT = 32 * 1024 * 1024
UPLOADS = 8
"""How many times larger than a request that is read may one be that passes through."""
_UP = (b"content-type", b"content-length", b"accept", b"openai-beta", b"anthropic-beta", b"range", b"x-goog-upload-")
_DOWN = (b"content-type", b"content-disposition", b"content-range", b"x-goog-upload-", b"openai-", b"retry-after")
_UNSAFE = re.compile(r"%2e|%2f|%5c|%00|[\x00-\x1f\x7f\\]|//|/\.\.?([/;]|$)", re.I)
IN_PATH = "/models/{id}:"
"""Of paths that name their model themselves."""


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
        lean_to_client(ingress, x, match)
        entered = [*await ingress.pipeline.authenticate(x), self._admit]
        try:
            await self._admit.start(x)
            await self._serve(ingress, x, match, incoming)
        except BaseException as raised:
            fail(x, entered, x.interrupted or raised)
            if x.interrupted is not None and not incoming.begun:
                raise x.interrupted from raised
            raise
        row = x.attempts[-1]
        finish(x, entered, row.outcome, row.status)

    async def _serve(self, ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        if _UNSAFE.search(match.rest) or not match.rest.startswith("/"):
            raise BadRequest("the path is not in its plain form", code="invalid_path")
        sites = ingress.pipeline.dispatch.prepare.sites
        candidates = _of(match.site, sites.values()) if match.site else _likely(x, sites.values())
        site, allow, identity = self._allowed(x, match, candidates)
        rest, body = match.rest, b""
        kind = x.request.header(b"content-type")
        form = kind[:20].lower().startswith(b"multipart/form-data")
        streamed = _brings(x) and form and not allow.works
        if form and allow.names:
            raise BadRequest("this path takes JSON", code="unsupported_media_type")
        if _brings(x) and not streamed:
            body = await x.request.read_body()
        named = Named() if streamed else await asyncio.to_thread(in_form, body, kind) if form else in_json(body)
        owned = await asyncio.to_thread(self._own_names, x, allow, named.json)
        if allow.works and allow.pattern.startswith(IN_PATH):
            named = replace(named, model=identity)
        if named.model or allow.works:
            site, model = self._modelled(x, site, allow, candidates, named)
            if allow.pattern.startswith(IN_PATH):
                rest = rest.replace(f"/{identity}:", f"/{model}:", 1)
            elif model:
                body = renamed(body, named, model)
        if away := [identity for identity, where in owned.items() if where != site.name]:
            raise NotFound(f"{away[0]!r} is held by another provider", code="object_elsewhere")
        if x.route is None:
            self._resolve.passed_to(x, site.name)
        path, endpoint = passing(site, allow, rest)
        call = Call(
            method=x.request.method,
            origin=site.origin,
            path=path + _query(x.request.query),
            headers=await self._headers(x, site, endpoint, streamed),
            body=pieces(incoming, ingress.bounds.max_body * UPLOADS) if streamed else body,
            deadlines=site.deadlines,
        )
        await self._relay(x, site, allow, call, incoming)

    # ------------------------------------------------------------------ what may pass

    def _allowed(self, x: Exchange, match: routes.Match, candidates: list[Site]) -> tuple[Site, Allow, str]:
        """The site, the row of its table, and what the path names: an object decides the site, and must be the tenant's."""
        assert x.identity is not None
        fitting: list[tuple[Site, Allow, str]] = []
        for site in candidates:
            for allow in site.provider.opaque:
                if allow.method == x.request.method and (hit := _pattern(allow.pattern).fullmatch(match.rest)):
                    fitting.append((site, allow, hit.groupdict().get("id") or ""))
                    break
        if not fitting:
            what = "is not among the paths that are passed through"
            what = f"{what} to {match.site}" if match.site else f"is no path of this gateway, and {what} to a provider"
            raise Forbidden(f"{x.request.method} {x.request.path} {what}", code="path_not_allowed")
        site, allow, identity = fitting[0]
        if allow.uses and identity:
            owned = self._owned(x, identity)
            for site, allow, _ in fitting:
                if site.id == owned.site:
                    return site, allow, identity
            raise NotFound(f"there is no {identity!r}", code="object_not_found")
        return site, allow, identity

    def _owned(self, x: Exchange, identity: str) -> Held:
        owned = self._objects.owner(identity)
        if owned is None or x.identity is None or owned.tenant != x.identity.tenant:
            raise NotFound(f"there is no {identity!r}", code="object_not_found")
        return owned

    def _modelled(
        self, x: Exchange, site: Site, allow: Allow, candidates: list[Site], named: Named
    ) -> tuple[Site, str]:
        """The site, and its own name for the model named: resolved like any other, so that allow-lists hold and aliases work. Where
        nobody says which model works (one by default, or a file does), the key must be allowed all of the provider's."""
        assert x.identity is not None
        x.request.site = x.request.site or site.name
        for name in named.others:
            self._resolve.named(x, name)
        if not named.model:
            if not named.others and not x.identity.may_use(f"{site.name}/*"):
                raise Forbidden(
                    f"this key may use certain models only, and this request does not say which one works on it: "
                    f"that takes a key for {site.name}/*",
                    code="model_not_allowed",
                    param="model",
                )
            return site, ""
        route = self._resolve.passed(x, named.model)
        target = next(
            (t for t in route.targets if any(t.site == c.id and allow in c.provider.opaque for c in candidates)), None
        )
        if target is None:
            raise Forbidden(f"the provider of {named.model!r} does not offer this path", code="path_not_allowed")
        x.route = replace(route, targets=(target,))
        return next(c for c in candidates if c.id == target.site), target.model

    def _own_names(self, x: Exchange, allow: Allow, json: Any) -> dict[str, str]:
        """Objects that the body names, and their providers: where the table knows that there is one, it must be held; elsewhere, not by
        another tenant."""
        assert x.identity is not None
        named = set(held(json))
        if len(named) > MOST_OBJECTS:
            raise BadRequest(f"the request refers to more than {MOST_OBJECTS} objects", code="too_many_objects")
        for identity in named:
            owner = self._objects.owner(identity.rpartition("/")[2])
            if owner is not None and owner.tenant != x.identity.tenant:
                raise NotFound(f"there is no {identity!r}", code="object_not_found")
        known = (name for path, _ in allow.names for name in walk(json, tuple(path.split("."))))
        return {name: self._owned(x, name).site for name in known}

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
            if response.status >= 400:
                row.error = "upstream_error"
                said = unsaid(call, await _collect(response))
                incoming.answer(response.status, _shown(x, response), said)
                return
            await self._answer(x, site, allow, response, incoming, row)
            row.outcome = "done"
            if allow.works and row.usage is None:
                row.usage = Usage()  # there was some, and nobody told how much
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
        headers = _shown(x, response)
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
            for identity in walk(json, tuple(allow.id_field.split("."))):
                self._hold(x, site, identity.rsplit("/", 1)[-1], allow.creates)
        for path, kind in allow.brings:
            for identity in walk(json, tuple(path.split("."))):
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
        for identity in walk(item, tuple(allow.id_field.split("."))):
            owner = self._objects.owner(identity.rsplit("/", 1)[-1])
            return owner is not None and x.identity is not None and owner.tenant == x.identity.tenant
        return False

    def _hold(self, x: Exchange, site: Site, identity: str, kind: str) -> None:
        assert x.identity is not None
        made = Held(id=identity, kind=kind, at=x.at, tenant=x.identity.tenant, site=site.name)
        self._objects.hold(made)
        self._spool.append((made,))


def _of(name: str, sites: Iterable[Site]) -> list[Site]:
    """The sites of a provider: one a key."""
    return [site for site in sites if site.name == name]


def _likely(x: Exchange, sites: Iterable[Site]) -> list[Site]:
    """The sites that a path without a provider's name may mean: those that speak the client's own dialect first, in the config's
    order."""
    return sorted(
        sites, key=lambda site: x.dialect.name not in (site.dialects or [e.dialect for e in site.provider.endpoints])
    )


def _brings(x: Exchange) -> bool:
    """Whether there is a body (RFC 9112 §6.3). To a GET none is sent that has none: there are servers that refuse it."""
    return x.request.header(b"content-length").strip(b"0") != b"" or b"transfer-encoding" in x.request.fields


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


def _shown(x: Exchange, response: Response) -> Headers:
    return [*own(x), *passed(response.headers), *((n, v) for n, v in response.headers if n.startswith(_DOWN))]


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
