"""What we mean to reach, as a table: how each value is read from the figures, its bound and its unit. A value is None where a system
that it needs was not there.

A streamed chunk has its bound twice: in µs, and as a ratio to nginx's 1 kB request, as the two stood to each other on the machine that
the µs were set for. Processor times of one machine are no bound on another; ratios of one run are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CHUNK, NGINX = 25.0, 18.0
"""µs: the bound of a streamed chunk, and nginx's 1 kB request on the machine that it was set for."""

Figures = dict[str, dict[str, dict[str, Any] | None]]


def _of(figures: Figures, scenario: str, system: str, name: str) -> float | None:
    figure = figures.get(scenario, {}).get(system)
    return None if figure is None else figure[name]


def _single(scenario: str, name: str) -> Callable[[Figures], float | None]:
    return lambda figures: _of(figures, scenario, "headgate", name)


def _ratio(over: tuple[str, str], under: tuple[str, str], name: str = "cpu_us") -> Callable[[Figures], float | None]:
    def read(figures: Figures) -> float | None:
        top, bottom = _of(figures, *over, "cpu_us"), _of(figures, *under, name)
        return None if top is None or not bottom else top / bottom

    return read


TARGETS: tuple[tuple[str, str, float, Callable[[Figures], float | None]], ...] = (
    ("1 kB request, processor time of nginx", "×", 12.5, _ratio(("small", "headgate"), ("small", "nginx"))),
    ("1 kB request, processor time of LiteLLM", "×", 0.025, _ratio(("small", "headgate"), ("small", "litellm"))),
    ("one streamed chunk, of some 14,000 a second", "µs", CHUNK, _single("busy_chunk", "cpu_us")),
    ("one streamed chunk, of some 4,000 a second", "µs", CHUNK, _single("chunk", "cpu_us")),
    (
        "one streamed chunk, of some 14,000 a second, by nginx's 1 kB request",
        "×",
        CHUNK / NGINX,
        _ratio(("busy_chunk", "headgate"), ("small", "nginx")),
    ),
    (
        "one streamed chunk, of some 4,000 a second, by nginx's 1 kB request",
        "×",
        CHUNK / NGINX,
        _ratio(("chunk", "headgate"), ("small", "nginx")),
    ),
    (
        "crossing (Anthropic client, chat upstream), processor time of same dialect",
        "×",
        1.5,
        _ratio(("crossing", "headgate"), ("crossing", "headgate"), "same_us"),
    ),
    ("400 kB prompt", "µs", 3000.0, _single("prompt", "cpu_us")),
    ("cold start", "s", 1.5, _single("start", "seconds")),
    ("idle memory (resident)", "MB", 80.0, _single("idle", "rss_mb")),
    ("one idle stream", "kB", 60.0, _single("stream_memory", "kb")),
    ("one idle stream, TLS on both sides", "kB", 120.0, _single("stream_memory_tls", "kb")),
    ("added p99, one client", "µs", 1000.0, _single("latency", "added_p99_us")),
)
"""(what, unit, at most, value)."""


def judge(figures: Figures) -> list[dict[str, Any]]:
    """Each target with its value, and whether it is met; None for both where it was not measured."""
    judged = []
    for what, unit, bound, read in TARGETS:
        value = read(figures)
        judged.append(
            {
                "what": what,
                "unit": unit,
                "bound": bound,
                "value": None if value is None else round(value, 4),
                "met": None if value is None else value <= bound,
            }
        )
    return judged
