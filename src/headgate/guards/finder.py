"""Where several expressions match in one text, and from where on that may still change.

Rules of this file:
- It works on a *haystack*: the form of a text that an engine searches (UTF-8 for RE2, the str itself for `re`). Offsets
  count its units; the searches of an Expression see what stands before `pos` and behind `end` as context.
- Each guard's matches are leftmost, non-overlapping and found as if it were alone.
- A guard whose matches are *cut* has, at each place, the match that its expression prefers among those of at most `cut`
  characters; longer ones do not exist for it.
- Text that no guard matches costs one search: alternations of ever fewer guards are asked before the guards themselves, and for
  text that goes on one that knows their beginnings too (`quiet`).
  (RE2 has sets for that. They answer "none" when their automaton outgrows its memory; an alternation goes on, slower.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from .reach import few, openers, unfinished
from .syntax import Alt, Assert, Node, Seq

Haystack: TypeAlias = Any
"""bytes or str, as the engine has it."""
Found: TypeAlias = tuple[int, int, int]
"""(begin, index of the guard, end): sorts in the order in which redactions are labelled."""
NOWHERE = (-1, -1)


class Expression(Protocol):
    def first(self, hay: Haystack, pos: int, end: int) -> tuple[int, int]:
        """The leftmost match within hay[pos:end], else NOWHERE."""
        ...

    def at(self, hay: Haystack, pos: int, end: int) -> tuple[int, int]:
        """The match within hay[pos:end] that begins at `pos`, else NOWHERE."""
        ...


class Engine(Protocol):
    linear: bool
    """A search takes time linear in the text whatever the expression: those without a longest match may be searched in
    long texts, and beginnings of matches (`unfinished`) at each delta."""

    def encode(self, text: str) -> Haystack: ...

    def decode(self, hay: Haystack) -> str: ...

    def forward(self, hay: Haystack, at: int, characters: int) -> int:
        """The offset that many characters behind `at`, or the end."""
        ...

    def back(self, hay: Haystack, characters: int) -> int:
        """The offset that many characters before the end, or 0."""
        ...

    def has(self, characters: bytes) -> Callable[[Haystack], object] | None:
        """Tells by a true value whether one of these (ASCII) stands in a text; None where that is no faster than a search."""
        ...

    def single(self, node: Node, cut: int | None) -> Expression:
        """The expression of one guard. Raises ValueError, with the engine's reason."""
        ...

    def joint(self, node: Node) -> Expression | None:
        """The expression of many; None where that is too large."""
        ...


class Leaf(Struct, frozen=True):
    """A guard ready to search. `reach` in characters; `looks`: it looks at one more; `cut`: the most characters of a
    match, where the expression itself would match more."""

    index: int
    tree: Node
    expression: Expression
    reach: int
    looks: bool
    cut: int | None


class _Branch(Struct, frozen=True):
    """Guards that are only asked where their alternation matches (always, where it is too large to compile)."""

    expression: Expression | None
    children: tuple[_Branch | Leaf, ...]


class _Beginnings(Struct, frozen=True):
    """Guards whose unfinished matches are searched together. `held`: of how many characters at the end a match that is
    not decided may consist; None: as the expression says. Without an expression `held` characters are undecided at all
    times."""

    expression: Expression | None
    held: int | None


class Finder:
    """Several guards' search. Stateless: one serves all texts."""

    def __init__(self, engine: Engine, leaves: Sequence[Leaf]) -> None:
        self.engine = engine
        together = [leaf for leaf in leaves if engine.linear or leaf.cut is None]
        alone = [leaf for leaf in leaves if not (engine.linear or leaf.cut is None)]
        self._roots: list[_Branch | Leaf] = [*([_branch(engine, together)] if together else []), *alone]
        self._beginnings = _beginnings(engine, leaves)
        opening = few({chars for leaf in leaves for chars in openers(leaf.tree)})
        self.opens = engine.has(opening) if opening else None
        """Whether a match may begin in a text: where guards look for numbers, most pieces of most texts are told so."""
        self.harmless = b"" if opening is None or self.opens is None else bytes(set(range(128)).difference(opening))
        """ASCII characters with which none begins."""
        self.quiet = _quiet(engine, leaves)
        """Matches where a guard does, or may once more text has come; else at the end. So one search tells of nearly all pieces of
        nearly all texts that they are decided, and nothing is found."""

    def live(self, hay: Haystack, start: int) -> int:
        """The first place at or after `start` where a match may begin that text not yet seen decides; the end if there
        is none. Matches that begin before it are final."""
        size = live = len(hay)
        for beginnings in self._beginnings:
            expression, held = beginnings.expression, beginnings.held
            begin = start if expression is None else expression.first(hay, start, size)[0]
            if begin >= live:
                continue
            if held is not None and begin < (least := self.engine.back(hay, held)):
                begin = least if expression is None else expression.first(hay, least, size)[0]
            live = min(live, begin)
        return live

    def none(self, hay: Haystack) -> bool:
        """Whether it is sure, after one search, that nothing is found: the answer for nearly all texts."""
        size = len(hay)
        return all(root.expression is not None and root.expression.first(hay, 0, size)[0] < 0 for root in self._roots)

    def find(self, hay: Haystack, start: int, limit: int, resume: dict[int, int], base: int = 0) -> list[Found]:
        """All matches that begin in start ≤ begin < limit, in order. `resume` holds where each guard's last match ended
        (counted from `base` before the haystack) and is brought up to date."""
        found: list[Found] = []
        ahead = [(root, start) for root in self._roots]
        while ahead:
            node, pos = ahead.pop()
            if isinstance(node, _Branch):
                if node.expression is not None:
                    pos = node.expression.first(hay, pos, len(hay))[0]
                if 0 <= pos < limit:
                    ahead += [(child, pos) for child in node.children]
                continue
            pos = max(pos, resume.get(node.index, 0) - base)
            while pos < limit:
                begin, end = self._first(node, hay, pos, limit)
                if not 0 <= begin < limit:
                    break
                found.append((begin, node.index, end))
                resume[node.index] = base + end
                pos = end
        if len(found) > 1:
            found.sort()
        return found

    def _first(self, leaf: Leaf, hay: Haystack, pos: int, limit: int) -> tuple[int, int]:
        """The leftmost match. Where matches are cut, two cuts' length is looked through at a time: what begins in the
        first half ends in the second."""
        expression, cut, forward = leaf.expression, leaf.cut, self.engine.forward
        if cut is None:
            return expression.first(hay, pos, len(hay))
        while pos < limit:
            half = forward(hay, pos, cut)
            far = forward(hay, half, cut)
            begin = expression.first(hay, pos, far)[0]
            if begin < 0:
                if far == len(hay):
                    return NOWHERE
                pos = half
                continue
            match = expression.at(hay, begin, forward(hay, begin, cut))
            if match[0] >= 0:
                return match
            pos = self._leap(expression, cut, hay, forward(hay, begin, 1), far)
        return NOWHERE

    def _leap(self, expression: Expression, cut: int, hay: Haystack, pos: int, far: int) -> int:
        """A place at or after `pos` before which nothing of at most `cut` characters begins: no match ends before the
        earliest end, so none begins more than `cut` before that. Without this, a long text of beginnings that lead
        nowhere (one word of 10,000 letters, then "@x.org") would be tried at each of its characters."""
        if expression.first(hay, pos, far)[0] < 0:
            return pos
        low, earliest = pos, far
        while low < earliest:
            middle = (low + earliest) // 2
            if expression.first(hay, pos, middle)[0] >= 0:
                earliest = middle
            else:
                low = middle + 1
        return pos + self.engine.back(hay[pos:earliest], cut)


def _branch(engine: Engine, leaves: Sequence[Leaf]) -> _Branch | Leaf:
    if len(leaves) == 1:
        return leaves[0]
    half = len(leaves) // 2
    return _Branch(
        engine.joint(Alt(tuple(leaf.tree for leaf in leaves))),
        (_branch(engine, leaves[:half]), _branch(engine, leaves[half:])),
    )


def _beginnings(engine: Engine, leaves: Sequence[Leaf]) -> list[_Beginnings]:
    """A match that begins at i is decided once i + reach characters were seen, and one more if the guard looks beside
    it. Where matches are not cut, the expression of the beginnings knows that by itself."""
    kinds: dict[int | None, list[Leaf]] = {}
    for leaf in leaves:
        kinds.setdefault(None if leaf.cut is None else _held(leaf), []).append(leaf)
    return [made for held, group in kinds.items() for made in _together(engine, group, held)]


def _together(engine: Engine, leaves: Sequence[Leaf], held: int | None) -> list[_Beginnings]:
    """One search for all of them, or more where their alternation is too large."""
    trees = tuple(unfinished(leaf.tree) for leaf in leaves)
    expression = engine.joint(Seq((Alt(trees), Assert("end")))) if engine.linear else None
    if expression is None and engine.linear and len(leaves) > 1:
        half = len(leaves) // 2
        return _together(engine, leaves[:half], held) + _together(engine, leaves[half:], held)
    if expression is None and held is None:
        held = max(_held(leaf) for leaf in leaves)
    return [_Beginnings(expression, held)]


def _quiet(engine: Engine, leaves: Sequence[Leaf]) -> Expression | None:
    """(The empty text is a beginning of all.)"""
    if not engine.linear:
        return None
    trees = tuple(leaf.tree for leaf in leaves)
    return engine.joint(Alt((*trees, Seq((Alt(tuple(map(unfinished, trees))), Assert("end"))))))


def _held(leaf: Leaf) -> int:
    return leaf.reach if leaf.looks else leaf.reach - 1
