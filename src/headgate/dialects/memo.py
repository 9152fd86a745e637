"""Remembers what a client's dialect has no slot for, by tool call id, so that a tool loop can go on.

A thought signature or a signed thinking block must come back with the call it led to, or the provider refuses the next turn. Many
clients rebuild history from what they know and drop the rest. So after a crossing we keep, for each call, the thoughts before it
and the call's own extras; when a history comes back without them, they are put in again. Keys are separated by tenant outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec
from msgspec import Struct, field

from headgate.model.events import Event, Fold
from headgate.model.prompt import Extras, Part, Prompt, Thinking, ToolCall


class _Thought(Struct):
    text: str
    extras: Extras


class _Kept(Struct):
    thoughts: list[_Thought] = field(default_factory=list)
    extras: Extras = field(default_factory=dict)


_decode = msgspec.json.Decoder(_Kept).decode


class Remember:
    """One answer's events -> what to keep of it."""

    def __init__(self) -> None:
        self._fold = Fold()

    def observe(self, events: Iterable[Event]) -> None:
        for event in events:
            self._fold.feed(event)

    def entries(self) -> Iterator[tuple[str, bytes]]:
        """(call id, value). Thoughts ride with the first call after them."""
        for choice in self._fold.close().choices:
            thoughts: list[_Thought] = []
            for part in choice.parts:
                if part.kind == "thinking" and part.extras:
                    thoughts.append(_Thought(part.text, part.extras))
                elif part.kind == "tool_call" and part.id and (thoughts or part.extras):
                    yield part.id, msgspec.json.encode(_Kept(thoughts, part.extras))
                    thoughts = []


def restore(prompt: Prompt, get: Callable[[str], bytes | None]) -> None:
    """Puts back, into assistant turns, thoughts and call extras that the client did not send. What it did send is left alone;
    what its own dialect says of a call (an item's id) is no reason to think that the rest came along."""
    own = {prompt.family}
    for message in prompt.messages:
        if message.role != "assistant" or not any(isinstance(part, ToolCall) for part in message.parts):
            continue
        bare = not any(isinstance(part, Thinking) and part.extras.keys() - own for part in message.parts)
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolCall) and not part.extras.keys() - own and (value := get(part.id)) is not None:
                kept = _decode(value)
                part.extras = {**kept.extras, **part.extras}
                if bare:
                    parts += [Thinking(text=thought.text, extras=thought.extras) for thought in kept.thoughts]
            parts.append(part)
        message.parts = parts
