"""Guards and texts for the tests: random expressions over a small alphabet, texts in which they match often, ways to
cut a text, and a matcher that follows the definition of a match by trying everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.guards import pattern
from headgate.guards.base import Guard
from headgate.guards.finder import Engine
from headgate.guards.pattern import Patterns
from headgate.guards.syntax import Alt, Assert, Chars, Node, Repeat, Seq

ALPHABET = "ab1- \né😀\ud83d"
ATOMS = ["a", "b", "1", "-", "é", "😀", r"\d", r"\w", r"\s", ".", "[ab]", "[^a]", "[é-😀]", "(?i:A)", "(?s:.)", r"\W"]
ANCHORS = [r"\b", r"\B", "^", "$", "(?m:^)", "(?m:$)", r"\A", r"\z"]
COUNTS = ["?", "*", "+", "{2}", "{1,2}", "{0,3}", "{2,}", "??", "*?", "+?", "{1,3}?"]
WRITTEN = [
    r"[[:alpha:]]+", r"[[:^digit:][:space:]]", r"[]a]+", r"[^]a]", "[a-]", r"[\w-]+", r"[\D1]",
    r"[\x{e9}-\x{1F600}]+", r"\x41", r"\pL+", r"\p{Greek}", r"[\P{L}\d]", r"\Qa*b\E+", r"(?i)straße", "(?i)[k-s]+",
    "(?i:é)É", "(?-i:a)(?i)b|B", "(?s).(?-s).", "(?m)^a$", "(?U)a+b", "(?U)a+?b*", r"a{1", "{", "]", "}",
    r"\t\n\f\v\r\a", r"(?P<name>a)|(?<other>b)", "(?:)", "a||b", "()", "a{0}b", "(?:a|)+b", r"\_\-\.", "[a&&b]",
    r"[^\x00-\x{10FFFF}]|a", "(?i-s)a", "(?is-m:a.)",
]  # fmt: skip
"""Expressions with what the random ones do not have."""


def _longer(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda branches: f"(?:{'|'.join(branches)})"),
        st.tuples(inner, st.sampled_from(COUNTS)).map(lambda both: f"(?:{both[0]}){both[1]}"),
    )


expressions = st.recursive(st.sampled_from(ATOMS * 3 + ANCHORS), _longer, max_leaves=8)
texts = st.text(ALPHABET, max_size=30)


@st.composite
def guards(draw: st.DrawFn, actions: Sequence[str] = ("redact",), modes: Sequence[str] = ("enforce",)) -> list[Guard]:
    return [
        Guard(
            name=f"guard{number}",
            pattern=expression,
            mode=draw(st.sampled_from(modes)),  # type: ignore[arg-type]
            action=draw(st.sampled_from(actions)),  # type: ignore[arg-type]
            replacement=draw(st.sampled_from(["", f"<{number}>", "é😀", "a", '"\\\n'])),
            max_length=draw(st.none() | st.integers(1, 6)),
            ignore_case=draw(st.booleans()),
            places=frozenset(("answer",)),
        )
        for number, expression in enumerate(draw(st.lists(expressions, min_size=1, max_size=4)))
    ]


def accepted(made: Sequence[Guard], engine: Engine = pattern.ENGINE) -> Patterns | None:
    """The guards that compile, for answers; None: none does."""
    kept: list[Guard] = []
    for guard in made:
        try:
            pattern.compile([guard], engine)
        except ConfigError:
            continue
        kept.append(guard)
    return pattern.compile(kept, engine).for_place("answer")


@st.composite
def pieces(draw: st.DrawFn, whole: st.SearchStrategy[str] = texts) -> list[str]:
    """A text, cut anywhere; some pieces are empty."""
    text = draw(whole)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def ends(node: Node, text: str, at: int) -> Iterator[int]:
    """Where matches that begin at `at` end, in the order of preference (leftmost-first)."""
    match node:
        case Chars():
            if at < len(text) and _holds(node, text[at]):
                yield at + 1
        case Assert():
            if _stands(node.kind, text, at):
                yield at
        case Seq(items=()):
            yield at
        case Seq(items=items):
            for middle in ends(items[0], text, at):
                yield from ends(Seq(items[1:]), text, middle)
        case Alt(items=items):
            for item in items:
                yield from ends(item, text, at)
        case Repeat():
            yield from _repeated(node, text, at)


def _repeated(node: Repeat, text: str, at: int) -> Iterator[int]:
    enough = node.low == 0
    if enough and node.lazy:
        yield at
    if node.high != 0:
        rest = Repeat(node.item, max(node.low - 1, 0), None if node.high is None else node.high - 1, node.lazy)
        for middle in ends(node.item, text, at):
            if middle > at or not enough:
                yield from ends(rest, text, middle)
    if enough and not node.lazy:
        yield at


def _holds(node: Chars, sign: str) -> bool:
    assert not node.classes
    forms = {sign, sign.lower(), sign.upper()} if node.fold else {sign}
    held = any(low <= ord(form) <= high for form in forms if len(form) == 1 for low, high in node.ranges)
    return held != node.negated


def _stands(kind: str, text: str, at: int) -> bool:
    def word(place: int) -> bool:
        return 0 <= place < len(text) and text[place].isascii() and (text[place].isalnum() or text[place] == "_")

    return {
        "begin": at == 0,
        "end": at == len(text),
        "line_begin": at == 0 or text[at - 1] == "\n",
        "line_end": at == len(text) or text[at : at + 1] == "\n",
        "word": word(at - 1) != word(at),
        "not_word": word(at - 1) == word(at),
    }[kind]


def spans(node: Node, text: str, longest: int | None) -> list[tuple[int, int]]:
    """One guard's matches, by definition."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        end = next((end for end in ends(node, text, at) if longest is None or end - at <= longest), None)
        if end is None:
            at += 1
        else:
            found.append((at, end))
            at = end
    return found


def redacted(made: Sequence[Guard], found: Sequence[tuple[int, int, int]], text: str) -> str:
    """The text without what was found [(begin, guard, end)], by the rule of overlaps, one character after the other."""
    shown: list[str] = []
    reached = 0
    starts = sorted(found)
    for at, sign in enumerate(text):
        for begin, guard, end in starts:
            if begin == at:
                if at >= reached:
                    shown.append(made[guard].replacement)
                reached = max(reached, end)
        if at >= reached:
            shown.append(sign)
    return "".join(shown)
