"""The closed set of things an answer consists of, and the frames they arrive in.

Rules of this file:
- One answer, whole or streamed, is: Started (PartStarted PartDelta* PartEnded)* Finished(per choice) UsageSeen*, or Failed anywhere.
  Parts of one choice are numbered 0, 1, 2, ... in order of their start and may interleave; two choices never mix.
- Text of a part is the concatenation of its deltas' `text`. For "tool_call" that is JSON text ("" means {}),
  for "custom_call" free text, for "media" base64, for "native" nothing (`extras[family]["item"]` holds the item).
- `extras` is namespaced by provider family and goes back only to that family. What arrives late (a signature) rides on a
  delta or on PartEnded; the fold merges extras of a part, later keys win, and adds up citations.
- An event that carries answer text of a frame's JSON has a `slot`: where in that frame the text stands.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from .prompt import Citation, Extras
from .usage import Usage

Path: TypeAlias = tuple[str | int, ...]
PartKind: TypeAlias = Literal["text", "thinking", "refusal", "tool_call", "custom_call", "media", "native"]
Stop: TypeAlias = Literal[
    "stop",
    "length",
    "tool_use",
    "stop_sequence",
    "content_filter",
    "refusal",
    "pause",
    "context_window",
    "malformed_call",
    "other",
]


class Slot(Struct):
    """Where a text stands in its frame's JSON (or request body). `home` is stamped by the event path: the waiting frame."""

    path: Path
    home: Any = None


class Started(Struct, frozen=True, kw_only=True):
    id: str = ""
    model: str = ""
    created: int | None = None
    extras: Extras = field(default_factory=dict)


class PartStarted(Struct, frozen=True, kw_only=True):
    """`id` and `name` belong to calls; a call without an id upstream gets a stable one from the decoder."""

    choice: int = 0
    part: int
    kind: PartKind
    id: str = ""
    name: str = ""
    mime: str = ""
    extras: Extras = field(default_factory=dict)


class PartDelta(Struct, frozen=True, kw_only=True):
    """`whole`: this text is complete in itself, scanned alone (a whole reply; a string of a frame nobody knows, which has
    part -1; a string outside of parts that comes in pieces has a number of its own below that). `logprobs` is the native token
    list of this text, in OpenAI chat form."""

    choice: int = 0
    part: int
    kind: PartKind
    text: str = ""
    slot: Slot | None = None
    whole: bool = False
    citations: tuple[Citation, ...] = ()
    logprobs: tuple[dict[str, Any], ...] = ()
    extras: Extras = field(default_factory=dict)


class PartEnded(Struct, frozen=True, kw_only=True):
    choice: int = 0
    part: int
    extras: Extras = field(default_factory=dict)


class UsageSeen(Struct, frozen=True, kw_only=True):
    """Cumulative: the last one holds for the whole answer. Decoders merge what their dialect splits."""

    usage: Usage


class Finished(Struct, frozen=True, kw_only=True):
    """`native` is the provider's own word; `sequence` the stop sequence that was met."""

    choice: int = 0
    stop: Stop
    native: str = ""
    sequence: str | None = None
    extras: Extras = field(default_factory=dict)


class Failed(Struct, frozen=True, kw_only=True):
    """An error inside an answer. `status` is the HTTP status it would have had (0: unknown)."""

    message: str
    code: str = ""
    type: str = ""
    status: int = 0
    retryable: bool = False


Event: TypeAlias = Started | PartStarted | PartDelta | PartEnded | UsageSeen | Finished | Failed


class Repeat(Struct, frozen=True, kw_only=True):
    """A place of a frame that repeats answer text: rewritten iff a guard edited that part.
    kind "text": set to the part's text as shown · "drop": set to null (logprobs of an edited text)
    · "json": like "text", but the place holds the parsed JSON value, not a string."""

    path: Path
    choice: int = 0
    part: int
    kind: Literal["text", "drop", "json"] = "text"


class Decoded(Struct, frozen=True, kw_only=True):
    """What one JSON document or one stream event of a dialect means."""

    events: tuple[Event, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    usage_only: bool = False
    """A frame that exists only because usage was asked for (OpenAI chat: empty choices + usage)."""
    alike: bool = False
    """One delta, whose slot holds its whole text. A document that differs in that text alone means the same but for it; the decoder
    is as it was before, and would be so then."""


def placed(events: tuple[Event, ...], repeats: tuple[Repeat, ...]) -> tuple[Event, ...]:
    """Arguments that arrived as an object have no text in the frame: their place is that of the object."""
    paths = {(repeat.choice, repeat.part): repeat.path for repeat in repeats if repeat.kind == "json"}
    return events if not paths else tuple(_placed(event, paths) for event in events)


def _placed(event: Event, paths: dict[tuple[int, int], Path]) -> Event:
    if isinstance(event, PartDelta) and event.slot is None and event.text:
        path = paths.get((event.choice, event.part))
        return event if path is None else replace(event, slot=Slot(path=path))
    return event


class Frame(Struct, kw_only=True):
    """What arrived together. `raw`: the upstream's bytes with their framing; `data`: the JSON document in it (None: a comment),
    `event`: its SSE name. `span`: where in `raw` the document stands, None if it is spread over several data lines."""

    raw: bytes
    data: bytes | None = None
    event: str = ""
    span: tuple[int, int] | None = None
    events: tuple[Event, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    usage_only: bool = False


class AnswerPart(Struct, kw_only=True):
    kind: PartKind
    text: str = ""
    id: str = ""
    name: str = ""
    mime: str = ""
    citations: list[Citation] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    extras: Extras = field(default_factory=dict)


class Choice(Struct, kw_only=True):
    parts: list[AnswerPart] = field(default_factory=list)
    stop: Stop | None = None
    native: str = ""
    sequence: str | None = None
    extras: Extras = field(default_factory=dict)


class Answer(Struct, kw_only=True):
    """The fold of an answer's events: what a whole reply is rendered from."""

    id: str = ""
    model: str = ""
    created: int | None = None
    choices: list[Choice] = field(default_factory=list)
    usage: Usage | None = None
    failed: Failed | None = None
    extras: Extras = field(default_factory=dict)


class Fold:
    """Events -> Answer. Feed in order; read `answer` at any time."""

    def __init__(self) -> None:
        self.answer = Answer()
        self._texts: dict[tuple[int, int], list[str]] = {}
        self._parts: dict[tuple[int, int], AnswerPart] = {}

    def _choice(self, index: int) -> Choice:
        choices = self.answer.choices
        while len(choices) <= index:
            choices.append(Choice())
        return choices[index]

    def feed(self, event: Event) -> None:
        match event:
            case PartDelta():
                self._delta(event)
            case PartStarted():
                part = AnswerPart(
                    kind=event.kind, id=event.id, name=event.name, mime=event.mime, extras=merged({}, event.extras)
                )
                self._choice(event.choice).parts.append(part)
                self._parts[event.choice, event.part] = part
                self._texts[event.choice, event.part] = []
            case PartEnded():
                key = (event.choice, event.part)
                if key in self._parts:
                    self._parts[key].text = "".join(self._texts[key])
                    merged(self._parts[key].extras, event.extras)
            case Finished():
                choice = self._choice(event.choice)
                choice.stop, choice.native, choice.sequence = event.stop, event.native, event.sequence
                merged(choice.extras, event.extras)
            case UsageSeen():
                self.answer.usage = event.usage
            case Failed():
                self.answer.failed = event
            case Started():
                answer = self.answer
                answer.id, answer.model = event.id or answer.id, event.model or answer.model
                answer.created = event.created if event.created is not None else answer.created
                merged(answer.extras, event.extras)

    def _delta(self, event: PartDelta) -> None:
        key = (event.choice, event.part)
        if key not in self._parts:
            return  # a string of an unknown frame: not part of the answer
        if event.text:
            self._texts[key].append(event.text)
        part = self._parts[key]
        part.citations.extend(event.citations)
        part.logprobs.extend(event.logprobs)
        if event.extras:
            merged(part.extras, event.extras)

    def close(self) -> Answer:
        """The answer with every text joined, also of parts that never ended."""
        for key, part in self._parts.items():
            part.text = "".join(self._texts[key])
        return self.answer


def merged(into: Extras, more: Extras) -> Extras:
    """`into`, with `more` laid over it one family at a time."""
    for family, fields in more.items():
        if family in into:
            into[family].update(fields)
        else:
            into[family] = dict(fields)
    return into


def unfold(answer: Answer) -> list[Event]:
    """Answer -> events: how a whole reply is told to a client that streams."""
    events: list[Event] = [Started(id=answer.id, model=answer.model, created=answer.created, extras=answer.extras)]
    for index, choice in enumerate(answer.choices):
        for number, part in enumerate(choice.parts):
            events.append(
                PartStarted(
                    choice=index,
                    part=number,
                    kind=part.kind,
                    id=part.id,
                    name=part.name,
                    mime=part.mime,
                    extras=part.extras,
                )
            )
            events.append(
                PartDelta(
                    choice=index,
                    part=number,
                    kind=part.kind,
                    text=part.text,
                    whole=True,
                    citations=tuple(part.citations),
                    logprobs=tuple(part.logprobs),
                )
            )
            events.append(PartEnded(choice=index, part=number))
        if choice.stop is not None:
            events.append(
                Finished(
                    choice=index, stop=choice.stop, native=choice.native, sequence=choice.sequence, extras=choice.extras
                )
            )
    if answer.usage is not None:
        events.append(UsageSeen(usage=answer.usage))
    if answer.failed is not None:
        events.append(answer.failed)
    return events
