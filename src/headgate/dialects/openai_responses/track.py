"""The items of one answer as they are told, piece by piece or again: what is new becomes events, what was seen repeats.

Rules of this file:
- An item is known by its `output_index` (some gateways change item ids between events), its texts by their place in it.
- Each text becomes one part. A place that holds a text as far as it has come is a delta where it tells something new,
  with its slot, and a repeat where the text was told before.
- The thoughts of one reasoning item share its id; the last of them stays open for what the finished item adds to it
  (its encrypted content). A reasoning item without text is one empty thought.
- A generated image is media. Other items are native, carried whole; their strings are shown one by one (part -1), as
  are all strings of events and items of a type not known here.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from headgate.dialects.naming import call_id
from headgate.model.events import (
    Decoded,
    Event,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    Path,
    Repeat,
    Slot,
    Started,
)

from .checks import a_list, a_string, an_object, logprobs_of, malformed
from .shapes import citation, leaves
from .tables import CALLS, CONTENTS, FAMILY, IMAGE, ITEMS_OF

THOUGHTS = (("summary", "summary_text"), ("content", "reasoning_text"))
"""The lists of a reasoning item that hold texts, and the type of their members."""


class Part(Struct):
    number: int
    kind: PartKind
    open: bool = True
    pieces: list[str] = field(default_factory=list)
    torn: bool = False
    """The whole text was not the pieces: each place that holds it is shown for itself."""
    cited: int = 0


class Item(Struct):
    type: str
    id: str
    call: str = ""
    phase: str = ""
    parts: dict[tuple[PartKind, str, int], Part] = field(default_factory=dict)
    """By kind, list of the item, and place in it."""
    done: bool = False


class Track:
    __slots__ = ("_last", "_next", "events", "id", "items", "repeats", "started", "whole")

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}
        self.id = ""
        self.started = False
        self.whole = False
        self.events: list[Event] = []
        self.repeats: list[Repeat] = []
        self._next = 0
        self._last: Item | None = None

    def take(self) -> Decoded:
        """What has become of the frame."""
        decoded = Decoded(events=tuple(self.events), repeats=tuple(self.repeats))
        self.events = []
        self.repeats = []
        return decoded

    # -- items

    def find(self, item: dict[str, Any], place: int, taken: set[int]) -> int:
        """The index under which an item of the response's output was announced; a new one if it was not."""
        kind = item.get("type")
        free = {index: known for index, known in self.items.items() if index not in taken and known.type == kind}
        for index, known in free.items():
            if (known.id and known.id == item.get("id")) or (known.call and known.call == item.get("call_id")):
                return index
        if place in free:
            return place
        if free:
            return min(free)
        return place if place not in self.items else max(self.items) + 1

    def item(self, index: int, item: dict[str, Any], path: Path, *, final: bool) -> None:
        """An item as it stands in a frame at `path`: in the beginning, at its end, or in the response's output."""
        kind = item.get("type")
        if not isinstance(kind, str):
            malformed("item.type", "a string")
        known = self.items.get(index)
        if known is None or known.type != kind:
            if known is not None:
                self.close(known)
                index = max(self.items) + 1
            known = self.items[index] = Item(
                kind,
                a_string(item.get("id"), "item.id"),
                a_string(item.get("call_id"), "item.call_id"),
                a_string(item.get("phase"), "item.phase"),
            )
        if kind == "message":
            for place, value in enumerate(a_list(item.get("content") or [], "content")):
                self.content(known, an_object(value, "content"), place, (*path, "content", place))
        elif kind in CALLS:
            self._call(known, item, path)
        elif kind == "reasoning":
            self._reasoning(known, item, path, final)
        elif kind == IMAGE and (("media", "", 0) in known.parts or isinstance(item.get("result"), str)):
            self._image(known, item, path)
        elif kind != IMAGE or final:
            self._native(known, item, path, final)
        if final:
            self.close(known)
            known.done = True

    def content(self, known: Item, content: dict[str, Any], place: int, path: Path) -> None:
        """A content part of a message, as far as it has come."""
        shape = CONTENTS.get(str(content.get("type")))
        if shape is None:
            self.unknown(content, path)
            return
        kind, member = shape
        part = self.part(known, kind, "content", place)
        self.text(part, content, member, path)
        cited = a_list(content.get("annotations") or [], "annotations")
        if len(cited) > part.cited:
            given = tuple(citation(an_object(value, "annotation")) for value in cited[part.cited :])
            part.cited = len(cited)
            if part.open:
                self.events.append(PartDelta(part=part.number, kind=kind, citations=given))

    def _call(self, known: Item, item: dict[str, Any], path: Path) -> None:
        kind, member = CALLS[known.type]
        if not known.parts:
            name = a_string(item.get("name"), "item.name")
            own = {key: item[key] for key in ("caller", "namespace") if item.get(key) is not None}
            id = known.call or known.id or call_id(f"{self.id}:{name}", self._next)
            self.begin(known, (kind, "", 0), own, id=id, name=name)
        self.text(known.parts[kind, "", 0], item, member, path)

    def _reasoning(self, known: Item, item: dict[str, Any], path: Path, final: bool) -> None:
        for place, _ in THOUGHTS:
            for number, value in enumerate(a_list(item.get(place) or [], place)):
                part = self.part(known, "thinking", place, number)
                self.text(part, an_object(value, place), "text", (*path, place, number))
        if not final or known.done:
            return
        own = {key: value for key, value in item.items() if key not in ("type", "summary", "content", "id")}
        own = {
            key: value for key, value in own.items() if value is not None and (key, value) != ("status", "completed")
        }
        if not known.parts:
            self.part(known, "thinking", "summary", 0)
        *before, last = known.parts.values()
        for part in before:
            self.end_part(part)
        self.end_part(last, own)

    def _image(self, known: Item, item: dict[str, Any], path: Path) -> None:
        key: tuple[PartKind, str, int] = ("media", "", 0)
        if key not in known.parts:
            own = {name: value for name, value in item.items() if name != "result"}
            word = a_string(item.get("output_format"), "output_format") or "png"
            self.begin(known, key, {"item": own}, mime=f"image/{word}")
        self.text(known.parts[key], item, "result", path)

    def _native(self, known: Item, item: dict[str, Any], path: Path, final: bool) -> None:
        key: tuple[PartKind, str, int] = ("native", "", 0)
        if key not in known.parts:
            self.begin(known, key, {"item": item}, name=known.type)
        self.unknown(item, path)
        if final:
            self.end_part(known.parts[key], {"item": item})

    # -- parts

    def addressed(self, kind: PartKind, place: str, number: int, index: int, id: str) -> Part | None:
        """The part at a place of the item at `index`; None if that item is of a type that has no such part."""
        known = self.items.get(index)
        if known is None:
            (only,) = ITEMS_OF[kind]
            known = self.items[index] = Item(only, id)
        elif known.type not in ITEMS_OF[kind]:
            return None
        if not place and not known.parts:
            return self.begin(known, (kind, "", 0), {}, id=known.call or known.id or call_id(self.id, self._next))
        return self.part(known, kind, place, number)

    def part(self, known: Item, kind: PartKind, place: str, number: int) -> Part:
        """The part at a place of an item, begun if it has not."""
        part = known.parts.get((kind, place, number))
        if part is not None:
            return part
        own: dict[str, Any] = {}
        if kind == "thinking":
            for before in known.parts.values():
                self.end_part(before)
            own = {"id": known.id} if known.id else {}
            if place == "content":
                own["content"] = True
        elif known.type == "message":
            own = {"phase": known.phase} if known.phase else {}
            if self._last is not known and self._last is not None and self._last.type == "message" and known.id:
                own["id"] = known.id  # Two messages stand side by side: only the id tells them apart.
        return self.begin(known, (kind, place, number), own)

    def begin(self, known: Item, key: tuple[PartKind, str, int], own: dict[str, Any], **said: str) -> Part:
        if not self.started:
            self.started = True
            self.events.append(Started())
        self._last = known
        part = known.parts[key] = Part(self._next, key[0])
        self._next += 1
        extras = {FAMILY: own} if own else {}
        id, name, mime = said.get("id", ""), said.get("name", ""), said.get("mime", "")
        self.events.append(PartStarted(part=part.number, kind=part.kind, id=id, name=name, mime=mime, extras=extras))
        return part

    def piece(self, part: Part, text: str, logprobs: tuple[dict[str, Any], ...]) -> None:
        """A frame whose `delta` is the next piece of a part."""
        part.pieces.append(text)
        slot = Slot(path=("delta",)) if text else None
        self.events.append(PartDelta(part=part.number, kind=part.kind, text=text, slot=slot, logprobs=logprobs))
        if logprobs:
            self.repeats.append(Repeat(path=("logprobs",), part=part.number, kind="drop"))

    def text(self, part: Part, holder: dict[str, Any], member: str, path: Path) -> None:
        """A place that holds a part's text as far as it has come."""
        text = holder.get(member)
        if text is None:
            return
        if not isinstance(text, str):
            malformed(member, "a string")
        logprobs = logprobs_of(holder)
        place = (*path, member)
        if logprobs:
            self.repeats.append(Repeat(path=(*path, "logprobs"), part=part.number, kind="drop"))
        seen = "".join(part.pieces)
        if not seen and part.open and not part.torn:
            if text:
                part.pieces.append(text)
                slot = Slot(path=place)
                delta = PartDelta(
                    part=part.number, kind=part.kind, text=text, slot=slot, whole=self.whole, logprobs=logprobs
                )
                self.events.append(delta)
            return
        if text != seen and text:
            self._tear(part, seen, text)
        if part.torn:
            self.unknown(text, place)
        else:
            self.repeats.append(Repeat(path=place, part=part.number))

    def _tear(self, part: Part, seen: str, text: str) -> None:
        """A whole text that is not what its pieces were. What it says beyond them is told, without a slot: no place
        holds that alone. What contradicts them is not: the client has seen the pieces."""
        part.torn = True
        if part.open and text.startswith(seen):
            part.pieces = [text]
            self.events.append(PartDelta(part=part.number, kind=part.kind, text=text[len(seen) :]))

    def unknown(self, value: Any, path: Path) -> None:
        self.events += [
            PartDelta(part=-1, kind="text", text=text, whole=True, slot=Slot(path=place))
            for place, text in leaves(value, path)
        ]

    # -- ends

    def end_part(self, part: Part, own: dict[str, Any] | None = None) -> None:
        if part.open:
            part.open = False
            self.events.append(PartEnded(part=part.number, extras={FAMILY: own} if own else {}))

    def close(self, known: Item) -> None:
        for part in known.parts.values():
            self.end_part(part)

    def close_all(self) -> None:
        for known in self.items.values():
            self.close(known)
