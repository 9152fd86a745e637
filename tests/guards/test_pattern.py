"""The single pass: what is found, what is redacted, what is refused, with RE2 and with `re`."""

from __future__ import annotations

import re

import pytest
import re2
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from guards.expressions import WRITTEN, accepted, expressions, guards, redacted, spans, texts
from headgate.errors import ConfigError
from headgate.guards.base import Guard
from headgate.guards.engines import BACKTRACKING, ENGINE
from headgate.guards.finder import Engine
from headgate.guards.pattern import Patterns, blocking, compile
from headgate.guards.syntax import SyntaxProblem, parse

engines = pytest.mark.parametrize("engine", [ENGINE, BACKTRACKING], ids=["re2", "re"])


def one(engine: Engine = ENGINE, **fields: object) -> Patterns:
    patterns = compile([Guard(name="g", **fields)], engine).for_place("answer")  # type: ignore[arg-type]
    assert patterns is not None
    return patterns


def refusal(engine: Engine = ENGINE, **fields: object) -> str:
    with pytest.raises(ConfigError) as caught:
        compile([Guard(name="g", **fields)], engine)  # type: ignore[arg-type]
    assert "guard 'g': " in str(caught.value)
    return str(caught.value).split(": ", 2)[2]


@engines
@settings(max_examples=80)
@given(guards(), texts)
def test_it_finds_what_the_definition_says(engine: Engine, made: list[Guard], text: str) -> None:
    """Each guard's spans, and the redaction of all of them, against a matcher that tries everything."""
    patterns = accepted(made, engine)
    assume(patterns is not None)
    assert patterns is not None
    found = [(span.begin, span.guard, span.end) for span in patterns.find(text)]
    expected = []
    for index, guard in enumerate(patterns.guards):
        expected += [
            (begin, index, end) for begin, end in spans(parse(guard.pattern, guard.ignore_case), text, guard.max_length)
        ]
    assert found == sorted(expected)
    shown, findings = patterns.redact(text)
    assert shown == redacted(patterns.guards, found, text)
    assert {finding.guard: finding.count for finding in findings} == {
        patterns.guards[index].name: sum(index == other for _, other, _ in found) for _, index, _ in found
    }


@engines
@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"pattern": "("}, "a ) is missing"),
        ({"pattern": "a*"}, "matches the empty text"),
        ({"pattern": r"\b"}, "matches the empty text"),
        ({"pattern": "^$"}, "matches the empty text"),
        ({"pattern": "ab+"}, "has no longest match: bound its repetitions ({1,64}), or declare max_length"),
        ({"pattern": "a{2,}"}, "has no longest match"),
        ({"pattern": "abc", "max_length": 2}, "max_length 2 is shorter than its shortest match, 3"),
        ({"pattern": "a+", "max_length": 10_001}, "up to 10,001 characters long, more than 10,000"),
        ({"pattern": "(?:[a-z]{1,500}-){1,2}" * 11}, "up to 11,022 characters long, more than 10,000"),
        ({"pattern": r"(a)\1"}, "backreferences"),
        ({"pattern": "a(?=b)"}, "lookahead"),
        ({"pattern": "a", "places": frozenset(("anwser",))}, "unknown place 'anwser', known are request, answer"),
        ({"pattern": "a", "replacement": "\ud800"}, "lone surrogate"),
    ],
)
def test_refused_at_compile(engine: Engine, fields: dict[str, object], why: str) -> None:
    assert why in refusal(engine, **fields)


def test_two_guards_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="guard 'a': another guard has this name") as caught:
        compile([Guard(name="a", pattern="x"), Guard(name="a", pattern="y")])
    assert caught.value.where == "guards.1"


def test_what_the_engine_refuses_is_told_in_its_words() -> None:
    assert "invalid repetition size: {2000}" in refusal(pattern="a{2000}")
    assert "too large" in refusal(pattern=r"\pL{1,1000}")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"pattern": "(?:a{1,30}){1,30}b"}, "a repetition of something that repeats or branches"),
        ({"pattern": "(?:a|ab){1,30}c"}, "a repetition of something that repeats or branches"),
        ({"pattern": "(?:ab?)+c", "max_length": 50}, "a repetition of something that repeats or branches"),
        ({"pattern": r"\w+\w+\w+x", "max_length": 500}, "too many ways to match"),
        ({"pattern": r"\w+\b", "max_length": 50}, "an assertion behind its begin"),
        ({"pattern": r"\pL"}, "Unicode classes"),
    ],
)
def test_refused_without_re2(fields: dict[str, object], why: str) -> None:
    """What could take `re` super-linear time, or what it has no word for. RE2 takes it."""
    assert why in refusal(BACKTRACKING, **fields)
    one(**fields)


@engines
def test_usual_expressions_are_accepted(engine: Engine) -> None:
    """Of cards, addresses, numbers and keys: with both engines."""
    text = "4111 1111 1111 1111, 10.0.0.1, 078-05-1120, sk-0123456789abcdefghijkl, +1 (555) 010-9999, a.b@example.org"
    for number, (pattern, span) in enumerate(
        [
            (r"\b(?:\d[ -]?){12,18}\d\b" if engine.linear else r"\b(?:\d{4}[ -]?){3}\d{4}\b", "4111 1111 1111 1111"),
            (r"\b(?:\d{1,3}\.){3}\d{1,3}\b", "10.0.0.1"),
            (r"\b\d{3}-\d{2}-\d{4}\b", "078-05-1120"),
            (r"\bsk-[A-Za-z0-9]{20,48}", "sk-0123456789abcdefghijkl"),
            (r"\+?1? ?\(\d{3}\) ?\d{3}-\d{4}", "+1 (555) 010-9999"),
            (r"[\w.+-]{1,64}@[\w-]{1,63}\.[A-Za-z]{2,24}", "a.b@example.org"),
        ]
    ):
        found = one(engine, pattern=pattern).find(text)
        assert [text[span.begin : span.end] for span in found] == [span], number


@engines
@given(text=texts)
@example(text="\ud83d")
@example(text="e\u0301 😀 \ude00 x")
def test_offsets_are_characters(engine: Engine, text: str) -> None:
    """Astral and combining characters count one each; a lone surrogate is a character and is no error."""
    spans = one(engine, pattern=".").find(text)
    assert [(span.begin, span.end) for span in spans] == [(at, at + 1) for at, sign in enumerate(text) if sign != "\n"]


def test_the_begin_of_a_find_is_context() -> None:
    patterns = one(pattern=r"\bé?b")
    assert [span.begin for span in patterns.find("éb éb", 1)] == [1, 4]
    assert [span.begin for span in one(pattern="^b").find("bb", 1)] == []


def test_cut_matches() -> None:
    """The preferred match among those that are short enough, with what follows as context."""
    assert one(pattern=r"sk-\w+", max_length=8).redact("sk-abcdefgh")[0] == "[redacted]fgh"
    assert one(pattern=r"sk-\w+\b", max_length=8).redact("sk-abcdefgh sk-abcd")[0] == "sk-abcdefgh [redacted]"
    assert one(pattern="<.*>", max_length=6).redact("<a><b> <aaaaaaa> <>")[0] == "[redacted] <aaaaaaa> [redacted]"
    assert one(pattern=r"\w+@x", max_length=4).redact("aaaaa@x")[0] == "aaa[redacted]"
    assert one(pattern="a{1,9}", max_length=3).redact("aaaa")[0] == "[redacted][redacted]"


def test_overlaps_are_one_redaction_of_the_first() -> None:
    made = [
        Guard(name="late", pattern="bcd", replacement="<late>"),
        Guard(name="first", pattern="abc", replacement="<first>"),
        Guard(name="same", pattern="ab", replacement="<same>"),
        Guard(name="beside", pattern="e", replacement="<beside>"),
        Guard(name="seen", pattern="xa", action="flag"),
    ]
    shown, findings = compile(made).redact("xabcde")
    assert shown == "x<first><beside>"
    assert [(finding.guard, finding.count) for finding in findings] == [(guard.name, 1) for guard in made]


def test_actions_and_modes() -> None:
    """Only an enforced redaction changes the text; only an enforced block is blocking; all of them find."""
    made = [
        Guard(name=f"{mode}-{action}", pattern=str(number), mode=mode, action=action)  # type: ignore[arg-type]
        for number, (mode, action) in enumerate(
            (mode, action) for mode in ("observe", "warn", "enforce") for action in ("flag", "redact", "block")
        )
    ]
    shown, findings = compile(made).redact("0123456788")
    assert shown == "0123456[redacted]88"
    assert [(finding.guard, finding.count) for finding in findings] == [
        (guard.name, 1 + (guard.name == "enforce-block")) for guard in made
    ]
    blocked = blocking(findings)
    assert blocked is not None and blocked.guard == "enforce-block"
    assert blocking(finding for finding in findings if finding.mode != "enforce") is None


def test_each_place_has_its_guards() -> None:
    compiled = compile([Guard(name="g", pattern="a", places=frozenset(("request", "tool_arguments")))])
    request = compiled.for_place("request")
    assert request is not None and request.scan("a")[0].place == "request"
    assert compiled.for_place("answer") is None


@pytest.mark.parametrize("pattern", [r"\pL{{1,60}}{0}", "(?:[a-f]{{1,100}}{0}){{1,9}}"])
def test_guards_too_large_to_search_together_are_searched_alone(pattern: str) -> None:
    """Where no alternation of them compiles, each is asked; none is left out."""
    made = [Guard(name=f"g{number}", pattern=pattern.format(number)) for number in range(12)]
    compiled = compile(made)
    text = "".join(f" abc{number} " for number in range(12))
    assert {span.guard for span in compiled.find(text)} == set(range(12))


class Counting:
    """An expression that counts how often it is asked."""

    def __init__(self, expression: object) -> None:
        self.expression = expression
        self.searches = 0

    def first(self, hay: bytes, pos: int, end: int) -> tuple[int, int]:
        self.searches += 1
        return self.expression.first(hay, pos, end)  # type: ignore[attr-defined,no-any-return]

    def at(self, hay: bytes, pos: int, end: int) -> tuple[int, int]:
        self.searches += 1
        return self.expression.at(hay, pos, end)  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("text", ["a" * 20_000, ("a" * 400 + "@x ") * 50, "a@" * 10_000, "é" * 10_000, "@x" * 10_000])
def test_hostile_text_is_searched_a_bounded_number_of_times(text: str) -> None:
    """A cut expression with beginnings that lead nowhere is not tried at each of them."""
    compiled = one(pattern=r"\w+@x", max_length=100)
    finder = compiled._finder
    assert finder is not None
    leaf = finder._roots[0]
    counting = Counting(leaf.expression)  # type: ignore[union-attr]
    finder._roots[0] = replace(leaf, expression=counting)  # type: ignore[type-var]
    shown = compiled.redact(text)[0]
    assert shown == expected_mail(text)
    assert counting.searches <= 2 * shown.count("[redacted]") + len(text) / 10


def expected_mail(text: str) -> str:
    """Word characters, at most 98, before each @x."""
    return re.sub(r"[0-9A-Za-z_]{1,98}@x", "[redacted]", text)


@settings(max_examples=150)
@given(expressions | st.sampled_from(WRITTEN), texts | st.text(st.characters(codec="utf-8"), max_size=20))
def test_written_anew_it_means_the_same(expression: str, text: str) -> None:
    """RE2 finds the same with the operator's text as with what we write from its tree."""
    try:
        node = parse(expression)
    except SyntaxProblem:
        assume(False)
    original = re2.compile(expression)
    ours = ENGINE.joint(node)
    assert ours is not None
    hay = ENGINE.encode(text)
    found = original.search(hay)
    assert ours.first(hay, 0, len(hay)) == ((-1, -1) if found is None else found.span())
