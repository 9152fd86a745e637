r"""What searches: RE2, whose searches are linear in the text; where RE2 has no wheel, `re`, which then refuses what could take it
longer (see `_Backtracking`).

The only file that compiles operators' expressions. Both are given an expression written from the tree that syntax.py read, so they mean
the same by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .finder import NOWHERE, Engine, Expression
from .reach import asserts, paths, reach, size
from .syntax import Alt, Assert, Node, Repeat, Seq
from .written import RE2_WORDS, RE_WORDS, written

try:
    import re2
except ImportError:  # pragma: no cover - only where RE2 has no wheel
    re2 = None

LONGEST = 10_000
"""Characters: the furthest reach of a guard, and so the most of a stream that is ever held back for it."""
_OWN_MEMORY, _JOINT_MEMORY = 8 << 20, 16 << 20
"""Bytes that the automaton of a guard, and of an alternation of many, may grow to (beyond: slower, not wrong)."""
_JOINT_SIZE = 5_000
"""Characters of an alternation of many guards, repetitions written out: RE2 takes 0.1 s to compile that, and 2 s for 4
times as many."""
_MOST_PATHS = 1_000_000


class _Linear:
    """RE2. Haystacks are UTF-8 in which a lone surrogate has the bytes of a character of its number; RE2 takes it for
    one."""

    linear = True

    def encode(self, text: str) -> bytes:
        return text.encode("utf-8", "surrogatepass")

    def decode(self, hay: bytes) -> str:
        return hay.decode("utf-8", "surrogatepass")

    def forward(self, hay: bytes, at: int, characters: int) -> int:
        if hay[at : at + characters].isascii():
            return min(at + characters, len(hay))
        end = min(at + 4 * characters, len(hay))
        while end < len(hay) and hay[end] & 0xC0 == 0x80:
            end += 1
        return at + len(self.encode(self.decode(hay[at:end])[:characters]))

    def back(self, hay: bytes, characters: int) -> int:
        at = max(len(hay) - characters, 0)
        if hay[at:].isascii():
            return at
        at = max(len(hay) - 4 * characters - 4, 0)
        while hay[at] & 0xC0 == 0x80:
            at += 1
        return len(hay) - len(self.encode(self.decode(hay[at:])[-characters:]))

    def has(self, characters: bytes) -> Callable[[bytes], object] | None:
        return re.compile(b"[%b]" % b"".join(b"\\x%02x" % one for one in characters)).search

    def single(self, node: Node, cut: int | None) -> Expression:
        return self._compiled(node, _OWN_MEMORY)

    def joint(self, node: Node) -> Expression | None:
        if size(node) > _JOINT_SIZE:
            return None
        try:
            return self._compiled(node, _JOINT_MEMORY)
        except ValueError:
            return None

    def _compiled(self, node: Node, memory: int) -> Expression:
        options = re2.Options()
        options.log_errors = False
        options.never_capture = True
        options.max_mem = memory
        try:
            return _Re2(re2.compile(written(node, RE2_WORDS), options))
        except re2.error as error:
            reason = error.args[0]
            raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None


class _Re2:
    """Searches by the extension's own method: the wrapper around it takes twice as long for a small text."""

    __slots__ = ("_match",)

    def __init__(self, compiled: Any) -> None:
        self._match = compiled._regexp.Match

    def first(self, hay: bytes, pos: int, end: int) -> tuple[int, int]:
        span: tuple[int, int] = self._match(_UNANCHORED, hay, pos, end)[0]
        return span

    def at(self, hay: bytes, pos: int, end: int) -> tuple[int, int]:
        span: tuple[int, int] = self._match(_ANCHORED, hay, pos, end)[0]
        return span


if re2 is not None:
    _UNANCHORED, _ANCHORED = re2._Anchor.UNANCHORED, re2._Anchor.ANCHOR_START


class _Backtracking:
    """`re`, for where RE2 has no wheel. It tries one path after the other, so it is only given expressions with few: no
    repetition of what itself repeats or branches, at most _MOST_PATHS from one place; and, where matches are cut, no
    assertion but at the begin, because `re` takes the cut for the end of the text."""

    linear = False

    def encode(self, text: str) -> str:
        return text

    def decode(self, hay: str) -> str:
        return hay

    def forward(self, hay: str, at: int, characters: int) -> int:
        return min(at + characters, len(hay))

    def back(self, hay: str, characters: int) -> int:
        return max(len(hay) - characters, 0)

    def has(self, characters: bytes) -> None:
        return None

    def single(self, node: Node, cut: int | None) -> Expression:
        if cut is not None:
            items = node.items[1:] if isinstance(node, Seq) and isinstance(node.items[0], Assert) else (node,)
            if any(asserts(item) for item in items):
                raise ValueError("a cut match with an assertion behind its begin needs google-re2")
        self._check_repeats(node)
        if paths(node, cut or reach(node) or LONGEST) > _MOST_PATHS:
            raise ValueError("too many ways to match: bound its repetitions, or install google-re2")
        return self.joint(node)

    def joint(self, node: Node) -> Expression:
        return _Re(re.compile(written(node, RE_WORDS)))

    def _check_repeats(self, node: Node) -> None:
        match node:
            case Seq(items=items) | Alt(items=items):
                for item in items:
                    self._check_repeats(item)
            case Repeat(item=item, low=low, high=high):
                if low != high and high != 1 and paths(item, LONGEST) > 1:
                    raise ValueError("a repetition of something that repeats or branches needs google-re2")
                self._check_repeats(item)


class _Re:
    __slots__ = ("_compiled",)

    def __init__(self, compiled: re.Pattern[str]) -> None:
        self._compiled = compiled

    def first(self, hay: str, pos: int, end: int) -> tuple[int, int]:
        found = self._compiled.search(hay, pos, end)
        return NOWHERE if found is None else found.span()

    def at(self, hay: str, pos: int, end: int) -> tuple[int, int]:
        found = self._compiled.match(hay, pos, end)
        return NOWHERE if found is None else found.span()


BACKTRACKING: Engine = _Backtracking()
ENGINE: Engine = _Linear() if re2 is not None else BACKTRACKING
