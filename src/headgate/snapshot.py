"""What a config amounts to, built whole: what is offered, the stages, the routes. A reload builds another one and swaps the two.

Rules of this file:
- The order of the pipeline is the literal in `Snapshot._pipeline`. On the way out it runs backwards: GuardOutput, ..., Account
  writes the record, then Audit tells it.
- What outlives a config is in `Resources`: a snapshot uses it and closes none of it.
- Children have pipelines of their own inside the first one: what carries a child knows nothing of who made it.
- No part of a snapshot refers to the whole: the last request that runs on one frees it, without the cycle collector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from headgate import __version__, clock
from headgate.attempt import Attempts
from headgate.catalog import Catalog, Model
from headgate.children import Children, child
from headgate.config.provision import Plan
from headgate.config.schema import Config
from headgate.dialects import anthropic_messages, gemini, openai_chat, openai_completions, openai_responses
from headgate.dialects.base import Dialect, ModelCard
from headgate.dialects.json_array import Parser as JsonArrayParser
from headgate.dialects.needs import needs_of
from headgate.dialects.sse import Parser as SseParser
from headgate.dispatch import Dispatch
from headgate.flights import Flights
from headgate.flights.flight import Flight
from headgate.flights.table import Table
from headgate.guards.pattern import compile as compile_guards
from headgate.http.admin import Reload, reload_handler
from headgate.http.drain import Drain
from headgate.http.incoming import Incoming
from headgate.http.ingress import Bounds, Ingress
from headgate.http.opaque import Opaque
from headgate.http.service import Service, explain_handler
from headgate.http1 import Pool
from headgate.judge import Judge
from headgate.model.ability import Abilities, Needs
from headgate.model.exchange import Exchange
from headgate.model.prompt import Prompt
from headgate.model.route import RouteTarget
from headgate.model.usage import Usage
from headgate.net import Call, Fetch, Headers, Open, Origin, Response
from headgate.pipeline import Pipeline
from headgate.prepare import Prepare
from headgate.providers import demo
from headgate.providers.base import Site
from headgate.providers.egress import proxy_for
from headgate.routing.affinity import Warmth
from headgate.routing.outlook import Knowledge
from headgate.routing.shares import session_of
from headgate.routing.standing import Standings
from headgate.stages.account import Account
from headgate.stages.admit import Admit, Capacity
from headgate.stages.audit import Audit
from headgate.stages.authenticate import Authenticate
from headgate.stages.guard_input import GuardInput
from headgate.stages.guard_output import GuardOutput
from headgate.stages.mirror import Mirror
from headgate.stages.resolve import Models, Resolve
from headgate.stores import keys
from headgate.stores.base import Directory, Ledger, Objects, Spool

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        openai_chat.DIALECT,
        openai_responses.DIALECT,
        anthropic_messages.DIALECT,
        gemini.DIALECT,
        openai_completions.DIALECT,
    )
}
SPLITTERS: dict[str, Callable[[], Any]] = {"sse": SseParser, "json-array": JsonArrayParser}

Observer = Callable[[Any], None]
"""Is shown every finished exchange."""


class Resources(Struct, frozen=True, kw_only=True, eq=False):
    """What lives as long as the process, whatever the config says."""

    environment: Mapping[str, str]
    catalog: Catalog
    pepper: bytes
    ledger: Ledger
    spool: Spool
    standings: Standings
    warmth: Warmth
    capacity: Capacity
    directory: Directory
    objects: Objects
    pool: Pool
    drain: Drain
    children: Children
    flights: Table[Flight]
    remember: Callable[[str, Iterable[tuple[str, bytes]]], None]
    restore: Callable[[str, Prompt], None]
    log: Observer | None
    metrics: Observer
    expose: Callable[[], bytes]
    expose_type: bytes
    reload: Reload


Price = Callable[[Usage, float], tuple[int | None, str | None]]
"""(usage, at) -> (nano-dollars or None, the price's name or None), of one model at one site."""
PRICES = 4096
"""Of so many names: they come from clients."""


def _unknown(usage: Usage, at: float) -> tuple[None, None]:
    return None, None


def _free(usage: Usage, at: float) -> tuple[int, str]:
    return 0, "demo"


class Offering:
    """What the sites of a plan offer, and at what price: the catalog's word, the config's own before it."""

    def __init__(self, sites: Mapping[str, Site], catalog: Catalog) -> None:
        self._sites = sites
        self._catalog = catalog
        self._prices: dict[tuple[str, str], Price] = {}

    def price(self, site: str, model: str, usage: Usage, at: float) -> tuple[int | None, str | None]:
        try:
            price = self._prices[site, model]
        except KeyError:
            if len(self._prices) >= PRICES:
                self._prices.clear()
            price = self._prices[site, model] = self._price(site, model)
        return price(usage, at)

    def _price(self, site: str, model: str) -> Price:
        known = self._sites.get(site)
        if known is None:
            return _unknown
        provider = known.provider
        if provider is demo.PROVIDER:
            return _free
        found = self._catalog.known(provider.catalog or provider.name, model, site)
        return _unknown if found is None else found.price

    def _model(self, site: str, model: str, at: float) -> Model | None:
        """What the catalog, or the config's own prices, know of a model at a site; None too for a site that is gone."""
        known = self._sites.get(site)
        if known is None:
            return None
        return self._catalog.find(known.provider.catalog or known.provider.name, model, at, site)

    def abilities(self, site: str, model: str) -> Abilities | None:
        found = self._model(site, model, clock.wall())
        return found.abilities if found is not None else None

    def able(self, target: RouteTarget) -> Abilities | None:
        """What a target can do: the config's word before the catalog's."""
        known = self.abilities(target.site, target.model)
        return known if target.abilities is None else target.abilities.over(known)

    def known(self, site: str, model: str) -> bool:
        if self._sites[site].provider is demo.PROVIDER:
            return model in demo.MODELS
        return self._model(site, model, clock.wall()) is not None

    def sure(self, site: str) -> bool:
        """The catalog tells what it has. Of a server of the operator's own nobody does: it need not have what the provider has whose API
        it speaks, so nothing of it is listed, and a bare name means others before it."""
        return bool(self._sites[site].provider.base_url)

    def listed(self, site: str) -> list[str]:
        provider = self._sites[site].provider
        if provider is demo.PROVIDER:
            return list(demo.MODELS)
        if not self.sure(site):
            return []
        return [model.id for model in self._catalog.models(provider.catalog or provider.name)]

    def card(self, models: Models, name: str) -> ModelCard:
        route = models.find(name, "")
        target = route.targets[0] if route is not None else None
        if target is None:
            return ModelCard(id=name, owner="headgate")
        found = self._model(target.site, target.model, clock.wall())
        return ModelCard(
            id=name,
            owner=target.site,
            title=found.name if found is not None else name,
            context=found.context_window if found is not None else None,
            max_output=found.max_output if found is not None else None,
        )


class Snapshot:
    """One config at work. Raises ConfigError for guards that cannot be compiled."""

    def __init__(self, plan: Plan, resources: Resources) -> None:
        self.plan = plan
        self.offering = Offering(plan.sites, resources.catalog.overlay(plan.config.prices))
        self.models = Models(
            aliases=plan.aliases,
            sites=sorted(plan.names, key=self.offering.sure, reverse=True),
            known=self.offering.known,
            listed=self.offering.listed,
            at=plan.at,
        )
        self._open = opener(resources.pool)
        self._fetch = fetcher(resources.pool, resources.environment)
        self._resolve = Resolve(
            self.models,
            resources.objects,
            {name: frozenset(tenant.regions) for name, tenant in plan.config.tenants.items()},
        )
        self._admit = Admit(resources.capacity, plan.config.server.queue_timeout)
        self.ingress = self._ingress(resources, self._pipeline(resources))

    @property
    def origins(self) -> set[Origin]:
        """Where its providers are called."""
        return {site.origin for site in self.plan.sites.values()}

    def _pipeline(self, resources: Resources) -> Pipeline:
        patterns = compile_guards(self.plan.guards)
        pepper = resources.pepper
        audit = Audit(self._observers(resources))
        account = Account(resources.spool, self.offering.price, resources.objects)
        guard_input, guard_output = GuardInput(patterns), GuardOutput(patterns)
        children, unjudged = resources.children, self._dispatch(resources)
        judging = Pipeline([audit, account, guard_input, guard_output], unjudged, _forget)
        judge = Judge(dialect=openai_chat.DIALECT, aside=self._resolve.aside, begin=judging.start, spawn=children.spawn)
        dispatch = Dispatch(attempts=unjudged.attempts, known=unjudged.known, judge=judge)
        beside = Pipeline([audit, account], dispatch, _forget)
        stages = [
            audit,
            account,
            Authenticate(resources.directory, lambda key: keys.digest(pepper, key), keys.well_formed),
            self._admit,
            self._resolve,
            guard_input,
            Mirror(_shadow(self._resolve), lambda x: children.beside(x, beside.carry)),
            guard_output,
        ]
        flights = Flights(
            dispatch=dispatch,
            ends=(audit, account),
            children=resources.children,
            table=resources.flights,
            guards=self.plan.guards,
        )
        return Pipeline(stages, dispatch, resources.remember, flights)

    def _dispatch(self, resources: Resources) -> Dispatch:
        prepare = Prepare(
            sites=self.plan.sites,
            dialects=DIALECTS,
            fetch=self._fetch,
            abilities=self.offering.abilities,
            restore=resources.restore,
        )
        attempts = Attempts(prepare=prepare, splitters=SPLITTERS, open_=self._open, spool=resources.spool)
        known = Knowledge(
            standings=resources.standings,
            warmth=resources.warmth,
            needs=lambda x: needs_of(x.dialect, x.head) if x.head is not None else Needs(),
            abilities=self.offering.able,
            price=self.offering.price,
            session=session_of,
        )
        return Dispatch(attempts=attempts, known=known)

    def _observers(self, resources: Resources) -> tuple[Observer, ...]:
        telemetry = self.plan.config.telemetry
        log = (resources.log,) if telemetry.log.requests and resources.log is not None else ()
        return (*log, resources.metrics) if telemetry.metrics.enabled else log

    def _ingress(self, resources: Resources, pipeline: Pipeline) -> Ingress:
        config, models, offering = self.plan.config, self.models, self.offering
        service = Service(
            models=models,
            card=lambda name: offering.card(models, name),
            ledger=resources.ledger,
            expose=resources.expose if config.telemetry.metrics.enabled else None,
            expose_type=resources.expose_type,
            public_metrics=config.telemetry.metrics.public,
            version=__version__,
            config={"fingerprint": _fingerprint(config, resources.pepper), "loaded": int(clock.wall())},
        )
        opaque = Opaque(
            open_=self._open,
            fetch=self._fetch,
            objects=resources.objects,
            spool=resources.spool,
            resolve=self._resolve,
            admit=self._admit,
        )
        return Ingress(
            pipeline=pipeline,
            dialects=DIALECTS,
            handlers={
                **service.handlers(),
                "explain": explain_handler(config.server.explain, offering.price),
                "reload": reload_handler(resources.reload),
                "opaque": opaque,
            },
            bounds=Bounds(max_body=config.server.max_body, body_seconds=config.server.body_timeout),
            client_address=_client_address(config),
            drain=resources.drain,
        )


def _forget(tenant: str, entries: Iterable[tuple[str, bytes]]) -> None:
    """Nobody goes on with what a child was told."""


def _shadow(resolve: Resolve) -> Callable[[Exchange, str], Exchange]:
    def shadow(x: Exchange, use: str) -> Exchange:
        made = child(x, "shadow")
        resolve.aside(made, use)
        return made

    return shadow


def _fingerprint(config: Config, pepper: bytes) -> str:
    """The same wherever the same config is served, secrets included, by gateways of one pepper; of no use without that."""
    return keys.digest(pepper, msgspec.json.encode(config, enc_hook=str).decode()).hex()[:16]


def opener(pool: Pool) -> Open:
    """The demo provider answers in this process; everybody else over HTTP."""
    local = demo.Demo(DIALECTS)

    async def open_(call: Call) -> Response:
        return await (local(call) if call.origin.scheme == demo.SCHEME else pool(call))

    return open_


def fetcher(pool: Pool, environment: Mapping[str, str]) -> Fetch:
    """What is fetched aside (tokens) goes through the environment's proxy, like the calls it is for."""

    async def fetch(call: Call, *, limit: int = 1 << 20) -> tuple[int, Headers, bytes]:
        origin = call.origin
        if origin.proxy is None:
            origin = replace(origin, proxy=proxy_for(origin.scheme, origin.host, origin.port, environment))
        return await pool.fetch(replace(call, origin=origin), limit=limit)

    return fetch


def _client_address(config: Config) -> Callable[[Incoming], str]:
    """The client's address for logs; X-Forwarded-For counts only where the peer is a trusted proxy (the last untrusted hop)."""
    trusted = config.server.trusted_proxies

    if not trusted:
        return lambda incoming: incoming.peer

    def known(address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in trusted)

    def forwarded(incoming: Incoming) -> str:
        peer = incoming.peer
        if not known(peer):
            return peer
        hops = [v.decode("latin-1") for n, v in incoming.headers if n == b"x-forwarded-for"]
        for hop in reversed([part.strip() for value in hops for part in value.split(",")]):
            if not known(hop):
                return str(hop)
        return peer

    return forwarded
