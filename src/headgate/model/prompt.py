"""The neutral request: what a crossing (client dialect ≠ upstream dialect) passes through.

Rules of this file:
- A `Prompt` is a *view*. In the same dialect the client's own bytes go up and no Prompt is built.
- What one family alone understands rides in `extras[family]` of the element it belongs to (a part, a tool,
  a message, the prompt) and is written back only to that family. A writer of another family lists it as a `Loss`.
- Families are "openai", "anthropic", "google": whoever defined the field, not whoever serves the model.
- Boundaries between messages carry no meaning; the order of (role, part) does. `flat` is that normal form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

Family: TypeAlias = str
Extras: TypeAlias = dict[Family, dict[str, Any]]
Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]


class Loss(Struct, frozen=True):
    """What a crossing could not carry. `what` is a short stable name ("logit_bias", "messages.image.detail"),
    safe to show in a header; `value` is the thing itself, for explain and tests, never for a log."""

    what: str
    why: str
    value: Any = None


class Citation(Struct, kw_only=True):
    """Where a stretch of answer text comes from. `start`/`end` are character offsets in the part's text."""

    url: str | None = None
    title: str | None = None
    quote: str | None = None
    start: int | None = None
    end: int | None = None
    extras: Extras = field(default_factory=dict)


class Text(Struct, tag="text", kw_only=True):
    text: str
    citations: list[Citation] = field(default_factory=list)
    extras: Extras = field(default_factory=dict)


class Media(Struct, tag="media", kw_only=True):
    """An image, sound, film or document. Exactly one of `data` (base64), `url`, `file_id`, `text` is set."""

    kind: Literal["image", "audio", "video", "document"]
    mime: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    text: str | None = None
    name: str | None = None
    detail: str | None = None
    extras: Extras = field(default_factory=dict)


class Thinking(Struct, tag="thinking", kw_only=True):
    """Reasoning shown by a model. `text` may be empty: signature-only, redacted and encrypted reasoning live in extras
    (anthropic: signature | redacted; openai: id, encrypted_content, ...; google: thoughtSignature)."""

    text: str
    extras: Extras = field(default_factory=dict)


class Refusal(Struct, tag="refusal", kw_only=True):
    text: str
    extras: Extras = field(default_factory=dict)


class ToolCall(Struct, tag="tool_call", kw_only=True):
    """`arguments` is the JSON text as the model wrote it (never re-serialised) for kind "function", free text for
    kind "custom". Empty arguments are "{}"."""

    id: str
    name: str
    arguments: str
    kind: Literal["function", "custom"] = "function"
    extras: Extras = field(default_factory=dict)


class ToolResult(Struct, tag="tool_result", kw_only=True):
    """The client's answer to a ToolCall. `name` where the dialect says it (Gemini matches by name and order)."""

    call_id: str
    parts: list[Part]
    name: str | None = None
    error: bool = False
    kind: Literal["function", "custom"] = "function"
    extras: Extras = field(default_factory=dict)


class Native(Struct, tag="native", kw_only=True):
    """An item only one family understands (a server tool's call or result, a compaction, an item reference),
    carried whole and written back to that family only."""

    family: Family
    name: str
    """The native type name ("server_tool_use", "web_search_call", ...)."""
    json: dict[str, Any]


Part: TypeAlias = Text | Media | Thinking | Refusal | ToolCall | ToolResult | Native


class Message(Struct, kw_only=True):
    """Tool results are parts of a message with role "tool"."""

    role: Role
    parts: list[Part]
    name: str | None = None
    extras: Extras = field(default_factory=dict)


class Tool(Struct, kw_only=True):
    """A function the client offers (`schema`: JSON Schema or None), a "custom" free-form tool (`grammar`: the native
    format object), or a "native" server-side tool of one family (carried whole in `extras[family]`)."""

    name: str
    kind: Literal["function", "custom", "native"] = "function"
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    grammar: dict[str, Any] | None = None
    extras: Extras = field(default_factory=dict)


class ToolChoice(Struct, frozen=True, kw_only=True):
    """`names` limits the choice: one name with mode "any" forces that tool; several are an allowed set."""

    mode: Literal["auto", "none", "any"]
    names: tuple[str, ...] = ()


class Output(Struct, kw_only=True):
    """The shape asked of the answer's text. `schema` is JSON Schema."""

    kind: Literal["text", "json", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    extras: Extras = field(default_factory=dict)


class Reasoning(Struct, kw_only=True):
    """How much to think. `enabled` False is an explicit off. `budget` counts tokens; -1 lets the model choose.
    `show`: whether thoughts or a summary of them are wanted in the answer ("auto", "detailed", ..., or None unsaid)."""

    enabled: bool | None = None
    effort: str | None = None
    budget: int | None = None
    show: str | None = None
    extras: Extras = field(default_factory=dict)


class Prompt(Struct, kw_only=True):
    model: str
    messages: list[Message]
    family: Family
    tools: list[Tool] = field(default_factory=list)
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    output: Output | None = None
    reasoning: Reasoning | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    stream: bool = False
    legacy_functions: bool = False
    """OpenAI chat: the client offered `functions` (before tools) and reads `function_call` in the answer."""
    extras: Extras = field(default_factory=dict)


def flat(prompt: Prompt) -> Iterator[tuple[str, Part]]:
    """The normal form of the conversation: (role, part) in order. "developer" counts as "system"."""
    for message in prompt.messages:
        role = "system" if message.role == "developer" else message.role
        for part in message.parts:
            yield role, part


def foreign(extras: Extras, family: Family, where: str) -> Iterator[Loss]:
    """The losses of writing an element with these extras to `family`: all that other families own."""
    for owner, fields in extras.items():
        if owner != family:
            for name, value in fields.items():
                yield Loss(f"{where}.{name}" if where else name, f"only {owner} has it", value)
