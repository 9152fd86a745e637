"""Which names mean a model: clauses over a name in small letters, as the price data states them.

In JSON a clause is an array that begins with its kind: ["equals", "gpt-5"], ["or", [["equals", ...], ["regex", ...]]].
Texts are in small letters already; an expression is searched for anywhere in the name.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from typing import TypeAlias

from msgspec import Struct


class Equals(Struct, frozen=True, array_like=True, tag="equals"):
    text: str

    def matches(self, name: str) -> bool:
        return name == self.text


class StartsWith(Struct, frozen=True, array_like=True, tag="starts_with"):
    text: str

    def matches(self, name: str) -> bool:
        return name.startswith(self.text)


class EndsWith(Struct, frozen=True, array_like=True, tag="ends_with"):
    text: str

    def matches(self, name: str) -> bool:
        return name.endswith(self.text)


class Contains(Struct, frozen=True, array_like=True, tag="contains"):
    text: str

    def matches(self, name: str) -> bool:
        return self.text in name


class Regex(Struct, frozen=True, array_like=True, tag="regex"):
    expression: str

    def matches(self, name: str) -> bool:
        return _compiled(self.expression).search(name) is not None


class Or(Struct, frozen=True, array_like=True, tag="or"):
    clauses: tuple[Clause, ...]

    def matches(self, name: str) -> bool:
        return any(clause.matches(name) for clause in self.clauses)


class And(Struct, frozen=True, array_like=True, tag="and"):
    clauses: tuple[Clause, ...]

    def matches(self, name: str) -> bool:
        return all(clause.matches(name) for clause in self.clauses)


Clause: TypeAlias = Equals | StartsWith | EndsWith | Contains | Regex | Or | And


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    """Expressions come from the data file alone: there are some dozens."""
    return re.compile(expression)


_COMPACT_DATE = re.compile(r"-(20\d{2})(\d{2})(\d{2})(?=[-:]|$)")


def dashed(name: str) -> str:
    """A name with compact dates written with dashes, as some routers shorten them: gpt-5.2-20251211 ->
    gpt-5.2-2025-12-11."""

    def written(found: re.Match[str]) -> str:
        try:
            return f"-{date(int(found[1]), int(found[2]), int(found[3]))}"
        except ValueError:
            return found[0]

    return _COMPACT_DATE.sub(written, name)
