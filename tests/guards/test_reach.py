"""What follows from an expression: how short and how long its matches are, and which texts may still become one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings

from guards.expressions import ends, expressions, texts
from headgate.guards.reach import asserts, least, openers, paths, reach, size, unfinished
from headgate.guards.syntax import Node, parse
from headgate.guards.written import RE_WORDS, written


@pytest.mark.parametrize(
    ("pattern", "shortest", "longest"),
    [
        ("abc", 3, 3),
        (r"\bé😀$", 2, 2),
        ("a|bcd|", 0, 3),
        ("a{2,5}b?", 2, 6),
        ("(?:ab{0,3}){2}", 2, 8),
        ("a*", 0, None),
        ("(?:a|b+)c", 2, None),
        ("a{3,}", 3, None),
        ("(?:^|$)*a", 1, 1),
        ("(?:a+){0}b", 1, 1),
        (r"\pL[^a-c](?s:.)", 3, 3),
    ],
)
def test_lengths(pattern: str, shortest: int, longest: int | None) -> None:
    node = parse(pattern)
    assert (least(node), reach(node)) == (shortest, longest)


@settings(max_examples=100)
@given(expressions, texts)
def test_no_match_is_shorter_or_longer(expression: str, text: str) -> None:
    node = parse(expression)
    longest = reach(node)
    for at in range(len(text) + 1):
        for end in ends(node, text, at):
            assert least(node) <= end - at
            assert longest is None or end - at <= longest


@settings(max_examples=100)
@given(expressions, texts)
def test_every_beginning_of_a_match_is_unfinished(expression: str, text: str) -> None:
    """Wherever a match is cut before its end, what stands before the cut is a text that may go on."""
    node = parse(expression)
    beginnings = unfinished(node)
    for at in range(len(text) + 1):
        for end in set(ends(node, text, at)):
            for cut in range(at, end):
                assert cut in ends(beginnings, text[:cut], at)


@pytest.mark.parametrize(
    ("pattern", "going_on", "decided"),
    [
        ("abc", ["a", "ab"], ["abc", "b", "ac", "abcd"]),
        (r"\d{3}-\d", ["1", "123", "123-"], ["123-4", "12-", "1234"]),
        (r"ab\b", ["a", "ab"], ["abc"]),
        ("ab?c", ["a", "ab"], ["ac", "abc", "abb"]),
        (r"(?:\d\.){2}x", ["1", "1.", "1.2", "1.2."], ["1.2.x", "1.2.3"]),
        (r"\w{2,4}", ["a", "ab", "abc"], ["abcd", "-"]),
        ("a.*b", ["a", "ab", "axx"], ["b"]),
    ],
)
def test_what_may_go_on(pattern: str, going_on: list[str], decided: list[str]) -> None:
    """It is exact where it can be: what is complete and cannot grow is decided."""
    beginnings = re.compile(written(unfinished(parse(pattern)), RE_WORDS))
    for text in going_on:
        assert beginnings.fullmatch(text), text
    for text in decided:
        assert not beginnings.fullmatch(text), text


def test_beginnings_of_a_long_text_nest_little() -> None:
    """2,000 characters in a row, which engines would refuse to nest."""

    def depth(node: Node) -> int:
        items = getattr(node, "items", ()) or ((node.item,) if hasattr(node, "item") else ())
        return 1 + max(map(depth, items), default=0)

    assert depth(unfinished(parse("ab" * 1000))) < 40
    assert size(unfinished(parse("ab" * 1000))) < 2000 * 12


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (r"\b\d{3}-\d{2}", ["1"]),
        ("abc", ["a"]),
        ("a?b*c|d", ["a", "b", "c", "d"]),
        ("(?:a{0}|b){0,2}^c", ["b", "c"]),
        ("(?:)|a", ["a"]),
    ],
)
def test_what_a_match_begins_with(pattern: str, found: list[str]) -> None:
    signs = {chr(low) if low != 0x30 else "1" for chars in openers(parse(pattern)) for low, _ in chars.ranges}
    assert sorted(signs) == found


@given(expressions, texts)
def test_no_match_begins_with_another_character(expression: str, text: str) -> None:
    tree = parse(expression)
    known = openers(tree)
    opening = re.compile("|".join(written(chars, RE_WORDS) for chars in known) or "(?!)")
    for match in re.finditer(written(tree, RE_WORDS), text):
        assert not match[0] or opening.match(match[0])


def test_costs() -> None:
    assert asserts(parse(r"a(?:\b|b$)*")) == {"word", "end"}
    assert size(parse("a{3}(?:bc|d){2,4}e*")) == 3 + 12 + 1
    assert paths(parse(r"\d{4}-\d{4}"), 50) == 1
    assert paths(parse(r"(?:\d{1,3}\.){2}\d{1,3}"), 50) == 27
    assert paths(parse(r"\w+@\w+"), 50) == 50 * 50
    assert paths(parse("(?:a{1,9}){1,99}"), 50) == 10**12
