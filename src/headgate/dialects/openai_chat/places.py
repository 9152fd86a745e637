"""Where the strings of a JSON value stand. Without recursion: a document may nest deeper than a call stack."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from headgate.model.events import Path


def strings(value: Any, path: Path, quiet: Container[str]) -> Iterator[tuple[Path, str]]:
    """(place, string) of every string that is not empty, in document order. What stands under a `quiet` key is left out."""
    stack: list[tuple[Path, Any]] = [(path, value)]
    while stack:
        place, held = stack.pop()
        if isinstance(held, str):
            if held:
                yield place, held
        elif isinstance(held, dict):
            stack += [((*place, key), held[key]) for key in reversed(held) if key not in quiet]
        elif isinstance(held, list):
            stack += [((*place, index), held[index]) for index in range(len(held) - 1, -1, -1)]
