"""Pattern guards over a text that arrives in pieces.

Rules of this file:
- The texts that `feed` and `flush` release, one after the other, are what `Patterns.redact` makes of the whole text,
  and the findings are the same, wherever the text is cut.
- A window holds items, not text: an item (the frame that carried the text) comes back once, in order, with its own
  share. Characters outside of redactions stay in the item they came in, a replacement goes to the item in which its
  redaction begins, and the other characters of the redaction are gone from theirs.
- An item is released as soon as all its characters are decided, and not before. Guards that only report hold nothing.
- Once a guard blocks, the item in which its match begins and all later ones are never released.
- One window serves one part of one choice, one text after the other: `flush` ends a text.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from .base import Finding
from .finder import Finder, Found, Haystack
from .pattern import Patterns, blocks

T = TypeVar("T")


class _Scanner:
    """A Finder along a growing text. Offsets count units from the begin of the text. Keeps what is not decided and one
    unit before it, which is all the context that an expression looks at."""

    __slots__ = ("_base", "_finder", "_opens", "_quiet", "_resume", "_tail", "decided")

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._opens, self._quiet = finder.opens, finder.quiet
        self.restart()

    def restart(self) -> None:
        self._tail: Haystack = self._finder.engine.encode("")
        self._base = 0
        self._resume: dict[int, int] = {}
        self.decided = 0
        """What begins before it is final."""

    def rests(self) -> bool:
        """Whether all that it was fed is decided."""
        return self.decided - self._base == len(self._tail)

    def clear(self, hay: Haystack) -> bool:
        """Whether `feed` would decide all of this and find nothing, told by one search. It is not empty."""
        tail, start = self._tail, self.decided - self._base
        if self._opens is not None and start == len(tail) and not self._opens(hay):
            return True
        end = len(tail) + len(hay)
        return self._quiet is not None and self._quiet.first(tail + hay, start, end)[0] == end

    def skip(self, hay: Haystack) -> None:
        """Feeds what is clear."""
        self.decided = self._base + len(self._tail) + len(hay)
        self._base, self._tail = self.decided - 1, hay[-1:]

    def feed(self, hay: Haystack, last: bool = False) -> list[Found]:
        """The matches that became final, in order; `last`: the text ends here."""
        if not hay and not last:
            return []
        clear = not last and self.clear(hay)
        base = self._base
        tail = self._tail + hay if self._tail else hay
        start = self.decided - base
        limit = len(tail) if last or clear else self._finder.live(tail, start)
        found = [] if clear or start >= limit else self._finder.find(tail, start, limit, self._resume, base)
        self.decided = base + limit
        if limit > 1:
            self._tail = tail[limit - 1 :]
            self._base = base + limit - 1
        else:
            self._tail = tail
        return [(begin + base, index, end + base) for begin, index, end in found] if found and base else found


class _Redaction:
    """[begin, end), of which `end` may still grow."""

    __slots__ = ("begin", "end", "replacement")

    def __init__(self, begin: int, end: int, replacement: str) -> None:
        self.begin = begin
        self.end = end
        self.replacement = replacement


class Window(Generic[T]):
    """`feed` each item with its text, `flush` at the end of the text: both return the items that may go, with the text
    they are to carry (the very object that was fed, where nothing of it was redacted). `blocked` is the finding of a
    guard that forbids to go on."""

    def __init__(self, patterns: Patterns) -> None:
        self.blocked: Finding | None = None
        self._patterns = patterns
        self._engine = patterns.engine
        self._acting = _Scanner(patterns.acting) if patterns.acting else None
        self._watching = _Scanner(patterns.watching) if patterns.watching else None
        self._scanners = [scanner for scanner in (self._acting, self._watching) if scanner is not None]
        self._blocks = patterns.blocks
        self._counts: dict[int, int] = {}
        self._items: deque[tuple[T, str, int, int]] = deque()
        """Held: item, text, begin and end of the text."""
        self._redactions: deque[_Redaction] = deque()
        self._end = 0

    @property
    def findings(self) -> list[Finding]:
        """Of all texts so far, one for each guard that found something, in config order."""
        return self._patterns.findings(self._counts)

    def add(self, counts: dict[int, int]) -> None:
        """What was found aside, by guard: counted here, and blocks if one of these guards does."""
        for index in sorted(counts):
            self._counts[index] = self._counts.get(index, 0) + counts[index]
            if self.blocked is None and blocks(self._patterns.guards[index]):
                self.blocked = self._patterns.finding(index)

    def rests(self) -> bool:
        """Whether nothing is held or undecided: whatever text of `Patterns.harmless` characters comes, `passes` is True of it."""
        if self._items or self._redactions or self.blocked is not None:
            return False
        return all(scanner.rests() for scanner in self._scanners)

    def passes(self, text: str) -> bool:
        """Whether `feed` would release an item with this text as it is, and nothing else: then the text was fed. False: nothing has
        happened."""
        if not text or self._items or self._redactions or self.blocked is not None:
            return False
        hay = self._engine.encode(text)
        for scanner in self._scanners:
            if not scanner.clear(hay):
                return False
        for scanner in self._scanners:
            scanner.skip(hay)
        self._end += len(hay)
        return True

    def feed(self, item: T, text: str) -> list[tuple[T, str]]:
        if self.blocked is not None:
            return []
        hay = self._engine.encode(text)
        if self._watching is not None:
            for _, index, _ in self._watching.feed(hay):
                self._counts[index] = self._counts.get(index, 0) + 1
        begin = self._end
        end = self._end = begin + len(hay)
        if self._acting is None:
            return [(item, text)]
        found = self._acting.feed(hay)
        if self._acting.decided == end and not (found or self._items or self._redactions):
            return [(item, text)]
        for match in found:
            self._act(match)
        self._items.append((item, text, begin, end))
        return self._release(self._acting.decided)

    def flush(self) -> list[tuple[T, str]]:
        """Releases all that is held, and begins a new text."""
        if self.blocked is not None:
            return []
        nothing = self._engine.encode("")
        if self._watching is not None:
            for _, index, _ in self._watching.feed(nothing, last=True):
                self._counts[index] = self._counts.get(index, 0) + 1
            self._watching.restart()
        if self._acting is None:
            return []
        for found in self._acting.feed(nothing, last=True):
            self._act(found)
        released = self._release(self._end) if self._items else []
        self._acting.restart()
        self._redactions.clear()
        self._end = 0
        return released

    def _act(self, found: Found) -> None:
        begin, index, end = found
        if self.blocked is not None:
            return
        self._counts[index] = self._counts.get(index, 0) + 1
        guard = self._patterns.guards[index]
        if blocks(guard):
            self.blocked = self._patterns.finding(index)
            self._block_begin = begin
        elif self._redactions and begin < self._redactions[-1].end:
            self._redactions[-1].end = max(self._redactions[-1].end, end)
        else:
            self._redactions.append(_Redaction(begin, end, guard.replacement))

    def _release(self, final: int) -> list[tuple[T, str]]:
        """The items that end before the first place where a match may begin that is not known, or blocks."""
        decided = final
        if self.blocked is not None:
            decided = min(decided, self._block_begin)
        elif self._redactions and not self._blocks:
            # What a redaction covers is gone whatever follows. A match that blocks could still begin in it.
            decided = max(decided, self._redactions[-1].end)
        released: list[tuple[T, str]] = []
        items = self._items
        while items and items[0][3] <= decided:
            item, text, begin, end = items.popleft()
            released.append((item, self._share(text, begin, end) if self._redactions else text))
        if self.blocked is not None:
            items.clear()
        elif not items and self._redactions and self._redactions[-1].end <= final:
            self._redactions.clear()
        return released

    def _share(self, text: str, begin: int, end: int) -> str:
        """What is left of the text that stands at [begin, end)."""
        redactions = self._redactions
        while len(redactions) > 1 and redactions[0].end <= begin:
            redactions.popleft()
        if redactions[-1].end <= begin or redactions[0].begin >= end:
            return text
        hay, decode = self._engine.encode(text), self._engine.decode
        pieces: list[str] = []
        at = begin
        for redaction in redactions:
            if redaction.begin >= end:
                break
            if redaction.begin >= begin:
                pieces += (decode(hay[at - begin : redaction.begin - begin]), redaction.replacement)
            at = max(at, redaction.end)
        return "".join(pieces) + decode(hay[at - begin :])
