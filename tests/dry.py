"""The gateway's own decision on a request, in this process and without a call: what would be sent, and what is lost, with its values
(which the running gateway tells nobody but by name)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec.structs import replace

from headgate.app import Gateway
from headgate.config.load import load
from headgate.http import routes
from headgate.http.ingress import exchange
from headgate.model.identity import Identity
from headgate.prepare import Prepared

WHO = Identity(key_id="k", key_name="suite", tenant="suite")


class Dry:
    """A gateway of the same config as a running one's, in a folder of its own."""

    def __init__(self, config: Path, folder: Path) -> None:
        folder.mkdir()
        self._gateway = Gateway(replace(load(config, {}), data=folder), {})
        self._runner = asyncio.Runner()

    def __call__(self, path: str, body: bytes) -> Prepared:
        """What would go to the first target. Raises Refused."""
        ingress = self._gateway.app
        path, _, query = path.partition("?")
        scope = {
            "method": "POST",
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"content-length", b"%d" % len(body))],
        }

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        match = routes.match("POST", path, ingress.pipeline.dispatch.prepare.sites)
        x = exchange(scope, match, ingress.dialects[match.dialect], receive, ingress.bounds)
        x.dry, x.identity = True, WHO
        self._runner.run(ingress.pipeline.decide(x))
        assert x.route is not None
        return ingress.pipeline.dispatch.prepare(x, x.route.targets[0])

    def close(self) -> None:
        self._runner.close()
        self._gateway.close()
