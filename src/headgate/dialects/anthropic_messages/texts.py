"""The texts inside a JSON value of this dialect: every string but those of the grammar (tables.OPAQUE).

Rules of this file:
- Below `input` all strings are texts: there the keys are a tool's own, whatever their names.
- `data` is base64, except in a source of type "text".
- Nothing recurses: a value may be as deep as its decoder allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headgate.model.events import Path

from .tables import OPAQUE


def texts(value: Any, path: Path, free: bool = False) -> Iterator[tuple[str, Path]]:
    """(text, place) in order. `free`: the keys are not this dialect's, so that every string counts."""
    stack: list[tuple[Any, Path, bool]] = [(value, path, free)]
    while stack:
        here, at, free = stack.pop()
        if isinstance(here, str):
            yield here, at
        elif isinstance(here, list):
            stack.extend((item, (*at, index), free) for index, item in reversed(list(enumerate(here))))
        elif isinstance(here, dict):
            kind = here.get("type")
            for key, item in reversed(here.items()):
                if isinstance(item, str) and not free and key in OPAQUE and not (key == "data" and kind == "text"):
                    continue
                stack.append((item, (*at, key), free or key == "input"))
