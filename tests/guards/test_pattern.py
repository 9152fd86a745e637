"""The single pass: what is found, what is redacted, what is refused, with RE2 and with `re`."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, settings

import re2
from guards.expressions import accepted, guards, redacted, spans, texts
from headgate.errors import ConfigError
from headgate.guards.base import Guard
from headgate.guards.finder import Engine
from headgate.guards.pattern import BACKTRACKING, ENGINE, Patterns, blocking, compile
from headgate.guards.syntax import parse

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
@settings(max_examples=150)
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
            (begin, index, end)
            for begin, end in spans(parse(guard.pattern, guard.ignore_case), text, guard.max_length)
        ]
    assert found == sorted(expected)
    shown, findings = patterns.redact(text)
    assert shown == redacted(patterns.guards, found, text)
    assert {finding.guard: finding.count for finding in findings} == {
        patterns.guards[index].name: sum(index == other for _, other, _ in found) for _, index, _ in found
    }
