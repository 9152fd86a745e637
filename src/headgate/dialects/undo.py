"""Turns an upstream's calls back into what the client offered: names that were mapped, custom tools that were wrapped.

A custom (free-form) tool goes to a dialect without such tools as a function with one string argument, `input`. Its calls come
back as JSON text in fragments cut anywhere; the client gets the string's own text as it becomes certain. A model that writes
other JSON than asked still loses nothing: then the text is shown as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from headgate.dialects.base import Written
from headgate.model.events import Event, PartDelta, PartEnded, PartStarted

_HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_SURE = re.compile(
    r'(?:[^"\\]+|\\[^u]|\\u(?![dD][89abAB])[0-9a-fA-F]{4}|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4})*'
)
"""String content that no further character can change: whole escapes, whole surrogate pairs. (Not possessive: in Python 3.11.2, which
is Debian 12's, such a repeat keeps what its last, failed turn had begun to read: gh-106052.)"""


class _Unwrapping:
    """One call's `{"input": "..."}` -> the text in it, piece by piece."""

    __slots__ = ("_at", "_raw", "_shown")

    def __init__(self) -> None:
        self._raw = ""
        self._at = -1
        self._shown = False

    def feed(self, text: str) -> str:
        self._raw += text
        if self._at < 0:
            head = _HEAD.match(self._raw)
            if head is None:
                return ""
            self._at = head.end()
        sure = _SURE.match(self._raw, self._at)
        if sure is None or not sure[0]:
            return ""
        self._at = sure.end()
        try:
            piece: str = msgspec.json.decode(f'"{sure[0]}"'.encode("utf-8", "surrogatepass"), type=str, strict=False)
        except msgspec.DecodeError:
            piece = sure[0]
        self._shown = True
        return piece

    def end(self) -> str:
        if self._shown or not self._raw.strip():
            return ""
        try:
            value = msgspec.json.decode(self._raw)
        except msgspec.DecodeError:
            return self._raw
        if isinstance(value, dict) and isinstance(value.get("input"), str):
            return str(value["input"])
        return self._raw


class Undo:
    """One answer's events, with `Written.renamed` and `Written.wrapped` undone."""

    def __init__(self, written: Written) -> None:
        self._renamed = written.renamed
        self._wrapped = written.wrapped
        self._open: dict[tuple[int, int], _Unwrapping] = {}
        self.idle = not self._renamed and not self._wrapped

    def events(self, events: Iterable[Event]) -> Iterable[Event]:
        if self.idle:
            return events
        return [told for event in events for told in self._event(event)]

    def _event(self, event: Event) -> tuple[Event, ...]:
        if isinstance(event, PartStarted) and event.kind == "tool_call":
            name = self._renamed.get(event.name, event.name)
            if event.name in self._wrapped or name in self._wrapped:
                self._open[event.choice, event.part] = _Unwrapping()
                return (replace(event, name=name, kind="custom_call"),)
            return (replace(event, name=name),) if name != event.name else (event,)
        if not self._open or not isinstance(event, PartDelta | PartEnded):
            return (event,)
        key = (event.choice, event.part)
        unwrapping = self._open.get(key)
        if unwrapping is None:
            return (event,)
        if isinstance(event, PartDelta):
            return (replace(event, kind="custom_call", text=unwrapping.feed(event.text)),)
        del self._open[key]
        rest = unwrapping.end()
        if not rest:
            return (event,)
        return (PartDelta(choice=event.choice, part=event.part, kind="custom_call", text=rest), event)
