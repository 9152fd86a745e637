"""An answer's JSON -> events, whole or streamed.

Rules of this file:
- Google numbers nothing: in a stream, chunks of text go on with the part before them until the kind changes (text,
  thought, call ...), or a second signature comes, for a signature belongs to one part. In a whole reply each element
  is a part.
- A function call comes at once, its arguments an object: one delta holds their JSON text, the place is a "json"
  repeat. Vertex can stream them in pieces: their strings are shown one by one (part -1) as they come, the call when it
  is whole.
- What is neither text, thought, call nor image is a native item, carried whole; its strings are shown one by one (part
  -1), and so are strings of members not known here and the finish message, which may quote what the model said.
- The end is a finishReason for every candidate seen, or a blocked prompt, which has no candidates at all (status 200).
- Enumerations may come as numbers (`enum-encoding=int`); their numbering differs between Vertex and the Gemini API.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

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

from .checks import an_object, count, lists, objects, seconds, string, strings, word
from .errors import failure
from .logprobs import read_logprobs
from .partial import Arguments
from .sources import citations, segments
from .tables import (
    CALL_KEYS,
    CANDIDATE_KEYS,
    DOCUMENT_KEYS,
    FAMILY,
    FINISH_EXTRAS,
    PART_DATA,
    PART_KEYS,
    STOPS,
    UNFINISHED,
    generation,
)
from .usage import read_usage

_documents = msgspec.json.Decoder()


class _Choice:
    """One candidate: its parts so far, and the one that is open."""

    __slots__ = (
        "calling",
        "calls",
        "cited",
        "extras",
        "finished",
        "index",
        "kind",
        "number",
        "parts",
        "signature",
        "strings",
        "texts",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.parts = 0
        self.kind: PartKind | None = None
        """Of the open part; None where none is."""
        self.number = -1
        """Of the open part, else of the last."""
        self.signature = ""
        self.strings = 0
        """Strings of arguments in pieces so far."""
        self.calling: Arguments | None = None
        self.calls = False
        self.finished = False
        self.texts: dict[int, list[str]] = {}
        self.cited: list[Citation] = []
        self.extras: dict[str, Any] = {}


class Decoder:
    """One answer. See `headgate.dialects.base.Decoder`."""

    __slots__ = (
        "_blocked",
        "_choices",
        "_events",
        "_id",
        "_model",
        "_repeats",
        "_started",
        "_vertex",
        "_whole",
        "complete",
    )

    def __init__(self) -> None:
        self.complete = False
        self._choices: dict[int, _Choice] = {}
        self._events: list[Event] = []
        self._repeats: list[Repeat] = []
        self._started = False
        self._blocked = False
        self._whole = False
        self._vertex = False
        self._id = ""
        self._model = ""

    def feed(self, event: str, data: bytes) -> Decoded:
        if not data or data == b"[DONE]":
            return Decoded()
        return self._document(data)

    def whole(self, data: bytes) -> Decoded:
        self._whole = True
        decoded = self._document(data)
        self.complete = True
        return decoded

    def end(self) -> tuple[Event, ...]:
        self._events = []
        for choice in self._choices.values():
            self._close(choice)
        return tuple(self._events)

    def _document(self, data: bytes) -> Decoded:
        try:
            document = _documents.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise UpstreamMalformed(f"the upstream's answer is not JSON: {error}") from error
        if type(document) is not dict:
            raise UpstreamMalformed("the upstream's answer is not an object")
        self._events, self._repeats = [], []
        if document.get("error") is not None:
            self.complete = True
            return Decoded(events=(failure(document),))
        if not (self._started or DOCUMENT_KEYS.isdisjoint(document)):
            self._start(document)
        for position, item in enumerate(lists(document, "candidates")):
            self._candidate(an_object(item, "candidates"), position)
        self._feedback(objects(document, "promptFeedback"))
        if document.get("usageMetadata") is not None:
            self._used(objects(document, "usageMetadata"))
        for name in document.keys() - DOCUMENT_KEYS:
            self._show(document[name], (name,))
        self.complete = self._blocked or (
            bool(self._choices) and all(choice.finished for choice in self._choices.values())
        )
        return Decoded(events=tuple(self._events), repeats=tuple(self._repeats))

    def _start(self, document: dict[str, Any]) -> None:
        self._started = True
        self._id, self._model = string(document, "responseId"), string(document, "modelVersion")
        created = string(document, "createTime")
        self._vertex = bool(created) or "trafficType" in objects(document, "usageMetadata")
        unknown = {name: value for name, value in document.items() if name not in DOCUMENT_KEYS}
        extras: Extras = {FAMILY: unknown} if unknown else {}
        at = seconds(created) if created else None
        self._events.append(Started(id=self._id, model=self._model, created=at, extras=extras))

    def _candidate(self, candidate: dict[str, Any], position: int) -> None:
        index = count(candidate, "index") if candidate.get("index") is not None else position
        if not 0 <= index < 1024:
            raise UpstreamMalformed("the index of a candidate in the upstream's answer is out of bounds")
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
        first = len(self._events)
        base: Path = ("candidates", position, "content", "parts")
        for number, part in enumerate(lists(objects(candidate, "content"), "parts")):
            self._part(choice, an_object(part, "parts"), (*base, number))
        self._beside(choice, candidate, position)
        reason = word(candidate.get("finishReason"), self._vertex)
        if reason not in UNFINISHED:
            self._finish(choice, reason)
        if self._whole:
            self._close(choice)
            self._sort(first)

    def _sort(self, first: int) -> None:
        """In a whole reply, what is told late of a part (citations) goes to its place."""
        ours = self._events[first:]
        self._events[first:] = sorted(
            ours, key=lambda event: (getattr(event, "part", 1 << 30), isinstance(event, PartEnded))
        )

    def _part(self, choice: _Choice, part: dict[str, Any], path: Path) -> None:
        signature = string(part, "thoughtSignature")
        extras: Extras = {FAMILY: {"thoughtSignature": signature}} if signature else {}
        thought = part.get("thought") is True
        if not (part.keys() <= PART_KEYS or PART_DATA.isdisjoint(part) or (thought and "inlineData" in part)):
            self._besides(part, PART_KEYS, extras, path)
        if part.get("text") is not None:
            text = string(part, "text")
            kind: PartKind = "thinking" if thought else "text"
            if not (text or extras) and choice.kind != kind:
                return  # what many a stream ends with: no part begins with it
            if choice.kind != kind or self._whole or (signature and choice.signature not in ("", signature)):
                self._open(choice, kind)
            choice.signature = signature or choice.signature
            if kind == "text":
                choice.texts.setdefault(choice.number, []).append(text)
            self._delta(choice, text, Slot((*path, "text")) if text else None, self._whole, extras)
        elif part.get("functionCall") is not None:
            self._call(choice, objects(part, "functionCall"), extras, (*path, "functionCall"))
        elif part.get("inlineData") is not None and not thought:
            blob = objects(part, "inlineData")
            self._open(choice, "media", mime=string(blob, "mimeType"), extras=extras)
            self._delta(choice, string(blob, "data"), Slot((*path, "inlineData", "data")), True)
            self._close(choice)
        elif part:
            name = next((key for key in part if key not in ("thought", "thoughtSignature")), "thoughtSignature")
            self._open(choice, "native", name=name, extras={FAMILY: {"item": part}})
            self._close(choice)
            self._show(part, path)

    def _besides(self, fields: dict[str, Any], known: frozenset[str], extras: Extras, path: Path) -> None:
        """Members beside those that are read (a sound's transcription, metadata): they stay with the part, and are shown."""
        for name in fields.keys() - known:
            extras.setdefault(FAMILY, {})[name] = fields[name]
            self._show({name: fields[name]}, path)

    def _call(self, choice: _Choice, call: dict[str, Any], extras: Extras, path: Path) -> None:
        """A call, or a piece of one: pieces end with one that has neither a name nor `willContinue`."""
        name = string(call, "name")
        self._besides(call, CALL_KEYS, extras, path)
        if name or choice.calling is None:
            if not name:
                raise UpstreamMalformed("a function call in the upstream's answer has no name")
            identity = string(call, "id") or call_id(f"{self._id}:{name}:{choice.index}", choice.parts)
            self._open(choice, "tool_call", id=identity, name=name, extras=extras)
            choice.calls = True
            if call.get("willContinue") or call.get("partialArgs"):
                choice.calling = Arguments()
            else:
                self._arguments(choice, call, path)
                return
        for number, item in enumerate(lists(call, "partialArgs")):
            piece = an_object(item, "partialArgs")
            goes_on, text = choice.calling.add(piece), piece.get("stringValue")
            if isinstance(text, str) and text:
                choice.strings += not goes_on
                own = -1 - choice.strings  # a text of its own: the call's arguments are told when they are whole
                slot = Slot((*path, "partialArgs", number, "stringValue"))
                self._events.append(PartDelta(choice=choice.index, part=own, kind="custom_call", text=text, slot=slot))
        if not call.get("willContinue"):
            self._close(choice)

    def _arguments(self, choice: _Choice, call: dict[str, Any], path: Path) -> None:
        text = "{}"
        if call.get("args") is not None:
            text = msgspec.json.encode(objects(call, "args")).decode()
            self._repeats.append(Repeat(path=(*path, "args"), choice=choice.index, part=choice.number, kind="json"))
        self._delta(choice, text, None, True)
        self._close(choice)

    def _beside(self, choice: _Choice, candidate: dict[str, Any], position: int) -> None:
        """What stands beside the content: sources, logprobs, the finish message, members not known."""
        for name in candidate.keys() - {"content", "index", "finishReason"}:
            value = candidate[name]
            if name not in CANDIDATE_KEYS:
                self._show(value, ("candidates", position, name))
            if value is not None and (name in FINISH_EXTRAS or name not in CANDIDATE_KEYS):
                choice.extras[name] = value
        self._show(candidate.get("finishMessage"), ("candidates", position, "finishMessage"))
        if candidate.get("logprobsResult") is not None and choice.texts:
            part = choice.number if choice.kind == "text" else max(choice.texts)
            tokens = read_logprobs(objects(candidate, "logprobsResult"))
            self._repeats.append(
                Repeat(path=("candidates", position, "logprobsResult"), choice=choice.index, part=part, kind="drop")
            )
            if self._whole or choice.kind == "text":
                self._events.append(PartDelta(choice=choice.index, part=part, kind="text", logprobs=tokens))
        if not candidate.keys().isdisjoint(("groundingMetadata", "citationMetadata", "urlContextMetadata")):
            self._cite(choice, candidate, position)

    def _cite(self, choice: _Choice, candidate: dict[str, Any], position: int) -> None:
        texts = [(part, "".join(pieces)) for part, pieces in choice.texts.items()]
        found: dict[int, list[Citation]] = {}
        for part, citation in citations(candidate, texts):
            if citation not in choice.cited:
                choice.cited.append(citation)
                found.setdefault(part, []).append(citation)
        for part, cited in found.items():
            if self._whole or (choice.kind == "text" and part == choice.number):
                self._events.append(PartDelta(choice=choice.index, part=part, kind="text", citations=tuple(cited)))
        here = {
            event.part
            for event in self._events
            if isinstance(event, PartDelta) and event.slot is not None and event.choice == choice.index
        }
        for path in segments(candidate, position):
            for part, _ in texts:  # "drop" is bound to text of its own frame, if that has any: there, text is shown
                kind: Literal["text", "drop"] = "text" if part in here and not self._whole else "drop"
                self._repeats.append(Repeat(path=path, choice=choice.index, part=part, kind=kind))

    def _finish(self, choice: _Choice, reason: str) -> None:
        self._close(choice)
        if choice.finished:
            return
        choice.finished = True
        stop = STOPS.get(reason, "other")
        if stop == "stop" and choice.calls:
            stop = "tool_use"
        own = choice.extras if reason in STOPS else {**choice.extras, "finishReason": reason}
        self._events.append(
            Finished(choice=choice.index, stop=stop, native=reason, extras={FAMILY: own} if own else {}),
        )

    def _feedback(self, feedback: dict[str, Any]) -> None:
        reason = feedback.get("blockReason")
        if reason is not None and type(reason) not in (str, int):
            raise UpstreamMalformed("blockReason in the upstream's answer is not a word")
        if not reason or reason in UNFINISHED:
            return
        self._blocked = True
        self._show(feedback.get("blockReasonMessage"), ("promptFeedback", "blockReasonMessage"))
        for index in list(self._choices) or [0]:
            choice = self._choices.setdefault(index, _Choice(index))
            if not choice.finished:
                self._close(choice)
                choice.finished = True
                extras = {FAMILY: {**choice.extras, "promptFeedback": feedback}}
                self._events.append(
                    Finished(choice=choice.index, stop="content_filter", native=str(reason), extras=extras)
                )

    def _used(self, fields: dict[str, Any]) -> None:
        """Searches are billed one by one since Gemini 3, before that once for an answer, maps once for an answer
        (https://ai.google.dev/gemini-api/docs/pricing)."""
        usage = read_usage(fields)
        searches = maps = 0
        for choice in self._choices.values():
            grounding = objects(choice.extras, "groundingMetadata")
            searches += sum(1 for query in lists(grounding, "webSearchQueries") if query)
            maps += sum(1 for chunk in lists(grounding, "groundingChunks") if "maps" in an_object(chunk, "a chunk"))
        if searches:
            usage.requests["web_search"] = searches if (generation(self._model) or 3) >= 3 else 1
        if maps:
            usage.requests["maps"] = 1
        self._events.append(UsageSeen(usage=usage))

    def _show(self, value: Any, path: Path) -> None:
        """Every string in `value` that may be answer text, each alone."""
        for text, at in strings(value, path):
            self._events.append(PartDelta(part=-1, kind="text", text=text, slot=Slot(at), whole=True))

    def _open(self, choice: _Choice, kind: PartKind, extras: Extras | None = None, **words: str) -> None:
        """A new part. `words`: id, name or mime."""
        self._close(choice)
        choice.number = choice.parts
        choice.parts += 1
        choice.kind = kind
        choice.signature = ""
        choice.finished = False
        self._events.append(
            PartStarted(choice=choice.index, part=choice.number, kind=kind, extras=extras or {}, **words)
        )

    def _delta(self, choice: _Choice, text: str, slot: Slot | None, whole: bool, extras: Extras | None = None) -> None:
        self._events.append(
            PartDelta(
                choice=choice.index,
                part=choice.number,
                kind=choice.kind or "text",
                text=text,
                slot=slot,
                whole=whole,
                extras=extras or {},
            )
        )

    def _close(self, choice: _Choice) -> None:
        if choice.kind is None:
            return
        if choice.calling is not None:
            text = msgspec.json.encode(choice.calling.value).decode()
            choice.calling = None
            self._delta(choice, text, None, True)
        self._events.append(PartEnded(choice=choice.index, part=choice.number))
        choice.kind = None
