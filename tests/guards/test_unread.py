"""Texts that nobody has read: what the search of a document's own bytes does not find is in none of its strings."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from guards.expressions import ALPHABET, accepted, guards
from headgate.dialects.openai_chat import DIALECT
from headgate.errors import BadRequest
from headgate.guards.base import Guard
from headgate.guards.engines import BACKTRACKING
from headgate.guards.pattern import compile
from headgate.model.exchange import Exchange, Request
from headgate.model.trail import Trail
from headgate.stages.guard_input import GuardInput

SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
signs = st.text(ALPHABET + '"\\/\t\b0u', max_size=12)


def numbered(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """The text as a JSON string, each character in any of the ways in which it can be written."""
    written = []
    for sign in text:
        ways = [numbered(sign), numbered(sign).upper().replace("\\U", "\\u")]
        ways += [SHORT[sign]] * 3 if sign in SHORT else []
        ways += [sign] * 4 if sign >= " " and sign not in '"\\' and not "\ud800" <= sign <= "\udfff" else []
        written.append(draw(st.sampled_from(ways)))
    return f'"{"".join(written)}"'


@settings(max_examples=50)
@given(guards(), signs, st.integers(1, 3), st.data())
def test_what_it_does_not_find_is_not_there(made: list[Guard], text: str, depth: int, data: st.DataObject) -> None:
    """However a string is spelled, and however deep it stands in JSON text within strings."""
    patterns = accepted(made)
    assume(patterns is not None)
    assert patterns is not None
    assume(patterns.matches(text))
    document = text
    for _ in range(depth):
        string = data.draw(spelled(document))
        document = f'{{"a": [1, {string}]}}'
    inner = document
    for _ in range(depth):
        inner = json.loads(inner)["a"][1]
    assert inner == text
    search = patterns.unread("answer")
    assert search is not None
    body = document.encode()
    assert search.first(body, 0, len(body))[0] >= 0


@pytest.mark.parametrize(
    ("pattern", "string"),
    [
        (r"\b1", r"\n1"),
        (r"1\B", r"1\u0031"),
        ("^a$", "a"),
        ("/", r"\/"),
        ("\\n", r"\n"),
        ("\\n", r"\\n"),
        ("\\n", r"\u005cn"),
        ("\\n", r"\\\u006E"),
        ("-1", r"\\u002d1"),
        ("-1", r"\u005Cu002D1"),
        ("-1", r"\\\u0075002d1"),
        ("-1", r"\u005c\u0075\u0030\u0030\u0032\u0064\u0031"),
        ("^😀$", r"\ud83d\ude00"),
        ("^😀$", r"\\uD83D\\uDE00"),
        (r"a\\b", r"a\\b"),
        (r"a\\b", r"a\\\\b"),
    ],
)
def test_a_character_is_found_in_each_of_its_spellings(pattern: str, string: str) -> None:
    """The same in a string, or in a string of JSON text within a string."""
    patterns = compile([Guard(name="own", pattern=pattern, places=frozenset(("answer",)))]).for_place("answer")
    assert patterns is not None
    once = json.loads(f'"{string}"')
    assert patterns.matches(once) or patterns.matches(json.loads(f'"{once}"'))
    search = patterns.unread("answer")
    assert search is not None
    body = f'["{string}"]'.encode()
    assert search.first(body, 0, len(body))[0] >= 0


def test_ordinary_texts_hold_nothing() -> None:
    """Escapes alone are no match: of indented code, of quotations, of text in another script."""
    search = compile(
        [
            Guard(name="phone", pattern=r"\+?\d[\d ()-]{7,14}\d"),
            Guard(name="mail", pattern=r"\b[\w.+-]{1,64}@[\w-]{1,63}\.\w{2,10}\b"),
            Guard(name="ssn", pattern=r"\b\d{3}-\d{2}-\d{4}\b"),
        ]
    ).unread("request", "tool_arguments")
    assert search is not None
    for text in ("def f():\n        return 1\n\n        # done\n", 'he said "\t\\" and / went', "Wehr – 45"):
        for body in (json.dumps([text]).encode(), json.dumps([json.dumps(text)]).encode()):
            assert search.first(body, 0, len(body))[0] < 0, text


def test_what_is_found_in_nothing_but_escapes_is_found_at_once() -> None:
    """Nobody can make the search work for the rest of a long text."""
    search = compile([Guard(name="mail", pattern=r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")]).unread("request")
    assert search is not None
    for text in (r"\u0061" * 1000, r"\\\u005cu" * 1000, r"\\u00" * 1000):
        body = f'["{text}"]'.encode()
        assert 0 <= search.first(body, 0, len(body))[1] < 100


def test_only_the_guards_of_a_place_are_searched_for_and_only_in_linear_time() -> None:
    guard = Guard(name="word", pattern="secret", places=frozenset(("answer",)))
    assert compile([guard]).unread("request", "tool_arguments") is None
    assert compile([guard], BACKTRACKING).unread("answer") is None


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({"role": "user", "content": "is 078-05-1120 mine?"}, "is [ssn] mine?"),
        ({"role": "user", "content": [{"type": "text", "text": "078-05-1120"}]}, "[ssn]"),
        ({"role": "user", "content": [{"type": "image_url"}, {"type": "text", "text": "078-05-1120"}]}, "[ssn]"),
    ],
)
@pytest.mark.parametrize("spelling", ["-", "\\u002d", "\\u002D"])
def test_a_guard_sees_every_spelling(message: dict[str, object], shown: str, spelling: str) -> None:
    body = json.dumps({"model": "m", "messages": [message]}).replace("-", spelling).encode()
    x = guarded(body)
    content = x.request_json()["messages"][0]["content"]
    assert (content if isinstance(content, str) else content[-1]["text"]) == shown
    assert [edit.name for edit in x.edits] == ["guard:ssn"]


@pytest.mark.parametrize("inner", ["078-05-1120", "078\\u002d05-1120"])
def test_a_guard_sees_the_arguments_of_a_call(inner: str) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": f'{{"n":"{inner}"}}'}}
    x = guarded(json.dumps({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]}).encode())
    assert [(edit.name, edit.value) for edit in x.edits] == [("guard:ssn", b'"{\\"n\\":\\"[ssn]\\"}"')]


@pytest.mark.parametrize(
    "body",
    [
        '{"model":"m","messages":[{"role":"user","content":"078-05-1120"}],"messages":[{"role":"user","content":"hi"}]}',
        '{"model":"m","messages":[{"role":"user","content":"078-05-1120"}],"m\\u0065ssages":[{"role":"user","content":"hi"}]}',
        '{"model":"m","messages":[{"role":"user","content":"078-05-1120","content":"hi"}]}',
        '{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"078-05-1120","text" : "hi"}]}]}',
    ],
)
def test_a_member_that_is_given_twice_hides_nothing(body: str) -> None:
    """A provider that takes the first would get what no guard has seen."""
    with pytest.raises(BadRequest, match="is given twice"):
        guarded(body.encode())


def test_a_request_that_holds_nothing_is_not_parsed() -> None:
    x = guarded(b'{"model":"m","messages":[{"role":"user","content":"line\\nline \\"078\\" 05-1120 \\u2013 none"}]}')
    assert x.json is None and not x.edits and not x.findings


GUARD = GuardInput(compile([Guard(name="ssn", pattern=r"\b\d{3}-\d{2}-\d{4}\b", replacement="[ssn]")]))


def guarded(body: bytes) -> Exchange:
    async def read_body() -> bytes:
        return body

    request = Request(
        method="POST", path="/", query=b"", headers=[], credential=b"", operation="generate", read_body=read_body
    )
    x = Exchange(id="req_1", at=0.0, t0=0, request=request, dialect=DIALECT, trail=Trail(), body=body)
    x.head = DIALECT.head(body)
    asyncio.run(GUARD.start(x))
    return x
