"""Whether a provider is well again, asked without a caller's request and without spending a token: by its list of models.

Rules of this file:
- Only where the provider's config says so. Who is held there (breaker.py: open, and waiting for an answer) is asked about every so many
  seconds, one question for all held targets of a site; nothing runs while nobody is held.
- An answer lets the breaker go on, half-open, to callers' probes. A list of models shows that the way there, the key and the front
  door are well, not that a model is.
- It is judged as a call's status is: a 429 is an answer (it is well, and full), a refused key is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog
from msgspec.structs import replace

from headgate import tasks
from headgate.errors import HeadgateError, UpstreamRefused
from headgate.net import Call, Fetch, Open
from headgate.providers.base import Site
from headgate.providers.site import call_headers, listing, passing
from headgate.routing.standing import Change, Standings, result_of

PATIENCE = 10.0
"""Seconds that an answer may take."""

_log = structlog.get_logger("headgate.targets")


class Prober:
    """Hears of changes. `sites`: those of the config that is served; `every`: seconds between two questions to a site, None where it is
    not to be asked."""

    def __init__(
        self,
        *,
        standings: Standings,
        sites: Callable[[], Mapping[str, Site]],
        every: Callable[[str], float | None],
        open_: Open,
        fetch: Fetch,
    ) -> None:
        self._standings = standings
        self._sites = sites
        self._every = every
        self._open = open_
        self._fetch = fetch
        self._watching: dict[str, asyncio.Task[None]] = {}

    def __call__(self, change: Change) -> None:
        if change.now == "open" and change.site not in self._watching and self._every(change.site) is not None:
            self._watching[change.site] = tasks.spawn(self._watch(change.site), "probe")

    def close(self) -> None:
        for task in list(self._watching.values()):
            task.cancel()

    async def _watch(self, name: str) -> None:
        """Until nobody is held any more, or the config has it otherwise."""
        try:
            while (every := self._every(name)) is not None and self._standings.held(name):
                await asyncio.sleep(every)
                if (site := self._sites().get(name)) is not None:
                    await self._look(site)
        finally:
            del self._watching[name]

    async def _look(self, site: Site) -> None:
        why = await self._asked(site)
        _log.info("target probed", site=site.id, well=not why, **({"why": why} if why else {}))
        if not why:
            for breaker in self._standings.held(site.id):
                breaker.clear()

    async def _asked(self, site: Site) -> str:
        """What is wrong with it; "" if it answers."""
        allow = listing(site)
        assert allow is not None, "a config that asks for more is refused"
        path, endpoint = passing(site, allow, allow.pattern)
        limits = site.deadlines
        try:
            headers = await call_headers(site, endpoint, self._fetch)
            call = Call(
                method=allow.method,
                origin=site.origin,
                path=path,
                headers=[*headers, (b"accept-encoding", b"identity")],
                deadlines=replace(limits, headers=min(limits.headers, PATIENCE)),
            )
            response = await self._open(call)
        except HeadgateError as error:
            return error.code
        response.close()
        if 300 <= response.status < 400 or result_of(UpstreamRefused("", status=response.status)) == "error":
            return f"status {response.status}"
        return ""
