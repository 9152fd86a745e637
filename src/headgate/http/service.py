"""What the gateway says of itself and of its models: health, metrics, welcome, model lists, one request's record, WebSocket's no.

Health needs no key, and tells nothing but which config is served (its fingerprint) and since when. Metrics need a key of scope
"admin" unless config makes them public.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from headgate.dialects.base import ModelCard
from headgate.errors import BadRequest, Forbidden, NotFound, Upgrade
from headgate.explain import explained
from headgate.http import routes
from headgate.http.incoming import Incoming
from headgate.http.ingress import Handler, Ingress, lean_to_client, send_json
from headgate.model.exchange import Exchange
from headgate.pipeline import finish
from headgate.stages.account import Price
from headgate.stages.resolve import Models
from headgate.stores.base import Ledger

Card = Callable[[str], ModelCard]
"""A model's name as clients use it -> its card."""


class Service:
    def __init__(
        self,
        *,
        models: Models,
        card: Card,
        ledger: Ledger,
        expose: Callable[[], bytes] | None,
        expose_type: bytes,
        public_metrics: bool,
        version: str,
        config: Mapping[str, Any],
    ) -> None:
        self._models = models
        self._card = card
        self._ledger = ledger
        self._expose = expose
        self._expose_type = expose_type
        self._public = public_metrics
        self._version = version
        self._config = config

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "live": self.live,
            "ready": self.ready,
            "welcome": self.welcome,
            "metrics": self.metrics,
            "models": self.list_models,
            "model": self.one_model,
            "request": self.request,
            "websocket": self.websocket,
        }

    async def live(self, ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        send_json(incoming, {"status": "live"})

    async def ready(self, ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        ready = not ingress.drain.begun
        told = {"status": "ready" if ready else "not ready", "config": self._config}
        send_json(incoming, told, 200 if ready else 503)

    async def welcome(self, ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        send_json(incoming, {"service": "headgate", "version": self._version})

    async def metrics(self, ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        if self._expose is None:
            raise NotFound("metrics are off (telemetry.metrics.enabled)", code="unknown_path")
        if not self._public:
            await ingress.pipeline.authenticate(x)
            if x.identity is None or "admin" not in x.identity.scopes:
                raise Forbidden("metrics need a key with the scope admin, or telemetry.metrics.public: true")
        body = await asyncio.to_thread(self._expose)
        incoming.answer(200, [(b"content-type", self._expose_type)], body)

    async def list_models(self, ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        lean_to_client(ingress, x, match)
        await ingress.pipeline.authenticate(x)
        assert x.identity is not None
        prefix = f"{match.site}/"
        names = self._models.names(x.identity)
        if match.site in ingress.pipeline.dispatch.prepare.sites:
            names = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        finish(x, (), "done", 200)
        send_json(incoming, x.dialect.models([self._card(name) for name in names]))

    async def one_model(self, ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        lean_to_client(ingress, x, match)
        await ingress.pipeline.authenticate(x)
        assert x.identity is not None
        route = self._models.find(match.model, match.site)
        full = f"{route.targets[0].site}/{route.targets[0].model}" if route is not None else ""
        if route is None or not x.identity.may_use(match.model, full):
            raise NotFound(f"there is no model {match.model!r}", code="model_not_found", param="model")
        finish(x, (), "done", 200)
        send_json(incoming, x.dialect.model(self._card(match.model)))

    async def request(self, ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        """A finished request's record, cost and losses included, for keys of its tenant."""
        await ingress.pipeline.authenticate(x)
        assert x.identity is not None
        row = await asyncio.to_thread(self._ledger.request, match.model)
        if row is None or row.get("tenant") != x.identity.tenant:
            raise NotFound(f"there is no request {match.model!r} (a record follows its answer within a second)")
        send_json(incoming, dict(row))

    async def websocket(self, ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        raise Upgrade("there is no WebSocket here: send the request as HTTP POST to the same path")


def explain_handler(enabled: bool, price: Price) -> Handler:
    """`POST /v1/explain`: {"path": "/v1/chat/completions", "body": {...}} or a body with `x-headgate-path`. The pipeline decides
    through the same code that serves; nothing is called and nothing is spent."""

    async def handle(ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        await ingress.pipeline.authenticate(x)
        assert x.identity is not None
        if not enabled or "explain" not in x.identity.scopes:
            raise Forbidden("explain needs a key with the scope explain (and server.explain: true)")
        try:
            envelope: Any = msgspec.json.decode(await x.request.read_body())
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadRequest("the body is not valid JSON") from error
        send_json(incoming, await explained(ingress, x.identity, envelope, price))

    return handle
