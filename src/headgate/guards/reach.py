"""What follows from an expression's tree: how short and how long a match can be, and what may still become one.

`unfinished` is what lets a stream flow. It matches every text after which a match could still go on: with `abc` the
texts "a" and "ab". Where no end of what was seen is such a text, nothing of it can become part of a match, however far
the expression reaches, and all of it may go. It errs on one side only: a place where it does not match is decided.
"""

from __future__ import annotations

from collections.abc import Collection
from math import prod

from .syntax import EMPTY, Alt, Anchor, Assert, Chars, Node, Repeat, Seq

_COUNTLESS = 10**12
_FEW = 16


def reach(node: Node) -> int | None:
    """Characters in the longest match; None: there is no longest."""
    match node:
        case Chars():
            return 1
        case Assert():
            return 0
        case Seq(items=items):
            lengths = [reach(item) for item in items]
            return None if None in lengths else sum(length or 0 for length in lengths)
        case Alt(items=items):
            lengths = [reach(item) for item in items]
            return None if None in lengths else max(length or 0 for length in lengths)
        case Repeat(item=item, high=high):
            length = reach(item)
            if length == 0 or high == 0:
                return 0
            return None if length is None or high is None else length * high


def least(node: Node) -> int:
    """Characters in the shortest match (assertions are taken to hold)."""
    match node:
        case Chars():
            return 1
        case Assert():
            return 0
        case Seq(items=items):
            return sum(least(item) for item in items)
        case Alt(items=items):
            return min(least(item) for item in items)
        case Repeat(item=item, low=low):
            return least(item) * low


def size(node: Node) -> int:
    """Characters in the expression, with its repetitions written out."""
    match node:
        case Chars() | Assert():
            return 1
        case Seq(items=items) | Alt(items=items):
            return sum(size(item) for item in items)
        case Repeat(item=item, low=low, high=high):
            return size(item) * max(low + 1 if high is None else high, 1)


def openers(node: Node) -> tuple[Chars, ...]:
    """The characters with which a match can begin that is not empty."""
    match node:
        case Chars():
            return (node,)
        case Assert():
            return ()
        case Alt(items=items):
            return tuple(chars for item in items for chars in openers(item))
        case Repeat(item=item, high=high):
            return () if high == 0 else openers(item)
        case Seq(items=items):
            found: tuple[Chars, ...] = ()
            for item in items:
                found += openers(item)
                if least(item):
                    break
            return found


def few(characters: Collection[Chars]) -> bytes | None:
    """These, where they are ASCII and at most _FEW; else None. (Nearly every text has one of more.)"""
    ranges = [ends for chars in characters for ends in chars.ranges]
    plain = not any(chars.negated or chars.classes or chars.fold for chars in characters)
    if not plain or sum(high - low + 1 for low, high in ranges) > _FEW or any(high > 0x7F for _, high in ranges):
        return None
    return bytes({one for low, high in ranges for one in range(low, high + 1)})


def asserts(node: Node) -> frozenset[Anchor]:
    """The assertions in the expression: what it looks at beside the characters that it matches."""
    match node:
        case Chars():
            return frozenset()
        case Assert(kind=kind):
            return frozenset((kind,))
        case Seq(items=items) | Alt(items=items):
            return frozenset().union(*(asserts(item) for item in items))
        case Repeat(item=item):
            return asserts(item)


def unfinished(node: Node) -> Node:
    """Matches the texts (the empty one too) that are a beginning of a match which may go on: by a further character, or
    by an assertion that waits for one. Its size is that of the expression times the depth of its groups and the
    logarithm of its length."""
    match node:
        case Chars() | Assert():
            return EMPTY
        case Alt(items=items):
            return _either(*(unfinished(item) for item in items))
        case Repeat(item=item, high=high):
            if high == 0:
                return EMPTY
            before = Repeat(item, 0, None if high is None else high - 1)
            return unfinished(item) if high == 1 else _joined(before, unfinished(item))
        case Seq(items=()):
            return EMPTY
        case Seq(items=(item,)):
            return unfinished(item)
        case Seq(items=items):
            # In halves, not one by one: engines bound how deep groups nest, and a literal may be long.
            head, tail = Seq(items[: len(items) // 2]), Seq(items[len(items) // 2 :])
            return _either(unfinished(head), _joined(head, unfinished(tail)))


def _joined(first: Node, then: Node) -> Node:
    return first if then == EMPTY else Seq((first, then))


def _either(*nodes: Node) -> Node:
    kept = tuple(dict.fromkeys(nodes))
    return kept[0] if len(kept) == 1 else Alt(kept)


def paths(node: Node, longest: int) -> int:
    """An upper bound of the ways in which a backtracking engine can try the expression from one place, over at most
    `longest` characters."""
    match node:
        case Chars() | Assert():
            return 1
        case Seq(items=items):
            return prod(paths(item, longest) for item in items)
        case Alt(items=items):
            return sum(paths(item, longest) for item in items)
        case Repeat(item=item, low=low, high=high):
            inner: int = paths(item, longest)
            top = longest if high is None else min(high, longest)
            if inner == 1:
                return max(top - low, 0) + 1
            ways = sum(inner**times for times in range(low, min(max(low, top), low + 64) + 1))
            return ways if ways < _COUNTLESS else _COUNTLESS
