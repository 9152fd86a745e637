"""The composition root. A config becomes a Gateway: what answers requests, and what must be started and closed around it.

What lives as long as the process (stores, spool, keys, connections, metrics) is made here once; what a config amounts to is a
`Snapshot`. A reload builds a new one whole, then replaces one reference: a request ends on the snapshot that it began on.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

from headgate import clock, tasks
from headgate.catalog import Catalog
from headgate.children import Children
from headgate.config.load import Loaded
from headgate.config.provision import Plan, plan
from headgate.config.schema import Config, Key
from headgate.dialects import memo
from headgate.flights.flight import Flight
from headgate.flights.table import Table
from headgate.http.admin import Changes
from headgate.http.drain import Drain
from headgate.http.incoming import Incoming
from headgate.http.ingress import Ingress
from headgate.http1 import Pool
from headgate.model.prompt import Prompt
from headgate.model.usage import Usage
from headgate.probe import Prober
from headgate.reload import Reloader, compare, refuse_fixed
from headgate.routing.affinity import Warmth
from headgate.routing.standing import Change, Standings
from headgate.snapshot import DIALECTS, SPLITTERS, Resources, Snapshot, fetcher, opener
from headgate.stages.admit import Capacity
from headgate.stores import keys
from headgate.stores.base import KeyRow
from headgate.stores.directory import ResidentDirectory
from headgate.stores.feeder import Feeder
from headgate.stores.memory import MemoryBlobs, RecentObjects
from headgate.stores.spool import FileSpool
from headgate.stores.sqlite.stores import open_stores
from headgate.telemetry.logs import RequestLog, Writer
from headgate.telemetry.metrics import CONTENT_TYPE, Metrics
from headgate.telemetry.targets import Targets, states

__all__ = ["DIALECTS", "SPLITTERS", "Gateway"]

MEMO_SECONDS = 24 * 3600.0


class Gateway:
    """Everything of one running gateway. `start`, serve it, `drain`, `close`. `source` reads its config again, for `reloader`;
    with `feeder` a process of its own brings the records to the ledger, else a thread. Raises ConfigError for a
    config that cannot be obeyed."""

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        log: Writer | None = None,
        source: Callable[[], Loaded] | None = None,
        *,
        feeder: bool = False,
    ) -> None:
        first = plan(config, environment)
        self.data = Path(config.data)
        self.pepper = keys.pepper(self.data / "pepper")
        database, spool = self.data / "headgate.db", self.data / "spool"
        self.stores = open_stores(database)
        self.spool = FileSpool(
            spool, self.stores.ledger, self.price, feeder=Feeder(spool, database, self.price) if feeder else None
        )
        self.directory = ResidentDirectory(self.stores.keys, self._declared(config.keys))
        self.objects = RecentObjects(self.stores.objects)
        self.targets = Targets()
        self.standings = Standings(first.breaker, self._changed)
        self.pool = Pool()
        self.capacity = Capacity(config.server.max_concurrent, config.server.queue)
        self.drain = Drain()
        self.children = Children(self.drain.under_way, self.capacity.gate)
        self.flights: Table[Flight] = Table()
        self.reloader = Reloader(source, self.build, self.swap)
        self._blobs = MemoryBlobs()
        self._environment = environment
        metrics = self._metrics({} if log is None else log.dropped)
        self._resources = Resources(
            environment=environment,
            catalog=Catalog.load(),
            pepper=self.pepper,
            ledger=self.stores.ledger,
            spool=self.spool,
            standings=self.standings,
            warmth=Warmth(),
            capacity=self.capacity,
            directory=self.directory,
            objects=self.objects,
            pool=self.pool,
            drain=self.drain,
            children=self.children,
            flights=self.flights,
            remember=self._remember,
            restore=self._restore,
            log=RequestLog(log) if log is not None else None,
            metrics=metrics,
            expose=metrics.expose,
            expose_type=CONTENT_TYPE,
            reload=self.reloader,
        )
        self._snapshot = Snapshot(first, self._resources)
        self.prober = self._prober()

    def _prober(self) -> Prober:
        return Prober(
            standings=self.standings,
            sites=lambda: self.plan.sites,
            every=lambda site: self.plan.probed_every(site),
            open_=opener(self.pool),
            fetch=fetcher(self.pool, self._environment),
        )

    def _changed(self, change: Change) -> None:
        self.targets(change)
        self.prober(change)

    def _metrics(self, dropped: Mapping[str, int]) -> Metrics:
        return Metrics(
            {
                "headgate_tasks": ("Tasks alive.", tasks.strays),
                "headgate_requests_under_way": (
                    "Requests and children that have not ended.",
                    lambda: len(self.drain.under_way),
                ),
                "headgate_requests_waiting": (
                    "Requests that wait to be let in.",
                    lambda: self.capacity.gate.look().waiting,
                ),
                "headgate_requests_limit": (
                    "Requests that may be under way at once now.",
                    lambda: self.capacity.gate.look().limit,
                ),
                "headgate_shared_bytes": ("Bytes of answers that are shared or kept.", lambda: self.flights.held.bytes),
                "headgate_upstream_connections": ("Connections to providers.", lambda: self.pool.open_connections),
                "headgate_spool_bytes": ("Bytes of records on disk.", lambda: self.spool.state().bytes),
                "headgate_spool_lag_seconds": (
                    "Age of the oldest record not in the ledger.",
                    lambda: self.spool.state().lag,
                ),
                "headgate_config_loaded_timestamp_seconds": (
                    "When the config that is served was loaded.",
                    lambda: self.reloader.loaded,
                ),
            },
            {
                "headgate_config_reloads": ("Reloads of the config.", "result", self.reloader.results),
                "headgate_log_lines_dropped": ("Lines of the log that were not written.", "reason", dropped),
                "headgate_children_dropped": ("Children that found no room.", "cause", self.children.dropped),
                "headgate_hedges": ("Second attempts started beside a slow one.", "model", self.standings.hedges),
                "headgate_ejections": ("Times a target was found an outlier.", "target", self.targets.ejections),
            },
            {
                "headgate_target_state": (
                    "A target's breaker: 0 closed, 1 half-open, 2 open.",
                    "target",
                    lambda: states(self.standings),
                )
            },
        )

    # ------------------------------------------------------------------ the config that is served

    @property
    def plan(self) -> Plan:
        return self._snapshot.plan

    @property
    def app(self) -> Ingress:
        """What serves a request that begins now."""
        return self._snapshot.ingress

    def __call__(self, incoming: Incoming) -> Coroutine[Any, Any, None]:
        return self._snapshot.ingress(incoming)

    def price(self, site: str, model: str, usage: Usage, at: float) -> tuple[int | None, str | None]:
        return self._snapshot.offering.price(site, model, usage, at)

    def build(self, config: Config) -> Snapshot:
        """All of a new config but its effect; from any thread. Raises ConfigError for what cannot be obeyed, and for a change that
        only a restart can make."""
        refuse_fixed(self.plan.config, config)
        return Snapshot(plan(config, self._environment), self._resources)

    def swap(self, snapshot: Snapshot) -> Changes:
        """Serve this config from now on: what begins now begins on it, what is under way ends as it began. On the loop's thread,
        where nothing comes between the keys and the rest."""
        old, self._snapshot = self._snapshot, snapshot
        self.directory.declare(self._declared(snapshot.plan.config.keys))
        server = snapshot.plan.config.server
        self.capacity.adopt(server.max_concurrent, server.queue)
        self.standings.renew(snapshot.plan.breaker)
        self.pool.renew(gone=old.origins - snapshot.origins, wanted=snapshot.origins)
        return compare(old.plan.config, snapshot.plan.config)

    def reload(self, config: Config) -> Changes:
        return self.swap(self.build(config))

    def _declared(self, declared: Iterable[Key]) -> list[KeyRow]:
        return [
            KeyRow(
                id=f"declared:{key.name}",
                digest=keys.digest(self.pepper, key.key).hex(),
                hint=keys.hint(key.key),
                name=key.name,
                tenant=key.tenant,
                models=key.models,
                scopes=key.scopes,
                created=0.0,
                expires=key.expires,
                regions=key.regions,
                priority=key.priority,
            )
            for key in declared
        ]

    # ------------------------------------------------------------------ what crossings remember

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

    def close(self) -> None:
        self.prober.close()
        self.pool.close()
        self.spool.close()
        self.directory.close()
        self.stores.close()
