"""What a usage costs: counted units times rates, in integers, rounded once.

Rules of this file:
- A rate is nano-dollars (10⁻⁹ USD) per million units; an amount is nano-dollars, rounded half up once, at the end.
- Units contain each other (`inside`): tokens that have a rate of their own are charged at that alone, the rest at the
  rate of what contains them. Counts that contradict each other are cut at 0: what an upstream says cannot make a
  request cheaper than nothing.
- A tiered rate goes by the whole input: above a threshold, all units cost the higher rate (the providers' own rule).
- What was used and has no rate makes the whole amount unknown (None), never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, TypeAlias

from headgate.model.usage import Usage

Rate: TypeAlias = int | list[tuple[int, int]]
"""Nano-dollars per million; or tiers: (input above which it holds, rate), ascending, the first above 0."""

MILLION = 1_000_000

TOKENS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cache_audio_read": ("cache_audio_read", ("cache_read", "input_audio", "input")),
    "cache_image_read": ("cache_image_read", ("cache_read", "input_image", "input")),
    "cache_write_1h": ("cache_write_1h", ("cache_write", "input")),
    "cache_read": ("cache_read", ("input",)),
    "cache_write": ("cache_write", ("input",)),
    "input_audio": ("input_audio", ("input",)),
    "input_image": ("input_image", ("input",)),
    "input_video": ("input_video", ("input",)),
    "output_reasoning": ("reasoning", ("output",)),
    "output_audio": ("output_audio", ("output",)),
    "output_image": ("output_image", ("output",)),
    "input": ("input", ()),
    "output": ("output", ()),
}
"""Unit of a rate -> (field of Usage, the units that contain it, all the way up); the contained stand before what
contains them. Without a rate of its own, a unit is part of what contains it."""

TOOLS = {"web_searches": "web_search", "storage_searches": "file_search", "social_searches": "x_search"}
"""Unit of a rate -> the neutral name of the use. Used without a rate, they make the cost unknown. Other uses are not
billed each: web_fetch (https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-fetch-tool), code run by the
hour."""

COUNTED = {*TOKENS, *TOOLS, "requests"}
"""All that a Usage counts; a request as such is free where nothing says otherwise."""


class Sheet:
    """The rates that hold for one model at one time, ready for use. One that is also billed by what a Usage does not
    count (seconds of audio, pages) has a known cost only where tokens were used."""

    __slots__ = ("_fields", "_request", "_steps", "_tools", "_uncounted")

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        names = [name for name in TOKENS if name in rates or name in ("input", "output")]
        self._fields: Any = attrgetter(*(TOKENS[name][0] for name in names))
        self._steps = tuple(
            (index, rates.get(name), tuple(names.index(outer) for outer in TOKENS[name][1] if outer in names))
            for index, name in enumerate(names)
        )
        self._tools = {use: rates.get(name) for name, use in TOOLS.items()}
        self._request = rates.get("requests", 0)
        self._uncounted = not COUNTED.issuperset(rates)

    def cost(self, usage: Usage) -> int | None:
        """Nano-dollars, or None where a rate is not known."""
        size = usage.input
        counts = list(self._fields(usage))
        total = _at(self._request, size)
        for index, rate, inside in self._steps:
            number = counts[index]
            if number <= 0:
                continue
            for outer in inside:
                counts[outer] -= number
            if rate is None:
                return None
            total += number * (rate if isinstance(rate, int) else _at(rate, size))
        for use, number in usage.requests.items():
            if number > 0 and use in self._tools:
                if (found := self._tools[use]) is None:
                    return None
                total += number * _at(found, size)
        if self._uncounted and not (size or usage.output):
            return None
        return (total + MILLION // 2) // MILLION


def _at(rate: Rate, size: int) -> int:
    """The rate for an input of this size."""
    if isinstance(rate, int):
        return rate
    found = rate[0][1]
    for above, more in rate[1:]:
        if size <= above:
            break
        found = more
    return found
