"""Events of any dialect -> this dialect's JSON, streamed and whole.

Rules of this file:
- Google numbers nothing, so parts of a candidate are told one after another: what interleaves waits for the parts
  before it. Candidates do not wait for each other. What one feed brings goes into one frame.
- Calls and media are told when they are whole. A call whose arguments are no JSON object cannot be told: the candidate
  then ends as Google's own do, MALFORMED_FUNCTION_CALL with the text in finishMessage, and it is listed as a loss.
- Finish words, sources and usage stand in the last frame, which `end` gives.
- Opaque values of other families travel in `thoughtSignature`: in a stream in an empty part that ends the thought.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, field

from headgate.dialects.base import Ask, Json
from headgate.dialects.carrier import wrap
from headgate.dialects.finish import beside
from headgate.model.events import (
    Answer,
    Event,
    Failed,
    Finished,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    Started,
    UsageSeen,
    merged,
)
from headgate.model.prompt import Citation, Extras, Loss
from headgate.model.usage import Usage

from .errors import told
from .logprobs import write_logprobs
from .sources import grounding
from .tables import FAMILY, FINISH, FINISH_EXTRAS, STOPS
from .usage import write_usage

STREAMED = ("text", "thinking", "refusal")
BOUNDARY: Json = {"text": "", "thought": True, "thoughtSignature": wrap({})}
"""Ends a thought without a signature where another follows: its carrier must not be taken for both."""


class _Part(Struct):
    kind: PartKind
    number: int
    id: str = ""
    name: str = ""
    mime: str = ""
    extras: Extras = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    """The pieces that were told already."""
    cited: list[Citation] = field(default_factory=list)
    ended: bool = False


class _Choice:
    __slots__ = ("bare", "cited", "finished", "logprobs", "malformed", "numbers", "queue")

    def __init__(self) -> None:
        self.queue: list[_Part] = []
        """Parts that are not told to their end, the first of them as far as it came."""
        self.numbers: dict[int, _Part] = {}
        self.cited: list[_Part] = []
        self.logprobs: list[dict[str, Any]] = []
        self.finished: Finished | None = None
        self.malformed = ""
        self.bare: _Part | None = None
        """The thought told last, if it had no signature and nothing was told after it."""


class Encoder:
    """One streamed answer. See `headgate.dialects.base.Encoder`."""

    def __init__(self, ask: Ask) -> None:
        self.losses: list[Loss] = []
        self._ask = ask
        self._choices: dict[int, _Choice] = {}
        self._id = ask.id
        self._model = ask.model
        self._usage: Usage | None = None
        self._failed = False
        self._array = ask.framing == "json-array"
        self._begun = False

    def feed(self, events: Iterable[Event]) -> bytes:
        out = b""
        for event in events:
            match event:
                case PartDelta():
                    self._delta(event)
                case PartStarted():
                    choice = self._choice(event.choice)
                    part = _Part(event.kind, event.part, event.id, event.name, event.mime, merged({}, event.extras))
                    choice.numbers[event.part] = part
                    choice.queue.append(part)
                case PartEnded():
                    ended = self._choice(event.choice).numbers.get(event.part)
                    if ended is not None:
                        ended.ended = True
                        merged(ended.extras, event.extras)
                case UsageSeen():
                    self._usage = event.usage
                case Finished():
                    self._choice(event.choice).finished = event
                case Started():
                    self._id, self._model = event.id or self._id, event.model or self._model
                    self.losses += beside(event.extras, FAMILY)
                case Failed():
                    out += self._told(False)
                    self._failed = True
                    out += self._framed(told(event, self._ask.id))
        return out + self._told(False)

    def end(self) -> bytes:
        last = self._told(True)
        if not self._array:
            return last
        return last + (b"]\n" if self._begun else b"[]\n")

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
        return choice

    def _delta(self, event: PartDelta) -> None:
        choice = self._choice(event.choice) if event.part >= 0 else None
        part = choice.numbers.get(event.part) if choice is not None else None
        if part is None or choice is None:
            return  # a string of an unknown frame: not part of the answer
        if event.text:
            part.pieces.append(event.text)
        if event.extras:
            merged(part.extras, event.extras)
        part.cited.extend(event.citations)
        choice.logprobs.extend(event.logprobs)

    def _told(self, last: bool) -> bytes:
        """What can be told now, as one frame; b"" if nothing."""
        if self._failed:
            return b""
        candidates: list[Json] = []
        for index in sorted(self._choices):
            choice = self._choices[index]
            parts = self._parts(choice, last)
            candidate: Json = {}
            if parts:
                candidate["content"] = {"parts": parts, "role": "model"}
            if choice.logprobs and (parts or last):
                candidate["logprobsResult"] = write_logprobs(choice.logprobs)
                choice.logprobs = []
            if last and choice.finished is not None:
                candidate = finished(candidate, choice.finished, choice.malformed, choice.cited)
                self.losses += beside(choice.finished.extras, FAMILY)
            if candidate:
                candidates.append({**candidate, "index": index})
        if not candidates and not (last and (self._usage is not None or not self._begun)):
            return b""
        document: Json = {"candidates": candidates} if candidates else {}
        if last:
            blocked(document, self._choices[0].finished if 0 in self._choices else None, self._begun)
            if self._usage is not None:
                document["usageMetadata"] = write_usage(self._usage)
        return self._framed({**document, "modelVersion": self._model, "responseId": self._id})

    def _parts(self, choice: _Choice, last: bool) -> list[Json]:
        parts: list[Json] = []
        while choice.queue:
            part = choice.queue[0]
            streams, over = part.kind in STREAMED, part.ended or last
            made: list[Json] = []
            closing: list[Json] = []
            if streams and part.pieces:
                text = "".join(part.pieces)
                part.shown.append(text)
                part.pieces.clear()
                made.append({"text": text, "thought": True} if part.kind == "thinking" else {"text": text})
            if over:
                choice.queue.pop(0)
                if part.cited:
                    choice.cited.append(part)
                closing = _closing(part, self.losses) if streams else self._whole(choice, part)
                made += closing
            if made:
                parts += [BOUNDARY] if choice.bare is not None and part.kind == "thinking" else []
                choice.bare = None
                parts += made
            if not over:
                break
            if part.kind == "thinking" and part.shown and not closing:
                choice.bare = part
        return parts

    def _whole(self, choice: _Choice, part: _Part) -> list[Json]:
        written, malformed = whole(part, self.losses)
        choice.malformed = choice.malformed or malformed
        return written

    def _framed(self, document: Json) -> bytes:
        text = msgspec.json.encode(document)
        begun, self._begun = self._begun, True
        if self._array:
            return (b",\r\n" if begun else b"[") + text
        return b"data: " + text + b"\r\n\r\n"


def _closing(part: _Part, losses: list[Loss]) -> list[Json]:
    """The empty part that brings a text's or a thought's signature, where it has one."""
    signature = signed(part.extras, losses)
    if not signature:
        return []
    return [{"text": "", "thought": True, **signature} if part.kind == "thinking" else {"text": "", **signature}]


def signed(extras: Extras, losses: list[Loss]) -> Json:
    """{"thoughtSignature": ...}: Google's own, else a carrier of what other families put there."""
    own = extras.get(FAMILY, {}).get("thoughtSignature")
    others = {family: fields for family, fields in extras.items() if family != FAMILY and fields}
    if isinstance(own, str) and own:
        if others:
            losses.append(Loss("answer.extras", "the place is taken by a signature", others))
        return {"thoughtSignature": own}
    return {"thoughtSignature": wrap(others)} if others else {}


def whole(part: _Part, losses: list[Loss]) -> tuple[list[Json], str]:
    """(what a part that is told at once becomes, what Google would say of it if it is malformed)."""
    text = "".join(part.pieces)
    if part.kind == "native":
        item = part.extras.get(FAMILY, {}).get("item")
        if isinstance(item, dict):
            return [item], ""
        losses += [
            Loss(f"answer.{part.name or 'item'}", f"only {family} has it", x) for family, x in part.extras.items()
        ]
        return [], ""
    signature = signed(part.extras, losses)
    if part.kind == "media":
        return [{"inlineData": {"mimeType": part.mime or "application/octet-stream", "data": text}, **signature}], ""
    args: Any = {"input": text} if part.kind == "custom_call" else {}
    if part.kind == "tool_call" and text.strip():
        try:
            args = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            args = None
    if not isinstance(args, dict):
        losses.append(
            Loss("answer.tool_call", "arguments must be a JSON object", {"name": part.name, "arguments": text})
        )
        return [], f"Malformed function call: {part.name}({text})"
    identity = {"id": part.id} if part.id else {}
    return [{"functionCall": {**identity, "name": part.name, "args": args}, **signature}], ""


def finished(candidate: Json, event: Finished, malformed: str, cited: list[_Part]) -> Json:
    """The candidate with its end: finish word, sources, and what Google alone tells of it."""
    own = event.extras.get(FAMILY, {})
    word = event.native if STOPS.get(event.native) == _base(event) else FINISH[event.stop]
    unknown = own.get("finishReason")
    candidate["finishReason"] = unknown if isinstance(unknown, str) else word
    if malformed:
        if event.stop in ("tool_use", "stop"):
            candidate["finishReason"] = "MALFORMED_FUNCTION_CALL"
        candidate["finishMessage"] = malformed
    candidate.update({name: value for name, value in own.items() if name in FINISH_EXTRAS})
    if "groundingMetadata" not in candidate:
        texts = [(part.number, "".join(part.shown), part.cited) for part in cited]
        sources = grounding(texts)
        if sources:
            candidate["groundingMetadata"] = sources
    return candidate


def _base(event: Finished) -> str:
    """Google says STOP where others say that a tool is called."""
    return "stop" if event.stop == "tool_use" else event.stop


def blocked(document: Json, first: Finished | None, begun: bool) -> None:
    """A prompt that Google itself blocked is told as such: feedback, and no candidates."""
    feedback = first.extras.get(FAMILY, {}).get("promptFeedback") if first is not None else None
    if isinstance(feedback, dict):
        document["promptFeedback"] = feedback
        candidates = document.get("candidates", [])
        if not begun and not any("content" in candidate for candidate in candidates):
            document.pop("candidates", None)


def answer(answer: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
    """A whole reply, and what of the answer it could not carry."""
    losses: list[Loss] = []
    if answer.failed is not None:
        return told(answer.failed, ask.id), losses
    losses += beside(answer.extras, FAMILY)
    candidates: list[Json] = []
    for index, choice in enumerate(answer.choices):
        parts: list[Json] = []
        malformed = ""
        cited: list[_Part] = []
        for number, item in enumerate(choice.parts):
            part = _Part(item.kind, number, item.id, item.name, item.mime, item.extras, [item.text], [item.text])
            part.cited = item.citations
            if part.cited:
                cited.append(part)
            if part.kind in STREAMED:
                written = _text(part, losses)
                if written and part.kind == "thinking" and parts and parts[-1].keys() == {"text", "thought"}:
                    parts.append(BOUNDARY)
                parts += written
            else:
                written, why = whole(part, losses)
                parts += written
                malformed = malformed or why
        candidate: Json = {"content": {"parts": parts, "role": "model"}} if parts else {}
        logprobs = [token for item in choice.parts for token in item.logprobs]
        if logprobs:
            candidate["logprobsResult"] = write_logprobs(logprobs)
        if choice.stop is not None:
            end = Finished(choice=index, stop=choice.stop, native=choice.native, extras=choice.extras)
            candidate = finished(candidate, end, malformed, cited)
            losses += beside(choice.extras, FAMILY)
        candidates.append({**candidate, "index": index})
    document: Json = {"candidates": candidates}
    if answer.choices and answer.choices[0].stop is not None:
        first = answer.choices[0]
        blocked(document, Finished(stop=first.stop or "other", native=first.native, extras=first.extras), False)
    if answer.usage is not None:
        document["usageMetadata"] = write_usage(answer.usage)
    return {**document, "modelVersion": answer.model or ask.model, "responseId": answer.id or ask.id}, losses


def _text(part: _Part, losses: list[Loss]) -> list[Json]:
    text = "".join(part.pieces)
    signature = signed(part.extras, losses)
    if not text and not signature:
        return []
    return [{"text": text, "thought": True, **signature} if part.kind == "thinking" else {"text": text, **signature}]
