"""More callers than there is room for, on real sockets: so many are served, so many wait, the others are told at once when to come
again; the important first. Nobody is lost: not in the ledger, not a slot."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fakes import Reply, Upstream
from raw import Answer, ask, begin_stream, completion
from running import KEY, Running, sites

LOW, HIGH = "sk-hg-low-priority-key", "sk-hg-high-priority-key"
CHAT_PATH, MESSAGES_PATH = "/up_chat/v1/chat/completions", "/up_chat/v1/messages"
AT_ONCE = 1.0
"""Seconds within which a refusal is answered, on a busy machine; a slot comes free after HOLD."""
HOLD = 2.5


@pytest.fixture(scope="module")
def small(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Room for four, and for four who wait."""
    keys = [
        {"name": "suite", "key": KEY, "tenant": "suite", "scopes": ["trail", "admin", "explain"]},
        {"name": "low", "key": LOW, "tenant": "suite", "priority": 1},
        {"name": "high", "key": HIGH, "tenant": "suite", "priority": 9},
    ]
    config = {
        "server": {"port": 0, "max_concurrent": 4, "queue": 4, "queue_timeout": "20s"},
        "providers": sites(upstream.url),
        "keys": keys,
    }
    gateway = Running(tmp_path_factory.mktemp("small"), config)
    yield gateway
    gateway.stop()


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as pool:
        yield pool


def named(name: str) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": name}]}


def names(script: Upstream) -> list[str]:
    """Who came through to the provider, in order."""
    return [json.loads(seen.body)["messages"][0]["content"] for seen in script.requests]


def gauge(gateway: Running, name: str) -> int:
    body = ask(gateway, "GET", "/metrics").body.decode()
    found = re.search(rf"^headgate_requests_{name} ([0-9.]+)$", body, re.M)
    assert found is not None
    return int(float(found[1]))


class Caller:
    """Asks in a thread, and knows how long the answer took."""

    def __init__(self, gateway: Running, pool: ThreadPoolExecutor) -> None:
        self._gateway, self._pool = gateway, pool

    def __call__(
        self, name: str, key: str = KEY, path: str = CHAT_PATH, headers: dict[str, str] | None = None
    ) -> Future[tuple[Answer, float]]:
        return self._pool.submit(self._ask, name, key, path, headers)

    def _ask(self, name: str, key: str, path: str, headers: dict[str, str] | None) -> tuple[Answer, float]:
        began = time.monotonic()
        answer = ask(self._gateway, "POST", path, named(name), headers, key)
        return answer, time.monotonic() - began


@pytest.fixture
def call(small: Running, callers: ThreadPoolExecutor) -> Caller:
    return Caller(small, callers)


def fill(gateway: Running, script: Upstream, call: Caller, hold: float = HOLD) -> list[Future[tuple[Answer, float]]]:
    """Four who are served, for so many seconds; then others are served without delay."""
    script.script(*[Reply(pieces=[completion()], delay=hold)] * 4, *[Reply(pieces=[completion()])] * 40)
    first = [call("served") for _ in range(4)]
    gateway.wait_for(lambda: len(script.requests) == 4)
    return first


def requests(gateway: Running) -> Callable[[], list[tuple[str, int, str]]]:
    """The ledger's rows that come from now on: (outcome, status, error)."""

    def rows() -> list[tuple[str, int, str]]:
        with sqlite3.connect(f"file:{gateway.data / 'headgate.db'}?mode=ro", uri=True) as database:
            found = database.execute("SELECT outcome, status, error FROM records ORDER BY rowid").fetchall()
        database.close()
        return found

    gateway.wait_for(lambda: gauge(gateway, "under_way") == 1)  # this one
    time.sleep(0.3)  # the rows of who came before follow within a moment
    before = len(rows())
    return lambda: rows()[before:]


def test_thirty_at_once_where_there_is_room_for_eight(small: Running, script: Upstream, call: Caller) -> None:
    """Four are served, the others shed but for the four that are worth most, who then come in their order."""
    rows = requests(small)
    served = fill(small, script, call)
    low = [call("low", LOW) for _ in range(4)]
    small.wait_for(lambda: gauge(small, "waiting") == 4)
    middle = [call(f"middle {number}", path=MESSAGES_PATH if number % 2 else CHAT_PATH) for number in range(20)]
    shed = [future.result() for future in low]
    small.wait_for(lambda: sum(future.done() for future in middle) == 16)
    high = [call(f"high {number}", HIGH) for number in range(2)]
    small.wait_for(lambda: sum(future.done() for future in middle) == 18)
    shed += [future.result() for future in middle if future.done()]
    waiting = [future for future in middle if not future.done()] + high
    assert ask(small, "GET", "/health/ready", key=None).status == 200
    assert ask(small, "GET", "/health/live", key=None).status == 200
    assert len(script.requests) == 4, "nobody more is under way"
    for answer, _ in shed:
        assert answer.status == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    told = {(answer.json.get("type"), answer.json["error"]["code"], answer.json["error"]["type"]) for answer, _ in shed}
    ours = {(None, "over_capacity", "server_error"), ("error", "over_capacity", "overloaded_error")}
    assert told == ours, "each in its dialect"
    assert sorted(seconds for _, seconds in shed)[-7] < AT_ONCE, "all but who had a place for a while"
    assert [future.result()[0].status for future in served + waiting] == [200] * 8
    came = [name.split()[0] for name in names(script)[4:]]
    assert came[:2] == ["high", "high"] and came[2:] == ["middle", "middle"]
    small.wait_for(lambda: len(rows()) == 30)
    assert Counter(rows()) == {("done", 200, ""): 8, ("failed", 503, "over_capacity"): 22}


def test_who_leaves_while_waiting_frees_the_place(small: Running, script: Upstream, call: Caller) -> None:
    """The provider never hears of it, the ledger does; and no slot is lost with it."""
    rows = requests(small)
    served = fill(small, script, call)
    gone: list[socket.socket] = [begin_stream(small, CHAT_PATH, named("gone")) for _ in range(4)]
    small.wait_for(lambda: gauge(small, "waiting") == 4)
    for connection in gone:
        connection.close()
    small.wait_for(lambda: gauge(small, "waiting") == 0)
    waiting = [call("waits") for _ in range(4)]
    assert {future.result()[0].status for future in served + waiting} == {200}
    assert "gone" not in names(script)
    small.wait_for(lambda: len(rows()) == 12)
    assert Counter(outcome for outcome, _, _ in rows()) == {"done": 8, "abandoned": 4}
    script.reset()
    again = fill(small, script, call, 0.5)
    assert {future.result()[0].status for future in again} == {200}


def test_the_header_lowers_a_priority_and_never_raises_it(small: Running, script: Upstream, call: Caller) -> None:
    served = fill(small, script, call)
    order = [("a", {}), ("b", {"x-headgate-priority": "2"}), ("c", {"x-headgate-priority": "9"}), ("d", {})]
    waiting = []
    for number, (name, headers) in enumerate(order):
        waiting.append(call(name, headers=headers))
        small.wait_for(lambda number=number: gauge(small, "waiting") == number + 1)
    assert {future.result()[0].status for future in served + waiting} == {200}
    assert names(script)[4:] == ["a", "c", "d", "b"]
    assert "admit=waited" in waiting[0].result()[0].headers["x-headgate-trail"]


@pytest.mark.parametrize("value", ["10", "-1", "high", "5.0", "٣"])
def test_a_header_that_is_no_priority_is_refused(value: str, small: Running, script: Upstream) -> None:
    """Also where there is room: not only on the day when it would count."""
    answer = ask(small, "POST", CHAT_PATH, named("x"), {"x-headgate-priority": value.encode().decode("latin-1")})
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_priority")
    assert script.requests == []


def test_what_passes_through_is_admitted_too(upstream: Upstream, script: Upstream, tmp_path: Path) -> None:
    """One place, nobody may wait: the second upload is shed, and the one after the first has its place."""
    config = {
        "server": {"port": 0, "max_concurrent": 1, "queue": 0},
        "providers": {"openai": {"base_url": f"{upstream.url}/v1", "api_key": "k"}},
    }
    gateway = Running(tmp_path, config)
    try:
        listed = b'{"object":"list","data":[]}'
        script.script(Reply(pieces=[listed], delay=1.0), Reply(pieces=[listed]))
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(ask, gateway, "GET", "/openai/v1/files")
            gateway.wait_for(lambda: len(script.requests) == 1)
            second = ask(gateway, "GET", "/openai/v1/files")
            assert (second.status, second.json["error"]["code"]) == (503, "over_capacity")
            assert first.result().status == 200
        assert ask(gateway, "GET", "/openai/v1/files").status == 200
    finally:
        gateway.stop()


def test_who_waits_too_long_is_told_so(upstream: Upstream, script: Upstream, tmp_path: Path) -> None:
    config = {
        "server": {"port": 0, "max_concurrent": 1, "queue": 5, "queue_timeout": "200ms"},
        "providers": sites(upstream.url),
    }
    gateway = Running(tmp_path, config)
    try:
        script.script(Reply(pieces=[completion()], delay=1.5))
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(ask, gateway, "POST", CHAT_PATH, named("first"))
            gateway.wait_for(lambda: len(script.requests) == 1)
            began = time.monotonic()
            late = ask(gateway, "POST", CHAT_PATH, named("late"))
            assert 0.2 <= time.monotonic() - began < 1.2
            assert (late.status, late.json["error"]["code"]) == (503, "over_capacity")
            assert first.result().status == 200
    finally:
        gateway.stop()


def test_under_load_a_model_hands_its_requests_to_a_cheaper_one(
    upstream: Upstream, script: Upstream, tmp_path: Path
) -> None:
    """Nobody is refused: half of the room taken is enough for the rule."""
    config = {
        "server": {"port": 0, "max_concurrent": 4},
        "providers": sites(upstream.url),
        "models": {
            "best": {"targets": ["up_chat/dear"], "rules": [{"when": "gateway.load > 25", "use": "up_chat/cheap"}]}
        },
    }
    gateway = Running(tmp_path, config)
    try:
        script.script(Reply(pieces=[completion()], delay=1.5), Reply(pieces=[completion()]))
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(ask, gateway, "POST", "/v1/chat/completions", named("first") | {"model": "best"})
            gateway.wait_for(lambda: len(script.requests) == 1)
            second = ask(gateway, "POST", "/v1/chat/completions", named("second") | {"model": "best"})
            assert (first.result().status, second.status) == (200, 200)
        assert [json.loads(seen.body)["model"] for seen in script.requests] == ["dear", "cheap"]
    finally:
        gateway.stop()
