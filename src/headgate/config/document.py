"""YAML text as a tree of nodes that know where they stand. What a scalar means is not decided here: its text is kept.

Rules of this file:
- Every node has its place (line and column, from 1), so that every later error has one.
- Nothing is constructed but text, lists and mappings: an explicit tag (`!!python/object`, `!secret`) is refused.
- A key stands once in a mapping. `<<: *anchor` merges mappings: its own keys go first, then the first that has one.
- Anchors and aliases are allowed, and counted as if written out: a small file cannot become a large tree, and no node
  holds itself.
- The parser's events are used, not its own composer: that one recurses in C, without a bound on depth.
- No error shows a value: it might be a secret that lost its quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from msgspec import Struct

MAX_BYTES = 4 << 20
MAX_NODES = 400_000
MAX_DEPTH = 64


class Mark(Struct, frozen=True, order=True):
    line: int
    column: int


class Malformed(Exception):
    def __init__(self, message: str, mark: Mark, hint: str = ""):
        super().__init__(message)
        self.mark = mark
        self.hint = hint


class Scalar(Struct, eq=False):
    text: str
    mark: Mark
    plain: bool = True
    """Written without quotes: it may be a number, a boolean or null."""
    size: int = 1


class List(Struct, eq=False):
    items: list[Node]
    mark: Mark
    size: int = 1


class Map(Struct, eq=False):
    pairs: dict[str, tuple[Scalar, Node]]
    """Key text -> key and value."""
    mark: Mark
    size: int = 1


Node: TypeAlias = Scalar | List | Map

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))


def is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and node.text in _NULLS


_UNPRINTABLE = re.compile(r"[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""As YAML 1.1 and 1.2 have it (5.1, character set)."""

_LIKE_A_KEY = re.compile(r"[A-Za-z_-]{1,40}")


def shown(key: str) -> str:
    """A key for a message, if it looks like one: what lost its quotes, or its colon, may be a secret."""
    return f"`{key}` " if _LIKE_A_KEY.fullmatch(key) else ""


def parse(data: bytes) -> Node | None:
    """The one document of a YAML text; None if it holds nothing. Raises Malformed."""
    if len(data) > MAX_BYTES:
        raise Malformed(f"the file is larger than {MAX_BYTES >> 20} MiB", Mark(1, 1))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed("the file is not UTF-8 text", _after(data[: error.start].decode())) from None
    if found := _UNPRINTABLE.search(text):
        raise Malformed("not valid YAML: a control character", _after(text[: found.start()]))
    import yaml  # late: a gateway without a config file does not pay for it

    try:
        return _Composer(_events(text)).document()
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark or error.context_mark
        mark = _mark(where) if where else Mark(1, 1)
        raise Malformed(f"not valid YAML: {_said(error)}", mark, _hint(text, mark)) from None


def _events(text: str) -> Iterator[Any]:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return iter(yaml.parse(text, Loader=loader))


def _said(error: Any) -> str:
    """What the parser says: it names tokens and positions, never a value."""
    return " ".join(part for part in (error.context, error.problem) if part)


def _hint(text: str, mark: Mark) -> str:
    lines = text.split("\n")
    near = "\n".join(lines[max(0, mark.line - 2) : mark.line])
    if "\t" in near:
        return "indent with spaces, not tabs"
    if "${" in near:
        return 'between { } quote it: "${VAR}"'
    return ""


def _after(text: str) -> Mark:
    """The place behind this text."""
    return Mark(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


class _Composer:
    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, Node | None] = {}
        self._count = 0

    def document(self) -> Node | None:
        root: Node | None = None
        seen = 0
        for event in self._events:
            name = type(event).__name__
            if name == "DocumentStartEvent":
                seen += 1
                if seen > 1:
                    raise Malformed("a config is one document", _mark(event.start_mark), 'remove the "---"')
                root = self._node(next(self._events), 0)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        mark = _mark(event.start_mark)
        if depth > MAX_DEPTH:
            raise Malformed(f"nested deeper than {MAX_DEPTH} levels", mark)
        name = type(event).__name__
        if name == "AliasEvent":
            return self._alias(event.anchor, mark)
        if event.tag is not None:
            raise Malformed("tags are not allowed", mark, "write the value alone; secrets go as ${VAR} or ${file:path}")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node: Node
        if name == "ScalarEvent":
            node = Scalar(event.value, mark, event.implicit[0], 1 + len(event.value) // 64)
            self._take(node.size, mark)
        elif name == "SequenceStartEvent":
            node = self._list(mark, depth)
        else:
            node = self._map(mark, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _take(self, size: int, mark: Mark) -> None:
        self._count += size
        if self._count > MAX_NODES:
            raise Malformed(f"more than {MAX_NODES} values, aliases written out", mark)

    def _alias(self, anchor: str, mark: Mark) -> Node:
        if anchor not in self._anchors:
            raise Malformed("an alias without its anchor", mark, 'quote a text that begins with "*"')
        node = self._anchors[anchor]
        if node is None:
            raise Malformed("an anchor that holds itself", mark)
        self._take(node.size, mark)
        return node

    def _list(self, mark: Mark, depth: int) -> List:
        node = List([], mark)
        self._take(1, mark)
        while type(event := next(self._events)).__name__ != "SequenceEndEvent":
            item = self._node(event, depth + 1)
            node.items.append(item)
            node.size += item.size
        return node

    def _map(self, mark: Mark, depth: int) -> Map:
        node = Map({}, mark)
        self._take(1, mark)
        merged: list[Map] = []
        while type(event := next(self._events)).__name__ != "MappingEndEvent":
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key, Scalar):
                raise Malformed("a key must be a text", key.mark, 'quote "${VAR}" and "{" at the start of a value')
            if key.plain and key.text == "<<":
                merged += _mappings(value)
            elif key.text in node.pairs:
                first = node.pairs[key.text][0].mark
                raise Malformed(f"the key {shown(key.text)}stands twice", key.mark, f"first in line {first.line}")
            else:
                node.pairs[key.text] = (key, value)
                node.size += 1 + value.size
        for other in merged:
            self._take(len(other.pairs), mark)
            for text, pair in other.pairs.items():
                if text not in node.pairs:
                    node.pairs[text] = pair
                    node.size += 1 + pair[1].size
        return node


def _mappings(value: Node) -> list[Map]:
    given = value.items if isinstance(value, List) else [value]
    for node in given:
        if not isinstance(node, Map):
            raise Malformed("<< takes a mapping, or a list of them", node.mark)
    return [node for node in given if isinstance(node, Map)]
