r"""Texts that nobody has read yet: an expression searched in a JSON document's own bytes.

Rules of this file:
- It errs on one side only: where it finds nothing, no string of the document, decoded, holds a match; nor does a string of JSON text
  within a string (a tool's arguments), however deep. Where it finds something, the texts are read and judged one by one.
- A character stands for itself or is written as an escape. All escapes of all depths are runs of the same few signs that begin with
  a backslash (`\n`, `\\n`, `\u005cn`, `\\\u006e`, `\ud83d\ude00`), so each character of an expression may also be such a run; one
  that JSON has no short escape for only a run with a `u` behind its backslashes.
- What stands beside a match is not looked at: an assertion only ever takes matches away.
- Repetitions are as short as they can be: that there is a match is all that is asked, and the end of a long one, of nothing but
  escapes, took RE2 0.3 µs a byte to find.

(Of 400 kB, to decode the strings, pick the texts and encode them for the search costs one and a half times as much as the search.)
"""

from __future__ import annotations

from .syntax import EMPTY, Alt, Assert, Chars, Node, Repeat, Seq, parse

_SIGNS = r'[\\"/bfnrtu0-9A-Fa-f]*?'
_ANY = parse(rf"\\{_SIGNS}")
_BY_NUMBER = parse(rf"\\+?u{_SIGNS}")
_SHORT = frozenset(b'"\\/\b\f\n\r\t')


def unread(node: Node) -> Node:
    """Matches in the bytes of every JSON document that has a string in which `node` matches."""
    match node:
        case Assert():
            return EMPTY
        case Chars(ranges=ranges):
            short = node.negated or node.classes or any(low <= code <= high for low, high in ranges for code in _SHORT)
            return Alt((node, _ANY if short else _BY_NUMBER))
        case Seq(items=items):
            return Seq(tuple(map(unread, items)))
        case Alt(items=items):
            return Alt(tuple(map(unread, items)))
        case Repeat(item=item, low=low, high=high):
            return Repeat(unread(item), low, high, lazy=True)
