r"""Pattern guards: operators' expressions, compiled, and applied to a whole text.

Rules of this file:
- Refused at compile, naming guard and reason: what cannot be read, what matches the empty text, what has no longest
  match and declares none, what reaches further than LONGEST characters.
- `max_length` cuts: at each place the match is the one that the expression prefers among those of at most `max_length`
  characters; what stands before and behind is context. Cut to 40, `sk-\w+` redacts the first 40 characters of a longer
  key, and `sk-\w+\b` misses it. A `max_length` not below the derived reach changes nothing.
- Spans of redacting guards that share a character are one redaction, from the first's begin to the last's end, with the
  replacement of the one that begins first (ties: config order). Findings count what each guard found as if it were
  alone.
- Public offsets are characters (code points). A lone surrogate is a character like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from functools import cached_property
from typing import get_args

from msgspec.json import encode
from msgspec.structs import replace

from headgate.errors import ConfigError

from .base import Finding, Guard, Place, Span
from .engines import ENGINE, LONGEST
from .finder import Engine, Expression, Finder, Found, Haystack, Leaf
from .reach import asserts, least, reach
from .syntax import Alt, parse
from .unread import unread


def compile(guards: Sequence[Guard], engine: Engine = ENGINE) -> Patterns:
    """The guards, for every place. Raises ConfigError."""
    names: set[str] = set()
    leaves: list[Leaf] = []
    for index, guard in enumerate(guards):
        try:
            if guard.name in names:
                raise ValueError("another guard has this name")
            names.add(guard.name)
            leaves.append(_leaf(index, guard, engine))
        except ValueError as error:
            raise ConfigError(f"guard {guard.name!r}: {error}", where=f"guards.{index}") from None
    return Patterns(guards, leaves, _Finders(engine))


def _leaf(index: int, guard: Guard, engine: Engine) -> Leaf:
    if unknown := sorted(guard.places - set(get_args(Place))):
        raise ValueError(f"unknown place {unknown[0]!r}, known are {', '.join(get_args(Place))}")
    if not guard.replacement.isascii() and any("\ud800" <= sign <= "\udfff" for sign in guard.replacement):
        raise ValueError("its replacement holds a lone surrogate")
    tree = parse(guard.pattern, guard.ignore_case)
    shortest, longest, declared = least(tree), reach(tree), guard.max_length
    cut = declared if declared is not None and (longest is None or declared < longest) else None
    far = longest if cut is None else cut
    if shortest == 0:
        raise ValueError("its expression matches the empty text")
    if far is None:
        raise ValueError("its expression has no longest match: bound its repetitions ({1,64}), or declare max_length")
    if far < shortest:
        raise ValueError(f"max_length {far} is shorter than its shortest match, {shortest}")
    if far > LONGEST:
        raise ValueError(f"its matches are up to {far:,} characters long, more than {LONGEST:,}")
    return Leaf(index, tree, engine.single(tree, cut), far, bool(asserts(tree)), cut)


class _Finders:
    """One Finder for each set of guards: often all places have the same."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._made: dict[tuple[int, ...], Finder] = {}

    def of(self, leaves: Sequence[Leaf]) -> Finder | None:
        if not leaves:
            return None
        indexes = tuple(leaf.index for leaf in leaves)
        if indexes not in self._made:
            self._made[indexes] = Finder(self.engine, leaves)
        return self._made[indexes]


class Patterns:
    """Compiled guards of one place (of every place, as `compile` returns them): a Detector. Stateless, it serves all
    requests."""

    def __init__(self, guards: Sequence[Guard], leaves: Sequence[Leaf], finders: _Finders, place: str = "") -> None:
        self.guards = tuple(guards)
        self.engine = finders.engine
        self.place = place
        self._leaves = leaves
        acting: list[Leaf] = []
        watching: list[Leaf] = []
        for leaf in leaves:
            guard = guards[leaf.index]
            (acting if guard.mode == "enforce" and guard.action != "flag" else watching).append(leaf)
        self.reach = max((leaf.reach for leaf in leaves), default=0)
        self._finders = finders
        self._finder = finders.of(leaves)
        self.acting = finders.of(acting)
        """The search of guards that change or stop the text (enforce: redact, block); None: there are none."""
        self.watching = finders.of(watching)
        """The search of those that only report."""
        finders_asked = [finder for finder in (self.acting, self.watching) if finder is not None]
        self.harmless = bytes(set(range(128)).intersection(*(finder.harmless for finder in finders_asked)))
        """ASCII characters in which no match of any begins, where that is told by the characters alone."""
        self.blocks = any(blocks(guards[leaf.index]) for leaf in acting)
        self.local = not any(asserts(leaf.tree) - {"word", "not_word"} for leaf in leaves)
        """A match does not depend on where the text or its lines begin and end."""
        self._places: dict[str, Patterns | None] = {}
        if not place:
            self._places = {name: self._of(name) for name in get_args(Place)}

    def _of(self, place: str) -> Patterns | None:
        leaves = [leaf for leaf in self._leaves if place in self.guards[leaf.index].places]
        return Patterns(self.guards, leaves, self._finders, place) if leaves else None

    @cached_property
    def in_json(self) -> Patterns:
        """The same with replacements as they are written in a JSON string."""
        twin = copy(self)
        twin.guards = tuple(
            replace(guard, replacement=encode(guard.replacement).decode()[1:-1]) for guard in self.guards
        )
        twin.in_json = twin
        return twin

    def for_place(self, place: Place) -> Patterns | None:
        """The guards of one place; None: nothing to do there."""
        return self._places[place]

    def unread(self, *places: Place) -> Expression | None:
        """Where it finds nothing in the bytes of a JSON document, no guard of these places finds anything in its texts; None: they
        are to be read."""
        trees = tuple(
            unread(leaf.tree) for leaf in self._leaves if not self.guards[leaf.index].places.isdisjoint(places)
        )
        return self.engine.joint(Alt(trees)) if trees and self.engine.linear else None

    def find(self, text: str, start: int = 0) -> list[Span]:
        """Every guard's spans in the order of their begins (ties: config order), as if each guard were alone."""
        if self._finder is None:
            return []
        hay = self.engine.encode(text)
        at = self.engine.forward(hay, 0, start)
        found = self._finder.find(hay, at, len(hay), {})
        offsets = self._characters(hay, {at for begin, _, end in found for at in (begin, end)})
        return [Span(offsets[begin], offsets[end], self.guards[index].name, index) for begin, index, end in found]

    def _characters(self, hay: Haystack, offsets: set[int]) -> dict[int, int]:
        known: dict[int, int] = {}
        last = characters = 0
        for offset in sorted(offsets):
            characters += len(self.engine.decode(hay[last:offset]))
            known[offset] = characters
            last = offset
        return known

    def matches(self, text: str) -> bool:
        """Whether any guard finds anything."""
        hay = self.engine.encode(text)
        return self._finder is not None and bool(self._finder.find(hay, 0, len(hay), {}))

    def scan(self, text: str) -> list[Finding]:
        """What the guards find in a whole text, in config order."""
        return self.redact(text)[1]

    def redact(self, text: str) -> tuple[str, list[Finding]]:
        """A whole text with its redactions, and what all guards found. Where one of these blocks (`blocking`), the text
        is not to be used."""
        if self._finder is None or self._finder.none(self.engine.encode(text)):
            return text, []
        counts: dict[int, int] = {}
        return self.redacted(text, counts), self.findings(counts)

    def none_in(self, texts: Sequence[str]) -> bool:
        """Whether it is sure, after one search, that no guard finds anything in any of these texts. Joined by a character that
        words do not hold, they are searched as one: what matches within a text matches there too, unless it looks at the
        text's begin or end."""
        if self._finder is None:
            return True
        if not self.local:
            return all(self._finder.none(self.engine.encode(text)) for text in texts)
        encode = self.engine.encode
        return self._finder.none(encode("\0").join(map(encode, texts)))

    def redacted(self, text: str, counts: dict[int, int]) -> str:
        """Like `redact`; what was found is added to `counts`, by guard."""
        if self._finder is None:
            return text
        hay = self.engine.encode(text)
        found = self._finder.find(hay, 0, len(hay), {})
        for _, index, _ in found:
            counts[index] = counts.get(index, 0) + 1
        redactions = merged(found, self.guards)
        if not redactions:
            return text
        decode = self.engine.decode
        pieces: list[str] = []
        at = 0
        for begin, end, replacement in redactions:
            pieces += (decode(hay[at:begin]), replacement)
            at = end
        return "".join(pieces) + decode(hay[at:])

    def findings(self, counts: dict[int, int]) -> list[Finding]:
        """Findings of counts by guard index, in config order."""
        return [self.finding(index, counts[index]) for index in sorted(counts)]

    def finding(self, index: int, count: int = 1) -> Finding:
        guard = self.guards[index]
        return Finding(guard=guard.name, place=self.place, mode=guard.mode, action=guard.action, count=count)


def merged(found: Iterable[Found], guards: Sequence[Guard]) -> list[tuple[int, int, str]]:
    """The redactions (begin, end, replacement) of what was found, in order."""
    made: list[tuple[int, int, str]] = []
    for begin, index, end in found:
        guard = guards[index]
        if guard.mode != "enforce" or guard.action != "redact":
            continue
        if made and begin < made[-1][1]:
            first, last, replacement = made[-1]
            made[-1] = first, max(last, end), replacement
        else:
            made.append((begin, end, guard.replacement))
    return made


def blocks(guard: Guard) -> bool:
    return guard.mode == "enforce" and guard.action == "block"


def blocking(findings: Iterable[Finding]) -> Finding | None:
    """The first of the findings that forbids to go on."""
    return next((finding for finding in findings if finding.mode == "enforce" and finding.action == "block"), None)
