"""Writes docs/benchmarks.md, and the figures of README.md, from bench/results.json: `python docs/generate_benchmarks.py`. `make bench`
writes all; a test compares them. Every figure of the pages stands in the results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "bench" / "results.json"
TARGET = Path(__file__).with_name("benchmarks.md")
README = Path(__file__).parents[1] / "README.md"
NAMES = {"headgate": "Headgate", "litellm": "LiteLLM", "portkey": "Portkey", "nginx": "nginx"}

HEAD = """<!-- Written by docs/generate_benchmarks.py from bench/results.json; `make bench` measures anew. -->

# Benchmarks

`make bench` runs everything below on one machine in one run: the systems take turns on the same upstream with the same bodies, over
loopback. The figure to trust is processor time: user and system time of all of a system's processes and threads, by the
kernel's clock, until it has gone quiet after a fixed number of requests. Requests a second and latencies depend on what else the
machine does; client and upstream run on the same cores.

- **Headgate** has on what it would have on: key check, a pattern guard on requests, answers and tool arguments, prices, the
  ledger, one log line a request, the trail. {records}
- **LiteLLM** (`litellm[proxy]`) checks a key; without its database it keeps no records.
- **Portkey** (`@portkey-ai/gateway`) and **nginx** (a plain proxy) check nothing and record nothing.

One worker each, {connections} connections unless it says otherwise, {rounds}; a figure is the median of its rounds.
A dash: the system does not do it, or was not there.

"""

SET_ELSEWHERE = """
The bound of a streamed chunk stands there twice: in µs, and as the ratio to nginx's 1 kB request that it was on the machine it was set
for (bench/targets.py).
"""

COLUMN = tuple[str, str, str]
"""(heading, name in the figure, format)."""

TABLES: tuple[tuple[str, str, tuple[tuple[str, str], ...], tuple[COLUMN, ...]], ...] = (
    (
        "A whole request",
        "Request and answer are of the same size; TLS is to the upstream. The crossing has an Anthropic client before the same chat "
        "upstream; the long prompt has 400 kB in 20 messages and an answer of 1 kB.",
        (
            ("small", "1 kB"),
            ("large", "10 kB"),
            ("small_tls", "1 kB, TLS"),
            ("large_tls", "10 kB, TLS"),
            ("crossing", "1 kB, crossing"),
            ("prompt", "400 kB prompt"),
        ),
        (("processor µs a request", "cpu_us", ",.0f"), ("requests a second", "per_second", ",.0f")),
    ),
    (
        "A streamed chunk",
        "Streams of 100 chunks less streams of one, by the chunks that they differ in. The chunks of a stream are 16 ms apart, those "
        "of a busy one 4 ms, and streams are out of step; slower systems carry fewer at once, so that chunks do not arrive together. "
        "`glued` is the share that did. A processor that wakes up for each chunk finds its caches cold: seldom ones cost every system "
        "more.",
        (("chunk", "chunk"), ("busy_chunk", "busy chunk")),
        (
            ("processor µs a chunk", "cpu_us", ",.1f"),
            ("streams at once", "streams", ",.0f"),
            ("chunks a second", "chunks_per_second", ",.0f"),
            ("glued", "glued", ".1%"),
        ),
    ),
    (
        "Added latency",
        "One client, one request at a time, 1 kB, less the same past the system.",
        (("latency", "1 kB"),),
        (("added p50 in µs", "added_p50_us", ",.0f"), ("added p99 in µs", "added_p99_us", ",.0f")),
    ),
    (
        "Start",
        "From the command to the first 200 of its readiness path; Headgate with an empty data folder.",
        (("start", "cold start"),),
        (("seconds", "seconds", ",.2f"),),
    ),
    (
        "Memory",
        "All processes, before any work and after all of the above.",
        (("idle", "idle"), ("worked", "after the work")),
        (("resident MB", "rss_mb", ",.0f"), ("proportional MB", "pss_mb", ",.0f")),
    ),
    (
        "An open stream",
        "Resident memory of each of 500 streams of which nothing comes; TLS is on both sides.",
        (("stream_memory", "plain"), ("stream_memory_tls", "TLS")),
        (("kB a stream", "kb", ",.1f"),),
    ),
)


def render(results: dict[str, Any]) -> str:
    records = results["records"]
    head = HEAD.format(
        records=f"All of the {records['asked']:,} requests that it was asked are in ledger and log.",
        connections=results["connections"],
        rounds=f"{results['rounds']} rounds",
    )
    return (
        head
        + _machine(results)
        + _targets(results["targets"])
        + "".join(_table(results, *table) for table in TABLES)
        + _skipped(results["skipped"])
    )


def _machine(results: dict[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    named = ", ".join(f"{NAMES[name]} {version or '(not there)'}" for name, version in versions.items())
    return (
        f"Measured on {results['date']} at commit `{results['commit']}`: {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, {machine['system']}, Python {machine['python']}, load {machine['load_before']} before "
        f"the run. {named}.\n\n"
    )


def _targets(targets: list[dict[str, Any]]) -> str:
    rows = [f"| {row['what']} | {_amount(row, 'bound')} | {_amount(row, 'value')} | {_met(row)} |\n" for row in targets]
    return "## Targets\n\n| what | at most | measured | |\n|---|--:|--:|---|\n" + "".join(rows) + SET_ELSEWHERE


def _amount(row: dict[str, Any], name: str) -> str:
    value = row[name]
    return "–" if value is None else f"{value:,.0f} {row['unit']}" if value >= 1000 else f"{value:.4g} {row['unit']}"


def _met(row: dict[str, Any]) -> str:
    return {True: "met", False: "**missed**", None: "not measured"}[row["met"]]


def _table(
    results: dict[str, Any], title: str, about: str, scenarios: tuple[tuple[str, str], ...], columns: tuple[COLUMN, ...]
) -> str:
    systems = list(results["versions"])
    lines = [f"\n## {title}\n\n{about}\n\n"]
    lines.append(f"| | | {' | '.join(NAMES[name] for name in systems)} |\n|---|---|{'--:|' * len(systems)}\n")
    for scenario, label in scenarios:
        for heading, name, form in columns:
            figures = results["figures"].get(scenario, {})
            cells = [_cell(figures.get(system), name, form) for system in systems]
            lines.append(f"| {label} | {heading} | {' | '.join(cells)} |\n")
    return "".join(lines)


def _cell(figure: dict[str, Any] | None, name: str, form: str) -> str:
    return "–" if figure is None else format(figure[name], form)


def _skipped(skipped: dict[str, str]) -> str:
    if not skipped:
        return ""
    rows = [f"- {name}: {why.splitlines()[0][:200]}\n" for name, why in skipped.items()]
    return "\n## Not measured\n\n" + "".join(rows)


def front(readme: str, results: dict[str, Any]) -> str:
    """README.md with these figures between its two marks."""
    own = {name: figures["headgate"] for name, figures in results["figures"].items()}
    small = {name: figure["cpu_us"] for name, figure in results["figures"]["small"].items() if figure is not None}
    beside = [f"nginx takes {small['nginx']:,.0f}"] if "nginx" in small else []
    beside += [f"LiteLLM {small['litellm']:,.0f}"] if "litellm" in small else []
    text = (
        f"Starts in {own['start']['seconds']:.2f} s, {own['idle']['rss_mb']:.0f} MB idle,"
        f" {own['stream_memory']['kb']:.0f} kB an open idle stream. A 1 kB request takes\n"
        f"{small['headgate']:,.0f} µs of processor time ({', '.join(beside)}), a streamed chunk {own['busy_chunk']['cpu_us']:.0f} to"
        f" {own['chunk']['cpu_us']:.0f} µs."
    )
    return re.sub(
        r"(<!-- figures -->\n).*?(\n<!-- end -->)", lambda mark: f"{mark[1]}{text}{mark[2]}", readme, flags=re.S
    )


if __name__ == "__main__":
    measured = json.loads(RESULTS.read_text())
    TARGET.write_text(render(measured))
    README.write_text(front(README.read_text(), measured))
