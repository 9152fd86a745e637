"""An answer's JSON -> events, whole or streamed.

Rules of this file:
- Blocks of one message carry an `index`; each started block becomes a part with its own number, so that a second
  message in the same stream (some relays join them) goes on where the first ended, its stop and usage holding. One
  that begins while a block of another is open is malformed: half a tool call would run into the next one.
- Usage is split: message_start has the input side, message_delta repeats it, corrected, and counts output cumulatively.
  Members that a later frame leaves out or null keep their value.
- A tool's `input` is an object where it comes whole: its text then has no slot, but the place is a "json" repeat.
- Blocks that are neither text, thinking nor tool_use are native items, carried whole; their strings are shown one by
  one (part -1), and so are all strings of events, blocks and deltas of a type not known here.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from headgate.dialects.naming import call_id
from headgate.errors import UpstreamMalformed
from headgate.model.events import (
    Decoded,
    Event,
    Finished,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    Path,
    Repeat,
    Slot,
    Started,
    UsageSeen,
)
from headgate.model.prompt import Extras

from . import shapes
from .citations import read_citation
from .errors import failure
from .tables import DELTAS, EVENTS, FAMILY, FINISH_EXTRAS, PARTS, STOPS
from .texts import texts
from .usage import merge_usage, read_usage

_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_EMPTY_INPUTS = ("{}", "null", '""')
_CALL = frozenset(("type", "id", "name", "input"))
_MESSAGE = frozenset(("id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"))


class _Open(Struct):
    """A block that has started: its part's number and kind; for a native item what has come of it."""

    part: int
    kind: PartKind
    item: dict[str, Any] = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)
    filled: bool = False
    """The whole input stood in the block's start: what deltas repeat of it is not added."""


class _Frame(Struct):
    """What one JSON document says, as it is collected."""

    whole: bool
    events: list[Event] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)

    def decoded(self) -> Decoded:
        return Decoded(events=tuple(self.events), repeats=tuple(self.repeats))


class Decoder:
    """One answer. See `headgate.dialects.base.Decoder`."""

    __slots__ = ("_begun", "_next", "_open", "_stop", "_usage", "complete")

    def __init__(self) -> None:
        self.complete = False
        self._open: dict[int, _Open] = {}
        self._next = 0
        self._usage: dict[str, Any] = {}
        self._begun: str | None = None
        self._stop: Finished | None = None

    def feed(self, event: str, data: bytes) -> Decoded:
        if not data or data == b"[DONE]":
            return Decoded()
        try:
            seen = shapes.stream_event(data)
        except msgspec.ValidationError as error:
            return _unknown(event, data, error)
        except _UNREADABLE as error:
            raise UpstreamMalformed(f"an event of the upstream's stream is not JSON: {error}") from error
        try:
            return self._event(seen.type or event, seen, data)
        except _UNREADABLE as error:
            raise UpstreamMalformed(f"an event of the upstream's stream is malformed: {error}") from error

    def _event(self, kind: str, seen: shapes.StreamEvent, data: bytes) -> Decoded:
        match kind:
            case "content_block_delta":
                return self._delta(seen, data)
            case "content_block_start":
                return self._started(seen)
            case "content_block_stop":
                return Decoded(events=tuple(self._stopped(seen.index)))
            case "message_delta":
                return Decoded(events=tuple(self._message_delta(seen, data)))
            case "message_start":
                return self._message_start(seen.message)
            case "message_stop":
                return Decoded(events=tuple(self._message_stop()))
            case "error":
                self.complete = True
                return Decoded(events=(failure(data),))
            case "ping":
                return Decoded()
            case _:
                return Decoded(events=tuple(_leaves(shapes.anything(data), ())))

    def whole(self, data: bytes) -> Decoded:
        try:
            return self._whole(data)
        except _UNREADABLE as error:
            raise UpstreamMalformed(f"the upstream's answer is malformed: {error}") from error

    def _whole(self, data: bytes) -> Decoded:
        message, fields = shapes.message(data), shapes.fields(data)
        if fields.get("type") == "error":
            return Decoded(events=(failure(data),))
        if message.content is None:
            raise UpstreamMalformed("the upstream's answer has no content")
        frame = _Frame(whole=True)
        frame.events.append(_opening(message, fields, FINISH_EXTRAS))
        for index, raw in enumerate(message.content):
            self._whole_block(raw, ("content", index), frame)
        if message.content or message.stop_reason is not None:
            frame.events.append(_finished(message.stop_reason, message.stop_sequence, fields))
        if message.usage is not None:
            frame.events.append(self._counted(message.usage))
        self.complete = True
        return frame.decoded()

    def end(self) -> tuple[Event, ...]:
        return tuple(event for index in sorted(self._open) for event in self._stopped(index))

    def _counted(self, usage: dict[str, Any]) -> UsageSeen:
        self._usage = merge_usage(self._usage, usage)
        return UsageSeen(usage=read_usage(self._usage))

    def _message_start(self, raw: Raw) -> Decoded:
        message, fields = shapes.message(raw), shapes.fields(raw)
        identity = message.id or ""
        if self._open:
            raise UpstreamMalformed("a second message begins inside a block of the first")
        if self._begun == identity and not self.complete:
            return Decoded()  # some relays send the start twice
        frame = _Frame(whole=True)
        if self._begun is None:
            frame.events.append(_opening(message, fields, ()))
        self._begun, self._stop, self._usage, self.complete = identity, None, {}, False
        for index, block in enumerate(message.content or ()):
            self._whole_block(block, ("message", "content", index), frame)
        if message.usage is not None:
            frame.events.append(self._counted(message.usage))
        if message.stop_reason is not None:
            self._stop = _finished(message.stop_reason, message.stop_sequence, fields)
        return frame.decoded()

    def _message_delta(self, seen: shapes.StreamEvent, data: bytes) -> list[Event]:
        events: list[Event] = []
        delta = seen.delta
        if delta is not None and delta.stop_reason is not None:
            fields = shapes.fields(data)
            self._stop = None
            events.append(_finished(delta.stop_reason, delta.stop_sequence, fields | fields["delta"]))
        if seen.usage is not None:
            events.append(self._counted(seen.usage))
        return events

    def _message_stop(self) -> list[Event]:
        events = list(self.end())
        if self._stop is not None:
            events.append(self._stop)
            self._stop = None
        self.complete = True
        return events

    def _started(self, seen: shapes.StreamEvent) -> Decoded:
        if seen.index in self._open:
            raise UpstreamMalformed(f"block {seen.index} starts twice")
        frame = _Frame(whole=False)
        self._open[seen.index] = self._start(seen.content_block, ("content_block",), frame)
        return frame.decoded()

    def _whole_block(self, raw: Raw, path: Path, frame: _Frame) -> None:
        frame.events.append(PartEnded(part=self._start(raw, path, frame).part))

    def _start(self, raw: Raw, path: Path, frame: _Frame) -> _Open:
        """The events of a block's beginning: what it has at once, and for a native item its strings."""
        word = shapes.typed(raw).type
        opened = _Open(part=self._next, kind=PARTS.get(word, "native"))
        self._next += 1
        if opened.kind == "native":
            opened.item = shapes.fields(raw)
            frame.events.append(_native(opened, word))
            frame.events.extend(_leaves(opened.item, path))
        elif opened.kind == "tool_call":
            self._call(opened, raw, path, frame)
        else:
            _prose(opened, shapes.block(raw), path, frame)
        return opened

    def _call(self, opened: _Open, raw: Raw, path: Path, frame: _Frame) -> None:
        block = shapes.block(raw)
        rest = {name: value for name, value in shapes.fields(raw).items() if name not in _CALL and value is not None}
        name = block.name or ""
        frame.events.append(
            PartStarted(
                part=opened.part,
                kind="tool_call",
                id=block.id or call_id(f"{self._begun}:{name}", opened.part),
                name=name,
                extras={FAMILY: rest} if rest else {},
            )
        )
        text = bytes(block.input).decode()
        if frame.whole or text not in _EMPTY_INPUTS:
            opened.filled = True
            frame.events.append(PartDelta(part=opened.part, kind="tool_call", text=text, whole=True))
            frame.repeats.append(Repeat(path=(*path, "input"), part=opened.part, kind="json"))

    def _delta(self, seen: shapes.StreamEvent, data: bytes) -> Decoded:
        delta = seen.delta
        opened = self._open.get(seen.index)
        if opened is None or delta is None:
            raise UpstreamMalformed(f"a delta for block {seen.index}, which is not open")
        member = DELTAS.get((opened.kind, delta.type))
        if member is None:
            return self._other_delta(opened, delta, data)
        text = getattr(delta, member)
        if text is None:
            raise UpstreamMalformed(f"a {delta.type} without {member}")
        if member == "signature":
            extras: Extras = {FAMILY: {"signature": text}}
            return Decoded(events=(PartDelta(part=opened.part, kind=opened.kind, extras=extras),))
        slot = Slot(("delta", member))
        if opened.filled:
            return Decoded(events=(PartDelta(part=-1, kind="text", text=text, slot=slot, whole=True),) if text else ())
        said = PartDelta(part=opened.part, kind=opened.kind, text=text, slot=slot)
        return Decoded(events=(said,), alike=opened.kind != "tool_call")

    def _other_delta(self, opened: _Open, delta: shapes.Delta, data: bytes) -> Decoded:
        """A citation, what fills a native item, or a delta nobody knows."""
        if delta.type == "citations_delta" and delta.citation is not None and opened.kind == "text":
            return Decoded(events=tuple(_cited(opened, delta.citation, ("delta", "citation"))))
        fields = shapes.fields(data)["delta"]
        if opened.kind == "native":
            if delta.partial_json is not None:
                opened.pieces.append(delta.partial_json)
            else:
                opened.item.update((name, value) for name, value in fields.items() if name != "type")
        return Decoded(events=tuple(_leaves(fields, ("delta",))))

    def _stopped(self, index: int) -> list[Event]:
        opened = self._open.pop(index, None)
        if opened is None:
            raise UpstreamMalformed(f"block {index} stops, which is not open")
        if opened.kind != "native":
            return [PartEnded(part=opened.part)]
        written = "".join(opened.pieces)
        if written:
            try:
                opened.item["input"] = shapes.anything(written)
            except _UNREADABLE:
                opened.item["input"] = {"input": written}  # cut off by the cap: what there is of it
        return [PartEnded(part=opened.part, extras={FAMILY: {"item": opened.item}})]


def _native(opened: _Open, word: str) -> PartStarted:
    identity = opened.item.get("id")
    return PartStarted(
        part=opened.part,
        kind="native",
        id=identity if isinstance(identity, str) else "",
        name=word,
        extras={FAMILY: {"item": opened.item}},
    )


def _prose(opened: _Open, block: shapes.Block, path: Path, frame: _Frame) -> None:
    """A text or a thought: what stands in its start, its citations, its opaque value."""
    extras: Extras = {}
    if block.type == "redacted_thinking":
        extras = {FAMILY: {"redacted": block.data or ""}}
    elif block.signature:
        extras = {FAMILY: {"signature": block.signature}}
    frame.events.append(PartStarted(part=opened.part, kind=opened.kind, extras=extras))
    member, text = ("text", block.text) if opened.kind == "text" else ("thinking", block.thinking)
    if text:
        slot = Slot((*path, member))
        frame.events.append(PartDelta(part=opened.part, kind=opened.kind, text=text, slot=slot, whole=frame.whole))
    for at, citation in enumerate(block.citations or ()):
        frame.events.extend(_cited(opened, citation, (*path, "citations", at)))


def _unknown(event: str, data: bytes, error: msgspec.ValidationError) -> Decoded:
    """An event whose members are not what we expect: all its strings if its type is new, else malformed."""
    value = shapes.anything(data)
    word = (value.get("type") or event) if isinstance(value, dict) else event
    if not isinstance(value, dict) or not isinstance(word, str) or word in EVENTS:
        raise UpstreamMalformed(f"an event of the upstream's stream is malformed: {error}") from error
    return Decoded(events=tuple(_leaves(value, ())))


def _opening(message: shapes.Message, fields: dict[str, Any], left: tuple[str, ...]) -> Started:
    rest = {k: v for k, v in fields.items() if k not in _MESSAGE and k not in left and v is not None}
    return Started(id=message.id or "", model=message.model or "", extras={FAMILY: rest} if rest else {})


def _finished(word: str | None, sequence: str | None, fields: dict[str, Any]) -> Finished:
    rest = {name: fields[name] for name in FINISH_EXTRAS if fields.get(name) is not None}
    stop = STOPS.get(word or "", "other")
    if stop == "other" and word:
        rest["stop_reason"] = word
    return Finished(stop=stop, native=word or "", sequence=sequence, extras={FAMILY: rest} if rest else {})


def _cited(opened: _Open, citation: dict[str, Any], path: Path) -> list[Event]:
    """The citation on its part, and its strings: text of a source, which no part's text repeats."""
    cited = PartDelta(part=opened.part, kind=opened.kind, citations=(read_citation(citation),))
    return [cited, *_leaves(citation, path)]


def _leaves(value: Any, path: Path) -> list[Event]:
    """Every string of a value as a text of its own, but for those of the grammar."""
    return [
        PartDelta(part=-1, kind="text", text=text, slot=Slot(at), whole=True) for text, at in texts(value, path) if text
    ]
