"""The config is loaded again while requests are served: whole or not at all, and nobody notices but by what it says."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import os
import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fakes import Reply, Upstream
from headgate.app import Gateway
from headgate.config.load import Loaded, load, parse_config
from headgate.config.schema import Config
from headgate.config.secrets import MAX_FILE, Unresolved, digest, interpolate
from headgate.config.section import Section
from headgate.config.watch import Watch
from headgate.errors import ConfigError
from headgate.http.admin import Changes
from headgate.model.usage import Usage
from headgate.reload import FOLLOWED, Reloader, compare, is_fixed
from raw import CHAT, ask, begin_stream, chunk, completion, sse
from running import KEY, Running, sites
from test_life import PATH, SSE, STREAM, rows

REFUSED = "the config is refused; the one before stays"
OTHER = "sk-hg-another-key-of-the-suite"


class File:
    """The file of a running gateway, written as a test says."""

    def __init__(self, gateway: Running) -> None:
        self._gateway = gateway
        self.value: dict[str, Any] = yaml.safe_load(gateway.config.read_text())

    def write(self, text: str | None = None, **change: Any) -> None:
        """As careful writers do it: a new file in the old one's place."""
        self.value |= change
        fresh = self._gateway.config.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(self.value) if text is None else text)
        fresh.replace(self._gateway.config)


@pytest.fixture
def own(upstream: Upstream, tmp_path: Path) -> Iterator[Running]:
    upstream.reset()
    running = Running(tmp_path / "g", {"providers": sites(upstream.url)})
    yield running
    if running.process.poll() is None:
        running.stop()


def reload(gateway: Running, key: str = KEY) -> tuple[int, Any]:
    answer = ask(gateway, "POST", "/v1/admin/reload", key=key)
    return answer.status, answer.json


def told(gateway: Running, event: str) -> list[dict[str, Any]]:
    return [line for line in gateway.lines() if line.get("event") == event]


def key(name: str, text: str, *scopes: str) -> dict[str, Any]:
    return {"name": name, "key": text, "tenant": "suite", "scopes": list(scopes)}


# ------------------------------------------------------------------ under load


class Constant(Upstream):
    """A provider that gives the same reply for ever."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self._replies = _Endless(reply)


class _Endless(deque[Reply]):
    def __init__(self, reply: Reply) -> None:
        super().__init__((reply,))
        self._reply = reply

    def popleft(self) -> Reply:
        return self._reply


class Caller(threading.Thread):
    """Asks again and again on one connection, until told to stop; counts what was right and keeps what was not."""

    def __init__(self, gateway: Running, body: dict[str, Any], right: Callable[[bytes], bool]) -> None:
        super().__init__(daemon=True)
        self._port, self._body, self._right = gateway.port, json.dumps(body), right
        self.done = 0
        self.wrong: list[object] = []
        self.over = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        while not self.over.is_set():
            try:
                connection.request("POST", "/v1/chat/completions", self._body, headers)
                answer = connection.getresponse()
                data = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
                return
            if answer.status == 200 and self._right(data):
                self.done += 1
            else:
                self.wrong.append((answer.status, data))
        connection.close()


def open_files(gateway: Running) -> int:
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


def resident(gateway: Running) -> float:
    """MiB."""
    lines = Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def test_two_hundred_reloads_under_load_fail_no_request(tmp_path: Path) -> None:
    """Ten callers, whole and streamed, on kept connections, while every reload moves the providers to another address, adds and
    removes a key, a guard and a price. Every request is answered and recorded; tasks, sockets and memory are as before."""
    whole = Constant(Reply(pieces=[completion()]))
    pieces = sse(*[chunk("word ")] * 5, chunk(finish="stop"), "[DONE]")
    streamed = Constant(Reply(headers=SSE, pieces=pieces, chunked=True, pause=0.005))

    def config(host: str, extra: bool) -> dict[str, Any]:
        def site(upstream: Upstream) -> dict[str, Any]:
            return {"type": "openai_compatible", "base_url": f"http://{host}:{upstream.port}/v1", "api_key": "k"}

        models = {name: {"targets": [f"{name}_site/m"]} for name in ("whole", "streamed")}
        more = {
            "guards": [{"name": "id", "pattern": r"EMP-\d{6}"}],
            "prices": [{"model": "whole_site/*", "input": 1, "output": 2}],
        }
        keys = [key("suite", KEY, "admin"), *([key("other", OTHER)] if extra else [])]
        return {
            "providers": {"whole_site": site(whole), "streamed_site": site(streamed)},
            "models": models,
            "keys": keys,
        } | (more if extra else {})

    gateway = Running(tmp_path / "g", config("127.0.0.1", False))
    file = File(gateway)
    callers = [Caller(gateway, CHAT | {"model": "whole"}, lambda data: b"hello" in data) for _ in range(6)]
    callers += [
        Caller(gateway, STREAM | {"model": "streamed"}, lambda data: data.endswith(b"[DONE]\n\n")) for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    sizes = []
    try:
        for number in range(200):
            odd = bool(number % 2)
            for name in ("guards", "prices"):
                file.value.pop(name, None)
            file.write(**config("localhost" if odd else "127.0.0.1", odd))
            status, body = reload(gateway)
            assert status == 200, body
            if number:
                assert len(body["changed"]["added" if odd else "removed"]) == 3, body
            if number in (50, 199):
                sizes.append((resident(gateway), open_files(gateway)))
    finally:
        for caller in callers:
            caller.over.set()
        for caller in callers:
            caller.join(30)
    assert [caller.wrong for caller in callers if caller.wrong] == []
    assert all(caller.done >= 20 for caller in callers), [caller.done for caller in callers]
    (early, some), (late, more) = sizes
    assert late - early < 20, f"{early:.1f} MiB grew to {late:.1f}"
    assert abs(more - some) < 30
    text = gateway.wait_for(
        lambda: (page := ask(gateway, "GET", "/metrics").body.decode()) and "headgate_tasks 0.0" in page and page
    )
    assert 'headgate_config_reloads_total{result="success"}' in text
    assert 'headgate_config_reloads_total{result="failure"} 0.0' in text
    alive = float(text.split("\nheadgate_upstream_connections ")[1].split()[0])
    assert alive <= 10, "connections to addresses that no config names any more are closed"
    done = sum(caller.done for caller in callers)
    gateway.stop()
    found = rows(gateway)
    assert (len(found), {row["outcome"] for row in found}) == (done, {"done"})
    whole.close()
    streamed.close()


def test_which_config_is_served_since_when_is_told_by_its_fingerprint(own: Running) -> None:
    """So that whoever looks after several gateways sees one that is behind. A refused config changes neither."""

    def served() -> dict[str, Any]:
        told: dict[str, Any] = ask(own, "GET", "/health/ready", key=None).json["config"]
        return told

    file, first = File(own), served()
    assert abs(first["loaded"] - time.time()) < 60
    file.write("models: 1")
    reload(own)
    assert served() == first
    file.write(server={"port": 0, "drain": "9s"})
    reload(own)
    assert served()["fingerprint"] != first["fingerprint"]
    file.write(server={"port": 0})
    reload(own)
    assert served()["fingerprint"] == first["fingerprint"]


# ------------------------------------------------------------------ what is refused


def test_an_invalid_file_changes_nothing_and_says_why(own: Running, script: Upstream) -> None:
    """Every error with its line and a suggestion, to whoever asked and in the log; told once; the old config serves."""
    file = File(own)
    file.write(
        "providers:\n"
        "  up_chat: {type: openai_compatible, base_url: 'http://127.0.0.1:1/v1', api_key: sk-very-secret}\n"
        "models:\n"
        "  fast: {targets: [up_chta/m]}\n"
        "guards:\n"
        "  - {name: g, pattern: '(['}\n"
    )
    status, body = reload(own)
    assert (status, body["error"]["code"]) == (400, "invalid_config")
    errors = body["error"]["errors"]
    assert [error["where"].split("headgate.yaml")[1].split(":")[1] for error in errors] == ["4", "6"]
    assert "models.fast.targets[0]" in errors[0]["message"]
    assert "up_chat" in errors[0]["suggestion"]
    script.script(Reply(pieces=[completion()]))
    assert ask(own, "POST", PATH, CHAT).status == 200
    (line,) = own.wait_for(lambda: told(own, REFUSED))
    assert len(line["errors"]) == 2
    file.write("models: 1")
    first, second = own.wait_for(lambda: len(lines := told(own, REFUSED)) > 1 and lines, 4)
    assert (first, second["cause"]) == (line, "a file of it has changed"), (
        "each is told once, not at every look at the file"
    )
    assert "sk-very-secret" not in own.errors() + json.dumps(body)
    page = ask(own, "GET", "/metrics").body
    assert b'headgate_config_reloads_total{result="failure"} 2.0' in page


def test_what_only_a_restart_can_change_is_refused_by_name(own: Running) -> None:
    file = File(own)
    file.write(
        server={"port": 1, "max_header_bytes": "1KiB", "max_body": "1KiB"}, telemetry={"log": {"level": "debug"}}
    )
    status, body = reload(own)
    assert status == 400
    named = [error["message"].split(":")[0] for error in body["error"]["errors"]]
    assert named == ["server.port", "server.max_header_bytes", "telemetry.log.level"]
    assert all("restart" in error["message"] for error in body["error"]["errors"])
    big = CHAT | {"messages": [{"role": "user", "content": "x" * 2000}]}
    assert ask(own, "POST", PATH, big).status != 413, (
        "nothing of a refused config holds, not even what could be changed"
    )
    file.write(server={"port": 0, "max_body": "1KiB"}, telemetry={})
    assert reload(own) == (200, {"changed": {"added": [], "removed": [], "altered": ["server.max_body"]}})
    assert ask(own, "POST", PATH, big).status == 413


def test_only_an_admins_key_reloads(own: Running) -> None:
    file = File(own)
    file.write(keys=[key("suite", KEY, "admin"), key("plain", OTHER, "explain", "trail")])
    assert reload(own)[0] == 200
    assert reload(own, OTHER)[0] == 403
    assert ask(own, "POST", "/v1/admin/reload", key=None).status == 401
    assert ask(own, "GET", "/v1/admin/reload").status != 200


# ------------------------------------------------------------------ what takes effect


def test_a_changed_file_is_loaded_by_itself(own: Running) -> None:
    assert ask(own, "GET", "/v1/models/fast").status == 404
    File(own).write(models={"fast": {"targets": ["up_chat/m"]}})
    own.wait_for(lambda: ask(own, "GET", "/v1/models/fast").status == 200, 4)
    (line,) = own.wait_for(lambda: told(own, "config loaded"))
    assert (line["cause"], line["added"]) == ("a file of it has changed", ["models.fast"])


def test_a_rotated_secret_is_loaded_by_itself(own: Running) -> None:
    """The config's text is the same: a file that it names has changed. One that is gone is told, and waited for."""
    secret = own.folder / "key.txt"
    secret.write_text(OTHER)
    File(own).write(keys=[key("suite", KEY, "admin"), key("filed", "${file:key.txt}")])
    assert reload(own)[0] == 200
    assert ask(own, "GET", "/v1/models", key=OTHER).status == 200
    secret.unlink()
    (line,) = own.wait_for(lambda: told(own, REFUSED), 4)
    assert "key.txt cannot be read" in line["errors"][0]
    assert ask(own, "GET", "/v1/models", key=OTHER).status == 200, "the config before stays"
    secret.write_text(OTHER + "-renewed")
    own.wait_for(lambda: ask(own, "GET", "/v1/models", key=OTHER + "-renewed").status == 200, 4)
    assert ask(own, "GET", "/v1/models", key=OTHER).status == 401
    own.wait_for(lambda: [line for line in told(own, "config loaded") if line.get("altered") == ["keys.filed"]])
    assert OTHER not in own.errors()


def test_a_hang_up_loads_the_config(own: Running) -> None:
    assert ask(own, "GET", "/health/live").status == 200
    own.process.send_signal(signal.SIGHUP)
    own.wait_for(lambda: [line for line in told(own, "config loaded") if line["cause"] == "SIGHUP"])


def test_a_removed_key_and_provider_stop_at_once_and_a_stream_goes_on(own: Running, script: Upstream) -> None:
    """What is under way ends on the config that it began on."""
    file = File(own)
    script.script(
        Reply(headers=SSE, pieces=sse(*[chunk("x")] * 6, chunk(finish="stop"), "[DONE]"), chunked=True, pause=0.15)
    )
    connection = begin_stream(own, PATH, STREAM)
    got = connection.recv(65536)
    file.write(providers={}, keys=[key("second", OTHER, "admin")])
    status, body = reload(own)
    assert status == 200
    assert "keys.suite" in body["changed"]["removed"]
    assert "providers.up_chat" in body["changed"]["removed"]
    assert ask(own, "GET", "/v1/models").status == 401
    assert ask(own, "POST", PATH, CHAT, key=OTHER).status in (403, 404)
    while piece := connection.recv(65536):
        got += piece
        if b"[DONE]" in got:
            break
    connection.close()
    assert b"[DONE]" in got
    page = own.wait_for(
        lambda: (text := ask(own, "GET", "/metrics", key=OTHER).body) and b"connections 0.0" in text and text
    )
    assert b"headgate_upstream_connections 0.0" in page, "the connection is not kept for an address that is gone"
    own.stop()
    (row,) = [row for row in rows(own) if row["key_name"] == "suite"]
    assert (row["outcome"], row["provider"]) == ("done", "up_chat")


# ------------------------------------------------------------------ the parts


def made(folder: Path, **config: Any) -> tuple[Gateway, Config]:
    folder.mkdir(exist_ok=True)
    path = folder / "headgate.yaml"
    path.write_text(yaml.safe_dump({"data": str(folder / "data"), "discover": False} | config))
    (folder / "data").mkdir(exist_ok=True)
    settings = load(path, {})
    return Gateway(settings, {}), settings


def test_an_old_config_is_freed_without_the_collector(tmp_path: Path) -> None:
    """Two hundred of them would else wait for it together."""
    gateway, config = made(tmp_path, guards=[{"name": "g", "pattern": "x"}], models={"m": {"targets": ["demo/chat"]}})
    gc.collect()
    gc.disable()
    try:
        old = weakref.ref(gateway.app), weakref.ref(gateway.app.pipeline.stages[-1])
        gateway.reload(config)
        assert [one() for one in old] == [None, None]
    finally:
        gc.enable()
        gateway.close()


def test_prices_follow_for_the_records_of_a_crash_too(tmp_path: Path) -> None:
    price = {"model": "site/*", "input": 1, "output": 2}
    providers = {"site": {"type": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "api_key": "x"}}
    gateway, config = made(tmp_path, providers=providers, prices=[price])
    usage = Usage(input=1_000_000, output=0)
    assert gateway.price("site", "m", usage, 0.0)[0] == 10**9
    dearer = replace(config, prices=(replace(config.prices[0], input=3 * 10**9),))
    assert gateway.reload(dearer) == Changes(altered=("prices.site/*",))
    assert gateway.price("site", "m", usage, 0.0)[0] == 3 * 10**9
    gateway.close()


def test_a_config_that_cannot_be_built_leaves_the_gateway_as_it_was(tmp_path: Path) -> None:
    gateway, config = made(tmp_path, models={"m": {"targets": ["demo/chat"]}})
    app, plan = gateway.app, gateway.plan
    with pytest.raises(ConfigError, match="needs a restart"):
        gateway.reload(replace(config, data=tmp_path / "elsewhere"))
    assert (gateway.app, gateway.plan) == (app, plan)
    gateway.close()


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("", "", Changes()),
        ("", "server: {explain: false}", Changes(altered=("server.explain",))),
        ("", "providers: {openai: {api_key: k}}", Changes(added=("providers.openai",))),
        (
            "providers: {a: {type: openai, api_key: k}}",
            "providers: {a: {type: openai, api_key: l}}",
            Changes(altered=("providers.a",)),
        ),
        (
            "guards: [{name: a, pattern: x}, {name: b, pattern: y}]",
            "guards: [{name: b, pattern: y}, {name: c, pattern: z}]",
            Changes(added=("guards.c",), removed=("guards.a",)),
        ),
        (
            "guards: [{name: a, pattern: x}, {name: b, pattern: y}]",
            "guards: [{name: b, pattern: y}, {name: a, pattern: x}]",
            Changes(altered=("guards",)),
        ),
        (
            "prices: [{model: 'a/*', input: 1, output: 1}]",
            "prices: [{model: 'a/*', input: 1, output: 1}, {model: 'a/*', input: 2, output: 1, since: 2030-01-01}]",
            Changes(altered=("prices.a/*",)),
        ),
        (
            "server: {tls: {cert_file: a, key_file: b}}",
            "server: {trusted_proxies: [10.0.0.0/8]}",
            Changes(altered=("server.tls", "server.trusted_proxies")),
        ),
    ],
)
def test_changes_are_told_by_name(old: str, new: str, changes: Changes) -> None:
    before, after = (parse_config(text.encode(), Path("c.yaml"), {}).config for text in (old, new))
    assert compare(before, after) == changes


def settings(section: Section, around: str = "") -> Iterator[str]:
    """The dotted names of all that is no list or mapping of sections."""
    for name in section.__struct_fields__:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from settings(value, f"{around}{name}.")
        elif around or value not in ({}, ()):
            yield f"{around}{name}"


def test_every_setting_is_followed_or_named_as_one_that_is_not() -> None:
    """None is forgotten: the documentation lists what needs a restart, and a reload follows the rest."""
    page = (Path(__file__).parents[1] / "docs" / "config_head.md").read_text()
    told = page.partition("needs a restart:")[2].partition(". (")[0]
    named = {part for part in told.split("`") if part.replace(".", "").replace("_", "").isalpha()}
    known = set(settings(Config()))
    assert {path for path in known if is_fixed(path)} == named
    assert known >= FOLLOWED, "nothing that is not there"


def test_reloads_take_turns_and_the_last_one_wins() -> None:
    """Each reads when its turn comes: what is served in the end is what was last to be read."""
    reading = threading.Semaphore(0)
    now, at_once, most = 0, 0, 0
    served: list[int] = []

    def read() -> Loaded:
        nonlocal now, at_once, most
        at_once += 1
        most = max(most, at_once)
        assert reading.acquire(timeout=5)
        now += 1
        at_once -= 1
        return Loaded(config=Config(server=replace(Config().server, max_body=now)))

    def swap(config: Config) -> Changes:
        served.append(config.server.max_body)
        return Changes()

    async def run() -> None:
        reloader = Reloader(read, lambda config: config, swap)
        asked = asyncio.gather(*(reloader(f"cause {number}") for number in range(5)))
        for _ in range(5):
            await asyncio.sleep(0)
            reading.release()
        await asked
        assert reloader.results == {"success": 5, "failure": 0}

    asyncio.run(run())
    assert (served, most) == ([1, 2, 3, 4, 5], 1)


def test_without_a_file_there_is_nothing_to_load() -> None:
    async def run() -> None:
        with pytest.raises(ConfigError, match="without a config file"):
            await Reloader(None, lambda config: config, lambda config: Changes())("SIGHUP")

    asyncio.run(run())


class TestWatch:
    """A look says once that there is another text, when it stands still."""

    def test_a_new_text_is_told_once_and_not_before_it_stands_still(self, tmp_path: Path) -> None:
        file = tmp_path / "c"
        file.write_text("one")
        watch = Watch(file)
        assert not watch.changed()
        file.write_text("")  # a writer that empties the file first
        assert not watch.changed()
        file.write_text("two, longer")
        assert not watch.changed(), "it was another one a moment ago"
        assert watch.changed()
        assert not watch.changed()

    def test_a_file_that_is_touched_or_replaced_by_the_same_has_not_changed(self, tmp_path: Path) -> None:
        file = tmp_path / "c"
        file.write_text("one")
        watch = Watch(file)
        os.utime(file, ns=(1, 1))
        assert [watch.changed() for _ in range(3)] == [False] * 3
        (tmp_path / "d").write_text("one")
        (tmp_path / "d").replace(file)
        assert [watch.changed() for _ in range(3)] == [False] * 3

    def test_a_link_that_is_pointed_elsewhere(self, tmp_path: Path) -> None:
        """As mounted ConfigMaps are: config.yaml -> ..data/config.yaml, ..data -> one folder after another. Sizes and times are equal."""
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "config.yaml").write_text(name.ljust(8))
            os.utime(tmp_path / name / "config.yaml", ns=(5, 5))
        (tmp_path / "..data").symlink_to("first")
        (tmp_path / "config.yaml").symlink_to("..data/config.yaml")
        watch = Watch(tmp_path / "config.yaml")
        (tmp_path / "..new").symlink_to("second")
        (tmp_path / "..new").replace(tmp_path / "..data")
        assert [watch.changed() for _ in range(3)] == [False, True, False]

    def test_a_file_that_is_gone_and_comes_back(self, tmp_path: Path) -> None:
        file = tmp_path / "c"
        file.write_text("one")
        watch = Watch(file)
        file.unlink()
        assert [watch.changed() for _ in range(3)] == [False, True, False]
        file.write_text("one")
        assert [watch.changed() for _ in range(3)] == [False, True, False]

    def test_files_that_the_config_names_count_too(self, tmp_path: Path) -> None:
        """Those of the last load, told once like the config itself; a file that is not named any more counts no more."""
        file, secret = tmp_path / "c", tmp_path / "key"
        file.write_text("${file:key}")
        secret.write_text("first")
        watch = Watch(file)
        watch.follow({secret: digest(secret)})
        assert [watch.changed() for _ in range(3)] == [False] * 3
        secret.write_text("second")
        assert [watch.changed() for _ in range(3)] == [False, True, False]
        watch.follow({secret: digest(secret)})
        secret.unlink()
        assert [watch.changed() for _ in range(3)] == [False, True, False]
        watch.follow({secret: b""})
        assert [watch.changed() for _ in range(3)] == [False] * 3, "gone when it was read, and gone still"
        watch.follow({})
        secret.write_text("third")
        assert [watch.changed() for _ in range(3)] == [False] * 3

    def test_a_file_that_changes_while_the_config_is_loaded(self, tmp_path: Path) -> None:
        """What was read counts, not what stood there when the watch began to look."""
        secret = tmp_path / "key"
        secret.write_text("first")
        was = digest(secret)
        secret.write_text("second")
        watch = Watch(tmp_path / "c")
        watch.follow({secret: was})
        assert [watch.changed() for _ in range(3)] == [True, False, False]

    def test_a_file_that_is_too_large_is_told_once(self, tmp_path: Path) -> None:
        secret, read = tmp_path / "key", dict[Path, bytes]()
        secret.write_bytes(b"x" * (MAX_FILE + 9))
        with pytest.raises(Unresolved, match="larger"):
            interpolate("${file:key}", {}, tmp_path, read)
        watch = Watch(tmp_path / "c")
        watch.follow(read)
        assert [watch.changed() for _ in range(3)] == [False] * 3

    @given(st.lists(st.sampled_from(["look", "load", "", "one", "two", "gone"]), max_size=30))
    def test_every_text_that_stays_is_told_once(
        self, tmp_path_factory: pytest.TempPathFactory, steps: list[str]
    ) -> None:
        """Against the plain rule: True exactly when the file stands as it did at the last look, had not at the look before, and its
        text is another one than was last told or loaded."""
        file = tmp_path_factory.mktemp("watch") / "c"
        file.write_text("one")
        watch = Watch(file)
        state, text, known = 0, "one", "one"
        looked, unsettled = 0, False
        for number, step in enumerate(steps, 1):
            if step == "look" and state != looked:
                looked, unsettled = state, True
                assert not watch.changed()
            elif step == "look":
                assert watch.changed() is (unsettled and text != known)
                known, unsettled = text if unsettled else known, False
            elif step == "load":
                assert watch.seen() is (text != known)
                known = text
            elif step == "gone":
                state, text = -1, step
                file.unlink(missing_ok=True)
            else:
                state, text = number, step
                file.write_text(step)
                os.utime(file, ns=(number, number))  # a file system tells apart only what is some time apart

    def test_what_was_loaded_meanwhile_is_known(self, tmp_path: Path) -> None:
        file = tmp_path / "c"
        file.write_text("one")
        watch = Watch(file)
        file.write_text("two")
        assert watch.seen()
        assert [watch.changed() for _ in range(3)] == [False] * 3
