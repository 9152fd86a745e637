"""The expression language: what is refused, and with what advice. (That the rest means what RE2 reads is for
test_pattern.py.)"""

from __future__ import annotations

import pytest

from headgate.guards.syntax import Alt, Assert, Chars, Repeat, Seq, SyntaxProblem, parse


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a)", "a ) too many at position 1"),
        ("(a", "a ) is missing (at position 2)"),
        ("[a", "a ] is missing (at position 2)"),
        ("a\\", "ends in a backslash"),
        ("*a", "nothing to repeat"),
        ("a|+", "nothing to repeat"),
        ("(?i)*", "nothing to repeat"),
        ("{2}", "nothing to repeat"),
        ("a**", "after * another quantifier, possessive or double, is not known"),
        ("a*+", "after * another quantifier"),
        ("a{2}{3}", "after {2} another quantifier"),
        ("a{,3}", "write {0,n}"),
        ("a{3,2}", "{3,2} repeats at most less than at least"),
        (r"\1", "write \\x{...}"),
        (r"\012", "octal"),
        (r"\k<a>", "backreferences"),
        ("(?P=a)", "backreferences"),
        ("a(?=b)", "lookahead"),
        ("a(?!b)", "lookahead"),
        ("(?<=a)b", "lookbehind"),
        ("(?<!a)b", "lookbehind"),
        ("(?>a)", "atomic"),
        ("(?#a)", "comments"),
        ("(?x)a", "unknown kind of group"),
        ("(?i-)a", "unknown kind of group"),
        (r"a\Z", r"write \z for the end"),
        (r"\u00e9", r"write \x{...}"),
        (r"\C", "a match consists of characters"),
        (r"\y", r"unknown escape \y"),
        (r"\é", r"unknown escape \é"),
        (r"\x{110000}", "beyond the last character"),
        ("[z-a]", "invalid range"),
        (r"[\d-z]", "invalid range"),
        ("[[:alfa:]]", "begins a name like [:alpha:]"),
        ("[\\b]", r"unknown escape \b"),
        ("\ud800", "lone surrogate"),
        ("[\ud800]", "lone surrogate"),
        ("(" * 101 + "a" + ")" * 101, "deeper than 100"),
    ],
)
def test_refused(pattern: str, why: str) -> None:
    with pytest.raises(SyntaxProblem) as caught:
        parse(pattern)
    assert why in str(caught.value)


def test_read() -> None:
    """A tree of single characters: flags and names are resolved, groups are gone."""
    a, b = Chars(((97, 97),)), Chars(((98, 98),))
    assert parse("(?:a|(?P<x>b))a*?") == Seq((Alt((a, b)), Repeat(a, 0, None, True)))
    assert parse("(?i)a|b") == Alt((Chars(((97, 97),), fold=True), Chars(((98, 98),), fold=True)))
    assert parse("a", ignore_case=True) == Chars(((97, 97),), fold=True)
    assert parse("(?i:a)b") == Seq((Chars(((97, 97),), fold=True), b))
    assert parse("(?m:^)$") == Seq((Assert("line_begin"), Assert("end")))
    assert parse("(?U)a+?") == Repeat(a, 1, None)
    assert parse("[^a-c\\]]") == Chars(((97, 99), (93, 93)), negated=True)
    assert parse(r"\pL") == Chars(classes=(r"\pL",))
