"""An answer's JSON -> events, whole or streamed.

Rules of this file:
- Blocks of one message carry an `index`; each started block becomes a part with its own number, so that a second message
  in the same stream (some relays join them) goes on where the first ended, its stop and usage holding. A message that
  begins while a block of another is open is malformed: half a tool call would run into the next one.
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

from headgate.dialects.anthropic_messages.errors import failure
from headgate.dialects.anthropic_messages.tables import DELTAS, FAMILY, PARTS, STOPS
from headgate.dialects.anthropic_messages.texts import texts
from headgate.dialects.anthropic_messages.usage import merge_usage, read_usage
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
from headgate.model.prompt import Citation, Extras

_NONE = Raw(b"null")


class _Typed(Struct):
    type: str


class _Block(Struct):
    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = _NONE
    citations: list[dict[str, Any]] | None = None


class _Delta(Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: dict[str, Any] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Message(Struct):
    id: str | None = None
    model: str | None = None
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: dict[str, Any] | None = None


class _Event(Struct):
    type: str = ""
    index: int = -1
    delta: _Delta | None = None
    content_block: Raw = _NONE
    message: Raw = _NONE
    usage: dict[str, Any] | None = None


class _Open(Struct):
    """A block that has started: its part's number and kind; for a native item what has come of it."""

    part: int
    kind: PartKind
    item: dict[str, Any] = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)
    filled: bool = False
    """The whole input stood in the block's start: what deltas repeat of it is not added."""


_events = msgspec.json.Decoder(_Event)
_messages = msgspec.json.Decoder(_Message)
_typed = msgspec.json.Decoder(_Typed)
_blocks = msgspec.json.Decoder(_Block)
_anything = msgspec.json.Decoder()
_objects = msgspec.json.Decoder(dict[str, Any])

_FINISH_EXTRAS = ("stop_details", "container", "context_management", "input_transformations", "diagnostics")
"""Members of a message (or of its last delta) beside stop reason and usage, kept for the same family."""


class Decoder:
    """One answer. See `headgate.dialects.base.Decoder`."""

    __slots__ = ("_begun", "_next", "_open", "_stop", "_usage", "complete")

    def __init__(self) -> None:
        self.complete = False
        self._open: dict[int, _Open] = {}
        self._next = 0
        self._usage: dict[str, Any] = {}
        self._begun = ""
        self._stop: Finished | None = None

    def feed(self, event: str, data: bytes) -> Decoded:
        if not data or data == b"[DONE]":
            return Decoded()
        try:
            seen = _events.decode(data)
        except msgspec.ValidationError as error:
            return _unknown(event, data, error)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise UpstreamMalformed(f"an event of the upstream's stream is not JSON: {error}") from error
        try:
            match seen.type or event:
                case "content_block_delta":
                    return self._delta(seen, data)
                case "content_block_start":
                    return self._started(seen.index, seen.content_block)
                case "content_block_stop":
                    return Decoded(events=tuple(self._stopped(seen.index)))
                case "message_delta":
                    return Decoded(events=tuple(self._message_delta(seen, data)))
                case "message_start":
                    return self._message_start(seen.message)
                case "message_stop":
                    return Decoded(events=tuple(self._message_stop()))
                case "error":
                    return Decoded(events=(failure(data),))
                case "ping":
                    return Decoded()
                case _:
                    return Decoded(events=tuple(leaves(_anything.decode(data), ())))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise UpstreamMalformed(f"an event of the upstream's stream is malformed: {error}") from error

    def whole(self, data: bytes) -> Decoded:
        try:
            message = _messages.decode(data)
            fields = _objects.decode(data)
            if fields.get("type") == "error":
                return Decoded(events=(failure(data),))
            if message.content is None:
                raise UpstreamMalformed("the upstream's answer has no content")
            events: list[Event] = [_opening(message, fields, frozenset(_FINISH_EXTRAS))]
            repeats: list[Repeat] = []
            for index, raw in enumerate(message.content):
                self._whole_block(raw, ("content", index), events, repeats)
            events.append(_finished(message.stop_reason, message.stop_sequence, fields))
            if message.usage is not None:
                self._usage = merge_usage(self._usage, message.usage)
                events.append(UsageSeen(usage=read_usage(self._usage)))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise UpstreamMalformed(f"the upstream's answer is malformed: {error}") from error
        self.complete = True
        return Decoded(events=tuple(events), repeats=tuple(repeats))

    def end(self) -> tuple[Event, ...]:
        return tuple(event for index in sorted(self._open) for event in self._stopped(index))

    def _message_start(self, raw: Raw) -> Decoded:
        message = _messages.decode(raw)
        identity = message.id or ""
        if self._open:
            raise UpstreamMalformed("a second message begins inside a block of the first")
        if self._begun and self._begun == identity and not self.complete:
            return Decoded()  # some relays send the start twice
        first = not self._begun
        self._begun, self._stop, self.complete = identity or "-", None, False
        fields = _objects.decode(raw)
        events: list[Event] = [_opening(message, fields, frozenset())] if first else []
        repeats: list[Repeat] = []
        for index, block in enumerate(message.content or ()):
            self._whole_block(block, ("message", "content", index), events, repeats)
        if message.usage is not None:
            self._usage = merge_usage({}, message.usage)
            events.append(UsageSeen(usage=read_usage(self._usage)))
        if message.stop_reason is not None:
            self._stop = _finished(message.stop_reason, message.stop_sequence, fields)
        return Decoded(events=tuple(events), repeats=tuple(repeats))

    def _message_delta(self, seen: _Event, data: bytes) -> list[Event]:
        events: list[Event] = []
        delta = seen.delta
        if delta is not None and delta.stop_reason is not None:
            fields = _objects.decode(data)
            self._stop = None
            events.append(_finished(delta.stop_reason, delta.stop_sequence, fields | fields["delta"]))
        if seen.usage is not None:
            self._usage = merge_usage(self._usage, seen.usage)
            events.append(UsageSeen(usage=read_usage(self._usage)))
        return events

    def _message_stop(self) -> list[Event]:
        events = list(self.end())
        if self._stop is not None:
            events.append(self._stop)
            self._stop = None
        self.complete = True
        return events

    def _started(self, index: int, raw: Raw) -> Decoded:
        if index in self._open:
            raise UpstreamMalformed(f"block {index} starts twice")
        events: list[Event] = []
        repeats: list[Repeat] = []
        self._open[index] = self._start(raw, ("content_block",), events, repeats, streamed=True)
        return Decoded(events=tuple(events), repeats=tuple(repeats))

    def _start(self, raw: Raw, path: Path, events: list[Event], repeats: list[Repeat], *, streamed: bool) -> _Open:
        """The events of a block's beginning: what it has at once, and for a native item its strings."""
        word = _typed.decode(raw).type
        kind = PARTS.get(word, "native")
        opened = _Open(part=self._next, kind=kind)
        self._next += 1
        if kind == "native":
            opened.item = _objects.decode(raw)
            identity = opened.item.get("id")
            events.append(
                PartStarted(
                    part=opened.part,
                    kind=kind,
                    id=identity if isinstance(identity, str) else "",
                    name=word,
                    extras={FAMILY: {"item": opened.item}},
                )
            )
            events.extend(leaves(opened.item, path))
            return opened
        block = _blocks.decode(raw)
        if kind == "tool_call":
            self._call(opened, block, raw, path, events, repeats, streamed)
            return opened
        events.append(PartStarted(part=opened.part, kind=kind, extras=_opaque(block)))
        member = "text" if kind == "text" else "thinking"
        written = getattr(block, member)
        if written or (written is not None and not streamed):
            slot = Slot((*path, member))
            events.append(PartDelta(part=opened.part, kind=kind, text=written, slot=slot, whole=not streamed))
        for at, citation in enumerate(block.citations or ()):
            events.extend(_cited(opened, citation, (*path, "citations", at)))
        return opened

    def _call(
        self,
        opened: _Open,
        block: _Block,
        raw: Raw,
        path: Path,
        events: list[Event],
        repeats: list[Repeat],
        streamed: bool,
    ) -> None:
        rest = {k: v for k, v in _objects.decode(raw).items() if k not in _CALL and v is not None}
        name = block.name or ""
        identity = block.id or call_id(f"{self._begun}:{name}", opened.part)
        extras: Extras = {FAMILY: rest} if rest else {}
        events.append(PartStarted(part=opened.part, kind="tool_call", id=identity, name=name, extras=extras))
        text = bytes(block.input).decode()
        if text not in ("{}", "null", '""') or not streamed:
            opened.filled = streamed
            events.append(PartDelta(part=opened.part, kind="tool_call", text=text, whole=True))
            repeats.append(Repeat(path=(*path, "input"), part=opened.part, kind="json"))

    def _whole_block(self, raw: Raw, path: Path, events: list[Event], repeats: list[Repeat]) -> None:
        opened = self._start(raw, path, events, repeats, streamed=False)
        events.append(PartEnded(part=opened.part))

    def _delta(self, seen: _Event, data: bytes) -> Decoded:
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
        return Decoded(events=(PartDelta(part=opened.part, kind=opened.kind, text=text, slot=slot),))

    def _other_delta(self, opened: _Open, delta: _Delta, data: bytes) -> Decoded:
        """A citation, what fills a native item, or a delta nobody knows."""
        if delta.type == "citations_delta" and delta.citation is not None and opened.kind == "text":
            return Decoded(events=tuple(_cited(opened, delta.citation, ("delta", "citation"))))
        fields = _objects.decode(data)["delta"]
        if opened.kind == "native":
            if delta.partial_json is not None:
                opened.pieces.append(delta.partial_json)
            else:
                opened.item.update((k, v) for k, v in fields.items() if k != "type")
        return Decoded(events=tuple(leaves(fields, ("delta",))))

    def _stopped(self, index: int) -> list[Event]:
        opened = self._open.pop(index, None)
        if opened is None:
            raise UpstreamMalformed(f"block {index} stops, which is not open")
        if opened.kind != "native":
            return [PartEnded(part=opened.part)]
        written = "".join(opened.pieces)
        if written:
            try:
                opened.item["input"] = _anything.decode(written)
            except msgspec.DecodeError as error:
                raise UpstreamMalformed("the input of a server tool is not JSON") from error
        return [PartEnded(part=opened.part, extras={FAMILY: {"item": opened.item}})]


_CALL = frozenset(("type", "id", "name", "input"))
_EVENTS = frozenset(
    (
        "message_start",
        "message_delta",
        "message_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "ping",
        "error",
    )
)
_MESSAGE = frozenset(("id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"))


def _unknown(event: str, data: bytes, error: msgspec.ValidationError) -> Decoded:
    """An event whose members are not what we expect: all its strings if its type is new, else malformed."""
    value = _anything.decode(data)
    word = (value.get("type") or event) if isinstance(value, dict) else event
    if not isinstance(value, dict) or not isinstance(word, str) or word in _EVENTS:
        raise UpstreamMalformed(f"an event of the upstream's stream is malformed: {error}") from error
    return Decoded(events=tuple(leaves(value, ())))


def _opening(message: _Message, fields: dict[str, Any], left: frozenset[str]) -> Started:
    rest = {k: v for k, v in fields.items() if k not in _MESSAGE and k not in left and v is not None}
    return Started(id=message.id or "", model=message.model or "", extras={FAMILY: rest} if rest else {})


def _finished(word: str | None, sequence: str | None, fields: dict[str, Any]) -> Finished:
    rest = {key: fields[key] for key in _FINISH_EXTRAS if fields.get(key) is not None}
    stop = STOPS.get(word or "", "other")
    if stop == "other" and word:
        rest["stop_reason"] = word
    return Finished(stop=stop, native=word or "", sequence=sequence, extras={FAMILY: rest} if rest else {})


def _opaque(block: _Block) -> Extras:
    if block.type == "redacted_thinking":
        return {FAMILY: {"redacted": block.data or ""}}
    return {FAMILY: {"signature": block.signature}} if block.signature else {}


def _cited(opened: _Open, citation: dict[str, Any], path: Path) -> list[Event]:
    """The citation on its part, and its strings: text of a source, which no part's text repeats."""
    return [
        PartDelta(part=opened.part, kind=opened.kind, citations=(read_citation(citation),)),
        *leaves(citation, path),
    ]


def read_citation(citation: dict[str, Any]) -> Citation:
    """The neutral citation; the native object rides along whole for the same family."""

    def text(*names: str) -> str | None:
        return next((citation[name] for name in names if isinstance(citation.get(name), str)), None)

    return Citation(
        url=text("url"),
        title=text("title", "document_title"),
        quote=text("cited_text"),
        extras={FAMILY: {"citation": citation}},
    )


def leaves(value: Any, path: Path) -> list[Event]:
    """Every string of a value as a text of its own, but for those of the grammar."""
    return [
        PartDelta(part=-1, kind="text", text=text, slot=Slot(at), whole=True) for text, at in texts(value, path) if text
    ]
