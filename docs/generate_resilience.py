"""Writes docs/resilience.md and docs/flapping.svg from bench/flapping.json and bench/soak.json: `python docs/generate_resilience.py`.
`bench/flapping.py` and `bench/soak.py` write these; a test compares. Every figure of the page stands in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FLAPPING, SOAK = (HERE.parent / "bench" / f"{name}.json" for name in ("flapping", "soak"))
PAGE, PLOT = HERE / "resilience.md", HERE / "flapping.svg"
COLOURS = ("#9aa4ad", "#1f77b4", "#17805b")
WIDTH, HEIGHT, TOP, LEFT, BAR, GAP = 300, 190, 46, 44, 22, 20

Results = dict[str, Any]
PANELS: tuple[tuple[str, str, Callable[[Results], float], str], ...] = (
    ("requests that failed, %", "failed", lambda found: 100 * (1 - found["success"]), "{:.2f}"),
    ("extra spend, %", "extra", lambda found: 100 * found["extra"], "{:.1f}"),
    ("p99 until the answer, s", "p99", lambda found: found["p99"], "{:.1f}"),
)

HEAD = """<!-- Written by docs/generate_resilience.py from bench/flapping.json and bench/soak.json. -->

# Resilience, measured

Two runs: what the retries, breakers, ejection and hedges of [routing](routing.md) are worth against the plainest way to have several
targets, and whether half an hour of faults leaves anything behind, money included.

## Targets that flap

`python bench/flapping.py` asks {requests:,} requests of {targets} targets, {rate:g} a second, all streamed. Each target is well
and unwell in turns (Markov, {spell:g} s a spell on average), and unwell in one of six ways: it refuses connections, answers 503, is
silent, is ten times slower, answers 429, or cuts its answers in their middle. A *calm* day has {calm:.0%} of that, a *rough* one
{rough:.0%}, a *storm* {storm:.0%}, each target for itself.

Time is simulated and nothing else of Headgate is: the gateway runs its whole path on an event loop that jumps to its next timer, with
the sockets alone replaced. All meet the same world from the same seed, with the same deadlines (10 s to the head and to the first
content, 5 s between two reads). The round-robin asks the next target at once when an attempt fails before its content, three times.
Headgate has its defaults and `strategy: round_robin`; *hedged* adds `hedge: {{share: 0.1}}` and `midstream: continue`.

Extra spend is what the providers billed above one whole answer for each request that got one: input from when a request is taken up,
output as it is made until the connection ends.

![failed requests, extra spend and p99 by severity](flapping.svg)

"""

DIFFERS = "not the provider's count"

SOAK_HEAD = """
## Half an hour of faults

`python bench/soak.py --minutes 30` runs `headgate serve` with its feeder, keys, guards, prices, ledger and log, against eight providers in
four dialects that break in fifteen ways (six calls of a thousand) and are down three seconds of every 75; callers in the same four
dialects, whole and streamed, of which six in a thousand leave and fifteen read slowly; and a config that is loaded again every 45 s. The
providers keep a book of their own: input from when a request is taken up, output as it is made until the connection ends, whether
anybody reads it or not, by a tokenizer that is denser than those in use. At the end each attempt in the ledger is held against its bill.

"""


def render(flapping: Results, soak: Results) -> str:
    return _flapping(flapping) + _soak(soak)


def _flapping(results: Results) -> str:
    lines = [
        HEAD.format(
            **{name: results[name] for name in ("requests", "targets", "rate", "spell")}, **results["severities"]
        )
    ]
    lines.append("| | | succeeded | extra spend | p50 | p99 | calls |\n|---|---|--:|--:|--:|--:|--:|\n")
    for severity, by_policy in results["found"].items():
        for policy, found in by_policy.items():
            lines.append(
                f"| {severity} | {policy} | {found['success']:.2%} | {found['extra']:.1%} | {found['p50']:.2f} s"
                f" | {found['p99']:.1f} s | {found['calls']:,} |\n"
            )
    lines.append(NOTES)
    return "".join(lines)


NOTES = """
What it shows, and what it does not hide:

- A round-robin cannot know that a target is away; it finds out with every fourth request, and pays for it each time. Two silent targets
  in a row are twenty seconds.
- Headgate finds out too, once a spell: a silent target is known when its first calls have met their deadline. So a p99 of ten seconds is
  the deadline, not the routing; a shorter `timeouts.headers` is what helps, and hedges, as far as their share of requests goes.
- What fails at Headgate's defaults are answers that were cut after their beginning had been shown: nothing is asked again then, unless
  the model says `midstream: continue`.
- A hedge costs what the slower of two has made by then. On a calm day it shortens no wait: what succeeds more there
  are answers that another target went on with.
"""


def _soak(results: Results) -> str:
    machine, callers, money, memory = (results[name] for name in ("machine", "callers", "money", "memory"))
    counts = money["counts"]
    held = ", ".join(f"{name.removeprefix('headgate_')} {a:g} → {b:g}" for name, (a, b) in results["held"].items())
    ratio = money["estimated_dollars"] / max(1e-9, sum(found["billed"] for found in money["estimates"].values()))
    rows = [
        ("requests, calls at the providers", f"{callers['asked']:,}, {results['provider']['calls']:,}"),
        ("calls that the providers broke", f"{results['provider']['broken']:,}"),
        ("completed attempts, equal to the bill in every count", f"{counts.get('completed', 0):,}"),
        ("of these, different from the bill", f"{counts.get(DIFFERS, 0):,}"),
        ("cut attempts, marked estimated", f"{counts.get('estimated', 0):,}"),
        ("of these, below the bill", f"{counts.get('below the bill', 0):,}"),
        ("billed and not in the ledger", f"{counts.get('billed and not in the ledger', 0):,}"),
        ("billed in all", f"${money['billed_dollars']:,.2f}"),
        ("estimated / billed in all", f"{money['estimated_share']:.2%} (at most 2 %)"),
        ("estimates above their bills / billed in all", f"{money['over_share']:.2%}"),
        ("an estimate is so many times its bill", f"{ratio:.2f}"),
        (
            "memory, fitted over the last third",
            f"{memory['mean_mb']:.0f} MB, {memory['mb_per_hour']:+.1f} ± {memory['error_mb_per_hour']:.1f} MB/h",
        ),
        ("reloads of the config", f"{results['reloads']}"),
    ]
    wrong = (
        "nothing"
        if not results["wrong"]
        else "; ".join(f"{kind} ({count})" for kind, count in results["wrong"].items())
    )
    return (
        SOAK_HEAD
        + f"Measured on {results['date']} for {results['minutes']:g} minutes: {machine['cpu']}, {machine['cores']} cores, "
        + f"{machine['system']}, Python {machine['python']}, which others used at the same time.\n\n| | |\n|---|--:|\n"
        + "".join(f"| {what} | {value} |\n" for what, value in rows)
        + f"\nHeld at rest, before and after: {held}.\n\nMissed: {wrong}.\n\n"
        + "An attempt is *cut* where its answer ended before the provider told its usage: the caller left, a deadline passed, the"
        " connection broke. Its estimate holds what may have been made and was never seen, so it is above the bill. How much of the money"
        " is estimated follows how many answers are cut: with eight broken calls of a thousand, and hedges for 5% of a model's requests"
        " in place of 3%, it was 2.15%; with 25, where 3.1% of all attempts were cut, it was 4.7%. By cause:\n\n"
        + "| cut because | attempts | estimated | billed |\n|---|--:|--:|--:|\n"
        + "".join(
            f"| {cause} | {found['attempts']} | ${found['dollars']:.4f} | ${found['billed']:.4f} |\n"
            for cause, found in money["estimates"].items()
        )
    )


# ---------------------------------------------------------------------- the plot


def plot(results: Results) -> str:
    """Three panels of bars: a group for each severity, a bar for each policy."""
    width, height = 3 * (WIDTH + GAP), TOP + HEIGHT + 40
    body = "".join(_panel(number, panel, results["found"]) for number, panel in enumerate(PANELS))
    policies = list(next(iter(results["found"].values())))
    legend = "".join(
        f'<rect x="{LEFT + 210 * n}" y="8" width="12" height="12" fill="{colour}"/>'
        f'<text x="{LEFT + 210 * n + 18}" y="18">{policy}</text>'
        for n, (policy, colour) in enumerate(zip(policies, COLOURS, strict=True))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n{legend}\n{body}</svg>\n'
    )


def _panel(number: int, panel: tuple[str, str, Callable[[Results], float], str], found: Results) -> str:
    title, _, value, form = panel
    x, bottom = number * (WIDTH + GAP) + LEFT, TOP + HEIGHT
    most = max(value(policy) for policies in found.values() for policy in policies.values()) or 1.0
    lines = [f'<text x="{x}" y="{TOP - 8}" font-weight="bold">{title}</text>']
    lines.append(f'<line x1="{x}" y1="{bottom}" x2="{x + WIDTH - LEFT}" y2="{bottom}" stroke="#333"/>')
    for group, (severity, policies) in enumerate(found.items()):
        start = x + 8 + group * (3 * BAR + GAP)
        lines.append(f'<text x="{start + 1.5 * BAR}" y="{bottom + 18}" text-anchor="middle">{severity}</text>')
        lines += _bars(start, bottom, [value(policy) for policy in policies.values()], most, form)
    return "\n".join(lines) + "\n"


def _bars(start: float, bottom: float, values: list[float], most: float, form: str) -> Iterator[str]:
    for n, (value, colour) in enumerate(zip(values, COLOURS, strict=True)):
        high = round((HEIGHT - 16) * value / most, 1)
        left = start + n * BAR
        yield f'<rect x="{left}" y="{bottom - high:.1f}" width="{BAR - 3}" height="{high}" fill="{colour}"/>'
        yield (
            f'<text x="{left + (BAR - 3) / 2}" y="{bottom - high - 3:.1f}" font-size="8" text-anchor="middle">'
            f"{form.format(value)}</text>"
        )


if __name__ == "__main__":
    flapping, soak = (json.loads(file.read_text()) for file in (FLAPPING, SOAK))
    PAGE.write_text(render(flapping, soak))
    PLOT.write_text(plot(flapping))
