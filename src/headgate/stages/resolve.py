"""Which model the client means, and whether its key may use it.

A name is, in this order: an alias of the config; a wildcard alias ("openai/*"); "provider/model" of a configured provider; a bare
model name, meant for the provider that the path names, or else the first configured provider whose catalog knows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

from headgate.errors import BadRequest, Forbidden, NotFound
from headgate.model.exchange import Exchange
from headgate.model.identity import Identity
from headgate.model.route import Route, RouteTarget
from headgate.stages.base import Stage
from headgate.stores.base import Objects

LONGEST = 256


class Models:
    """The names that requests may use, resident. `known` says whether a site's catalog lists a model; `listed` gives all of them."""

    def __init__(
        self,
        *,
        aliases: Mapping[str, Route],
        sites: Sequence[str],
        known: Callable[[str, str], bool],
        listed: Callable[[str], Sequence[str]],
    ) -> None:
        self._exact = {name: route for name, route in aliases.items() if "*" not in name}
        self._wild = [(name[:-1], route) for name, route in aliases.items() if name.endswith("*")]
        self._wild.sort(key=lambda pair: -len(pair[0]))
        self._sites = tuple(sites)
        self._known = known
        self._listed = listed
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
            return Route(alias=name, targets=(RouteTarget(site=head, model=tail),))
        if site in self._sites:
            return Route(alias=name, targets=(RouteTarget(site=site, model=name),))
        for candidate in self._sites:
            if self._known(candidate, name):
                return Route(alias=name, targets=(RouteTarget(site=candidate, model=name),))
        return None

    def names(self, identity: Identity) -> list[str]:
        """All names this key may use, aliases first."""
        names = [name for name in self._exact if identity.may_use(name)]
        for site in self._sites:
            names += [full for model in self._listed(site) if identity.may_use(full := f"{site}/{model}", model)]
        return names


def _filled(route: Route, name: str, rest: str) -> Route:
    targets = tuple(
        RouteTarget(site=t.site, model=t.model.replace("*", rest), dialect=t.dialect, weight=t.weight)
        for t in route.targets
    )
    return Route(alias=name, targets=targets, strict=route.strict, answer_alias=route.answer_alias)


def _check_text(body: bytes) -> None:
    """Decoders skip what they do not look at; the upstream must not be the first to see that a body is no UTF-8."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise BadRequest(f"the body is not valid UTF-8 at byte {error.start}") from error


class Resolve(Stage):
    name = "resolve"

    def __init__(self, models: Models, objects: Objects) -> None:
        self.models = models
        self._objects = objects

    async def start(self, x: Exchange) -> None:
        request = x.request
        x.body = await request.read_body()
        _check_text(x.body)
        head = x.dialect.head(x.body)
        if request.model:
            head.model = request.model
        if request.stream is not None:
            head.stream = request.stream
        x.head = head
        if not head.model or len(head.model) > LONGEST or not head.model.isprintable():
            raise BadRequest("model must be a name of 1 to 256 printable characters", param="model")
        route = self.named(x, head.model)
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

    async def _held(self, x: Exchange, route: Route, objects: Sequence[str]) -> Route:
        """A request that refers to something held upstream goes where it is held; another tenant's id does not exist. An id that
        was never seen here was made elsewhere, with the provider itself: who knows it may name it to a model."""
        assert x.identity is not None
        for identity in objects:
            held = await asyncio.to_thread(self._objects.owner, identity)
            if held is None:
                continue
            if held.tenant != x.identity.tenant:
                raise NotFound(f"there is no {identity!r}", code="object_not_found")
            targets = tuple(target for target in route.targets if target.site == held.site)
            if not targets:
                raise NotFound(f"{identity!r} is held by another provider than this model's", code="object_elsewhere")
            route = Route(alias=route.alias, targets=targets, strict=route.strict, answer_alias=route.answer_alias)
        return route

    def _unknown(self, name: str, identity: Identity) -> str:
        return f"there is no model {name!r}{self._near(name, identity)}"

    def _near(self, name: str, identity: Identity) -> str:
        names = self.models.names(identity)
        short = {full.partition("/")[2]: full for full in names if "/" in full}
        near = get_close_matches(name, names, 3) or [short[hit] for hit in get_close_matches(name, list(short), 3)]
        if near:
            return f"; did you mean {', '.join(repr(hit) for hit in near)}?"
        return "; GET /v1/models lists what this key may use"
