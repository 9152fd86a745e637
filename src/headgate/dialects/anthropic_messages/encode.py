"""Events -> the stream a client of this dialect reads: message_start, blocks, message_delta, message_stop.

Rules of this file:
- Blocks may not interleave. One part at a time is shown; what another part says meanwhile waits. A text or a thought
  gives way as soon as a part of another kind has something to show, and opens a second block if it goes on; a call
  never does. Parts of one kind are shown in the order of their start, so texts join as they were told.
- A block opens when it has something to say: empty texts and thoughts are never shown, for the API refuses them when
  they come back.
- message_delta waits for the end, where usage is known; message_start shows what usage was seen by then, else 0.
- Only the first choice is shown; others, media and foreign native items are listed in `losses`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, field

from headgate.dialects.base import Ask
from headgate.dialects.finish import beside
from headgate.model.events import (
    Event,
    Failed,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
    UsageSeen,
    merged,
)
from headgate.model.prompt import Extras, Loss
from headgate.model.usage import Usage

from . import blocks
from .citations import write_citation
from .errors import failed_body, frame
from .tables import DELTA_EXTRAS, FAMILY, MESSAGE_EXTRAS
from .usage import write_usage

_GROUPS = {
    "text": "text",
    "refusal": "text",
    "thinking": "thinking",
    "tool_call": "call",
    "custom_call": "call",
    "media": "media",
    "native": "native",
}
_YIELDING = frozenset(("text", "thinking"))


class _Part(Struct):
    started: PartStarted
    group: str
    extras: Extras
    id: str = ""
    open: bool = False
    """Its block is the one that stands open."""
    written: str = ""
    """Of a call that cannot be shown piece by piece, of media: the text so far."""
    streamed: bool = False
    """A call whose arguments go out as they come."""
    begun: bool = False
    """Its block was opened once."""
    waiting: list[PartDelta | PartEnded] = field(default_factory=list)


class Encoder:
    """See `headgate.dialects.base.Encoder`."""

    def __init__(self, ask: Ask) -> None:
        self.losses: list[Loss] = []
        self._ask = ask
        self._started = Started()
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._failed = False
        self._begun = False
        self._index = -1
        self._live: dict[int, _Part] = {}
        self._current: int | None = None
        self._called = self._refused = False
        self._listed: set[str] = set()
        self._out: list[bytes] = []

    def feed(self, events: Iterable[Event]) -> bytes:
        for event in events:
            self._take(event)
        return self._flush()

    def end(self) -> bytes:
        if self._failed:
            return self._flush()
        self._begin()
        for number in list(self._live):
            if number in self._live:
                self._ended(PartEnded(part=number))
        delta: dict[str, Any] = {"stop_reason": None, "stop_sequence": None}
        event: dict[str, Any] = {"type": "message_delta", "delta": delta, "usage": write_usage(self._usage)}
        if self._finished is not None:
            delta["stop_reason"], losses = blocks.stop_word(self._finished, self._called, self._refused)
            self.losses += losses
            delta["stop_sequence"] = self._finished.sequence
            own = self._finished.extras.get(FAMILY, {})
            delta |= {name: own[name] for name in DELTA_EXTRAS if name in own}
            event |= {name: own[name] for name in MESSAGE_EXTRAS if name in own}
        self._say(event)
        self._say({"type": "message_stop"})
        return self._flush()

    def _flush(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _say(self, event: dict[str, Any]) -> None:
        self._out.append(frame(event["type"], event))

    def _take(self, event: Event) -> None:
        match event:
            case PartDelta() | PartStarted() | PartEnded() | Finished() if event.choice:
                self._lose("n", "this dialect shows one choice", event.choice)
            case PartDelta():
                if event.part in self._live:  # else a string of a frame nobody knows
                    self._delta(event)
            case PartStarted():
                self._part(event)
            case PartEnded():
                if event.part in self._live:
                    self._ended(event)
            case UsageSeen():
                self._usage = event.usage
            case Finished():
                self._finished = event
            case Started():
                self._started = event
                self.losses += beside(event.extras, FAMILY)
            case Failed():
                self._failed = True
                self._say(failed_body(event, self._ask.id))

    def _lose(self, what: str, why: str, value: object) -> None:
        """Once for each kind and value."""
        if f"{what}:{value}" not in self._listed:
            self._listed.add(f"{what}:{value}")
            self.losses.append(Loss(what, why, value))

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            message = blocks.message(self._started, self._ask)
            usage = write_usage(self._usage)
            self._say({"type": "message_start", "message": {**message, "usage": usage}})

    def _part(self, event: PartStarted) -> None:
        self._begin()
        part = _Part(started=event, group=_GROUPS[event.kind], extras=merged({}, event.extras))
        self._live[event.part] = part
        if part.group == "call":
            self._called = True
            part.id = blocks.shown_id(self._ask, event.part, event.id, event.name)
        self._refused |= event.kind == "refusal"

    def _turn(self, number: int) -> bool:
        """Whether this part may show something now: it then has the floor."""
        if self._current == number:
            return True
        holder = self._live.get(self._current) if self._current is not None else None
        if holder is not None and holder.group not in _YIELDING:
            return False
        group = self._live[number].group
        if any(other < number and part.group == group for other, part in self._live.items()):
            return False
        if holder is not None:
            self._close(holder)
        self._current = number
        return True

    def _delta(self, event: PartDelta) -> None:
        part = self._live[event.part]
        if event.logprobs:
            self._lose("logprobs", "this dialect has no logprobs", None)
        if part.waiting or not self._turn(event.part):
            part.waiting.append(event)
        else:
            self._show(part, event)

    def _ended(self, event: PartEnded) -> None:
        part = self._live[event.part]
        if part.waiting or not self._turn(event.part):
            part.waiting.append(event)
            return
        merged(part.extras, event.extras)
        self._finish(part)
        del self._live[event.part]
        self._current = None
        for number, other in list(self._live.items()):
            if other.waiting and number in self._live and self._turn(number):
                self._catch_up(number, other)

    def _catch_up(self, number: int, part: _Part) -> None:
        waiting, part.waiting = part.waiting, []
        for event in waiting:
            if number in self._live:  # the stream's end ends a part once more
                self._ended(event) if isinstance(event, PartEnded) else self._delta(event)

    def _open(self, part: _Part, block: dict[str, Any]) -> None:
        self._index += 1
        part.open = part.begun = True
        self._say({"type": "content_block_start", "index": self._index, "content_block": block})

    def _add(self, kind: str, member: str, value: object) -> None:
        self._say({"type": "content_block_delta", "index": self._index, "delta": {"type": kind, member: value}})

    def _close(self, part: _Part) -> None:
        if not part.open:
            return
        part.open = False
        if part.group == "thinking":
            self._add("signature_delta", "signature", blocks.signature(part.extras))
            part.extras = {}
        self._say({"type": "content_block_stop", "index": self._index})

    def _show(self, part: _Part, event: PartDelta) -> None:
        if event.extras:
            merged(part.extras, event.extras)
        if part.group == "call":
            self._show_call(part, event.text)
        elif part.group == "text":
            if not part.open and (event.text or event.citations):
                self._open(part, {"type": "text", "text": ""})
            if event.text:
                self._add("text_delta", "text", event.text)
            for citation in event.citations:
                self._add("citations_delta", "citation", write_citation(citation))
        elif part.group == "thinking":
            if event.text:
                if not part.open:
                    self._open(part, {"type": "thinking", "thinking": "", "signature": ""})
                self._add("thinking_delta", "thinking", event.text)
        else:
            part.written += event.text

    def _show_call(self, part: _Part, text: str) -> None:
        if part.started.kind == "custom_call":
            self._open_call(part, '{"input":"')
            if text:
                self._add("input_json_delta", "partial_json", msgspec.json.encode(text).decode()[1:-1])
        elif part.streamed:
            if text:
                self._add("input_json_delta", "partial_json", text)
        else:
            part.written += text
            if part.written.lstrip().startswith("{"):
                part.streamed = True
                self._open_call(part, part.written)

    def _open_call(self, part: _Part, first: str) -> None:
        if part.open:
            return
        self._beside(part, part.id)
        self._open(part, blocks.call_block(part.id, part.started.name, part.extras))
        self._add("input_json_delta", "partial_json", first)

    def _beside(self, part: _Part, of: str) -> None:
        """An empty thinking block with what the part's own upstream wants back."""
        opaque = blocks.carried(part.extras, of)
        self.losses += blocks.uncarried(part.extras, "content")
        part.extras = {FAMILY: part.extras[FAMILY]} if FAMILY in part.extras else {}
        if opaque is not None:
            self._index += 1
            block = {"type": "thinking", "thinking": "", "signature": ""}
            self._say({"type": "content_block_start", "index": self._index, "content_block": block})
            self._add("signature_delta", "signature", opaque)
            self._say({"type": "content_block_stop", "index": self._index})

    def _finish(self, part: _Part) -> None:
        match part.group:
            case "text":
                self._close(part)
                self._beside(part, "previous")
            case "thinking":
                self._finish_thinking(part)
            case "call":
                self._finish_call(part)
            case "native":
                self._finish_native(part)
            case _:
                value = {"mime": part.started.mime, "data": part.written}
                self.losses.append(Loss("content.media", "this dialect's answers have no media", value))

    def _finish_thinking(self, part: _Part) -> None:
        if not part.open and any(part.extras.values()):
            block = blocks.thinking_block("", part.extras)
            if block["type"] == "redacted_thinking":
                self._open(part, block)
                part.group = "redacted"
            else:
                self._open(part, block | {"signature": ""})
        self._close(part)

    def _finish_call(self, part: _Part) -> None:
        if part.started.kind == "custom_call":
            self._open_call(part, '{"input":"')
            self._add("input_json_delta", "partial_json", '"}')
        elif not part.streamed:
            value, losses = blocks.tool_input(part.written)
            self.losses += losses
            self._open_call(part, msgspec.json.encode(value).decode())
        self._close(part)
        self._beside(part, part.id)

    def _finish_native(self, part: _Part) -> None:
        item = part.extras.get(FAMILY, {}).get("item")
        if not isinstance(item, dict):
            self.losses += blocks.uncarried(part.extras, "content")
            return
        if "input" in item:
            self._open(part, item | {"input": {}})
            self._add("input_json_delta", "partial_json", msgspec.json.encode(item["input"]).decode())
        elif item.get("type") == "compaction":
            self._open(part, item | {"content": None})
            delta = {"type": "compaction_delta"} | {
                name: item[name] for name in ("content", "encrypted_content") if name in item
            }
            self._say({"type": "content_block_delta", "index": self._index, "delta": delta})
        else:
            self._open(part, item)
        self._close(part)
