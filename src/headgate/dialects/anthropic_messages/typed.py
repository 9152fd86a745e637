"""A JSON value together with its path: reading that says exactly where a type is wrong."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NoReturn

from headgate.errors import BadRequest
from headgate.model.prompt import Extras

from .tables import FAMILY

_NAMES = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


class Place:
    """`path` is as clients write it: messages[0].content[1].text ("" for the request itself)."""

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
        value = self.object().get(name)
        return Place(value, self.at(name)) if value is not None else None

    def need(self, name: str) -> Place:
        fields = self.object()
        if name not in fields:
            raise BadRequest(f"{self.at(name)} is missing", param=self.at(name))
        return Place(fields[name], self.at(name))

    def object(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            self.wrong("an object")
        return self.value

    def items(self) -> list[Place]:
        if not isinstance(self.value, list):
            self.wrong("a list")
        return [Place(item, f"{self.path}[{index}]") for index, item in enumerate(self.value)]

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.wrong("a string")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.wrong("a boolean")
        return self.value

    def count(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            self.wrong("an integer")
        return self.value

    def number(self) -> float:
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            self.wrong("a number")
        return self.value

    def rest(self, known: Container[str]) -> Extras:
        """The members that are not `known`, as this family's extras."""
        left = {name: value for name, value in self.object().items() if name not in known and value is not None}
        return {FAMILY: left} if left else {}
