"""`make bench`: Headgate, LiteLLM, Portkey's gateway and nginx side by side, on the same upstream in one run.

Rules of this file:
- Everything is on this machine's loopback, bounded in count and time, and what was started is ended.
- The whole run writes bench/results.json, from which docs/benchmarks.md is generated. `--quick` has Headgate and nginx only,
  fewer rounds, and writes nothing.
- A system that is not there, or fails in a scenario, is null in the results, with the reason under `skipped`.
- At the end the records are counted: a request that was asked and is not in Headgate's ledger and log makes the run a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme
import uvloop

import bodies
import measure
import systems
import targets
from load import LoadError
from measure import CHUNKS, Figure, Running
from processes import Process, free_port, started
from systems import MESSAGES, Site, System
from upstream import fixed_answers, nginx_config

RESULTS = Path(__file__).with_name("results.json")
PAUSE = 0.016
"""Seconds between the chunks of one stream: 64 streams make 4,000 chunks a second, out of step, and busy ones 16,000."""
KB = 1_000


class Bench:
    def __init__(self, folder: Path, quick: bool) -> None:
        self.folder = folder
        self.rounds = 1 if quick else 5
        self.scale = 0.4 if quick else 1.0
        names = ["headgate", "nginx"] if quick else list(systems.MAKERS)
        self.versions = {name: systems.version(name) for name in names}
        self.skipped = {name: systems.missing(name) for name, found in self.versions.items() if found is None}
        self.figures: targets.Figures = {}
        self.running: dict[str, Running] = {}
        self.sites: dict[str, Site] = {}
        self.fixed_port = 0

    # ------------------------------------------------------------------ what runs

    @contextlib.contextmanager
    def upstreams(self) -> Iterator[None]:
        """nginx with the fixed answers, and the streams; each plain and over TLS."""
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1", "localhost")
        self.ca, cert, key = (self.folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
        authority.cert_pem.write_to_path(self.ca)
        cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        self.pair = (cert, key)
        fixed, streams = (free_port(), free_port()), (free_port(), free_port())
        self.fixed_port = fixed[0]
        answers = {"small": bodies.chat_answer(KB), "large": bodies.chat_answer(10 * KB)}
        config = nginx_config(
            self.folder / "upstream",
            fixed_answers(self.folder / "upstream", answers, fixed, self.pair),
            root=os.geteuid() == 0,
        )
        serve = [sys.executable, str(Path(__file__).with_name("upstream.py")), *map(str, (*streams, cert, key, PAUSE))]
        with (
            started(["nginx", "-c", str(config)], {}, self.folder / "upstream.log") as one,
            started(serve, {}, self.folder / "streams.log") as two,
        ):
            one.wait_for(fixed[0], "/ready", 10)
            two.wait_for(streams[0], "/ready", 10)
            for name in answers:
                self.sites[name] = Site(f"http://127.0.0.1:{fixed[0]}/{name}")
                self.sites[f"{name}_tls"] = Site(f"https://127.0.0.1:{fixed[1]}/{name}", self.ca)
            for name in ("chunks1", f"chunks{CHUNKS}", "busy1", f"busy{CHUNKS}", "silent"):
                self.sites[name] = Site(f"http://127.0.0.1:{streams[0]}/{name}", streams=True)
            self.sites["silent_tls"] = Site(f"https://127.0.0.1:{streams[1]}/silent", self.ca, streams=True)
            yield

    @contextlib.contextmanager
    def one(self, system: System, label: str = "") -> Iterator[Running]:
        """A system, started and ready."""
        with started(system.command, system.environment, self.folder / f"{system.name}{label}.log") as process:
            seconds = process.wait_for(system.port, system.ready, system.start_seconds)
            yield Running(system, process, seconds)

    @contextlib.asynccontextmanager
    async def all(self) -> AsyncIterator[None]:
        """Every system that is there, started one after the other; how long that took, and what it holds before any work."""
        async with contextlib.AsyncExitStack() as stack:
            for name, found in self.versions.items():
                if found is None:
                    continue
                system = systems.MAKERS[name](self.folder / name, free_port(), self.sites)
                try:
                    running = stack.enter_context(self.one(system))
                except (OSError, RuntimeError) as error:
                    self.skipped[name] = str(error).strip().splitlines()[-1][:300]
                    print(f"{name} is left out: {error}", file=sys.stderr)
                    continue
                await asyncio.to_thread(running.process.settled_cpu_ns)
                self.running[name] = running
                memory = running.process.memory()
                if name != "headgate":  # started several times already
                    self.note("start", name, {"seconds": round(running.start_seconds, 3)})
                self.note("idle", name, {f"{kind}_mb": round(size / 1e6, 1) for kind, size in memory.items()})
            yield

    # ------------------------------------------------------------------ what is measured

    def note(self, scenario: str, name: str, figure: Figure | None) -> None:
        self.figures.setdefault(scenario, dict.fromkeys(self.versions))[name] = figure
        print(f"{scenario:<18}{name:<10}", "failed" if figure is None else json.dumps(figure), flush=True)

    async def each(
        self,
        scenario: str,
        act: Callable[[Running], Coroutine[Any, Any, Figure]],
        *,
        only: Callable[[System], bool] = lambda system: True,
        rounds: int | None = None,
    ) -> None:
        """The rounds of one scenario, the systems in turns."""
        done: dict[str, list[Figure]] = {}
        failed: set[str] = set()
        for _ in range(self.rounds if rounds is None else min(rounds, self.rounds)):
            for name, running in self.running.items():
                if name in failed or not only(running.system):
                    continue
                try:
                    done.setdefault(name, []).append(await act(running))
                except (LoadError, OSError, TimeoutError) as error:
                    failed.add(name)
                    self.skipped[f"{name}, {scenario}"] = str(error)[:300] or repr(error)
        for name in self.running:
            if only(self.running[name].system):
                self.note(scenario, name, None if name in failed else measure.joined(done[name]))

    async def whole(self) -> None:
        for site, size, total in (
            ("small", 1, 5000),
            ("large", 10, 3000),
            ("small_tls", 1, 4000),
            ("large_tls", 10, 2500),
        ):
            body = bodies.chat_request(f"{site}/m", size * KB)
            count = int(total * self.scale)

            async def act(running: Running, site: str = site, body: bytes = body, count: int = count) -> Figure:
                return await measure.request_cost(running, running.system.request(site, body), count)

            await self.each(site, act)
        same, other = bodies.chat_request("small/m", KB), bodies.anthropic_request("small/m", KB)

        async def crossing(running: Running) -> Figure:
            """Beside the same dialect, in the same minute."""
            count = int(3000 * self.scale)
            beside = await measure.request_cost(running, running.system.request("small", same), count)
            crossed = await measure.request_cost(running, running.system.request("small", other, MESSAGES), count)
            return crossed | {"same_us": beside["cpu_us"]}

        await self.each("crossing", crossing, only=lambda system: system.crosses)
        long = bodies.chat_request("small/m", 400 * KB)
        await self.each(
            "prompt",
            lambda r: measure.request_cost(r, r.system.request("small", long), int(600 * self.scale)),
            rounds=3,
        )

    async def streamed(self) -> None:
        def request(running: Running, site: str) -> bytes:
            return running.system.request(site, bodies.chat_request(f"{site}/m", KB, stream=True))

        waves = min(2, self.rounds)
        await self.each(
            "chunk",
            lambda r: measure.chunk_cost(r, request(r, "chunks1"), request(r, f"chunks{CHUNKS}"), waves),
            rounds=3,
        )
        await self.each(
            "busy_chunk",
            lambda r: measure.chunk_cost(r, request(r, "busy1"), request(r, f"busy{CHUNKS}"), 4 * waves),
            only=lambda system: system.streams >= 64,  # others would glue them together
        )

    async def latency(self) -> None:
        body = bodies.chat_request("small/m", KB)

        def act(running: Running) -> Coroutine[Any, Any, Figure]:
            request = running.system.request("small", body)
            direct = systems.System("direct", [], "", self.fixed_port, path=lambda site, path: f"/{site}{path}")
            return measure.added_latency(
                running, request, self.fixed_port, direct.request("small", body), int(2000 * self.scale)
            )

        await self.each("latency", act)

    async def memory(self) -> None:
        """Before the load: what earlier work left behind could hide what a stream takes."""
        body = bodies.chat_request("silent/m", KB, stream=True)
        await self.each("stream_memory", lambda r: measure.stream_memory(r, r.system.request("silent", body)), rounds=1)
        system = systems.headgate(self.folder / "tls", free_port(), self.sites, self.pair)
        body = bodies.chat_request("silent_tls/m", KB, stream=True)
        context = ssl.create_default_context(cafile=str(self.ca))
        with started(system.command, {}, self.folder / "tls.log") as process:
            await asyncio.to_thread(_until_listening, process, system.port, context)
            running = Running(system, process, 0.0)
            figure = await measure.stream_memory(running, system.request("silent_tls", body), context)
        self.note("stream_memory_tls", "headgate", figure)

    def cold_starts(self) -> None:
        """More starts of Headgate, each with an empty data folder."""
        seconds = []
        for number in range(self.rounds):
            system = systems.headgate(self.folder / f"start{number}", free_port(), self.sites)
            with self.one(system, str(number)) as running:
                seconds.append({"seconds": round(running.start_seconds, 3)})
        self.note("start", "headgate", measure.joined(seconds))

    async def run(self) -> dict[str, Any]:
        with self.upstreams():
            self.cold_starts()
            async with self.all():
                await self.memory()
                await self.whole()
                await self.streamed()
                await self.latency()
                after = {name: r.process.memory() for name, r in self.running.items()}
                for name, memory in after.items():
                    self.note("worked", name, {f"{kind}_mb": round(size / 1e6, 1) for kind, size in memory.items()})
                asked = self.running["headgate"].asked
            return {"asked": asked, **self._recorded()}

    def _recorded(self) -> dict[str, int]:
        """How many requests the stopped Headgate has in its log, and in its ledger."""
        log = (self.folder / "headgate.log").read_bytes()
        config = str(self.folder / "headgate/headgate.yaml")
        told = subprocess.run(
            [sys.executable, "-m", "headgate", "usage", "--config", config, "--by", "key", "--json"],
            capture_output=True,
            check=True,
        ).stdout
        return {"log": log.count(b'"event":"request"'), "ledger": json.loads(told)["total"]["requests"]}


def _until_listening(process: Process, port: int, context: ssl.SSLContext) -> None:
    """A gateway that speaks TLS is ready when it shakes hands."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1"),
            ):
                return
        except ConnectionError:
            time.sleep(0.02)
    raise RuntimeError(f"it did not get ready: {process.log.read_text(errors='replace')[-2000:]}")


def _machine() -> dict[str, Any]:
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    shared = "libpython" in Path("/proc/self/maps").read_text()
    memory = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version() + (" in a shared library" if shared else ""),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=RESULTS.parent, capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"


def _report(judged: list[dict[str, Any]]) -> None:
    print(f"\n{'target':<78}{'at most':>12}{'measured':>12}")
    for row in judged:
        value = "-" if row["value"] is None else f"{row['value']:,.4g}"
        word = {True: "met", False: "MISSED", None: "not measured"}[row["met"]]
        print(f"{row['what']:<78}{row['bound']:>9,g} {row['unit']:<2}{value:>12} {word}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure Headgate beside others.")
    parser.add_argument(
        "--quick", action="store_true", help="Headgate and nginx only, in under a minute; writes nothing"
    )
    quick = parser.parse_args().quick
    if not quick:
        subprocess.run(
            ["sh", str(Path(__file__).with_name("install.sh"))], check=True, env=os.environ | {"PYTHON": sys.executable}
        )
    if systems.version("nginx") is None:
        print(f"the upstream needs nginx: {systems.missing('nginx')}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    machine, began = _machine(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
        bench = Bench(Path(folder), quick)
        records = uvloop.run(bench.run())
    judged = targets.judge(bench.figures)
    _report(judged)
    print(f"\nrecords {records}; {time.monotonic() - began:.0f} s")
    if len(set(records.values())) != 1:
        print("some requests have no record", file=sys.stderr)
        return 1
    if not quick:
        results = {
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "commit": _commit(),
            "machine": machine,
            "versions": bench.versions,
            "skipped": bench.skipped,
            "connections": measure.CONNECTIONS,
            "rounds": bench.rounds,
            "records": records,
            "targets": judged,
            "figures": bench.figures,
        }
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
        page = Path(__file__).parents[1] / "docs" / "generate_benchmarks.py"
        subprocess.run([sys.executable, str(page)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
