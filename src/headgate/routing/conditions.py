"""Conditions of rules, in CEL (the Common Expression Language, cel.dev): compiled once, tried before they serve.

Rules of this file:
- A condition names words of facts.py and functions of the list below; anything else is refused when the config is loaded, with its
  place and a suggestion. So is what would fail at the first request: types that do not fit, a regular expression that is none, a
  header that is read where nothing asks whether it was sent.
- It gives true or false. What breaks all the same when it is evaluated (an index beyond a list) raises `Unjudged`: the caller
  refuses the request, no condition is ever taken for false because it broke.
- Expressions terminate (CEL has no loops and no recursion), regular expressions are matched in linear time (Rust's engine).
- The engine is loaded with the first condition: a gateway without any does not pay for it. Only its compiled part is: the package
  around it would bring a command line with it (0.39 s and 30 MB, against 0.02 s and 4 MB).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from headgate.errors import ConfigError
from headgate.routing.facts import CREDENTIALS, SAMPLES, WORDS, Facts, variables

if TYPE_CHECKING:
    from cel.cel import Context, Program

LONGEST = 4000
"""Characters of a condition."""
FUNCTIONS = frozenset(("size", "contains", "startsWith", "endsWith", "matches", "int", "double", "string", "has"))
MACROS = frozenset(("all", "exists", "exists_one", "filter", "map"))
_PLAIN = frozenset(("true", "false", "null", "in"))
_ROOTS = frozenset(name.partition(".")[0] for name in WORDS)
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<text>[bB]?[rR](?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
             |[bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<name>[A-Za-z_]\w*)
    |(?P<number>\d[\w.]*)
    |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
_PARSED = re.compile(r"<input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)")
_BREAKS = (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError)


class Unjudged(Exception):
    """A condition could not be evaluated on a request. It says why, without the request's values."""


class Condition:
    """`words` are those of facts.py that it names; headers that it names itself are "headers.x-team", others "headers"."""

    __slots__ = ("_program", "text", "words")

    def __init__(self, text: str, words: frozenset[str], program: Program) -> None:
        self.text = text
        self.words = words
        self._program = program

    def holds(self, context: Context) -> bool:
        """Raises Unjudged."""
        try:
            value = self._program.execute(context)
        except _BREAKS as error:
            raise Unjudged(f"{type(error).__name__}: {str(error).partition('.')[0]}") from error
        if value is not True and value is not False:
            raise Unjudged(f"it gives a value of type {type(value).__name__}, not true or false")
        return value


def context(facts: Facts, words: frozenset[str]) -> Context:
    """The values of these words, for any number of conditions that name no others."""
    made: Context = _engine().Context(variables=facts.values(words))
    return made


def compile(text: str) -> Condition:
    """Raises ConfigError: with the place in the text ("at character 12") and a suggestion."""
    if len(text) > LONGEST:
        raise ConfigError(f"a condition has at most {LONGEST:,} characters")
    try:
        program = _engine().compile(text)
    except ValueError as error:
        found = _PARSED.search(str(error))
        if found is None:
            raise ConfigError("this is no condition (CEL)", hint=str(error)[:200]) from None
        line, column, why = int(found[1]), int(found[2]), found[3].partition(" expecting ")[0]
        raise ConfigError(f"this is no condition (CEL): {why} {_place(text, line, column)}") from None
    words = _Names(text).words()
    condition = Condition(text, words, program)
    _try(condition)
    return condition


def _try(condition: Condition) -> None:
    """What breaks with values of the right types would break at the first request. Data may still be missing: not judged here."""
    values = variables(condition.words, lambda name: SAMPLES[WORDS[name].type], {})
    try:
        condition.holds(_engine().Context(variables=values))
    except Unjudged as error:
        if error.__cause__ is None or isinstance(error.__cause__, TypeError | RuntimeError):
            why = "the types do not fit" if isinstance(error.__cause__, TypeError) else str(error)
            raise ConfigError(f"this condition cannot be judged: {why}", hint="docs/routing.md") from None


@cache
def _engine() -> Any:
    package = find_spec("cel")
    spec = PathFinder.find_spec("cel", package.submodule_search_locations) if package is not None else None
    if spec is None or spec.loader is None:
        raise ConfigError(
            "conditions need the package common-expression-language", hint="pip install common-expression-language"
        )
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _place(text: str, line: int, column: int) -> str:
    return f"at line {line}, character {column}" if "\n" in text.strip() else f"at character {column}"


# the names in a condition


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


_END = _Token("mark", "", -1)


class _Names:
    """The names of a condition that has been parsed, and what is wrong with them. The engine tells them without their places and
    members, so the tokens are read again."""

    def __init__(self, text: str) -> None:
        self._text = text
        tokens = (_Token(str(found.lastgroup), found[0], found.start()) for found in _TOKEN.finditer(text))
        self._tokens = [token for token in tokens if token.kind != "space"]
        self._bound = {self._at(index + 3).text for index in range(len(self._tokens)) if self._is_macro(index)}
        self._asked = set(self._headers_asked_for())

    def words(self) -> frozenset[str]:
        found: set[str] = set()
        for index, token in enumerate(self._tokens):
            if token.kind == "name" and token.text not in _PLAIN:
                after_dot = self._at(index - 1).text == "."
                if self._at(index + 1).text == "(":
                    self._function(token, FUNCTIONS | MACROS if after_dot else FUNCTIONS)
                elif not after_dot and (token.text not in self._bound or token.text in _ROOTS):
                    found.add(self._word(index, token))
                elif after_dot and self._at(index - 2).text not in _ROOTS:
                    raise self._error(token, f"nothing is called `.{token.text}` here")
            if token.text == "matches" and self._at(index + 1).text == "(":
                self._expression(self._at(index + 2))
        return frozenset(found)

    def _at(self, index: int) -> _Token:
        return self._tokens[index] if 0 <= index < len(self._tokens) else _END

    def _is_macro(self, index: int) -> bool:
        return (
            self._at(index).text == "."
            and self._at(index + 1).text in MACROS
            and self._at(index + 2).text == "("
            and self._at(index + 4).text == ","
        )

    def _word(self, index: int, token: _Token) -> str:
        name = token.text
        if name == "headers":
            return self._header(index)
        if name not in WORDS:
            member = self._at(index + 2)
            if self._at(index + 1).text == "." and member.kind == "name":
                name = f"{name}.{member.text}"
        if name not in WORDS:
            raise self._error(token, f"there is no word `{name}`", _suggested(name))
        return name

    def _function(self, token: _Token, known: Sequence[str] | frozenset[str]) -> None:
        if token.text not in known:
            close = get_close_matches(token.text, known, 1)
            hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(sorted(known))}"
            raise self._error(token, f"there is no function `{token.text}` here", hint)

    def _header(self, index: int) -> str:
        """The word for a header that is named: lower case, no credential, and asked for before. Else that for all."""
        after = self._at(index + 1).text
        token = self._at(index + 2)
        if after == "[" and token.kind == "text" and self._at(index + 3).text == "]":
            name = self._value(token)
        elif after == "." and self._at(index + 3).text != "(":
            name = token.text
        elif self._at(index - 1).text == "in" and self._at(index - 2).kind == "text":
            token = self._at(index - 2)
            name = self._value(token)
        else:
            return "headers"
        if name != name.lower():
            raise self._error(token, "headers have lower-case names here", f'write "{name.lower()}"')
        if name in CREDENTIALS:
            raise self._error(token, f'"{name}" may hold a credential: conditions do not see it')
        if name not in self._asked:
            hint = f'write "{name}" in headers && ...'
            raise self._error(token, f'nothing asks whether the header "{name}" was sent', hint)
        return f"headers.{name}"

    def _headers_asked_for(self) -> Iterator[str]:
        for index, token in enumerate(self._tokens):
            if token.text == "headers":
                if self._at(index - 1).text == "in" and self._at(index - 2).kind == "text":
                    yield self._value(self._at(index - 2))
                elif self._at(index - 1).text == "(" and self._at(index - 2).text == "has":
                    yield self._at(index + 2).text

    def _expression(self, token: _Token) -> None:
        """A regular expression that is written out: whether it is one."""
        if token.kind == "text":
            try:
                _engine().compile(f'"".matches({token.text})').execute()
            except _BREAKS:
                raise self._error(token, "this is no regular expression") from None

    def _value(self, token: _Token) -> str:
        return str(_engine().compile(token.text).execute())

    def _error(self, token: _Token, message: str, hint: str = "") -> ConfigError:
        line = self._text.count("\n", 0, token.at) + 1
        column = token.at - self._text.rfind("\n", 0, token.at)
        return ConfigError(f"{message} {_place(self._text, line, column)}", hint=hint)


def _suggested(name: str) -> str:
    member = name.rpartition(".")[2]
    named = [word for word in WORDS if word.rpartition(".")[2] == member and word != name]
    close = named or get_close_matches(name, WORDS, 1) or get_close_matches(member, WORDS, 1)
    return f"did you mean `{close[0]}`?" if close else f"there are {', '.join(WORDS)}"
