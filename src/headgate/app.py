"""The composition root: the only file that knows every name. A config becomes a Gateway: an ASGI app, and what must be started and
closed around it.

The order of the pipeline is the literal in `Gateway._pipeline`. On the way out it runs backwards: GuardOutput, ..., Account writes
the record, then Audit tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from headgate import __version__, clock, tasks
from headgate.catalog import Catalog, Model
from headgate.config.provision import Plan, plan
from headgate.config.schema import Config
from headgate.dialects import anthropic_messages, gemini, memo, openai_chat, openai_completions, openai_responses
from headgate.dialects.base import Dialect, ModelCard
from headgate.dialects.json_array import Parser as JsonArrayParser
from headgate.dialects.sse import Parser as SseParser
from headgate.dispatch import Dispatch
from headgate.guards.pattern import compile as compile_guards
from headgate.http.ingress import Bounds, Ingress
from headgate.http.opaque import Opaque
from headgate.http.service import Service, explain_handler
from headgate.http1 import Pool
from headgate.model.prompt import Prompt
from headgate.model.usage import Usage
from headgate.net import Call, Headers, Open, Response
from headgate.pipeline import Pipeline
from headgate.prepare import Prepare
from headgate.providers import demo
from headgate.providers.egress import proxy_for
from headgate.stages.account import Account
from headgate.stages.audit import Audit
from headgate.stages.authenticate import Authenticate
from headgate.stages.guard_input import GuardInput
from headgate.stages.guard_output import GuardOutput
from headgate.stages.resolve import Models, Resolve
from headgate.stores import keys
from headgate.stores.base import KeyRow
from headgate.stores.directory import ResidentDirectory
from headgate.stores.memory import MemoryBlobs, RecentObjects
from headgate.stores.spool import FileSpool
from headgate.stores.sqlite.stores import open_stores
from headgate.telemetry.logs import RequestLog, Writer
from headgate.telemetry.metrics import CONTENT_TYPE, Metrics

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
MEMO_SECONDS = 24 * 3600.0


class Gateway:
    """Everything of one running gateway. `start`, serve `app`, `close`. Raises ConfigError for a config that cannot be obeyed."""

    def __init__(self, config: Config, environment: Mapping[str, str], log: Writer | None = None) -> None:
        self.plan: Plan = plan(config, environment)
        self.data = Path(config.data)
        self.catalog = Catalog.load().overlay(config.prices)
        self.pepper = keys.pepper(self.data / "pepper")
        self.stores = open_stores(self.data / "headgate.db")
        self.spool = FileSpool(self.data / "spool", self.stores.ledger, self.price)
        self.directory = ResidentDirectory(self.stores.keys, [self._declared(key) for key in config.keys])
        self.objects = RecentObjects(self.stores.objects)
        self.pool = Pool()
        self._blobs = MemoryBlobs()
        self._environment = environment
        self._closing = False
        self.models = Models(
            aliases=self.plan.aliases, sites=list(self.plan.sites), known=self._known, listed=self._listed
        )
        metrics = Metrics(
            {
                "headgate_tasks": ("Tasks alive.", tasks.strays),
                "headgate_upstream_connections": ("Connections to providers.", lambda: self.pool.open_connections),
                "headgate_spool_bytes": ("Bytes of records on disk.", lambda: self.spool.state().bytes),
                "headgate_spool_lag_seconds": (
                    "Age of the oldest record not in the ledger.",
                    lambda: self.spool.state().lag,
                ),
            }
        )
        observers: list[Callable[[Any], None]] = []
        if config.telemetry.log.requests and log is not None:
            observers.append(RequestLog(log))
        if config.telemetry.metrics.enabled:
            observers.append(metrics)
        self.app = self._ingress(config, metrics, self._pipeline(tuple(observers)))

    def _pipeline(self, observers: tuple[Callable[[Any], None], ...]) -> Pipeline:
        patterns = compile_guards(self.plan.guards)
        self._resolve = Resolve(self.models, self.objects)
        stages = [
            Audit(observers),
            Account(self.spool, self.price, self.objects),
            Authenticate(self.directory, lambda key: keys.digest(self.pepper, key), keys.well_formed),
            self._resolve,
            GuardInput(patterns),
            GuardOutput(patterns),
        ]
        prepare = Prepare(
            sites=self.plan.sites,
            dialects=DIALECTS,
            fetch=self._fetch,
            max_output=self._max_output,
            restore=self._restore,
        )
        dispatch = Dispatch(prepare=prepare, splitters=SPLITTERS, open_=self._open(), spool=self.spool)
        return Pipeline(stages, dispatch, self._remember)

    def _ingress(self, config: Config, metrics: Metrics, pipeline: Pipeline) -> Ingress:
        service = Service(
            models=self.models,
            card=self.card,
            ledger=self.stores.ledger,
            expose=metrics.expose if config.telemetry.metrics.enabled else None,
            expose_type=CONTENT_TYPE,
            public_metrics=config.telemetry.metrics.public,
            version=__version__,
        )
        opaque = Opaque(
            open_=self._open(), fetch=self._fetch, objects=self.objects, spool=self.spool, resolve=self._resolve
        )
        return Ingress(
            pipeline=pipeline,
            dialects=DIALECTS,
            handlers={
                **service.handlers(),
                "explain": explain_handler(config.server.explain, self.price),
                "opaque": opaque,
            },
            bounds=Bounds(max_body=config.server.max_body, body_seconds=config.server.body_timeout),
            client_address=_client_address(config),
            ready=lambda: not self._closing,
        )

    def _open(self) -> Open:
        """The demo provider answers in this process; everybody else over HTTP."""
        local = demo.Demo(DIALECTS)

        async def open_(call: Call) -> Response:
            return await (local(call) if call.origin.scheme == demo.SCHEME else self.pool(call))

        return open_

    async def _fetch(self, call: Call, *, limit: int = 1 << 20) -> tuple[int, Headers, bytes]:
        """What is fetched aside (tokens) goes through the environment's proxy, like the calls it is for."""
        origin = call.origin
        if origin.proxy is None:
            origin = replace(origin, proxy=proxy_for(origin.scheme, origin.host, origin.port, self._environment))
        return await self.pool.fetch(replace(call, origin=origin), limit=limit)

    # ------------------------------------------------------------------ what the rooms ask for

    def price(self, site: str, model: str, usage: Usage, at: float) -> tuple[int | None, str | None]:
        if site in self.plan.sites and self.plan.sites[site].provider is demo.PROVIDER:
            return 0, "demo"
        found = self._model(site, model, at)
        return (None, None) if found is None else (found.cost(usage, at), found.label(at))

    def _model(self, site: str, model: str, at: float) -> Model | None:
        """What the catalog, or the config's own prices, know of a model at a site; None too for a site that is gone."""
        known = self.plan.sites.get(site)
        if known is None:
            return None
        return self.catalog.find(known.provider.catalog or known.provider.name, model, at, site)

    def _max_output(self, site: str, model: str) -> int | None:
        found = self._model(site, model, clock.wall())
        return found.max_output if found is not None else None

    def _known(self, site: str, model: str) -> bool:
        if self.plan.sites[site].provider is demo.PROVIDER:
            return model in demo.MODELS
        return self._model(site, model, clock.wall()) is not None

    def _listed(self, site: str) -> list[str]:
        provider = self.plan.sites[site].provider
        if provider is demo.PROVIDER:
            return list(demo.MODELS)
        return [model.id for model in self.catalog.models(provider.catalog or provider.name)]

    def card(self, name: str) -> ModelCard:
        route = self.models.find(name, "")
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

    def _declared(self, key: Any) -> KeyRow:
        return KeyRow(
            id=f"declared:{key.name}",
            digest=keys.digest(self.pepper, key.key).hex(),
            hint=keys.hint(key.key),
            name=key.name,
            tenant=key.tenant,
            models=key.models,
            scopes=key.scopes,
            created=0.0,
            expires=key.expires,
        )

    def _remember(self, tenant: str, entries: Iterable[tuple[str, bytes]]) -> None:
        now = clock.wall()
        for identity, value in entries:
            self._blobs.put(f"{tenant}\0{identity}", value, now, MEMO_SECONDS)

    def _restore(self, tenant: str, prompt: Prompt) -> None:
        if len(self._blobs):
            now = clock.wall()
            memo.restore(prompt, lambda identity: self._blobs.get(f"{tenant}\0{identity}", now))

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        self.spool.start()
        self.directory.start()

    def drain(self) -> None:
        """No longer ready: whoever asks /health/ready sends us nothing new."""
        self._closing = True

    def close(self) -> None:
        self.pool.close()
        self.spool.close()
        self.directory.close()
        self.stores.close()


def _client_address(config: Config) -> Callable[[dict[str, Any]], str]:
    """The client's address for logs; X-Forwarded-For counts only where the peer is a trusted proxy (the last untrusted hop)."""
    trusted = config.server.trusted_proxies

    def direct(scope: dict[str, Any]) -> str:
        client = scope.get("client")
        return str(client[0]) if client else ""

    if not trusted:
        return direct

    def known(address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in trusted)

    def forwarded(scope: dict[str, Any]) -> str:
        peer = direct(scope)
        if not known(peer):
            return peer
        hops = [v.decode("latin-1") for n, v in scope["headers"] if n == b"x-forwarded-for"]
        for hop in reversed([part.strip() for value in hops for part in value.split(",")]):
            if not known(hop):
                return str(hop)
        return peer

    return forwarded
