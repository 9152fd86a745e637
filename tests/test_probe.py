"""A held target is asked aside until it answers, at no caller's expense."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes import Reply, Upstream
from headgate import tasks
from headgate.config.load import parse_config
from headgate.config.provision import plan
from headgate.config.verify import verify
from headgate.errors import ConfigError, UpstreamUnreachable
from headgate.model.route import RouteTarget
from headgate.net import Call, Headers, Response
from headgate.probe import Prober
from headgate.providers.base import Site
from headgate.routing.standing import Change, Standings
from raw import ask, completion
from running import Running
from timeless import timed

CONFIG = """
discover: false
providers:
  p:
    type: openai_compatible
    base_url: http://127.0.0.1:9/v1
    api_key: provider-key
    breaker: {minimum: 2, open_for: 5s, probes: 1}
    probe: {every: 30s}
"""
A, B = (RouteTarget(site="p", model=name) for name in "ab")


class Answered(Response):
    def __init__(self, status: int) -> None:
        self.status = status
        self.headers: Headers = []
        self.closed = False

    def close(self) -> None:
        self.closed = True


class World:
    """A prober, and a provider that answers as it is told: a status, or 0 for nobody there."""

    def __init__(self, *answers: int) -> None:
        self.plan = plan(parse_config(CONFIG.encode(), Path("h.yaml"), {}).config, {})
        self.sites: dict[str, Site] = dict(self.plan.sites)
        self.calls: list[tuple[float, Call]] = []
        self.responses: list[Answered] = []
        self._answers = iter(answers)
        self.standings = Standings(self.plan.breaker, self.changed)
        self.prober = Prober(
            standings=self.standings,
            sites=lambda: self.sites,
            every=self.plan.probed_every,
            open_=self.open,
            fetch=self.nothing,
        )

    def changed(self, change: Change) -> None:
        self.prober(change)

    async def open(self, call: Call) -> Answered:
        self.calls.append((asyncio.get_running_loop().time(), call))
        if not (status := next(self._answers)):
            raise UpstreamUnreachable("nobody there", code="connection_refused")
        self.responses.append(Answered(status))
        return self.responses[-1]

    async def nothing(self, call: Call, *, limit: int = 0) -> Any:
        raise AssertionError("a key needs no fetching")

    def fail(self, *targets: RouteTarget, now: float = 1.0) -> None:
        for target in targets:
            breaker = self.standings.of(target).breaker
            for _ in range(2):
                breaker.record(breaker.admit(now) or 0, "error", now)

    @property
    def held(self) -> int:
        return len(self.standings.held("p"))


def test_it_is_asked_with_its_key_for_its_models_until_it_answers() -> None:
    async def main() -> None:
        world = World(0, 503, 200)
        began = asyncio.get_running_loop().time()
        world.fail(A, B)
        assert (world.held, tasks.strays()) == (2, 1)
        await asyncio.sleep(100)
        assert [at - began for at, _ in world.calls] == [30.0, 60.0, 90.0]
        assert (world.held, tasks.strays()) == (0, 0), "one answer is one for all of the site, and then nobody is asked"
        assert all(response.closed for response in world.responses)
        call = world.calls[0][1]
        assert (call.method, call.path) == ("GET", "/v1/models")
        assert (b"authorization", b"Bearer provider-key") in call.headers
        assert call.deadlines.headers <= 10
        breaker = world.standings.of(A).breaker
        assert breaker.state(100.0) == "half_open", "whether a model is well, callers' probes show"
        world.fail(A, now=100.0)
        assert (world.held, tasks.strays()) == (1, 1)
        world.prober.close()
        await asyncio.sleep(0)

    timed(main())


@pytest.mark.parametrize(
    ("status", "answers"), [(200, True), (404, True), (429, True), (302, False), (401, False), (500, False)]
)
def test_what_counts_as_an_answer(status: int, answers: bool) -> None:
    async def main() -> None:
        world = World(status)
        world.fail(A)
        await asyncio.sleep(31)
        assert world.held == (not answers)
        world.prober.close()
        await asyncio.sleep(0)

    timed(main())


def test_a_site_that_is_gone_is_not_asked_and_one_that_is_back_is() -> None:
    async def main() -> None:
        world = World(200)
        world.fail(A)
        site = world.sites.pop("p")
        await asyncio.sleep(100)
        assert world.calls == []
        world.sites["p"] = site
        await asyncio.sleep(31)
        assert (world.held, tasks.strays()) == (0, 0)

    timed(main())


def test_who_lists_no_models_cannot_be_probed() -> None:
    text = "discover: false\nproviders: {github: {api_key: k, probe: {}}}\n"
    with pytest.raises(ConfigError, match="lists no models"):
        verify(parse_config(text.encode(), Path("h.yaml"), {}), {})


@pytest.fixture
def upstream_of_its_own() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


def test_no_caller_is_spent_on_finding_out(tmp_path: Path, upstream_of_its_own: Upstream) -> None:
    """Two calls fail; while the provider lists no models nobody is sent there, and once it does, all are served."""
    script = upstream_of_its_own
    provider = {
        "type": "openai_compatible",
        "base_url": script.url + "/v1",
        "api_key": "provider-key",
        "breaker": {"minimum": 2, "open_for": "10ms", "probes": 1},
        "probe": {"every": "500ms"},
    }
    gateway = Running(tmp_path / "g", {"providers": {"p": provider}, "retry": {"attempts": 1}})
    try:
        body = {"model": "p/m", "messages": [{"role": "user", "content": "x"}]}

        def asked() -> int:
            return ask(gateway, "POST", "/v1/chat/completions", body).status

        script.script(*[Reply(500, pieces=[b"{}"])] * 3, Reply(pieces=[b"{}"]), *[Reply(pieces=[completion("hi")])] * 2)
        assert [asked(), asked()] == [500, 500]
        assert [asked(), asked()] == [503, 503]
        gateway.wait_for(lambda: asked() == 200)
        assert asked() == 200
        seen = [(request.method, request.path) for request in script.requests]
        models, chat = ("GET", "/v1/models"), ("POST", "/v1/chat/completions")
        assert seen == [chat, chat, models, models, chat, chat]
        assert script.requests[2].header("authorization") == "Bearer provider-key"

        def told() -> list[str]:
            return [line["to"] for line in gateway.lines() if line["event"] == "target changed"]

        gateway.wait_for(lambda: told() == ["open", "half_open", "closed"])
    finally:
        gateway.stop()
