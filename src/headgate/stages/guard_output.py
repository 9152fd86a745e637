"""Pattern guards on what the provider answers: text, thoughts, refusals, tool arguments, and every string of frames nobody knows.

Whole and streamed answers take the same way: a text that comes in pieces is held back as far as a match could still reach, so that
what is shown is what one pass over the whole text gives. A block ends the answer with an error in the client's dialect.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from typing import TypeAlias

from msgspec.structs import replace

from headgate.errors import Blocked
from headgate.guards.arguments import ArgumentsWindow, redact_arguments
from headgate.guards.base import Finding
from headgate.guards.pattern import Patterns, blocking
from headgate.guards.window import Window
from headgate.model.events import Event, Finished, PartDelta, PartEnded
from headgate.model.exchange import Exchange
from headgate.stages.base import Filter, Stage

AnyWindow: TypeAlias = Window[PartDelta] | ArgumentsWindow[PartDelta]


class GuardOutput(Stage):
    name = "guard_output"

    def __init__(self, patterns: Patterns) -> None:
        self._texts = patterns.for_place("answer")
        self._arguments = patterns.for_place("tool_arguments")

    def filter(self, x: Exchange) -> Filter | None:
        if self._texts is None and self._arguments is None:
            return None
        return _Guarding(x, self._texts, self._arguments)


class _Guarding(Filter):
    def __init__(self, x: Exchange, texts: Patterns | None, arguments: Patterns | None) -> None:
        self._x = x
        self._texts = texts
        self._arguments = arguments
        self._windows: dict[tuple[int, int], AnyWindow] = {}
        self._stopping: Finding | None = None
        """A guard has blocked: what stood before its match may still go out, nothing after it."""
        self.harmless = b"" if texts is None else texts.harmless

    def events(self, events: Sequence[Event]) -> Sequence[Event]:
        if len(events) == 1 and type(event := events[0]) is PartDelta:  # as in nearly every frame of a stream
            told = self._delta(event)
            return events if told is None else told
        shown: list[Event] = []
        for one in events:
            if type(one) is PartDelta or self._windows or self._stopping is not None:
                shown += self._event(one)
            else:
                shown.append(one)
        return events if len(shown) == len(events) and all(map(is_, shown, events)) else shown

    def rests(self, key: tuple[int, int]) -> bool:
        window = self._windows.get(key) if self._stopping is None else None
        return type(window) is Window and window.rests()

    def passes(self, key: tuple[int, int], text: str) -> bool:
        window = self._windows.get(key) if self._stopping is None else None
        return type(window) is Window and window.passes(text)

    def _event(self, event: Event) -> Sequence[Event]:
        if type(event) is PartDelta:
            told = self._delta(event)
            return (event,) if told is None else told
        if self._stopping is not None:
            self._stop(self._stopping)
        if isinstance(event, PartEnded):
            window = self._windows.pop((event.choice, event.part), None)
            return (event,) if window is None else [*self._flushed(window), event]
        if isinstance(event, Finished):
            left = [key for key in self._windows if key[0] == event.choice]
            return [*(told for key in left for told in self._flushed(self._windows.pop(key))), event]
        return (event,)

    def _delta(self, delta: PartDelta) -> Sequence[Event] | None:
        """None: it passes as it is."""
        if self._stopping is not None:
            self._stop(self._stopping)
        key = (delta.choice, delta.part)
        window = self._windows.get(key)
        if not delta.text or delta.kind in (
            "media",
            "native",
        ):  # (a signature, a citation) stays behind the text that is held before it
            return None if window is None else self._shown(window.feed(delta, delta.text))
        patterns = self._arguments if delta.kind in ("tool_call", "custom_call") else self._texts
        if patterns is None:
            return None
        if delta.whole:
            return self._whole(delta, patterns)
        if window is None:
            window = ArgumentsWindow(patterns) if delta.kind == "tool_call" else Window(patterns)
            self._windows[key] = window
        released = window.feed(delta, delta.text)
        self._stopping = window.blocked
        if len(released) == 1 and released[0][0] is delta and released[0][1] is delta.text:
            return None
        return self._shown(released)

    def _whole(self, event: PartDelta, patterns: Patterns) -> Sequence[Event]:
        text, found = (
            redact_arguments(patterns, event.text) if event.kind == "tool_call" else patterns.redact(event.text)
        )
        if not found:
            return (event,)
        self._x.findings.extend(found)
        stop = blocking(found)
        if stop is not None:
            self._stop(stop)
        return (event,) if text == event.text else (replace(event, text=text),)

    def _flushed(self, window: AnyWindow) -> Sequence[Event]:
        released = window.flush()
        self._stopping = self._stopping or window.blocked
        self._x.findings.extend(window.findings)
        return self._shown(released)

    def _shown(self, released: Sequence[tuple[PartDelta, str]]) -> list[Event]:
        return [event if text is event.text else replace(event, text=text) for event, text in released]

    def _stop(self, finding: Finding) -> None:
        self._x.trail.note("guard_output", "blocked", guard=finding.guard)
        raise Blocked(f"the answer was blocked by the guard {finding.guard!r}", code="answer_blocked")

    def flush(self) -> Sequence[Event]:
        if self._stopping is None:
            released = [event for window in self._windows.values() for event in self._flushed(window)]
            self._windows = {}
        if self._stopping is not None:
            self._stop(self._stopping)
        return released

    def end(self) -> None:
        """The answer ended before its texts did: what was found so far counts."""
        for window in self._windows.values():
            self._x.findings.extend(window.findings)
        self._windows = {}
