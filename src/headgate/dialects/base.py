"""What a dialect is. Everything here is pure: bytes and JSON in, values out, no clock, no network, no state between calls
but in a Decoder or an Encoder, which serve one answer each.

Two ways through a dialect:
- same dialect: `head` looks at the client's bytes, `edits` names the splices for this target, the answer's bytes pass;
  a `Decoder` reads along for the meter and the guards.
- crossing: `read` makes a Prompt of the client's JSON, the other dialect's `write` makes its JSON; its `Decoder` makes events,
  which this dialect's `Encoder` (stream) or `answer` (whole) shows to the client.

Translation is deterministic and prefix-stable: the same first messages give the same JSON, so that provider prompt caches hit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from msgspec import Struct, field

from headgate.errors import HeadgateError, UpstreamRefused
from headgate.model.ability import Need
from headgate.model.events import Answer, Decoded, Event, Path
from headgate.model.prompt import Family, Loss, Prompt

Json: TypeAlias = dict[str, Any]
Framing: TypeAlias = Literal["sse", "json-array", "whole"]


class Bulk(Struct, frozen=True):
    """The value of an outermost member that makes a long body long (`messages`): it stands at body[begin:end]."""

    key: str
    begin: int
    end: int

    def beside(self, body: bytes) -> bytes:
        """The body without it: every key of the outermost object is in that."""
        return body[: self.begin] + body[self.end :]


class Head(Struct, kw_only=True):
    """What routing, limits and metering need of a request, read from its bytes by typed partial decode (no full parse)."""

    model: str
    stream: bool = False
    max_output: int | None = None
    n: int = 1
    include_usage: bool = True
    """Whether the client asked to see usage in the stream (always so in dialects that have no switch)."""
    tools: bool = False
    objects: tuple[str, ...] = ()
    """Ids of things held upstream that the request refers to (previous_response_id, conversation)."""
    state: bool = False
    """The request needs a target that keeps state (previous_response_id, conversation, item references, background)."""
    stores: bool = False
    """The answer will be held upstream under its id (Responses `store`, which is on by default)."""
    body: bytes = b""
    """The bytes it was read from, for edits that only some targets need."""
    bulk: Bulk | None = None
    prose: bool = False
    """Its messages hold texts and calls alone: no media, and nothing opaque (so no carrier either)."""

    @property
    def rim(self) -> bytes:
        """The body, or what is beside its bulk."""
        return self.body if self.bulk is None else self.bulk.beside(self.body)


class Accepts(Struct, frozen=True, kw_only=True):
    """What a target takes, beyond its dialect: data of the provider files, read by `write` and `edits`. Defaults: all of it."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """OpenAI chat: the name to use; None keeps the client's own, and writes max_completion_tokens."""
    stream_usage: bool = True
    """OpenAI chat: `stream_options.include_usage` is understood."""
    developer_role: bool = True
    """OpenAI chat: role "developer" is understood; else it is written "system"."""
    tool_id: Literal["any", "openai", "anthropic", "mistral"] = "any"
    """Grammar of tool call ids: openai ≤ 40 characters · anthropic [a-zA-Z0-9_-]+ · mistral exactly 9 of [a-zA-Z0-9]."""
    parallel_tools: bool = True
    custom_tools: bool = False
    """OpenAI chat: free-form (custom) tools are understood; else they are wrapped as functions. OpenAI's own service alone."""
    json_schema: bool = True
    strict_tools: bool = True
    images: bool = True
    documents: bool = True
    audio: bool = True
    video: bool = False
    """OpenAI chat: `video_url` parts are understood."""
    cache_marks: bool = False
    """OpenAI chat: Anthropic's `cache_control` marks on parts and tools are understood (OpenRouter)."""
    state: bool = True
    """Responses: previous_response_id, conversation, background and store work here."""
    prefill: Literal["none", "message", "prefix", "partial", "flag"] = "none"
    """Whether a last message of the assistant's is gone on with, not answered: as it stands · OpenAI chat: where the message says
    `prefix: true` (Mistral) or `partial: true` (Moonshot, Qwen), or the request `continue_final_message: true` (vLLM, SGLang)."""
    reasoning_field: Literal["reasoning_details", "reasoning_content", "reasoning", "none"] = "reasoning_details"
    """OpenAI chat: where thoughts of earlier turns go back to."""
    thinking: Literal["adaptive", "budget"] = "adaptive"
    """Anthropic: how a model is told to think: adaptive with `output_config.effort`, or (models before Opus 4.6) by a budget."""
    verbatim: bool = False
    """Same dialect: the client's own words go up, whatever the fields above say of crossings (servers we know nothing about)."""
    drop: frozenset[str] = frozenset()
    """Top-level fields that this target refuses: listed as losses in a crossing, and refused clearly in the same dialect."""


class Target(Struct, frozen=True, kw_only=True):
    """Whom a request is written for."""

    model: str
    provider: str
    accepts: Accepts = Accepts()
    default_max_tokens: int = 4096
    """Where the dialect demands a cap and the client gave none (Anthropic): the model's own limit if known."""


class TextSlot(Struct, frozen=True, kw_only=True):
    """A text of the request that guards may read and replace. `kind` "arguments" is JSON text (scanned as decoded strings), "object"
    the same where the arguments stand as JSON themselves: `text` is what the value at `path` is in JSON."""

    path: Path
    text: str
    role: str
    kind: Literal["text", "arguments", "object"] = "text"


class Edit(Struct, frozen=True, kw_only=True):
    """A named edit of a JSON body: `value` (JSON bytes) goes to `path`; None removes the member. Missing objects on the way
    are made. `name` is for the trail: model, output_cap, stream_options, stream, guard, ..."""

    name: str
    path: Path
    value: bytes | None
    present: bool = False
    """The member is known to stand in the outermost object (`head` read it there)."""


class Written(Struct, kw_only=True):
    """A Prompt in a dialect's JSON."""

    json: Json
    losses: list[Loss] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    """Tool names that the target's grammar refused: its name -> the client's. Undone in the answer."""
    wrapped: frozenset[str] = frozenset()
    """Custom (free-form) tools offered as functions with one string argument `input`: calls are turned back in the answer."""


class Ask(Struct, kw_only=True):
    """What the client asked, as far as rendering its answer needs it."""

    id: str
    """Our request id ("req_..."): material for ids the dialect needs and the upstream did not give."""
    model: str
    """The name to show where the upstream gave none."""
    created: int
    stream: bool = False
    framing: Framing = "whole"
    include_usage: bool = True
    prompt: Prompt | None = None
    """Set in a crossing: the Responses dialect repeats instructions, tools, ... in its answer."""
    tool_ids: dict[str, str] = field(default_factory=dict)


class ModelCard(Struct, frozen=True, kw_only=True):
    """A model as `GET /v1/models` shows it."""

    id: str
    owner: str
    created: int = 0
    title: str = ""
    context: int | None = None
    max_output: int | None = None


class Decoder(Protocol):
    """One answer's way from JSON documents to events. Loud on the malformed: raises UpstreamMalformed."""

    complete: bool
    """The dialect's terminal event was seen, or an error in its place (a whole reply is complete). Else the end of the body is a
    truncation."""

    def feed(self, event: str, data: bytes) -> Decoded:
        """One stream event: its `event:` name ("" if none) and data. `data` may be b"[DONE]" or b""."""
        ...

    def whole(self, data: bytes) -> Decoded:
        """A whole JSON reply. Its deltas have `whole` set; sets `complete`."""
        ...

    def end(self) -> tuple[Event, ...]:
        """The body ended. Events still owed (PartEnded, Finished for dialects without a terminal mark), or Failed never: the
        caller raises UpstreamTruncated when `complete` is still False."""
        ...


class Encoder(Protocol):
    """One streamed answer's way from events to the client's bytes (framed). Used in crossings."""

    losses: list[Loss]

    def feed(self, events: Iterable[Event]) -> bytes: ...

    def end(self) -> bytes:
        """The terminal frames: whatever finish and usage events still await, then the terminal mark. Once, after the last feed."""
        ...


class Dialect(Protocol):
    name: str
    """openai_chat | openai_responses | anthropic_messages | gemini | openai_completions"""
    family: Family
    up_headers: frozenset[str]
    """Request headers (lower case) of the client that may go upward in the same dialect."""

    # requests, same dialect
    def head(self, body: bytes) -> Head:
        """Raises BadRequest (with `param`) for JSON that is malformed, not an object, or has wrong types in what we read.
        (Gemini: model and stream stand in the URL; the ingress sets them.)"""
        ...

    def edits(self, head: Head, target: Target) -> Sequence[Edit]:
        """The named edits that bring the client's own body to this target: model, stream options, output-cap name."""
        ...

    def needs(self, head: Head) -> set[Need]:
        """What the request asks of a model beside text. Never raises: what has another shape needs nothing that we know of."""
        ...

    def slots(self, json: Json) -> Iterator[TextSlot]:
        """Every text of the request a guard should see: instructions, all messages, tool results, tool descriptions, ..."""
        ...

    # requests, crossing
    def read(self, json: Json) -> Prompt:
        """Raises BadRequest with `param` for what the dialect itself forbids (an orphaned tool result, a wrong type)."""
        ...

    def write(self, prompt: Prompt, target: Target) -> Written: ...

    # answers
    def decoder(self) -> Decoder: ...

    def encoder(self, ask: Ask) -> Encoder: ...

    def answer(self, answer: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
        """A whole reply, and what of the answer it could not carry."""
        ...

    # the rest
    def refusal(self, status: int, body: bytes) -> UpstreamRefused:
        """What an upstream's error reply says. Never raises: an unreadable body gives the status alone. Retryable by table."""
        ...

    def error_body(self, error: HeadgateError, request_id: str) -> Json: ...

    def error_frame(self, error: HeadgateError, ask: Ask, last: bytes) -> bytes:
        """The error as the last thing of a stream that has begun (framed). `last`: the JSON of the frame sent before, or b""."""
        ...

    def models(self, cards: Sequence[ModelCard]) -> Json: ...

    def model(self, card: ModelCard) -> Json: ...

    def count_body(self, tokens: int) -> Json:
        """The answer of the dialect's token-count endpoint; raises NotFound where it has none."""
        ...

    def path(self, model: str, operation: str, stream: bool) -> str:
        """The upstream path below the provider's base, query included ("/chat/completions"). operation: generate | count."""
        ...
