"""The management API: what an operator's key (scope `admin`) may ask of a running gateway.

`POST /v1/admin/reload` loads the config again, from where it was loaded at the start: nothing that a client sends says what.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from headgate.errors import ConfigError, Forbidden
from headgate.http import routes
from headgate.http.incoming import Incoming
from headgate.http.ingress import Handler, Ingress, send_json
from headgate.model.exchange import Exchange
from headgate.pipeline import finish


class Changes(Struct, frozen=True, kw_only=True):
    """What a reload changed, by name: "providers.openai", "keys.ci", "server.explain"."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()

    def told(self) -> dict[str, list[str]]:
        return {"added": list(self.added), "removed": list(self.removed), "altered": list(self.altered)}


Reload = Callable[[str], Awaitable[Changes]]
"""(why) -> what changed. Raises ConfigError for a config that is refused."""


def reload_handler(reload: Reload) -> Handler:
    async def handle(ingress: Ingress, x: Exchange, match: routes.Match, incoming: Incoming) -> None:
        await ingress.pipeline.authenticate(x)
        if x.identity is None or "admin" not in x.identity.scopes:
            raise Forbidden("a reload needs a key with the scope admin")
        try:
            changes = await reload(f"asked for by the key {x.identity.key_name}")
        except ConfigError as refused:
            finish(x, (), "refused", 400)
            send_json(incoming, {"error": _told(refused)}, 400)
            return
        finish(x, (), "done", 200)
        send_json(incoming, {"changed": changes.told()})

    return handle


def _told(refused: ConfigError) -> dict[str, object]:
    """The error in the form that clients of every operation here read, with all that is wrong listed beside the message."""
    errors = [{"where": one.where, "message": one.message, "suggestion": one.hint} for one in refused.errors]
    return {
        "message": f"the config is refused; the one before stays: {refused}",
        "type": refused.kind,
        "param": None,
        "code": refused.code,
        "errors": errors,
    }
