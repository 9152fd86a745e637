"""A tree written as an expression of an engine, in words that mean the same to it wherever it stands."""

from __future__ import annotations

from msgspec import Struct

from .syntax import Alt, Anchor, Assert, Chars, Node, Repeat, Seq, SyntaxProblem


class Words(Struct, frozen=True):
    """How an engine writes assertions, and characters that are no ASCII letters or digits (a format of the code
    point)."""

    anchors: dict[Anchor, str]
    code: str
    classes: bool
    """It has Unicode classes."""


RE2_WORDS = Words(
    {
        "begin": r"\A",
        "end": r"\z",
        "line_begin": "(?m:^)",
        "line_end": "(?m:$)",
        "word": r"\b",
        "not_word": r"\B",
    },
    r"\x{{{:x}}}",
    True,
)
RE_WORDS = Words(
    {
        "begin": r"\A",
        "end": r"\Z",
        "line_begin": "(?m:^)",
        "line_end": "(?m:$)",
        "word": r"(?a:\b)",
        "not_word": r"(?a:\B)",
    },
    r"\U{:08x}",
    False,
)
_COUNTS = {(0, 1): "?", (0, None): "*", (1, None): "+"}


def written(node: Node, words: Words) -> str:
    """Raises SyntaxProblem for what the engine has no word for."""
    match node:
        case Assert(kind=kind):
            return words.anchors[kind]
        case Chars():
            inner = _character(node, words)
            return f"(?i:{inner})" if node.fold else inner
        case Seq(items=items):
            return "".join(written(item, words) for item in items) or "(?:)"
        case Alt(items=items):
            return f"(?:{'|'.join(written(item, words) for item in items)})"
        case Repeat(item=item, low=low, high=high):
            exact = f"{{{low}}}" if low == high else f"{{{low},{'' if high is None else high}}}"
            return f"(?:{written(item, words)}){_COUNTS.get((low, high), exact)}{'?' if node.lazy else ''}"


def _character(node: Chars, words: Words) -> str:
    ranges, negated = node.ranges, node.negated
    if node.classes and not words.classes:
        raise SyntaxProblem("Unicode classes need google-re2")
    if not node.classes and not ranges:
        ranges, negated = ((0, 0x10FFFF),), not negated
    if not node.classes and not negated and len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        sign = chr(ranges[0][0])
        return sign if sign.isascii() and sign.isalnum() else words.code.format(ranges[0][0])
    inner = "".join(f"{words.code.format(low)}-{words.code.format(high)}" for low, high in ranges)
    return f"[{'^' if negated else ''}{inner}{''.join(node.classes)}]"
