"""`python bench/soak.py --minutes 30`: Headgate under faults for a while, its ledger against the provider's own book, and what it
holds at the end against what it held at the start.

Rules of this file:
- The gateway is `headgate serve` in its own processes, its feeder too; providers and callers are this process.
- Everything is on: keys, guards on requests and answers, prices, ledger, log, metrics; the config is changed and loaded again meanwhile.
- Held is compared at rest, after WARMING and after the last caller: tasks, threads, sockets, files, bytes of the spool.
- Memory is the proportional size of all its processes, sampled; its slope is fitted over the last third: until then it
  was seen to rise in some steps of 2 to 7 MB, to a level that it kept for all of the rest. A leak goes on.
- A run of `--minutes 30` or more writes bench/soak.json, from which docs/soak.md is generated; it fails if anything is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
import yaml

from book import Audit, ledger
from headgate.faults.answers import ANTHROPIC, CHAT, GEMINI, RESPONSES
from headgate.faults.caller import Gateway, look_up
from processes import Process, free_port, started
from soak_callers import Callers
from soak_provider import DOLLARS, Bill, Site

HERE = Path(__file__).parent
RESULTS = HERE / "soak.json"
KEYS = [f"sk-hg-soak-key-{number}" for number in range(4)]
ADMIN = "sk-hg-soak-key-of-the-admin"
SITES = {"chat": CHAT, "responses": RESPONSES, "anthropic": ANTHROPIC, "gemini": GEMINI}
KINDS = {ANTHROPIC: "anthropic_compatible", GEMINI: "gemini_compatible"}
THINKS = ("chat-b", "gemini-b")
SAMPLE, RELOAD, REST = 5.0, 45.0, 60.0
RATE, CALLERS = 18.0, 40
WARMING = 20.0
FLAT = 0.08
"""Memory is flat when it grows by less than this share of it in an hour, or within twice the fit's own error."""
WARM = 600.0
"""Seconds of a run from which on its memory and its estimates are judged: before, what is bounded still fills, and few answers were cut."""
ESTIMATED = 0.02
"""The largest share of the provider's whole bill that estimates may come to."""
GAUGES = (
    "headgate_tasks",
    "headgate_requests_under_way",
    "headgate_upstream_connections",
    "headgate_spool_lag_seconds",
)

Sample = dict[str, float]


def config(sites: list[Site], port: int, data: Path, turn: int) -> dict[str, Any]:
    """Turns differ in what a reload changes: a guard, a site that comes and goes, a breaker's terms, a key."""
    timeouts = {"connect": "2s", "headers": "4s", "first_token": "4s", "idle": "3s", "total": "60s"}
    providers: dict[str, Any] = {}
    for site in sites:
        providers[site.name] = {
            "type": KINDS.get(site.dialect, "openai_compatible"),
            "base_url": f"{site.url}/v1",
            "api_key": f"key-of-{site.name}",
            "dialects": [site.dialect],
            "timeouts": timeouts,
            "breaker": {"minimum": 10 + 10 * (turn % 2), "open_for": "2s", "open_most": "4s"},
        }
    if turn % 2:
        providers["spare"] = {"type": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "api_key": "x"}
    models: dict[str, Any] = {
        name: {"targets": [f"{name}-a/m", f"{name}-b/m"], "strategy": "round_robin", "midstream": "continue"}
        for name in SITES
    }
    models["chat"]["hedge"] = {"share": 0.03}
    models["mixed"] = {"targets": ["anthropic-a/m", "chat-a/m"], "strategy": "least_busy"}
    models["broken"] = {"targets": ["nobody/m", "chat-a/m"], "strategy": "round_robin"}
    providers["nobody"] = {"type": "openai_compatible", "base_url": "http://127.0.0.1:1/v1", "api_key": "x"}
    guards = [{"name": "ssn", "pattern": r"\b\d{3}-\d{2}-\d{4}\b"}]
    guards += [{"name": "uuid", "pattern": r"\b[0-9a-f]{4}-[0-9a-f]{4}\b", "mode": "observe"}] if turn % 2 else []
    keys = [{"name": f"soak-{number}", "key": key, "tenant": f"t{number % 2}"} for number, key in enumerate(KEYS)]
    keys.append({"name": "admin", "key": ADMIN, "tenant": "admin", "scopes": ["admin"]})
    return {
        "server": {"port": port},
        "data": str(data),
        "discover": False,
        "keys": keys + ([{"name": "spare", "key": "sk-hg-soak-spare-key", "tenant": "t0"}] if turn % 2 else []),
        "guards": guards,
        "prices": [{"model": "*", **DOLLARS}],
        "providers": providers,
        "models": models,
    }


# ---------------------------------------------------------------------- what it holds


async def held(process: Process, port: int) -> Sample:
    """Of all its processes, now."""
    told = await look_up(Gateway(host="127.0.0.1", port=port, key=ADMIN), "/metrics")
    text = told.body.decode()
    sample = {name: float(_metric(text, name)) for name in GAUGES}
    sample |= {"sockets": 0, "files": 0, "threads": 0, "processes": 0}
    for pid in process.pids():
        sample["processes"] += 1
        sample["threads"] += len(os.listdir(f"/proc/{pid}/task"))
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                kind = "sockets" if os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:") else "files"
            except FileNotFoundError:
                continue
            sample[kind] += 1
    memory = process.memory()
    return sample | {"pss_mb": memory["pss"] / 1e6, "rss_mb": memory["rss"] / 1e6}


def _metric(text: str, name: str) -> str:
    found = re.search(rf"^{name} (\S+)$", text, re.M)
    if found is None:
        raise RuntimeError(f"/metrics does not tell {name}")
    return found[1]


COUNTED = (*GAUGES, "sockets", "files", "threads", "processes")


async def at_rest(process: Process, port: int, like: Sample | None) -> Sample:
    """What it holds once nothing is under way; where it is to be `like` an earlier state, waits up to REST seconds for that."""
    until = time.monotonic() + (REST if like is not None else 5.0)
    while True:
        sample = await held(process, port)
        if time.monotonic() > until or (like is not None and all(sample[name] <= like[name] for name in COUNTED)):
            return sample
        await asyncio.sleep(1.0)


def fitted(samples: list[Sample]) -> dict[str, float | bool]:
    """The line through the last third's memory."""
    last = samples[len(samples) * 2 // 3 :]
    hours = [sample["at"] / 3600 for sample in last]
    sizes = [sample["pss_mb"] for sample in last]
    slope, level = statistics.linear_regression(hours, sizes)
    rest = [size - level - slope * hour for hour, size in zip(hours, sizes, strict=True)]
    spread = statistics.pstdev(hours) * len(hours) ** 0.5
    error = (sum(r * r for r in rest) / max(1, len(rest) - 2)) ** 0.5 / spread
    growth = slope * (hours[-1] - hours[0])
    return {
        "mb_per_hour": round(slope, 2),
        "error_mb_per_hour": round(error, 2),
        "mean_mb": round(statistics.fmean(sizes), 1),
        "grown_mb": round(growth, 2),
        "flat": slope < max(FLAT * statistics.fmean(sizes), 2 * error),
    }


# ---------------------------------------------------------------------- the run


class Soak:
    def __init__(self, folder: Path, seconds: float, seed: int) -> None:
        self.folder, self.seconds, self.seed = folder, seconds, seed
        self.book: list[Bill] = []
        self.sites = [
            Site(f"{name}-{half}", dialect, seed=seed, number=number, thinks=f"{name}-{half}" in THINKS, book=self.book)
            for number, (name, dialect, half) in enumerate((n, d, h) for n, d in SITES.items() for h in "ab")
        ]
        self.port = free_port()
        self.data = folder / "data"
        self.file = folder / "headgate.yaml"
        self.samples: list[Sample] = []
        self.reloads = 0

    def write(self) -> None:
        text = yaml.safe_dump(config(self.sites, self.port, self.data, self.reloads))
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.file)

    async def run(self) -> dict[str, Any]:
        for site in self.sites:
            await site.start()
        self.write()
        command = [sys.executable, "-m", "headgate", "serve", "--config", str(self.file)]
        environment = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        with started(command, environment, self.folder / "log") as process:
            await asyncio.to_thread(process.wait_for, self.port, "/health/ready", 30.0)
            ledger(self.data / "headgate.db")  # it can be read, before anything takes its time
            callers = self._callers()
            await callers.run(min(WARMING, self.seconds / 4), RATE, CALLERS)  # what is opened once is open then
            before = await at_rest(process, self.port, None)
            await self._load(process, callers)
            for site in self.sites:
                await site.close()
            after = await at_rest(process, self.port, before)
        return self._results(before, after, callers)

    def _callers(self) -> Callers:
        models = {dialect: [name, name, name, "mixed", "broken"] for name, dialect in SITES.items()}
        return Callers(self.port, KEYS, models, seed=self.seed)

    async def _load(self, process: Process, callers: Callers) -> None:
        beside = [asyncio.create_task(self._sampled(process)), asyncio.create_task(self._reloaded())]
        try:
            await callers.run(self.seconds, RATE, CALLERS)
        finally:
            for task in beside:
                task.cancel()
            results = await asyncio.gather(*beside, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _sampled(self, process: Process) -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(SAMPLE)
            self.samples.append(await held(process, self.port) | {"at": time.monotonic() - began})

    async def _reloaded(self) -> None:
        while True:
            await asyncio.sleep(min(RELOAD, self.seconds / 3))
            self.reloads += 1
            self.write()

    def _results(self, before: Sample, after: Sample, callers: Callers) -> dict[str, Any]:
        rows, sums = ledger(self.data / "headgate.db")
        audit = Audit()
        audit.over(rows, self.book)
        told = callers.told
        lines = (self.folder / "log").read_text().splitlines()
        asked = {int(row["user_agent"].removeprefix("soak-")) for row in rows}
        wrong = dict(audit.told()["wrong"])
        wrong |= {
            f"{name}: {before[name]:g}, then {after[name]:g}": 1 for name in COUNTED if after[name] > before[name]
        }
        wrong |= _sums_wrong(sums, told.ended["no end"], len(self.book))
        if self.seconds >= WARM and audit.told()["estimated_share"] > ESTIMATED:
            wrong["too much of the money is estimated"] = 1
        memory = fitted(self.samples)
        if self.seconds >= WARM and not memory["flat"]:
            wrong["memory grows"] = 1
        errors = [line for line in lines if '"level":"error"' in line]
        if errors:
            wrong["errors in the log"] = len(errors)
        (self.folder / "wrong.json").write_text(audit.details())
        (self.folder / "errors.log").write_text("\n".join(errors))
        return {
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "minutes": round(self.seconds / 60, 2),
            "callers": {
                "asked": told.asked,
                "with an attempt": len(asked),
                "manners": dict(told.manners),
                "statuses": {str(status): count for status, count in sorted(told.statuses.items())},
                "ended": dict(told.ended),
            },
            "provider": {"calls": len(self.book), "broken": sum(bill.what != "healthy" for bill in self.book)},
            "ledger": sums,
            "money": audit.told(),
            "memory": memory,
            "reloads": self.reloads,
            "held": {name: [before[name], after[name]] for name in COUNTED},
            "most": {name: max(sample[name] for sample in self.samples) for name in COUNTED},
            "wrong": wrong,
            "samples": [[round(sample["at"]), round(sample["pss_mb"], 1)] for sample in self.samples[::6]],
        }


def _sums_wrong(sums: dict[str, int], endless: int, calls: int) -> dict[str, int]:
    wrong = {}
    if sums["requests_charge"] != sums["attempts_cost"]:
        wrong["charges and costs differ"] = 1
    if sums["unknown"]:
        wrong["costs are unknown"] = sums["unknown"]
    if endless:
        wrong["answers without an end"] = endless
    if not calls:
        wrong["nothing was asked"] = 1
    return wrong


def machine() -> dict[str, Any]:
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return {
        "cpu": names[0] if names else os.uname().machine,
        "cores": os.cpu_count(),
        "system": f"{os.uname().sysname} {os.uname().release}",
        "python": sys.version.split()[0],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where its files stay; a folder that is removed, if not given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headgate-soak-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = uvloop.run(Soak(folder, arguments.minutes * 60, arguments.seed).run())
    results["machine"] = machine()
    if arguments.minutes >= 30:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results | {"samples": len(results["samples"])}, indent=1))
    return 1 if results["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
