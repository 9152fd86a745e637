"""A foreign config file as it is being read: who takes a value says so, and what nobody took is told.

Rules of this file:
- Every key of the source is taken, or told with its line: as lost (it did something), needless (what it asks for is so
  anyway) or advice (converted, but look at it).
- No note shows a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple, TypeAlias

from headgate.config.document import List, Map, Node, Scalar, is_null

Kind: TypeAlias = Literal["lost", "needless", "advice"]
Reason: TypeAlias = tuple[Kind, str]
NO_COUNTERPART: Reason = ("lost", "has no counterpart")
FOR_INFORMATION: Reason = ("needless", "for information")

_TRUE = frozenset(("true", "yes", "on"))
_FALSE = frozenset(("false", "no", "off"))


class Note(NamedTuple):
    line: int
    path: str
    kind: Kind
    message: str


Written: TypeAlias = Callable[[str], str]
"""A text of the source -> the same in our syntax."""


class View:
    """A mapping of the source. `behind`: another one that gives what this one leaves open."""

    def __init__(
        self, node: Node | None, path: str, notes: list[Note], written: Written, behind: View | None = None
    ) -> None:
        self._pairs = node.pairs if isinstance(node, Map) else {}
        self.line = node.mark.line if node else 1
        self.path = path
        self.notes = notes
        self._written = written
        self._behind = behind
        self._taken: set[str] = set()
        if node is not None and not isinstance(node, Map) and not is_null(node):
            self.tell("lost", "is not a mapping")

    def over(self, behind: View | None) -> View:
        """This one, before another."""
        self._behind = behind
        return self

    def __contains__(self, key: str) -> bool:
        return key in self._pairs

    def variable(self, name: str) -> str | None:
        """What the source itself sets this variable to, in our syntax; None if it does not."""
        written = self._written(f"os.environ/{name}") if name else ""
        return None if written in ("", f"${{{name}}}", f"${{env:{name}}}") else written

    def is_text(self, key: str) -> bool:
        return key in self._pairs and isinstance(self._pairs[key][1], Scalar)

    # taking

    def _take(self, key: str) -> Node | None:
        self._taken.add(key)
        pair = self._pairs.get(key)
        if pair is not None and not is_null(pair[1]):
            return pair[1]
        return self._behind._take(key) if self._behind is not None else None

    def raw(self, key: str) -> str | None:
        """The text as it stands there."""
        node = self._take(key)
        if node is None:
            return None
        if not isinstance(node, Scalar):
            self.tell("lost", "is not a single value", key)
            return None
        return node.text

    def text(self, key: str) -> str | None:
        """The text in our syntax."""
        raw = self.raw(key)
        return None if raw is None else self._written(raw)

    def texts(self, key: str) -> list[str]:
        """One text or a list of them, in our syntax."""
        node = self._take(key)
        items = node.items if isinstance(node, List) else [] if node is None else [node]
        texts = [self._written(item.text) for item in items if isinstance(item, Scalar) and not is_null(item)]
        if len(texts) < len(items):
            self.tell("lost", "holds more than texts", key)
        return texts

    def pairs(self, key: str) -> dict[str, str]:
        """A mapping of texts, in our syntax."""
        view = self.section(key)
        return {name: text for name in view.names() if (text := view.text(name)) is not None}

    def number(self, key: str) -> Decimal | None:
        raw = self.raw(key)
        if raw is None:
            return None
        try:
            number = Decimal(raw.replace("_", ""))
        except InvalidOperation:
            self.tell("lost", "is not a number that stands in the file", key)
            return None
        return number if number.is_finite() else None

    def flag(self, key: str) -> bool | None:
        raw = self.raw(key)
        if raw is None:
            return None
        if raw.lower() in _TRUE or raw.lower() in _FALSE:
            return raw.lower() in _TRUE
        self.tell("lost", "is neither true nor false", key)
        return None

    def seconds(self, key: str) -> str | None:
        """A number of seconds as a duration."""
        raw = self.raw(key)
        if raw is None:
            return None
        written = self._written(raw)
        if written.startswith("${"):
            return f"{written}s"
        if not re.fullmatch(r"\d+(\.\d+)?", written, re.ASCII):
            self.tell("lost", "is not a number of seconds", key)
            return None
        return f"{written}s"

    def section(self, key: str) -> View:
        """The mapping at `key`, an empty one if there is none."""
        node = self._take(key)
        view = View(node, self._below(key), self.notes, self._written)
        if key in self._pairs:
            view.line = self._pairs[key][0].mark.line
        return view

    def sections(self, key: str) -> list[View]:
        """The mappings of the list at `key`."""
        node = self._take(key)
        if node is not None and not isinstance(node, List):
            self.tell("lost", "is not a list", key)
            return []
        items = node.items if node else []
        return [View(item, f"{self._below(key)}[{at}]", self.notes, self._written) for at, item in enumerate(items)]

    def names(self) -> list[str]:
        return list(self._pairs)

    # telling

    def tell(self, kind: Kind, message: str, key: str = "") -> None:
        pair = self._pairs.get(key)
        self.notes.append(Note(pair[0].mark.line if pair else self.line, self._below(key), kind, message))

    def rest(self, known: Mapping[str, Reason], otherwise: Reason = NO_COUNTERPART) -> None:
        """Tell what nobody took."""
        for key, (_, node) in self._pairs.items():
            if key not in self._taken and not is_null(node):
                self.tell(*known.get(key, otherwise), key)

    def _below(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path and key else self.path or key


def grouped(notes: list[Note]) -> list[tuple[Kind, list[int], str]]:
    """Notes that say the same of the same kind of place, together: (kind, lines, text), by line."""
    groups: dict[tuple[Kind, str, str], list[int]] = {}
    for note in sorted(set(notes)):
        place = re.sub(r"\[\d+\]", "[]", note.path)
        groups.setdefault((note.kind, place, note.message), []).append(note.line)
    return [
        (kind, lines, f"{place}: {message}" if place else message) for (kind, place, message), lines in groups.items()
    ]
