"""One choice of an answer while it is read: which parts are open, which call a delta belongs to.

Rules of this file:
- Prose (text, thinking, refusal) is one part at a time: another kind ends it. Calls stay open until the choice is
  finished, because deltas of parallel calls may interleave.
- A call is known by its `index`, else by its id, else it is the last one. A new id under a known index, with a
  name, is a new call: some servers number every call 0. In a whole reply every entry of the list is a call of its
  own.
- A call whose name has not come yet is not announced.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from headgate.dialects.naming import call_id
from headgate.dialects.openai_chat.reasoning import Detail, Grouping, extras_of
from headgate.errors import UpstreamMalformed
from headgate.model.events import Event, Finished, PartDelta, PartEnded, PartKind, PartStarted, Path, Slot, Stop, merged
from headgate.model.prompt import Extras

Member = dict[str, Any]


class Call(Struct):
    """A tool call in the making; `part` is -1 until it is announced."""

    id: str = ""
    name: str = ""
    kind: PartKind = "tool_call"
    part: int = -1
    extras: Extras = {}


class Turn:
    """Events go to `out`, which the decoder empties with each document."""

    __slots__ = (
        "_calls",
        "_heard",
        "_ids",
        "_last",
        "_next",
        "_order",
        "_padded",
        "_signed",
        "_sound",
        "beside",
        "finished",
        "grouping",
        "index",
        "kind",
        "out",
        "part",
        "seed",
        "whole",
    )

    def __init__(self, index: int, seed: str, whole: bool, out: list[Event]) -> None:
        self.index = index
        self.seed = seed
        self.whole = whole
        self.out = out
        self.kind: PartKind | None = None
        self.part = -1
        self.finished = False
        self.beside: Member = {}
        """Members of the choice and of its message that are not known."""
        self.grouping = Grouping()
        self._next = 0
        self._sound = -1
        self._padded = False
        self._heard: Member = {}
        """What was said of the sound: its id comes first, when it expires last."""
        self._order: list[Call] = []
        self._calls: dict[int, Call] = {}
        self._ids: dict[str, Call] = {}
        self._last: Call | None = None
        self._signed: dict[str, Extras] = {}

    # ------------------------------------------------------------------ prose

    def prose(self, kind: PartKind) -> int:
        """The open part of this kind, begun if need be."""
        if self.kind != kind:
            self.end_prose()
            self.part = self._begin(kind)
            self.kind = kind
        return self.part

    def say(self, kind: PartKind, text: str, path: Path | None, extras: Extras | None = None) -> int:
        part = self.prose(kind)
        self.out.append(
            PartDelta(
                choice=self.index,
                part=part,
                kind=kind,
                text=text,
                slot=None if path is None else Slot(path),
                whole=self.whole,
                extras=extras or {},
            )
        )
        return part

    def think(self, detail: Detail, text: str, path: Path | None) -> int:
        """One entry of `reasoning_details`; a part of its own where it does not go on with the one before."""
        if not self.grouping.goes_on(detail) and self.kind == "thinking":
            self.end_prose()
            self.grouping.goes_on(detail)
        return self.say("thinking", text, path, extras_of(detail))

    def end_prose(self) -> None:
        if self.kind is not None:
            self.out.append(PartEnded(choice=self.index, part=self.part))
            self.kind = None
            self.grouping.close()

    def image(self, mime: str, data: str, extras: Extras) -> None:
        """An image, which comes whole. Its data is a piece of a URL: no place holds just that, so it has no slot."""
        self.end_prose()
        part = self._begin("media", mime=mime, extras=extras)
        if data:
            self.out.append(PartDelta(choice=self.index, part=part, kind="media", text=data, whole=self.whole))
        self.out.append(PartEnded(choice=self.index, part=part))

    def sound(self, data: str, path: Path, extras: Extras) -> None:
        """A piece of sound. Its transcript comes in between, so the part stays open; padding ends a piece of base64."""
        if self._padded and data:
            self._end_sound()
        if self._sound < 0:
            self._sound = self._begin("media", mime="audio/*")
        self._padded = data.endswith("=") or (self._padded and not data)
        if (said := extras.get("openai", {}).get("audio")) is not None:
            self._heard = {**self._heard, **said}
            extras = {"openai": {"audio": self._heard}}
        self.out.append(
            PartDelta(
                choice=self.index,
                part=self._sound,
                kind="media",
                text=data,
                slot=Slot(path) if data else None,
                whole=self.whole,
                extras=extras,
            )
        )

    def _end_sound(self) -> None:
        if self._sound >= 0:
            self.out.append(PartEnded(choice=self.index, part=self._sound))
        self._sound, self._padded = -1, False

    def _begin(self, kind: PartKind, **fields: Any) -> int:
        part = self._next
        self._next += 1
        self.out.append(PartStarted(choice=self.index, part=part, kind=kind, **fields))
        return part

    # ------------------------------------------------------------------ calls

    def call(self, item: Member, kind: PartKind, name: str) -> Call:
        """The call that this delta belongs to."""
        index, raw = item.get("index"), item.get("id")
        if not (index is None or isinstance(index, int)) or not (raw is None or isinstance(raw, str)):
            raise UpstreamMalformed("a tool call of the upstream has an index or id of a wrong type")
        id = raw or ""
        found: Call | None = None
        if self.whole:
            pass
        elif index is not None:
            found = self._calls.get(index)
            if found is not None and id and name and found.id and found.id != id:
                found = None
        elif id:
            found = self._ids.get(id)
        elif not name:
            found = self._last
        if found is None:
            found = Call(kind=kind, extras={})
            self._order.append(found)
            if index is not None:
                self._calls[index] = found
        if id and not found.id:
            found.id = id
            self._ids[id] = found
        self._last = found
        if name and not found.name:
            found.name = name
            found.kind = kind
        return found

    def announce(self, call: Call) -> None:
        """Tell of a call whose name is known (or can no longer come)."""
        if call.part >= 0:
            return
        self.end_prose()
        part = self._next
        if not call.id:
            call.id = call_id(f"{self.seed}:{call.name}:{self.index}", part)
            self._ids[call.id] = call
        if call.id in self._signed:
            merged(call.extras, self._signed.pop(call.id))
        call.part = self._begin(call.kind, id=call.id, name=call.name, extras=call.extras)

    def argue(self, call: Call, text: str, path: Path | None, extras: Extras) -> None:
        """Arguments of a call, and what must come back with it."""
        if call.part < 0:
            merged(call.extras, extras)
            if not call.name and not text:
                return
            self.announce(call)
            extras = {}
        if text or extras:
            self.out.append(
                PartDelta(
                    choice=self.index,
                    part=call.part,
                    kind=call.kind,
                    text=text,
                    slot=None if path is None or not text else Slot(path),
                    whole=self.whole,
                    extras=extras,
                )
            )

    def sign(self, id: str, extras: Extras) -> None:
        """Extras of the call with this id, which may have come already."""
        call = self._ids.get(id)
        if call is not None and call.part >= 0:
            self.out.append(PartDelta(choice=self.index, part=call.part, kind=call.kind, extras=extras))
        else:
            merged(self._signed.setdefault(id, {}), extras)

    @property
    def calls(self) -> list[Call]:
        return self._order

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        """End every part that is open. Signatures whose call never came become thoughts, so that they are not lost."""
        self.end_prose()
        self._end_sound()
        for call in self._order:
            if call.part < 0 and call.name:
                self.announce(call)
            if call.part >= 0:
                self.out.append(PartEnded(choice=self.index, part=call.part))
        for extras in self._signed.values():
            part = self._begin("thinking", extras=extras)
            self.out.append(PartEnded(choice=self.index, part=part))
        self._order, self._calls, self._ids, self._last, self._signed = [], {}, {}, None, {}

    def finish(self, stop: Stop, native: str, extras: Extras) -> None:
        if self.finished:  # said twice, or more came after it
            self.close()
            return
        self.finished = True
        called = any(call.part >= 0 or call.name for call in self._order)
        self.close()
        if called and stop == "stop":
            stop = "tool_use"
        self.out.append(Finished(choice=self.index, stop=stop, native=native, extras=extras))
