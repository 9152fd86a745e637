"""A stream under pattern guards: wherever it is cut, what comes out is what the single pass makes of the whole."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from guards.expressions import accepted, expressions, guards, pieces, texts
from headgate.guards.base import Guard
from headgate.guards.engines import BACKTRACKING, ENGINE
from headgate.guards.finder import Engine
from headgate.guards.pattern import Patterns, compile
from headgate.guards.window import Window

engines = pytest.mark.parametrize("engine", [ENGINE, BACKTRACKING], ids=["re2", "re"])
SSN = Guard(name="ssn", pattern=r"\b\d{3}-\d{2}-\d{4}\b")
KEY = Guard(name="key", pattern=r"sk-\w+", max_length=12, replacement="[key]")
MAIL = Guard(name="mail", pattern=r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}", replacement="[mail]")


def window(*made: Guard) -> Window[int]:
    patterns = compile(made).for_place("answer")
    assert patterns is not None
    return Window(patterns)


def run(window: Window[int], parts: list[str]) -> list[list[tuple[int, str]]]:
    """What each feed, and the flush, released."""
    return [*(window.feed(number, part) for number, part in enumerate(parts)), window.flush()]


NUMBERS = st.lists(st.text("01-/ aé\n", max_size=5), max_size=12)
"""Pieces in which what a number begins with is there, and is not."""


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from([SSN, Guard(name="two", pattern=r"[01]/\w"), Guard(name="end", pattern=r"\B-1$")]), unique=True
    ),
    NUMBERS,
)
def test_a_piece_that_nothing_begins_in_is_context_all_the_same(made: list[Guard], parts: list[str]) -> None:
    assume(made)
    patterns = compile(made).for_place("answer")
    assert patterns is not None and patterns.acting is not None and patterns.acting.opens is not None
    streamed: Window[int] = Window(patterns)
    shown = "".join(text for shares in run(streamed, parts) for _, text in shares)
    assert (shown, streamed.findings) == patterns.redact("".join(parts))


@engines
@settings(max_examples=80)
@given(guards(), pieces())
def test_streamed_is_whole(engine: Engine, made: list[Guard], parts: list[str]) -> None:
    """Text and findings are those of the single pass; every item comes out once, in order."""
    patterns = accepted(made, engine)
    assume(patterns is not None)
    assert patterns is not None
    streamed: Window[int] = Window(patterns)
    released = [share for shares in run(streamed, parts) for share in shares]
    shown, findings = patterns.redact("".join(parts))
    assert "".join(text for _, text in released) == shown
    assert [number for number, _ in released] == list(range(len(parts)))
    assert streamed.findings == findings


@engines
@settings(max_examples=80)
@given(guards(actions=("redact", "block", "flag"), modes=("observe", "warn", "enforce")), pieces())
def test_a_text_that_passes_was_fed(engine: Engine, made: list[Guard], parts: list[str]) -> None:
    """A window that is asked before it is fed releases the same, with the same findings."""
    patterns = accepted(made, engine)
    assume(patterns is not None)
    assert patterns is not None
    asked, fed = Window[int](patterns), Window[int](patterns)
    for number, part in enumerate(parts):
        released = [(number, part)] if asked.passes(part) else asked.feed(number, part)
        assert released == fed.feed(number, part)
    assert asked.flush() == fed.flush()
    assert (asked.findings, asked.blocked) == (fed.findings, fed.blocked)


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                SSN,
                Guard(name="two", pattern=r"[01]/\w"),
                Guard(name="seen", pattern=r"1-a", mode="observe"),
                Guard(name="stop", pattern=r"0aa", action="block"),
            ]
        ),
        min_size=1,
        unique=True,
    ),
    st.lists(st.sampled_from(["0", "1", "-", "/", " a", "aa", "1-", "0a", "23-45", "-6789 ", "123", "é"]), max_size=12),
)
def test_where_nothing_is_undecided_harmless_text_passes(made: list[Guard], parts: list[str]) -> None:
    """Whatever came before, as soon as the window says so; and it was fed then."""
    patterns = compile(made).for_place("answer")
    assert patterns is not None and patterns.harmless
    asked, fed = Window[int](patterns), Window[int](patterns)
    for number, part in enumerate(parts):
        if asked.rests() and set(patterns.harmless).issuperset(part.encode()):
            assert asked.passes(part)
            released = [(number, part)]
        else:
            released = asked.feed(number, part)
        assert released == fed.feed(number, part)
    assert asked.flush() == fed.flush()
    assert (asked.findings, asked.blocked) == (fed.findings, fed.blocked)


def test_numbers_leave_letters_harmless() -> None:
    """Of guards that begin with few characters, the others are; of one that may begin with any letter, none."""
    digits = accepted([Guard(name="ssn", pattern=r"\b\d{3}-\d{2}-\d{4}\b")])
    words = accepted([Guard(name="mail", pattern=r"[a-z]{1,9}@x")])
    assert digits is not None and words is not None
    assert digits.harmless == bytes(one for one in range(128) if chr(one) not in "0123456789")
    assert words.harmless == b""


@settings(max_examples=60)
@given(guards(), pieces(), texts)
def test_what_was_released_is_final(made: list[Guard], parts: list[str], other: str) -> None:
    """However the text goes on, its redaction begins with what was released before: nothing that could have become part
    of a match is out."""
    patterns = accepted(made)
    assume(patterns is not None)
    assert patterns is not None
    streamed: Window[int] = Window(patterns)
    out = "".join(text for number, part in enumerate(parts) for _, text in streamed.feed(number, part))
    for end in ("", other):
        assert patterns.redact("".join(parts) + end)[0].startswith(out)


@settings(max_examples=60)
@given(guards(), pieces())
def test_each_item_carries_its_own_share(made: list[Guard], parts: list[str]) -> None:
    """An item's characters outside of redactions are in it, a replacement is where its redaction begins."""
    patterns = accepted(made)
    assume(patterns is not None)
    assert patterns is not None
    text = "".join(parts)
    fates = list(text)
    reached = 0
    for span in patterns.find(text):
        if span.begin >= reached:
            fates[span.begin] = patterns.guards[span.guard].replacement
        for at in range(max(reached, span.begin + (span.begin >= reached)), span.end):
            fates[at] = ""
        reached = max(reached, span.end)
    at, expected = 0, []
    for number, part in enumerate(parts):
        expected.append((number, "".join(fates[at : at + len(part)])))
        at += len(part)
    assert [share for shares in run(Window(patterns), parts) for share in shares] == expected


@settings(max_examples=60)
@given(guards(actions=("redact", "block", "flag"), modes=("observe", "warn", "enforce")), pieces())
def test_blocks_and_reports(made: list[Guard], parts: list[str]) -> None:
    """Guards that only report change nothing and count what the single pass counts. A guard that blocks is reported,
    and no item from that with the begin of its first match on is released."""
    patterns = accepted(made)
    assume(patterns is not None)
    assert patterns is not None
    text = "".join(parts)
    streamed: Window[int] = Window(patterns)
    released = [share for shares in run(streamed, parts) for share in shares]
    enforced = [span for span in patterns.find(text) if patterns.guards[span.guard].mode == "enforce"]
    blocked = next((span for span in enforced if patterns.guards[span.guard].action == "block"), None)
    shown, findings = patterns.redact(text)
    if blocked is None:
        assert streamed.blocked is None
        assert "".join(text for _, text in released) == shown
        assert streamed.findings == findings
        return
    assert streamed.blocked is not None and streamed.blocked.guard == patterns.guards[blocked.guard].name
    assert [number for number, _ in released] == list(range(len(released)))
    assert sum(map(len, parts[: len(released)])) <= blocked.begin
    assert shown.startswith("".join(text for _, text in released))
    assert streamed.feed(99, "more") == [] and streamed.flush() == []


@settings(max_examples=40)
@given(guards(), pieces(), pieces())
def test_flush_begins_a_new_text(made: list[Guard], first: list[str], second: list[str]) -> None:
    """A window that served a text is as good as new; its findings add up."""
    patterns = accepted(made)
    assume(patterns is not None)
    assert patterns is not None
    used, new = Window[int](patterns), Window[int](patterns)
    run(used, first)
    assert run(used, second) == run(new, second)
    both = patterns.redact("".join(first))[1] + patterns.redact("".join(second))[1]
    assert sum(finding.count for finding in used.findings) == sum(finding.count for finding in both)


@settings(max_examples=40)
@given(expressions, texts, st.integers(1, 8))
def test_at_most_the_reach_is_held(expression: str, text: str, longest: int) -> None:
    """A character is released once `reach` characters and one more stand behind it, at the latest."""
    patterns = accepted([Guard(name="g", pattern=expression, max_length=longest)])
    assume(patterns is not None)
    assert patterns is not None
    streamed: Window[int] = Window(patterns)
    out = 0
    for number, sign in enumerate(text):
        out += len(streamed.feed(number, sign))
        assert number + 1 - out <= patterns.reach


def test_text_that_begins_no_match_passes_at_once() -> None:
    """With a reach of 300 characters, a word is held only as long as it may be the begin of an address."""
    assert run(window(SSN, MAIL), ["Hello ", "wor", "ld, ", "12", " ", "3"]) == [
        [(0, "Hello ")],
        [],
        [(1, "wor"), (2, "ld, ")],
        [],
        [(3, "12"), (4, " ")],
        [],
        [(5, "3")],
    ]


def test_a_match_is_redacted_where_it_begins() -> None:
    assert run(window(SSN), ["is 12", "3-45", "-67", "89", ", yes"]) == [
        [],
        [],
        [],
        [],
        [(0, "is [redacted]"), (1, ""), (2, ""), (3, ""), (4, ", yes")],
        [],
    ]


def test_a_match_that_cannot_grow_is_released_with_its_last_character() -> None:
    """Without an assertion at the end nothing more needs to be seen."""
    assert run(window(Guard(name="g", pattern=r"\d{3}-\d")), ["1", "23-", "4", "5"]) == [
        [],
        [],
        [(0, "[redacted]"), (1, ""), (2, "")],
        [],
        [(3, "5")],
    ]


def test_a_longer_match_is_cut() -> None:
    """The first twelve characters of a key; the rest is text."""
    assert run(window(KEY), ["sk-", "abcdefgh", "ijk", "l m"]) == [
        [],
        [],
        [(0, "[key]"), (1, ""), (2, "jk")],
        [(3, "l m")],
        [],
    ]


@engines
def test_an_assertion_waits_for_the_next_character(engine: Engine) -> None:
    """The reach is seen, and still the character behind it decides; so it does at a cut (with RE2 only)."""
    made = [Guard(name="g", pattern=r"\d{2}\b")]
    if engine.linear:
        made.append(Guard(name="cut", pattern=r"x+\b", max_length=2))
    for text in ("12", "123", "xx", "xxx", "1 xx1"):
        patterns = compile(made, engine).for_place("answer")
        assert patterns is not None
        shares = [share for released in run(Window(patterns), list(text)) for share in released]
        assert "".join(share for _, share in shares) == patterns.redact(text)[0]


def test_a_block_may_begin_in_a_redaction() -> None:
    """What is redacted already is not out before it is known that no match that blocks begins in it."""
    streamed = window(Guard(name="abc", pattern="abc"), Guard(name="cd", pattern="cd", action="block"))
    assert streamed.feed(0, "abc") == []
    assert streamed.feed(1, "d") == []
    assert streamed.blocked is not None


def test_a_block_is_told_before_anything_of_it_is_out() -> None:
    block = Guard(name="no", pattern="launch code", action="block")
    streamed = window(block, SSN)
    assert [streamed.feed(number, part) for number, part in enumerate(["The ", "launch", " co"])] == [
        [(0, "The ")],
        [],
        [],
    ]
    assert streamed.blocked is None
    assert streamed.feed(3, "de is 1") == []
    assert streamed.blocked is not None and streamed.blocked.guard == "no"
    assert streamed.findings == [streamed.blocked]


@pytest.mark.parametrize("fields", [{"action": "flag"}, {"mode": "observe"}, {"mode": "warn", "action": "block"}])
def test_guards_that_only_report_hold_nothing(fields: dict[str, str]) -> None:
    streamed = window(Guard(name="g", pattern=r"\d{3}", **fields))  # type: ignore[arg-type]
    assert run(streamed, ["1", "2", "3", "4 567"]) == [[(0, "1")], [(1, "2")], [(2, "3")], [(3, "4 567")], []]
    assert [(finding.guard, finding.count) for finding in streamed.findings] == [("g", 2)]


def test_overlapping_guards_make_one_redaction_across_items() -> None:
    """A chain of overlaps is longer than either guard reaches, and still one replacement: that of the first."""
    chain = (Guard(name="a", pattern="ab{1,2}", replacement="<a>"), Guard(name="b", pattern="b.a", replacement="<b>"))
    released = [share for shares in run(window(*chain), list("xabbabcabx")) for share in shares]
    assert "".join(text for _, text in released) == "x<a>x"
    assert released[1] == (1, "<a>")


def test_patterns_of_no_guard_have_nothing_to_do() -> None:
    assert compile([]).for_place("answer") is None
    assert isinstance(compile([]), Patterns)
