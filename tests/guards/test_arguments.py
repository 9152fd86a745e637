"""Tool arguments under pattern guards: JSON text in fragments cut anywhere, against the single pass and against a
redaction of the parsed JSON's leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from guards.expressions import ALPHABET, accepted, guards, pieces
from headgate.guards.arguments import ArgumentsWindow, redact_arguments
from headgate.guards.base import Guard
from headgate.guards.pattern import Patterns, blocking, compile

SSN = Guard(name="ssn", pattern=r"\b\d{3}-\d{2}-\d{4}\b")
CARD = Guard(name="card", pattern=r"\d{13,16}", replacement="[card]")


def patterns(*made: Guard) -> Patterns:
    compiled = compile(made).for_place("tool_arguments")
    assert compiled is not None
    return compiled


def streamed(patterns: Patterns, parts: list[str]) -> str:
    window: ArgumentsWindow[int] = ArgumentsWindow(patterns)
    released = [share for number, part in enumerate(parts) for share in window.feed(number, part)] + window.flush()
    assert [number for number, _ in released] == list(range(len(parts)))
    return "".join(text for _, text in released)


class Literal(str):
    """A number or word as it is written."""


def parsed(text: str) -> Any:
    return json.loads(
        text,
        parse_int=Literal,
        parse_float=Literal,
        parse_constant=Literal,
        object_pairs_hook=lambda pairs: ("{", pairs),
    )


def leafwise(patterns: Patterns, value: Any) -> Any:
    """The value with each string redacted; a number or word too, which then becomes a string."""
    match value:
        case ("{", pairs):
            return "{", [(patterns.redact(key)[0], leafwise(patterns, item)) for key, item in pairs]
        case list():
            return [leafwise(patterns, item) for item in value]
        case True | False | None:
            shown = patterns.redact(json.dumps(value))[0]
            return value if shown == json.dumps(value) else shown
        case Literal():
            shown = patterns.redact(value)[0]
            return value if shown == value else shown
    return patterns.redact(value)[0]


def _string(draw: st.DrawFn, text: str) -> str:
    """A JSON string, each character written in one of the ways it can be."""
    written = []
    for sign in text:
        escapes = "".join(f"\\u{unit:04x}" for unit in _units(sign))
        upper = "".join(f"\\u{unit:04X}" for unit in _units(sign))
        short = json.dumps(sign)[1:-1]
        plain = sign if sign not in '"\\\n' else short
        written.append(
            draw(st.sampled_from((plain, plain, plain, short, escapes, upper, "\\/" if sign == "/" else plain)))
        )
    return f'"{"".join(written)}"'


def _units(sign: str) -> list[int]:
    raw = sign.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


@st.composite
def documents(draw: st.DrawFn) -> str:
    leaf = st.text(ALPHABET + '"\\/', max_size=8)
    value = draw(
        st.recursive(
            leaf | st.none() | st.booleans() | st.integers(-2000, 2000) | st.sampled_from([1.5, -1e-11, 11e22]),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(leaf, inner, max_size=3),
            max_leaves=8,
        )
    )
    space = draw(st.sampled_from(["", " ", "\n\t"]))

    def write(value: Any) -> str:
        if isinstance(value, str):
            return _string(draw, value)
        if isinstance(value, list):
            return f"[{space}{f',{space}'.join(map(write, value))}{space}]"
        if isinstance(value, dict):
            return (
                "{" + f",{space}".join(f"{write(key)}{space}:{space}{write(item)}" for key, item in value.items()) + "}"
            )
        return json.dumps(value)

    return write(value)


def for_arguments(made: list[Guard]) -> Patterns:
    compiled = accepted(made)
    assume(compiled is not None)
    assert compiled is not None
    return compiled


@settings(max_examples=80)
@given(guards(), pieces(documents()))
@example([Guard(name="g", pattern="a", replacement="a", places=frozenset(("answer",)))], ['["\\u0061"]'])
@example([Guard(name="g", pattern="1$", places=frozenset(("answer",)))], ['{"1":1', "1,", '"a1":[true,"1 "]}'])
def test_streamed_whole_and_leafwise_agree(made: list[Guard], parts: list[str]) -> None:
    """At every split the text is that of the single pass, and parses to the parsed JSON with its leaves redacted."""
    compiled = for_arguments(made)
    text = "".join(parts)
    shown, findings = redact_arguments(compiled, text)
    assert streamed(compiled, parts) == shown
    assert parsed(shown) == leafwise(compiled, parsed(text))
    if not compiled.scan(text) and not findings:
        assert shown == text


@settings(max_examples=80)
@given(guards(), pieces(st.text(ALPHABET + '"\\\\{}[],:u0123456789ndD8c', max_size=40)))
@example([Guard(name="g", pattern="a")], ['"\\ud83d\\u', 'xa"'])
@example([Guard(name="g", pattern="a")], ['"\\', "ud83d", '"a\\'])
@example([Guard(name="g", pattern="1")], ["1", "2", "a1"])
def test_malformed_text_is_scanned_not_refused(made: list[Guard], parts: list[str]) -> None:
    """Whatever a model writes: nothing is raised, nothing lost, and streamed is whole."""
    compiled = for_arguments(made)
    text = "".join(parts)
    shown, findings = redact_arguments(compiled, text)
    assert streamed(compiled, parts) == shown
    if not findings:
        assert shown == text


@settings(max_examples=50)
@given(guards(actions=("redact", "block", "flag"), modes=("observe", "warn", "enforce")), pieces(documents()))
def test_blocks_and_reports(made: list[Guard], parts: list[str]) -> None:
    compiled = for_arguments(made)
    window: ArgumentsWindow[int] = ArgumentsWindow(compiled)
    released = [share for number, part in enumerate(parts) for share in window.feed(number, part)] + window.flush()
    shown, findings = redact_arguments(compiled, "".join(parts))
    assert (window.blocked is None) == (blocking(findings) is None)
    assert [number for number, _ in released] == list(range(len(released)))
    assert shown.startswith("".join(text for _, text in released))
    if window.blocked is None:
        assert window.findings == findings
        assert len(released) == len(parts)
    else:
        assert len(released) < len(parts)


def test_escapes_are_read_and_what_stands_around_keeps_its_bytes() -> None:
    text = r'{"caf\u00e9":"\u0031\u0032\u0033-45-6789 \/ \ud83d\ude00","n" : 1.50}'
    assert redact_arguments(patterns(SSN), text)[0] == r'{"caf\u00e9":"[redacted] \/ \ud83d\ude00","n" : 1.50}'
    assert streamed(patterns(SSN), list(text)) == r'{"caf\u00e9":"[redacted] \/ \ud83d\ude00","n" : 1.50}'


def test_fragments_keep_their_share() -> None:
    """Both sides of an escape that was cut lose their part; the replacement stands where the match begins."""
    window: ArgumentsWindow[str] = ArgumentsWindow(patterns(SSN))
    assert window.feed("a", '{"id":" \\u00') == []
    assert window.feed("b", "31\\u0032\\u0033-4") == []
    assert window.feed("c", '5-6789","m":"o\\u00') == [("a", '{"id":" [redacted]'), ("b", "")]
    assert window.feed("d", 'e9k"}') == [("c", '","m":"o\\u00'), ("d", 'e9k"}')]
    assert window.flush() == []


def test_a_number_that_is_redacted_becomes_a_string() -> None:
    assert redact_arguments(patterns(CARD), '{"pay":[4111111111111111,12]}')[0] == '{"pay":["[card]",12]}'
    window: ArgumentsWindow[int] = ArgumentsWindow(patterns(CARD))
    assert window.feed(0, '{"pay":[') == [(0, '{"pay":[')]
    assert window.feed(1, "41111111") == []
    assert window.feed(2, "11111111") == []
    assert window.feed(3, ",12]}") == [(1, '"[card]"'), (2, ""), (3, ",12]}")]
    assert window.flush() == []


def test_no_match_reaches_over_a_string() -> None:
    text = '{"123":"45","6789-":"123-45-","a":"6789"}'
    assert redact_arguments(patterns(Guard(name="g", pattern=r"123\D{1,9}45")), text)[0] == text.replace(
        "123-45", "[redacted]"
    )


def test_anchors_are_of_the_string() -> None:
    guard = Guard(name="g", pattern=r"^\w{1,9}$")
    assert (
        redact_arguments(patterns(guard), '{"a b":"secret","c d":" secret"}')[0]
        == '{"a b":"[redacted]","c d":" secret"}'
    )


def test_a_replacement_is_escaped() -> None:
    guard = Guard(name="g", pattern="x", replacement='"\\\n')
    assert json.loads(redact_arguments(patterns(guard), '["ax"]')[0]) == ['a"\\\n']
    assert json.loads(streamed(patterns(guard), ['["a', 'x"]'])) == ['a"\\\n']


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Sorry, 123-45-6789", "Sorry, [redacted]"),
        ('{"a":"b"} and 123-45-6789', '{"a":"b"} and [redacted]'),
        ("{'id':'123-45-6789'}", "{'id':'[redacted]'}"),
        ('{"id":"123-45-6789', '{"id":"[redacted]'),
        ('{"id":"\\x123-45-6789"}', '{"id":"\\x123-45-6789"}'),
        ('{"id":"\\ 123-45-6789\\', '{"id":"\\ [redacted]\\'),
        ('{"id" "123-45-6789" 7 }}', '{"id" "[redacted]" 7 }}'),
        ("", ""),
    ],
)
def test_malformed_arguments(text: str, shown: str) -> None:
    assert redact_arguments(patterns(SSN), text)[0] == shown
    assert streamed(patterns(SSN), list(text)) == shown


def test_flush_begins_new_arguments() -> None:
    window: ArgumentsWindow[int] = ArgumentsWindow(patterns(SSN))
    for _ in range(2):
        assert window.feed(0, '{"a":"123-45-67') == []
        assert window.feed(1, "89") == []
        assert window.flush() == [(0, '{"a":"[redacted]'), (1, "")]
    assert window.findings[0].count == 2


def test_text_without_match_passes_at_once() -> None:
    window: ArgumentsWindow[int] = ArgumentsWindow(patterns(SSN))
    parts = ['{"', "city", '":"', "Par", "is ", 'x", ', "tru", "e}"]
    assert [window.feed(number, part) for number, part in enumerate(parts)] == [
        *([(number, part)] for number, part in enumerate(parts[:6])),
        [],
        [(6, "tru"), (7, "e}")],
    ]
