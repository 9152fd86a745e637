"""A JSON value of a request together with its path: reading that takes both spellings and says where a type is wrong.

Rules of this file:
- Members are asked for in camelCase and found in snake_case too; paths are told as the client spelled them.
- What proto3 JSON allows is allowed: null is absence, a number may be a string of digits, a repeated field may hold
  its only element bare (Google's own examples write `"contents": {...}`).
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, NoReturn

from headgate.errors import BadRequest
from headgate.model.events import Path
from headgate.model.prompt import Extras

from .tables import FAMILY, camel, snake

_NAMES = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def member(fields: dict[str, Any], name: str) -> tuple[str, Any]:
    """(the key as it is spelled, its value) of a member; ("", None) where it is absent or null."""
    value = fields.get(name)
    if value is not None:
        return name, value
    other = snake(name)
    value = fields.get(other)
    return (other, value) if value is not None else ("", None)


def each(value: Any) -> Iterator[tuple[Path, Any]]:
    """The elements of a repeated field with the path to each; a bare object is its own only element."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield (index,), item
    elif isinstance(value, dict):
        yield (), value


class Place:
    """`path` is as clients write it: contents[0].parts[1].text ("" for the request itself)."""

    __slots__ = ("path", "value")

    def __init__(self, value: Any, path: str = "") -> None:
        self.value = value
        self.path = path

    def wrong(self, wanted: str) -> NoReturn:
        found = _NAMES.get(type(self.value), type(self.value).__name__)
        raise BadRequest(f"{self.path or 'the body'} must be {wanted}, not {found}", param=self.path or None)

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def get(self, name: str) -> Place | None:
        """A member; None where it is absent or null."""
        key, value = member(self.object(), name)
        return Place(value, self.at(key)) if key else None

    def need(self, name: str) -> Place:
        found = self.get(name)
        if found is None:
            raise BadRequest(f"{self.at(name)} is missing", param=self.at(name))
        return found

    def object(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            self.wrong("an object")
        return self.value

    def items(self) -> list[Place]:
        """The elements of a list of objects."""
        if isinstance(self.value, dict):
            return [self]
        return self.elements()

    def elements(self) -> list[Place]:
        if not isinstance(self.value, list):
            self.wrong("a list")
        return [Place(item, f"{self.path}[{index}]") for index, item in enumerate(self.value)]

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.wrong("a string")
        return self.value

    def texts(self) -> list[str]:
        return [self.value] if isinstance(self.value, str) else [item.text() for item in self.elements()]

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.wrong("a boolean")
        return self.value

    def count(self) -> int:
        number = self.number()
        if number != number or number in (float("inf"), float("-inf")) or int(number) != number:
            self.wrong("an integer")
        return int(number)

    def number(self) -> float:
        value = self.value
        if isinstance(value, str):
            try:
                return float(value) if not value.lstrip("-").isdigit() else int(value)
            except ValueError:
                self.wrong("a number")
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.wrong("a number")
        return value

    def word(self) -> str:
        """A word of an enumeration, in capitals."""
        return self.text().upper()

    def rest(self, known: Container[str]) -> Extras:
        """The members that are not `known`, as this family's extras, in camelCase."""
        left = {
            camel(name): value
            for name, value in self.object().items()
            if value is not None and camel(name) not in known
        }
        return {FAMILY: left} if left else {}
