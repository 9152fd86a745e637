"""Output items and their parts while they grow.

Rules of this file:
- `Item.json` is the item as it stands now: the frames quote it, the response ends with it.
- A part enters its item's list when it has something to show: texts at once, thoughts with their first piece, so that
  an opaque thought leaves `summary` empty.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from headgate.dialects.base import Json
from headgate.model.events import PartKind
from headgate.model.prompt import Citation, Extras

from .tables import CALLS, IMAGE


class Item:
    """`at` addresses it in a frame. `native`: not of our making, its status is its own."""

    __slots__ = ("at", "done", "index", "json", "native", "parts", "type")

    def __init__(self, index: int, json: Json) -> None:
        self.index = index
        self.json = json
        self.type = json.get("type", "")
        self.native = self.type not in ("message", "reasoning", IMAGE) and self.type not in CALLS
        self.parts: list[Growing] = []
        self.done = False
        self.at: dict[str, Any] = {"item_id": json.get("id", ""), "output_index": index}


class Growing(Struct):
    """A part that has begun. `at` addresses it in a frame; `index` is its place in the item's list `place`."""

    number: int
    kind: PartKind
    extras: Extras
    mime: str = ""
    item: Item | None = None
    place: str = "content"
    index: int = 0
    at: dict[str, Any] = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)
    text: str = ""
    annotations: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[Citation] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False

    def join(self, item: Item) -> None:
        self.item = item
        item.parts.append(self)
        if self.kind in ("text", "refusal"):
            self.enter()

    def enter(self) -> None:
        """Takes the next place in the item's list."""
        assert self.item is not None
        places = self.item.json.setdefault(self.place, [])
        self.index = len(places)
        places.append(self.json())
        number = "summary_index" if self.place == "summary" else "content_index"
        self.at = {**self.item.at, number: self.index}

    def json(self) -> Json:
        """The part as it stands in its item."""
        match self.kind:
            case "refusal":
                return {"type": "refusal", "refusal": self.text}
            case "thinking":
                return {"type": "reasoning_text" if self.place == "content" else "summary_text", "text": self.text}
            case _:
                return {
                    "type": "output_text",
                    "annotations": self.annotations,
                    "logprobs": self.logprobs,
                    "text": self.text,
                }
