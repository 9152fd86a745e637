"""Events of any upstream, shown to a chat client: as a stream of chunks, and as one document.

Rules of this file:
- Each event is one chunk. The role comes first in each choice, `finish_reason` in a chunk of its own, usage (if
  asked for) in one without choices, then [DONE].
- Thoughts are `reasoning_content` (text) and `reasoning_details` (text with what must come back); entries of one
  thought have one `index`, and each opaque value is sent once, so that clients that merge by index and clients that
  append both keep it whole.
- Calls are numbered in order of their start. A call that said no arguments gets "{}": clients parse what they join.
- A client that offered `functions` (the form before tools) reads `function_call`.
- What has no place here is listed in `losses`, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from headgate.dialects.base import Ask, Json
from headgate.dialects.finish import beside
from headgate.dialects.naming import call_id
from headgate.dialects.openai_chat import reasoning
from headgate.dialects.openai_chat.errors import failed_body
from headgate.dialects.openai_chat.shown import (
    annotation,
    answer_id,
    audio,
    finish_word,
    image,
    legacy,
    logprobs_of,
    native,
    text_extras,
)
from headgate.dialects.openai_chat.usage import write_usage
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
from headgate.model.prompt import Extras, Loss, foreign
from headgate.model.usage import Usage

_encode = msgspec.json.encode


class _Part(Struct):
    """A part that is being shown. `number`: of a call among its choice's calls, or of a thought's entry."""

    kind: str
    number: int = 0
    base: int = 0
    said: bool = False
    summary: bool = False
    id: str = ""
    name: str = ""
    mime: str = ""
    extras: Extras = {}
    text: list[str] = []
    held: list[PartDelta | PartEnded] = []
    """What waits until the part before it, of the same string, has ended."""


_PROSE = frozenset(("text", "thinking", "refusal"))
"""Kinds whose parts are joined into one string here: they may not interleave."""


class _Choice(Struct):
    index: int
    calls: int = 0
    entries: int = 0
    cited: int = 0
    images: int = 0
    length: int = 0
    begun: bool = False
    finished: bool = False
    parts: dict[int, _Part] = {}
    lanes: dict[str, list[_Part]] = {}
    """Kind of prose -> its open parts in order of their start: the first is being shown."""


class Encoder:
    """See dialects.base.Encoder."""

    def __init__(self, ask: Ask) -> None:
        self.losses: list[Loss] = []
        self._ask = ask
        self._legacy = legacy(ask)
        self._id = answer_id("", ask)
        self._head = b""
        self._tail: bytes | None = None
        self._model = ask.model
        self._created = ask.created
        self._extras: Extras = {}
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._failed = False
        self._out: list[bytes] = []

    # ------------------------------------------------------------------ the interface

    def feed(self, events: Iterable[Event]) -> bytes:
        for event in events:
            _HANDLERS[type(event)](self, event)
        out = b"".join(self._out)
        self._out.clear()
        return out

    def end(self) -> bytes:
        if self._failed:
            return b""
        if not self._choices:  # an answer that says nothing still has a choice
            self._choice(0)
        for choice in self._choices.values():
            self._close(choice)
        if self._usage is not None and self._ask.include_usage:
            body = {**self._frame(), "choices": [], "usage": write_usage(self._usage)}
            self._out.append(b"data: " + _encode(body) + b"\n\n")
        self._out.append(b"data: [DONE]\n\n")
        out = b"".join(self._out)
        self._out.clear()
        return out

    # ------------------------------------------------------------------ chunks

    def _frame(self) -> Json:
        body: Json = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
        }
        for key in ("system_fingerprint", "service_tier"):
            value = self._extras.get("openai", {}).get(key)
            if isinstance(value, str):
                body[key] = value
        return body

    def _chunk(self, index: int, delta: bytes, finish: bytes = b"null", more: bytes = b"") -> None:
        """One chunk of a choice: `delta`, `finish`, `more` are JSON."""
        if not self._head:
            self._head = b"data: " + _encode(self._frame())[:-1] + b',"choices":[{"index":'
        self._out.append(
            b'%b%d,"delta":%b,"logprobs":%b,"finish_reason":%b}]}\n\n'
            % (self._head, index, delta, more or b"null", finish)
        )

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            for lower in range(len(self._choices), index):  # clients insert choices in order
                self._choice(lower)
            choice = self._choices[index] = _Choice(index, parts={}, lanes={kind: [] for kind in _PROSE})
        if not choice.begun:
            choice.begun = True
            self._chunk(index, b'{"role":"assistant","content":""}')
        return choice

    def _part(self, event: PartDelta | PartEnded) -> tuple[_Choice, _Part | None]:
        choice = self._choice(event.choice)
        return choice, choice.parts.get(event.part)

    # ------------------------------------------------------------------ events

    def _started(self, event: Started) -> None:
        self._id = event.id or self._id
        self._model = event.model or self._model
        self._created = event.created if event.created is not None else self._created
        merged(self._extras, event.extras)
        self.losses += beside(event.extras, "openai")
        self._head = b""

    def _part_started(self, event: PartStarted) -> None:
        choice = self._choice(event.choice)
        part = _Part(
            kind=event.kind,
            base=choice.length,
            id=event.id,
            name=event.name,
            mime=event.mime,
            extras=merged({}, event.extras),
            text=[],
            held=[],
        )
        choice.parts[event.part] = part
        if event.kind in _PROSE:
            choice.lanes[event.kind].append(part)
        elif event.kind in ("tool_call", "custom_call"):
            self._call_started(choice, part, event)

    def _call_started(self, choice: _Choice, part: _Part, event: PartStarted) -> None:
        part.number = choice.calls
        choice.calls += 1
        part.id = event.id or call_id(f"{self._id}:{event.name}:{choice.index}", event.part)
        if self._legacy:
            if part.number == 0:
                self._chunk(choice.index, _encode({"function_call": {"name": part.name, "arguments": ""}}))
            return
        kind, field = ("custom", "input") if part.kind == "custom_call" else ("function", "arguments")
        call: Json = {"index": part.number, "id": part.id, "type": kind, kind: {"name": part.name, field: ""}}
        signature = part.extras.get("google", {}).get("thoughtSignature")
        if signature:
            call["extra_content"] = {"google": {"thought_signature": signature}}
        self._chunk(choice.index, _encode({"tool_calls": [call]}))

    def _part_delta(self, event: PartDelta) -> None:
        if event.part < 0:
            return
        choice, part = self._part(event)
        if part is None:
            return
        if event.kind in _PROSE and choice.lanes[event.kind][0] is not part:
            part.held.append(event)
            return
        self._show(choice, part, event)

    def _show(self, choice: _Choice, part: _Part, event: PartDelta) -> None:
        if event.extras:
            merged(part.extras, event.extras)
        text = event.text
        if event.kind == "text":
            self._said(choice, part, event)
        elif not text:
            return
        elif event.kind == "thinking":
            self._thought(choice, part, text)
        elif event.kind == "refusal":
            self._chunk(choice.index, b'{"refusal":%b}' % _encode(text), more=logprobs_of(event, "refusal"))
        elif event.kind in ("tool_call", "custom_call"):
            part.said = True
            self._argued(choice, part, text)
        elif event.kind == "media":
            part.text.append(text)

    def _thought(self, choice: _Choice, part: _Part, text: str) -> None:
        told = _encode(text)
        style = b""
        if not part.said:  # an entry's number is taken by what is shown: clients insert at that place
            part.said = True
            part.number = choice.entries
            choice.entries += 1
            part.summary = "encrypted_content" in part.extras.get("openai", {})
            style = b',"format":"openai-responses-v1"' if part.summary else b""
        kind = b"summary" if part.summary else b"text"
        self._chunk(
            choice.index,
            b'{"reasoning_content":%b,"reasoning_details":[{"type":"reasoning.%b","%b":%b%b,"index":%d}]}'
            % (told, kind, kind, told, style, part.number),
        )

    def _said(self, choice: _Choice, part: _Part, event: PartDelta) -> None:
        if event.extras.get("openai", {}).get("transcript"):
            self._chunk(choice.index, b'{"audio":{"transcript":%b}}' % _encode(event.text))
        elif event.text or event.logprobs:
            choice.length += len(event.text)
            self._chunk(choice.index, b'{"content":%b}' % _encode(event.text), more=logprobs_of(event, "content"))
        if event.citations:
            found = []
            for citation in event.citations:
                shown = annotation(citation, part.base)
                if shown is None:
                    self.losses.append(Loss("answer.citation", "a citation here needs a URL", citation))
                else:
                    found.append({**shown, "index": choice.cited})
                    choice.cited += 1
            if found:
                self._chunk(choice.index, _encode({"annotations": found}))

    def _argued(self, choice: _Choice, part: _Part, text: str) -> None:
        told = _encode(text)
        if self._legacy:
            if part.number == 0:
                self._chunk(choice.index, b'{"function_call":{"arguments":%b}}' % told)
            else:
                part.text.append(text)
        elif part.kind == "custom_call":
            self._chunk(
                choice.index,
                b'{"tool_calls":[{"index":%d,"custom":{"input":%b}}]}' % (part.number, told),
            )
        else:
            self._chunk(
                choice.index,
                b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}' % (part.number, told),
            )

    def _part_ended(self, event: PartEnded) -> None:
        choice, part = self._part(event)
        if part is None:
            return
        if part.kind in _PROSE and choice.lanes[part.kind][0] is not part:
            part.held.append(event)
            return
        merged(part.extras, event.extras)
        self._leave(choice, event.part, part)

    def _leave(self, choice: _Choice, number: int, part: _Part) -> None:
        """A part has ended: what waited for that goes on."""
        del choice.parts[number]
        self._end_part(choice, part)
        if part.kind not in _PROSE:
            return
        lane = choice.lanes[part.kind]
        lane.pop(0)
        if lane:
            following = lane[0]
            following.base = choice.length
            held, following.held = following.held, []
            for event in held:
                self._part_delta(event) if isinstance(event, PartDelta) else self._part_ended(event)

    def _end_part(self, choice: _Choice, part: _Part) -> None:
        if part.kind == "tool_call" and not part.said:
            self._argued(choice, part, "{}")
        if part.kind in ("tool_call", "custom_call"):
            if self._legacy and part.number > 0:
                value = {"name": part.name, "arguments": "".join(part.text)}
                self.losses.append(Loss("answer.tool_call", "function_call holds one call", value))
            self._detail(choice, reasoning.attached(part.extras, part.id))
        elif part.kind == "thinking":
            sealing = reasoning.seal(part.extras, part.said)
            if sealing is not None:
                completes = part.said and bool(reasoning.text_key(sealing))
                self._detail(choice, sealing, part.number if completes else None)
        elif part.kind == "text":
            extras, loss = text_extras(part.extras)
            self.losses += loss
            self._detail(choice, reasoning.attached(extras, reasoning.CONTENT))
        elif part.kind == "media":
            self._media(choice, part)
        elif part.kind == "native":
            self.losses += native(part.name, part.extras)

    def _media(self, choice: _Choice, part: _Part) -> None:
        data = "".join(part.text)
        self.losses += foreign(part.extras, "openai", "answer.media")
        if sound := audio(part.mime, data, part.extras, self._id):
            self._chunk(choice.index, _encode({"audio": sound}))
        elif shown := image(part.mime, data, part.extras):
            self._chunk(choice.index, _encode({"images": [{**shown, "index": choice.images}]}))
            choice.images += 1
        else:
            self.losses.append(Loss("answer.media", f"{part.mime or 'media'} has no place here", data))

    def _detail(self, choice: _Choice, detail: reasoning.Detail | None, number: int | None = None) -> None:
        if detail is None:
            return
        if number is None:
            number = choice.entries
            choice.entries += 1
        self._chunk(choice.index, _encode({"reasoning_details": [{**detail, "index": number}]}))

    def _finished(self, event: Finished) -> None:
        choice = self._choice(event.choice)
        self._close(choice)
        if choice.finished:
            return
        choice.finished = True
        word, losses = finish_word(event.stop, event.extras)
        self.losses += losses
        if event.sequence is not None:
            self.losses.append(Loss("stop_sequence", "which one was met cannot be said here", event.sequence))
        if word == "tool_calls" and self._legacy:
            word = "function_call"
        self._chunk(choice.index, b"{}", _encode(word))

    def _close(self, choice: _Choice) -> None:
        while choice.parts:
            number, part = next(iter(choice.parts.items()))
            self._leave(choice, number, part)

    def _usage_seen(self, event: UsageSeen) -> None:
        self._usage = event.usage

    def _fail(self, event: Failed) -> None:
        self._failed = True
        self._out.append(b"data: " + _encode(failed_body(event, self._ask.id)) + b"\n\n")


_HANDLERS: dict[type, Any] = {
    Started: Encoder._started,
    PartStarted: Encoder._part_started,
    PartDelta: Encoder._part_delta,
    PartEnded: Encoder._part_ended,
    Finished: Encoder._finished,
    UsageSeen: Encoder._usage_seen,
    Failed: Encoder._fail,
}
