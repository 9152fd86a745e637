r"""The expression language of pattern guards: RE2's, read into a tree.

Rules of this file:
- One reading: how long a match can get, what may still become one, and the expression that is compiled all come from
  the same tree, so they cannot disagree. The text an operator wrote is itself never handed to an engine.
- A leaf is exactly one character, a code point. `\d \w \s \b` are ASCII, `$` without (?m) is the very end.
- Loud on the unknown: what RE2 has no word for (backreferences, lookaround, possessive quantifiers, \Z), and what
  engines read differently (a{,3}, octal escapes), is refused with what to write instead. Groups capture nothing, names
  are dropped.

Syntax: https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from msgspec import Struct, structs

Anchor: TypeAlias = Literal["begin", "end", "line_begin", "line_end", "word", "not_word"]


class Chars(Struct, frozen=True):
    """One character out of ranges (code points, both ends included) and Unicode classes (in RE2's words); `fold`: in
    either case."""

    ranges: tuple[tuple[int, int], ...] = ()
    classes: tuple[str, ...] = ()
    negated: bool = False
    fold: bool = False


class Assert(Struct, frozen=True):
    kind: Anchor


class Seq(Struct, frozen=True):
    """All items, one after the other. No items: the empty text."""

    items: tuple[Node, ...] = ()


class Alt(Struct, frozen=True):
    """One of the items, the first that leads to a match."""

    items: tuple[Node, ...]


class Repeat(Struct, frozen=True):
    """`low` to `high` times (None: without end), as often as possible; `lazy`: as rarely as possible."""

    item: Node
    low: int
    high: int | None
    lazy: bool = False


Node: TypeAlias = Chars | Assert | Seq | Alt | Repeat

EMPTY = Seq()
_NEWLINE = ((10, 10),)
_LAST = 0x10FFFF
_DEEPEST = 100
_DIGIT = ((0x30, 0x39),)
_UPPER, _LOWER = ((0x41, 0x5A),), ((0x61, 0x7A),)
_WORD = _DIGIT + _UPPER + ((0x5F, 0x5F),) + _LOWER
_SPACE = ((9, 10), (12, 13), (32, 32))
_PERL = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_POSIX = {
    "alnum": _DIGIT + _UPPER + _LOWER,
    "alpha": _UPPER + _LOWER,
    "ascii": ((0, 0x7F),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 0x1F), (0x7F, 0x7F)),
    "digit": _DIGIT,
    "graph": ((0x21, 0x7E),),
    "lower": _LOWER,
    "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": ((9, 13), (32, 32)),
    "upper": _UPPER,
    "word": _WORD,
    "xdigit": _DIGIT + ((0x41, 0x46), (0x61, 0x66)),
}
_CONTROL = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_ANCHORS: dict[str, Anchor] = {"A": "begin", "z": "end", "b": "word", "B": "not_word"}
_REFUSED_ESCAPES = {
    "Z": r"\Z is not known here: write \z for the end of the text",
    "G": r"\G is not known here",
    "C": r"\C (a byte) is not known here: a match consists of characters",
    "K": r"\K is not known here",
    "k": "backreferences cannot be matched in bounded time",
    "u": r"\u is not known here: write \x{...}",
    "U": r"\U is not known here: write \x{...}",
    "N": r"\N is not known here: write \x{...}",
}
_REFUSED_GROUPS = {
    "?=": "lookahead is not known here",
    "?!": "lookahead is not known here",
    "?<=": "lookbehind is not known here",
    "?<!": "lookbehind is not known here",
    "?>": "atomic groups are not known here",
    "?#": "comments are not known here",
    "?(": "conditions are not known here",
    "?P=": "backreferences cannot be matched in bounded time",
    "?P>": "recursion is not known here",
}
_COUNT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_NAME = re.compile(r"\?P?<(\w+)>")
_FLAGS = re.compile(r"\?([imsU]*)(-[imsU]+)?([:)])")
_HEX = re.compile(r"x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]+)\})")
_UNICODE = re.compile(r"[pP](?:([A-Z])|\{\^?[A-Za-z_]+\})")
_POSIX_WORD = re.compile(r"\[:(\^?)(\w+):\]")


class SyntaxProblem(ValueError):
    """The expression is not in the language; the message says why and, where known, what to write."""


class _Flags(Struct, frozen=True):
    i: bool = False
    m: bool = False
    s: bool = False
    U: bool = False


def parse(pattern: str, ignore_case: bool = False) -> Node:
    """Raises SyntaxProblem."""
    reader = _Reader(pattern)
    tree, _ = reader.alternatives(_Flags(i=ignore_case))
    if reader.at < len(pattern):
        raise SyntaxProblem(f"there is a ) too many at position {reader.at}")
    return tree


def inverse(ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """The code points that are in none of the ranges."""
    gaps: list[tuple[int, int]] = []
    at = 0
    for low, high in sorted(ranges):
        if low > at:
            gaps.append((at, low - 1))
        at = max(at, high + 1)
    return (*gaps, (at, _LAST)) if at <= _LAST else tuple(gaps)


def _single(chars: Chars) -> int | None:
    """The code point, where it can be only one."""
    if chars.classes or chars.negated or len(chars.ranges) != 1 or chars.ranges[0][0] != chars.ranges[0][1]:
        return None
    return chars.ranges[0][0]


class _Reader:
    """Recursive descent. Each method reads at `at` and leaves it behind what it read."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _problem(self, what: str) -> SyntaxProblem:
        return SyntaxProblem(f"{what} (at position {self.at})")

    def alternatives(self, flags: _Flags) -> tuple[Node, _Flags]:
        """Up to a closing parenthesis or the end. Flags set inside hold to the end of the group, across `|`."""
        branches: list[Node] = []
        while True:
            items: list[Node] = []
            while (sign := self._peek()) and sign not in "|)":
                flags = self._piece(items, flags)
            branches.append(items[0] if len(items) == 1 else Seq(tuple(items)))
            if sign != "|":
                return (branches[0] if len(branches) == 1 else Alt(tuple(branches))), flags
            self.at += 1

    def _piece(self, items: list[Node], flags: _Flags) -> _Flags:
        sign = self._peek()
        if sign == "(":
            set_here = self._group(items, flags)
            if set_here is not None:
                if self._quantifier() is not None:
                    raise self._problem("a quantifier has nothing to repeat")
                return set_here
        elif sign == "\\" and self.pattern.startswith("\\Q", self.at):
            self._quoted(items, flags)
        elif sign in "*+?" or (sign == "{" and self._quantifier() is not None):
            raise self._problem("a quantifier has nothing to repeat")
        else:
            items.append(self._atom(sign, flags))
        begin = self.at
        count = self._quantifier()
        if count is not None:
            if not items:
                raise self._problem("a quantifier has nothing to repeat")
            lazy = self._peek() == "?"
            self.at += lazy
            after = self.at
            if self._quantifier() is not None:
                self.at = after
                raise self._problem(
                    f"after {self.pattern[begin:after]} another quantifier, possessive or double, is not known"
                )
            items[-1] = Repeat(items[-1], *count, lazy != flags.U)
        return flags

    def _quantifier(self) -> tuple[int, int | None] | None:
        sign = self._peek()
        if sign and sign in "*+?":
            self.at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        if sign != "{":
            return None
        if self.pattern.startswith("{,", self.at):
            raise self._problem("{,n} means different things to different engines: write {0,n}")
        found = _COUNT.match(self.pattern, self.at)
        if found is None:
            return None
        low = int(found[1])
        high = low if found[2] is None else int(found[3]) if found[3] else None
        if high is not None and high < low:
            raise self._problem(f"{found[0]} repeats at most less than at least")
        self.at = found.end()
        return low, high

    def _group(self, items: list[Node], flags: _Flags) -> _Flags | None:
        """Appends the group to `items`; or returns the flags that a bare (?flags) sets from here on."""
        self.at += 1
        inner = flags
        if self._peek() == "?":
            for mark, why in _REFUSED_GROUPS.items():
                if self.pattern.startswith(mark, self.at):
                    raise self._problem(why)
            if named := _NAME.match(self.pattern, self.at):
                self.at = named.end()
            elif found := _FLAGS.match(self.pattern, self.at):
                on, off = found[1], (found[2] or "")[1:]
                inner = structs.replace(flags, **dict.fromkeys(on, True))
                inner = structs.replace(inner, **dict.fromkeys(off, False))
                self.at = found.end()
                if found[3] == ")":
                    return inner
            else:
                raise self._problem("unknown kind of group")
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._problem(f"groups nest deeper than {_DEEPEST}")
        tree, _ = self.alternatives(inner)
        if self._peek() != ")":
            raise self._problem("a ) is missing")
        self.depth -= 1
        self.at += 1
        items.append(tree)
        return None

    def _quoted(self, items: list[Node], flags: _Flags) -> None:
        r"""\Q...\E: as it stands; without \E up to the end."""
        begin = self.at + 2
        end = self.pattern.find("\\E", begin)
        self.at = len(self.pattern) if end < 0 else end + 2
        text = self.pattern[begin : len(self.pattern) if end < 0 else end]
        items.extend(Chars(((ord(sign), ord(sign)),), fold=flags.i) for sign in text)

    def _atom(self, sign: str, flags: _Flags) -> Node:
        if sign == "[":
            return self._class(flags)
        if sign == "\\":
            return self._escape(flags)
        self.at += 1
        if sign == ".":
            return Chars(negated=True) if flags.s else Chars(_NEWLINE, negated=True)
        if sign == "^":
            return Assert("line_begin" if flags.m else "begin")
        if sign == "$":
            return Assert("line_end" if flags.m else "end")
        return Chars(((self._code(sign), ord(sign)),), fold=flags.i)

    def _code(self, sign: str) -> int:
        if 0xD800 <= ord(sign) <= 0xDFFF:
            raise self._problem("a lone surrogate is not a character")
        return ord(sign)

    def _escape(self, flags: _Flags) -> Node:
        sign = self.pattern[self.at + 1 : self.at + 2]
        if sign in _ANCHORS:
            self.at += 2
            return Assert(_ANCHORS[sign])
        read = self._escaped()
        return structs.replace(read, fold=True) if flags.i and _single(read) is not None else read

    def _escaped(self) -> Chars:
        """What stands behind a backslash, inside and outside of brackets."""
        self.at += 1
        sign = self._peek()
        if not sign:
            raise self._problem("the expression ends in a backslash")
        if sign.lower() in _PERL:
            self.at += 1
            return Chars(_PERL[sign.lower()], negated=sign.isupper())
        if found := _UNICODE.match(self.pattern, self.at):
            self.at = found.end()
            return Chars(classes=("\\" + found[0],))
        if found := _HEX.match(self.pattern, self.at):
            code = int(found[1] or found[2], 16)
            if code > _LAST:
                raise self._problem(f"\\{found[0]} is beyond the last character")
            self.at = found.end()
            return Chars(((code, code),))
        if sign in _CONTROL:
            self.at += 1
            return Chars(((_CONTROL[sign], _CONTROL[sign]),))
        if sign.isdigit():
            raise self._problem("backreferences and octal escapes are not known here: write \\x{...} for a character")
        if sign.isalpha() or not sign.isascii():
            raise self._problem(_REFUSED_ESCAPES.get(sign, f"unknown escape \\{sign}"))
        self.at += 1
        return Chars(((ord(sign), ord(sign)),))

    def _class(self, flags: _Flags) -> Chars:
        self.at += 1
        negated = self._peek() == "^"
        self.at += negated
        ranges: list[tuple[int, int]] = []
        classes: list[str] = []
        first = True
        while first or self._peek() != "]":
            first = False
            low = self._member(ranges, classes)
            if self._peek() != "-" or self.pattern[self.at + 1 : self.at + 2] in ("]", ""):
                if low is not None:
                    ranges.append((low, low))
                continue
            self.at += 1
            high = self._member([], []) if low is not None else None
            if low is None or high is None or high < low:
                raise self._problem("invalid range in brackets: write a literal - last")
            ranges.append((low, high))
        self.at += 1
        return Chars(tuple(ranges), tuple(classes), negated, flags.i)

    def _member(self, ranges: list[tuple[int, int]], classes: list[str]) -> int | None:
        """A single character's code, or None where a whole class was added."""
        sign = self._peek()
        if not sign:
            raise self._problem("a ] is missing")
        if sign == "\\":
            read = self._escaped()
            if (code := _single(read)) is not None:
                return code
            ranges += inverse(read.ranges) if read.negated else read.ranges
            classes += read.classes
            return None
        if self.pattern.startswith("[:", self.at):
            found = _POSIX_WORD.match(self.pattern, self.at)
            if found is None or found[2] not in _POSIX:
                raise self._problem(
                    "unknown class: in brackets [: begins a name like [:alpha:]; write \\[ for the character"
                )
            self.at = found.end()
            ranges += inverse(_POSIX[found[2]]) if found[1] else _POSIX[found[2]]
            return None
        self.at += 1
        return self._code(sign)
