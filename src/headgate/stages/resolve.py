"""Which model the client means, whether its key may use it, and which targets may then serve.

A name is, in this order: an alias of the config; a wildcard alias ("openai/*"); "provider/model" of a configured provider; a bare
model name, meant for the provider that the path names, or else the first configured provider whose catalog knows it.

A model with a switch (rules, canary, tiers) may send the request on to another. The key's allow-list is asked for the name that the
caller used, and for no other: where a rule leads is the operator's decision. Records and headers keep the caller's name. What the
models on the way, the key and its tenant say of regions holds together: targets elsewhere are taken out before anything is called.
"""

from __future__ import annotations

import asyncio
from codecs import utf_8_decode
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial

import structlog
from msgspec.structs import replace

from headgate.dialects.base import Head
from headgate.errors import BadRequest, Forbidden, Internal, NotFound
from headgate.model.exchange import Exchange
from headgate.model.identity import Identity
from headgate.model.record import Held
from headgate.model.route import HOPS, Route, sunset_at
from headgate.routing.residency import CODE, allowed, listed, narrowed
from headgate.stages.base import Stage
from headgate.stores.base import Objects

LONGEST = 256
MOST_OBJECTS = 10_000
"""Held upstream, that one request may refer to: each is looked up."""
_PIECE = 32_768
"""Bytes that are decoded at a time: memory for the whole would come fresh from the system, which costs more than to decode it."""
ANYWHERE: frozenset[str] = frozenset()

_log = structlog.get_logger("headgate.resolve")


class Models:
    """The names that requests may use, resident. `known` says whether a site's catalog lists a model, `listed` gives all of them;
    `at` gives the route of a model that is named by its provider: (name, provider, model)."""

    def __init__(
        self,
        *,
        aliases: Mapping[str, Route],
        sites: Sequence[str],
        known: Callable[[str, str], bool],
        listed: Callable[[str], Sequence[str]],
        at: Callable[[str, str, str], Route],
    ) -> None:
        self._exact = {name: route for name, route in aliases.items() if "*" not in name}
        self._wild = [(name[:-1], route) for name, route in aliases.items() if name.endswith("*")]
        self._wild.sort(key=lambda pair: -len(pair[0]))
        self._sites = tuple(sites)
        self._known = known
        self._listed = listed
        self._at = at
        self._plain: dict[tuple[str, str], Route | None] = {}

    def find(self, name: str, site: str) -> Route | None:
        route = self._exact.get(name)
        if route is not None:
            return route
        key = (name, site)
        if key not in self._plain:
            if len(self._plain) > 4096:
                self._plain.clear()
            self._plain[key] = self._look(name, site)
        return self._plain[key]

    def _look(self, name: str, site: str) -> Route | None:
        for prefix, route in self._wild:
            if name.startswith(prefix):
                return _filled(route, name, name[len(prefix) :])
        head, slash, tail = name.partition("/")
        if slash and head in self._sites and tail:
            return self._at(name, head, tail)
        if site in self._sites:
            return self._at(name, site, name)
        for candidate in self._sites:
            if self._known(candidate, name):
                return self._at(name, candidate, name)
        return None

    def region(self, site: str) -> str:
        """Where a provider computes, "" if nobody says."""
        return self._at("", site, "").targets[0].region

    def names(self, identity: Identity) -> list[str]:
        """All names this key may use, aliases first."""
        names = [name for name in self._exact if identity.may_use(name)]
        for site in self._sites:
            names += [full for model in self._listed(site) if identity.may_use(full := f"{site}/{model}", model)]
        return names


def _filled(route: Route, name: str, rest: str) -> Route:
    targets = tuple(replace(target, model=target.model.replace("*", rest)) for target in route.targets)
    return replace(route, alias=name, targets=targets)


def _check_text(x: Exchange, head: Head) -> None:
    """Decoders skip what they do not look at; the upstream must not be the first to see that a body is no UTF-8. Who parses it whole
    looks at all of it, and where not all is prose guards need that anyway (of 400 kB, 0.4 ms; a decoding beside it takes 0.2). Raises
    BadRequest."""
    if x.body.isascii() or (not head.prose and _parses(x)):
        return
    at, body, size = 0, memoryview(x.body), len(x.body)
    try:
        while at < size:
            at += utf_8_decode(body[at : at + _PIECE], "strict", at + _PIECE >= size)[1]
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not valid UTF-8 at byte {at + error.start}") from error


def _parses(x: Exchange) -> bool:
    try:
        x.request_json()
    except (BadRequest, UnicodeDecodeError):
        return False
    return True


class Resolve(Stage):
    name = "resolve"

    def __init__(self, models: Models, objects: Objects, regions: Mapping[str, frozenset[str]] | None = None) -> None:
        """`regions`: tenant -> where its requests must stay."""
        self.models = models
        self._objects = objects
        self._regions = regions or {}

    async def start(self, x: Exchange) -> None:
        request = x.request
        x.body = await request.read_body()
        head = x.dialect.head(x.body)
        _check_text(x, head)
        if request.model:
            head.model = request.model
        if request.stream is not None:
            head.stream = request.stream
        x.head = head
        if not head.model or len(head.model) > LONGEST or not head.model.isprintable():
            raise BadRequest("model must be a name of 1 to 256 printable characters", param="model")
        route = self._serving(x, self.named(x, head.model))
        if head.objects:
            route = await self._held(x, route, head.objects)
        x.route = route
        x.trail.note(
            self.name, "ok", model=head.model, targets=[f"{target.site}/{target.model}" for target in route.targets]
        )

    def named(self, x: Exchange, name: str) -> Route:
        """The route of a model name that this key may use. Raises NotFound, Forbidden."""
        assert x.identity is not None
        identity = x.identity
        route = self.models.find(name, x.request.site)
        if route is None:
            raise NotFound(self._unknown(name, identity), code="model_not_found", param="model")
        full = f"{route.targets[0].site}/{route.targets[0].model}"
        if not identity.may_use(name, full if route.alias == name and len(route.targets) == 1 else name):
            raise Forbidden(
                f"this key may not use the model {name!r}{self._near(name, identity)}",
                code="model_not_allowed",
                param="model",
            )
        return route

    def passed(self, x: Exchange, name: str) -> Route:
        """The route of a model named on a path that is passed through. Raises as `named`, and Forbidden where rules would have to
        judge a body that no dialect reads."""
        route = self.named(x, name)
        if route.switch is not None and route.switch.rules:
            raise Forbidden(
                f"the model {name!r} has rules, which cannot judge what goes to this path: name it as provider/model",
                code="rules_not_judged",
                param="model",
            )
        return self._serving(x, replace(route, switch=None))

    def passed_to(self, x: Exchange, site: str) -> None:
        """A request to a provider without a model. Raises Forbidden for a provider outside the regions of key and tenant."""
        regions = narrowed(*self._home(x))
        if regions and self.models.region(site) not in regions:
            raise Forbidden(f"{site} is in none of the regions allowed: {listed(regions)}", code=CODE)

    def aside(self, x: Exchange, name: str) -> None:
        """A child goes to the model that the operator names: the key is not asked for it, but the regions of what it was made for
        hold. Each target is asked once, and none beside another: what may be retried and hedged is the callers'. Raises Forbidden,
        Internal, NotFound."""
        assert x.route is not None
        found = self.models.find(name, "")
        if found is None:
            raise Internal(f"{name!r} is no model here", code="no_such_model")
        route = self._serving(x, found, x.route.regions)
        retry = replace(route.policy.retry, attempts=1)
        x.route = replace(route, policy=replace(route.policy, retry=retry, hedge=None))

    # ------------------------------------------------------------------ who serves

    def _serving(self, x: Exchange, named: Route, *held: frozenset[str]) -> Route:
        """The route that serves: what rules, canary and tiers lead to, a successor after the sunset, only allowed regions. `held`: what
        else holds of regions."""
        route, constraints = named, [*self._home(x), named.regions, *held]
        if named.switch is not None:
            route = self._switched(x, named, constraints)
        if route.sunset and x.at >= sunset_at(route.sunset):
            route = self._succeeded(x, route)
        if any(constraints):
            route = self._kept(x, route, narrowed(*constraints))
        if route is not named:
            route = replace(route, alias=named.alias, sunset=named.sunset, switch=None)
        return route

    def _home(self, x: Exchange) -> tuple[frozenset[str], frozenset[str]]:
        """What the key and its tenant say of regions."""
        assert x.identity is not None
        return x.identity.regions, self._regions.get(x.identity.tenant, ANYWHERE)

    def _switched(self, x: Exchange, route: Route, constraints: list[frozenset[str]]) -> Route:
        """Follows the switches, and adds the regions of the models on the way."""
        from headgate.routing.facts import Facts  # only gateways with switches have it loaded

        facts, note = Facts(x), partial(x.trail.note, self.name)
        for _ in range(HOPS + 1):
            if route.switch is None:
                return route
            try:
                use = route.switch.choose(route.alias, facts, note)
            except Internal as error:
                _log.error("a rule broke", request=x.id, why=error.message, cause=str(error.__cause__))
                raise
            if not use:
                return route
            found = self.models.find(use, "")
            if found is None:
                raise Internal(
                    f"{route.alias!r} sends this request to {use!r}, which is no model here", code="no_such_model"
                )
            route = found
            constraints.append(route.regions)
        raise Internal(f"this request was sent on more than {HOPS} times, last to {route.alias!r}", code="routing_loop")

    def _succeeded(self, x: Exchange, route: Route) -> Route:
        """From its sunset on, a model's successor serves."""
        successors = tuple(replace(t, purpose="", rank=0) for t in route.targets if t.purpose == "successor")
        x.trail.note(
            self.name, "sunset", model=route.alias, since=route.sunset, use=[target.name for target in successors]
        )
        if not successors:
            raise NotFound(
                f"the model {route.alias!r} has ended on {route.sunset}, and has no successor",
                code="model_ended",
                param="model",
            )
        return replace(route, targets=successors)

    def _kept(self, x: Exchange, route: Route, regions: frozenset[str]) -> Route:
        """Without the targets that are elsewhere: what is not in the route cannot be called, whatever fails."""
        targets = tuple(target for target in route.targets if allowed(target, regions))
        left = [
            f"{target.name} ({target.region or 'region unknown'})" for target in route.targets if target not in targets
        ]
        x.trail.note(self.name, "regions", allowed=sorted(regions), left_out=left)
        if not any(not target.purpose for target in targets):
            raise Forbidden(
                f"this request must stay in {listed(regions)}, and no target of {route.alias!r} is there",
                code=CODE,
                param="model",
            )
        return replace(route, targets=targets, regions=regions)

    async def _held(self, x: Exchange, route: Route, objects: Sequence[str]) -> Route:
        """A request that refers to something held upstream goes where it is held; another tenant's id does not exist. An id that
        was never seen here was made elsewhere, with the provider itself: who knows it may name it to a model."""
        assert x.identity is not None
        for identity, held in zip(objects, await asyncio.to_thread(self._owners, objects), strict=True):
            if held is None:
                continue
            if held.tenant != x.identity.tenant:
                raise NotFound(f"there is no {identity!r}", code="object_not_found")
            targets = tuple(target for target in route.targets if target.site == held.site)
            if not targets:
                raise NotFound(f"{identity!r} is held by another provider than this model's", code="object_elsewhere")
            route = replace(route, targets=targets)
        return route

    def _owners(self, objects: Sequence[str]) -> list[Held | None]:
        if len(objects) > MOST_OBJECTS:
            raise BadRequest(f"the request refers to more than {MOST_OBJECTS} objects", code="too_many_objects")
        return [self._objects.owner(name.rpartition("/")[2]) for name in objects]  # "cachedContents/ID" is held as ID

    def _unknown(self, name: str, identity: Identity) -> str:
        return f"there is no model {name!r}{self._near(name, identity)}"

    def _near(self, name: str, identity: Identity) -> str:
        names = self.models.names(identity)
        short = {full.partition("/")[2]: full for full in names if "/" in full}
        near = get_close_matches(name, names, 3) or [short[hit] for hit in get_close_matches(name, list(short), 3)]
        if near:
            return f"; did you mean {', '.join(repr(hit) for hit in near)}?"
        return "; GET /v1/models lists what this key may use"
