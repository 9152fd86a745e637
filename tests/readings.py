"""What the official SDKs read of recorded answers, and how much of that a client of another dialect can be shown.

Rules of this file:
- `recorded` is the source's own oracle on the recording. `shown` turns its reading into what the client's oracle must read of the
  gateway's answer. Everything between the two that is not equality is in the tables here, each with its reason.
- A recording that is no answer of its dialect is in NOT_ANSWERS, and has no reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

from google.genai import errors

from oracles import ReadChoice, Reading, anthropic_messages, gemini, openai_chat, openai_responses
from recordings import Recording, recordings

MESSAGE = b"event: message_start\n"

CROSSING = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")
"""The dialects that answers and requests cross between."""

NOT_ANSWERS = {
    "9a6d9f9159dd8897": "a greeting in plain text",
    "6b8dfff3615f9f73": "a transcription",
    "3cf28d7461c1761d": "a proxy answered a request to the Responses API with a chat completion",
    "4ba976f841b555e2": "a stream written by hand, which is not JSON",
    "6c513ad108eaf175": "two streams spliced by hand: a message begins inside a block of another",
}
"""Refused as malformed, or nothing to read."""

STOPS = {
    "openai_chat": {
        "stop_sequence": "stop",
        "refusal": "content_filter",
        "pause": "stop",
        "context_window": "length",
        "malformed_call": "stop",
        "other": "stop",
    },
    "openai_responses": {
        "stop_sequence": "stop",
        "refusal": "content_filter",
        "pause": "other",
        "context_window": "length",
        "malformed_call": "other",
    },
    "anthropic_messages": {"content_filter": "refusal", "malformed_call": "stop", "other": "stop"},
    "gemini": {"stop_sequence": "stop", "refusal": "content_filter", "pause": "other", "context_window": "length"},
}
"""Client -> stops it has no word for -> what it reads instead. OpenAI's five words are all that its SDK knows."""

TOOLS_BY_CONTENT = frozenset(("openai_chat", "openai_responses", "gemini"))
"""Dialects whose "stop" means "tool_use" where calls are in the answer."""

NO_TOOL_WORD = frozenset(("openai_responses", "gemini"))
"""Dialects whose stop says nothing of calls: where the client cannot be shown the call (another family's own tool), it is "stop"."""

REFUSALS = frozenset(("openai_chat", "openai_responses"))
"""Dialects with a place for a refusal; elsewhere it is text."""

REFUSAL_STOPS = frozenset(("anthropic_messages",))
"""Dialects that say by the stop that a text is a refusal."""

CHOICES = frozenset(("openai_chat", "gemini"))
"""Dialects with several choices; elsewhere the first is shown and the others are listed as lost."""

CUSTOM = frozenset(("openai_chat", "openai_responses"))
"""Dialects with free-form calls; elsewhere one is a call with the single argument `input`."""

NO_CACHE_WRITE = frozenset(("gemini",))
"""Dialects whose usage does not tell what was written to a cache."""

ALWAYS_USAGE = frozenset(("anthropic_messages",))
"""Dialects that must state usage: zeros where the provider stated none."""

WHOLE: dict[str, Callable[[bytes], Reading]] = {
    "openai_chat": openai_chat.whole,
    "openai_responses": openai_responses.whole,
    "anthropic_messages": anthropic_messages.whole,
    "gemini": partial(gemini.whole, vertex=False),
}
STREAM: dict[str, Callable[[bytes], Reading]] = {
    "openai_chat": openai_chat.stream,
    "openai_responses": openai_responses.stream,
    "anthropic_messages": anthropic_messages.stream,
    "gemini": partial(gemini.stream, vertex=False),
}
FAILURE: dict[str, Callable[[bytes, int], Any]] = {
    "openai_chat": openai_chat.failure,
    "openai_responses": openai_responses.failure,
    "anthropic_messages": anthropic_messages.failure,
    "gemini": lambda body, status: gemini.error(status, body),
}
"""Dialect -> the official SDK on the gateway's answer to its client."""


def answers(dialect: str) -> Iterator[Recording]:
    """Every recorded 2xx answer. OpenAI's threads have a path that ends like Anthropic's."""
    for row in recordings(dialect):
        threads = dialect == "anthropic_messages" and not row.url.split("?")[0].endswith("/v1/messages")
        if row.status < 300 and row.id not in NOT_ANSWERS and not threads:
            yield row


def streamed(row: Recording) -> bool:
    return row.sse or row.endpoint == "gemini.streamGenerateContent"


@cache
def recorded(row: Recording) -> Reading:
    """The source's own SDK on the recording."""
    return source(row, row.reply)


def source(row: Recording, reply: bytes) -> Reading:
    """The source's own SDK on a reply of the recording's form."""
    if row.dialect == "openai_chat":
        return openai_chat.recorded(reply) if row.sse else openai_chat.whole(reply)
    if row.dialect == "openai_responses" and row.sse:
        return _responses(reply)
    if row.dialect == "anthropic_messages" and row.sse:
        first, *more = [anthropic_messages.stream(MESSAGE + one) for one in reply.split(MESSAGE)[1:]]
        return _added(first, more)
    oracles = {"openai_responses": openai_responses, "anthropic_messages": anthropic_messages, "gemini": gemini}
    oracle = oracles[row.dialect]
    return oracle.stream(reply) if streamed(row) else oracle.whole(reply)


def _responses(reply: bytes) -> Reading:
    """The accumulator refuses several responses one after the other; then their ends speak for themselves."""
    try:
        return openai_responses.stream(reply)
    except RuntimeError:
        first, *more = openai_responses.heard(reply)
        return _added(first, more)


def _added(first: Reading, more: list[Reading]) -> Reading:
    """Several answers in one stream (fixtures of whole tool loops were made so) are one answer: its parts added, the last one's end."""
    for one in more:
        choice, next_choice = first.choices[0], one.choices[0]
        choice.text += next_choice.text
        choice.thinking += next_choice.thinking
        choice.tools += next_choice.tools
        choice.stop, first.usage = next_choice.stop, one.usage
    return first


def shown(reading: Reading, client: str) -> Reading:
    """What is left of a reading for a client of this dialect."""
    if reading.error:
        return reading
    choices = reading.choices if client in CHOICES else reading.choices[:1]
    usage = dict(reading.usage) if reading.usage is not None else None
    if usage is None and client in ALWAYS_USAGE:
        usage = dict.fromkeys(("input", "output", "cache_read", "cache_write", "reasoning"), 0)
    if usage is not None and client in NO_CACHE_WRITE:
        usage["cache_write"] = 0
    return Reading(choices=[_choice(choice, client) for choice in choices], usage=usage)


def _choice(choice: ReadChoice, client: str) -> ReadChoice:
    found = replace(
        choice, stop=STOPS[client].get(choice.stop, choice.stop), tools=[_call(c, client) for c in choice.tools]
    )
    if found.refusal and found.stop == "stop" and client in REFUSAL_STOPS:
        found.stop = "refusal"
    if not found.tools and found.stop == "tool_use" and client in NO_TOOL_WORD:
        found.stop = "stop"
    if client not in REFUSALS:
        found.text, found.refusal = found.text + found.refusal, ""
    if found.tools and found.stop == "stop" and client in TOOLS_BY_CONTENT:
        found.stop = "tool_use"
    return found


def _call(call: tuple[str, Any], client: str) -> tuple[str, Any]:
    name, arguments = call
    return (name, {"input": arguments}) if isinstance(arguments, str) and client not in CUSTOM else call


def read(client: str, status: int, body: bytes, stream: bool) -> Reading:
    """What the client's SDK reads of the gateway's answer; an error status is an error."""
    if status >= 400:
        return Reading(error=str(FAILURE[client](body, status)))
    try:
        return (STREAM if stream else WHOLE)[client](body)
    except errors.APIError as error:  # Google's, of an error inside a stream
        return Reading(error=str(error.message))


def agree(got: Reading, wanted: Reading) -> bool:
    """Equal; of a failed answer, that it failed with the provider's message."""
    if wanted.error or got.error:
        return bool(wanted.error) and wanted.error in got.error
    return got == wanted


def difference(got: Reading, wanted: Reading) -> str:
    """The first thing that differs, short."""
    if got.error or wanted.error:
        return f"error {got.error[:200]!r} for {wanted.error[:200]!r}"
    if len(got.choices) != len(wanted.choices):
        return f"{len(got.choices)} choices for {len(wanted.choices)}"
    for one, other in zip(got.choices, wanted.choices, strict=True):
        for name in ("text", "thinking", "refusal", "tools", "stop"):
            a, b = getattr(one, name), getattr(other, name)
            if a != b:
                return f"{name}: {str(a)[:150]!r} for {str(b)[:150]!r}"
    return f"usage: {got.usage} for {wanted.usage}"
