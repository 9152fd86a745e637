"""Arguments of a function call that arrive in pieces (Vertex, `streamFunctionCallArguments`) -> the arguments object.

Each piece names its place by a JSONPath ("$.places[0].name") and holds one value; a string goes on as long as pieces
of the same path come. Paths are of names, quoted names and indices alone.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, TypeAlias

from headgate.errors import UpstreamMalformed

from .checks import string

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[(?:'([^']*)'|\"([^\"]*)\")\]")
_VALUES = ("stringValue", "numberValue", "boolValue")
_MOST = 10_000
"""No list of arguments is longer: a path with an index beyond it is refused rather than filled up."""

Steps: TypeAlias = list[str | int]


class Arguments:
    def __init__(self) -> None:
        self.value: dict[str, Any] = {}
        self._last = ""

    def add(self, piece: dict[str, Any]) -> bool:
        """Whether the piece goes on with the string before it."""
        path = string(piece, "jsonPath")
        value: Any = None
        for name in _VALUES:
            if name in piece:
                value = piece[name]
        steps = _steps(path)
        here: Any = self.value
        for step, after in pairwise(steps):
            here = _entered(here, step, after)
        last = steps[-1]
        before = _at(here, last) if path == self._last else None
        goes_on = isinstance(value, str) and isinstance(before, str)
        _put(here, last, before + value if goes_on else value)
        self._last = path
        return goes_on


def _steps(path: str) -> Steps:
    steps: Steps = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            break
        name, index, single, double = found.groups()
        steps.append(int(index) if index is not None else name or single or double or "")
        at = found.end()
    if not path.startswith("$") or at < len(path) or not steps or len(steps) > 64 or isinstance(steps[0], int):
        raise UpstreamMalformed("a jsonPath of the upstream's answer is not one")
    return steps


def _at(container: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return container[step] if isinstance(container, list) and step < len(container) else None
    return container.get(step) if isinstance(container, dict) else None


def _put(container: Any, step: str | int, value: Any) -> None:
    if isinstance(step, int) and isinstance(container, list) and step < _MOST:
        container.extend([None] * (step + 1 - len(container)))
        container[step] = value
    elif isinstance(step, str) and isinstance(container, dict):
        container[step] = value
    else:
        raise UpstreamMalformed("a jsonPath of the upstream's answer does not fit the arguments before it")


def _entered(container: Any, step: str | int, after: str | int) -> Any:
    """The container at `step`, made where it is not there."""
    found = _at(container, step)
    if not isinstance(found, dict | list):
        found = [] if isinstance(after, int) else {}
        _put(container, step, found)
    return found
