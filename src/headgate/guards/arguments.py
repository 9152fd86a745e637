r"""Pattern guards over JSON text: the arguments of a tool call, whole or in fragments cut anywhere.

Rules of this file:
- Each string (a key too) is one text to the guards, decoded: `\u0031` is a 1. So is each number, true, false and null,
  as it is written. No match reaches from one of them into another.
- What stands outside of redactions keeps its bytes. A replacement is escaped for JSON. A number or word of which
  something is redacted becomes a string of what it reads then: 41111 -> "[redacted]".
- Fragments are items of a window (window.py) with the same promises; of an escape that is cut and redacted, both sides
  lose their part. A number is held to its end.
- Nothing is refused. Only the tokens of JSON are read, not their order. An escape that JSON does not know stands for
  its own characters, and from the first character on that begins no token, the rest is one plain text.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from .base import Finding
from .pattern import Patterns, merged
from .window import Window

T = TypeVar("T")

_GAP = re.compile(r"[ \t\r\n{}\[\],:]*")
_RUN = re.compile(r'[^"\\]*')
_WORD = re.compile(r"[-+.0-9A-Za-z]*")
_VALUE = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")
_STRING = re.compile(r'"((?:[^"\\]++|\\.)*+\\?)("?)', re.DOTALL)
_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_WRITTEN = re.compile(rf"{_PAIR.pattern}|{_ESCAPE.pattern}")
_UNIT = re.compile(rf"{_WRITTEN.pattern}|\\|[^\\]+")
_CUT_ESCAPE = re.compile(
    r"\\(?:u[0-9a-fA-F]{0,3})?|\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?"
)
"""What may still become an escape, or the first half of a pair of them."""
_PLAIN_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _decoded(unit: str) -> str:
    """The text of an escape or a pair of them; anything else stands for itself."""
    if len(unit) == 12 and _PAIR.fullmatch(unit):
        return chr(0x10000 + (int(unit[2:6], 16) - 0xD800 << 10) + int(unit[8:12], 16) - 0xDC00)
    if len(unit) > 1 and unit[0] == "\\":
        return _PLAIN_ESCAPES[unit[1]] if len(unit) == 2 else chr(int(unit[2:], 16))
    return unit


def _unescaped(text: str) -> str:
    return _WRITTEN.sub(lambda found: _decoded(found[0]), text)


class _Fragment(Generic[T]):
    """An item, what it is to carry as far as known, and how much of it is not known."""

    __slots__ = ("item", "open", "parts")

    def __init__(self, item: T) -> None:
        self.item = item
        self.parts: list[str] = []
        self.open = 0


class _Character(str):
    """Known by identity: a replacement that reads the same is not it."""


class _Escape(Generic[T]):
    """One character that is written as an escape, in the fragments over which it is spread."""

    __slots__ = ("character", "sources")

    def __init__(self, sources: list[tuple[_Fragment[T], str]], character: str) -> None:
        self.sources = sources
        self.character = _Character(character)


class ArgumentsWindow(Generic[T]):
    """A Window for JSON text: `feed` each item with its fragment, `flush` at the end of the arguments."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns.in_json
        self._window: Window[_Fragment[T] | _Escape[T]] = Window(self._patterns)
        self._restart()

    def _restart(self) -> None:
        self._state = self._between
        self._fragments: deque[_Fragment[T]] = deque()
        self._pending: list[tuple[_Fragment[T], str]] = []
        """The beginning of an escape, or of a number or word."""

    @property
    def blocked(self) -> Finding | None:
        return self._window.blocked

    @property
    def findings(self) -> list[Finding]:
        return self._window.findings

    def feed(self, item: T, text: str) -> list[tuple[T, str]]:
        if self.blocked is not None:
            return []
        fragment = _Fragment(item)
        self._fragments.append(fragment)
        at = 0
        while at < len(text) and self._window.blocked is None:
            at = self._state(fragment, text, at)
        return self._release()

    def flush(self) -> list[tuple[T, str]]:
        """Releases all that is held, and begins new arguments."""
        if self.blocked is not None:
            return []
        if self._pending and self._state == self._word:
            self._end_word()
        while self._pending:
            self._end_escape("")
        self._deliver(self._window.flush())
        released = self._release()
        if self.blocked is None:
            self._restart()
        return released

    def _release(self) -> list[tuple[T, str]]:
        released: list[tuple[T, str]] = []
        while self._fragments and not self._fragments[0].open:
            fragment = self._fragments.popleft()
            released.append((fragment.item, "".join(fragment.parts)))
        return released

    def _deliver(self, released: Iterable[tuple[_Fragment[T] | _Escape[T], str]]) -> None:
        for piece, text in released:
            if isinstance(piece, _Fragment):
                piece.parts.append(text)
                piece.open -= 1
            elif text is piece.character:
                self._put(piece.sources)
            else:
                piece.sources[0][0].parts.append(text)
                for fragment, _ in piece.sources:
                    fragment.open -= 1

    @staticmethod
    def _put(sources: list[tuple[_Fragment[T], str]]) -> None:
        for fragment, source in sources:
            fragment.parts.append(source)
            fragment.open -= 1

    def _text(self, fragment: _Fragment[T], text: str) -> None:
        """Characters that stand for themselves."""
        if text:
            fragment.open += 1
            self._deliver(self._window.feed(fragment, text))

    # The states: each reads `text` from `at` and returns where it stopped.

    def _between(self, fragment: _Fragment[T], text: str, at: int) -> int:
        end = _GAP.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty text
        if end < len(text):
            sign = text[end]
            if sign == '"':
                self._state = self._string
                end += 1
            else:
                self._state = self._word if sign in "-0123456789tfn" else self._plain
        fragment.parts.append(text[at:end])
        return end

    def _plain(self, fragment: _Fragment[T], text: str, at: int) -> int:
        self._text(fragment, text[at:])
        return len(text)

    def _word(self, fragment: _Fragment[T], text: str, at: int) -> int:
        end = _WORD.match(text, at).end()  # type: ignore[union-attr]
        if end > at:
            fragment.open += 1
            self._pending.append((fragment, text[at:end]))
        if end < len(text):
            self._end_word()
        return end

    def _end_word(self) -> None:
        sources, self._pending = self._pending, []
        word = "".join(source for _, source in sources)
        if not _VALUE.fullmatch(word):
            self._state = self._plain
            for fragment, source in sources:
                fragment.open -= 1
                self._text(fragment, source)
            return
        self._state = self._between
        counts: dict[int, int] = {}
        shown = self._patterns.redacted(word, counts)
        self._window.add(counts)
        if self.blocked is not None:
            return
        if shown != word:
            sources = [(fragment, f'"{shown}"' if not place else "") for place, (fragment, _) in enumerate(sources)]
        self._put(sources)

    def _string(self, fragment: _Fragment[T], text: str, at: int) -> int:
        if self._pending:
            return at + self._end_escape(text[at : at + 12], fragment)
        end = _RUN.match(text, at).end()  # type: ignore[union-attr]
        self._text(fragment, text[at:end])
        if end == len(text):
            return end
        if text[end] == "\\":
            return end + self._end_escape(text[end : end + 12], fragment)
        self._deliver(self._window.flush())
        fragment.parts.append('"')
        self._state = self._between
        return end + 1

    def _end_escape(self, text: str, fragment: _Fragment[T] | None = None) -> int:
        """Reads one escape of what is pending and of `text` behind it, or what it begins with where it is none; without
        a fragment the text ended. Returns how many characters of `text` were taken, pending ones included."""
        before = "".join(source for _, source in self._pending)
        whole = before + text
        if fragment is not None and _CUT_ESCAPE.fullmatch(whole):
            fragment.open += 1
            self._pending.append((fragment, text))
            return len(text)
        found = _PAIR.match(whole) or _ESCAPE.match(whole)
        size = found.end() if found else 1
        sources: list[tuple[_Fragment[T], str]] = []
        rest: list[tuple[_Fragment[T], str]] = []
        taken = 0
        for holder, source in self._pending:
            mine = source[: max(size - taken, 0)]
            taken += len(source)
            if mine:
                sources.append((holder, mine))
            if len(mine) < len(source):
                rest.append((holder, source[len(mine) :]))
                holder.open += bool(mine)
        self._pending = rest
        if size > len(before) and fragment is not None:
            fragment.open += 1
            sources.append((fragment, whole[len(before) : size]))
        escape = _Escape(sources, _decoded(whole[:size]))
        self._deliver(self._window.feed(escape, escape.character))
        return max(size - len(before), 0)


def redact_arguments(patterns: Patterns, text: str) -> tuple[str, list[Finding]]:
    """The single pass over whole JSON text: its redactions, and what all guards found. Where one of these blocks
    (`blocking`), the text is not to be used."""
    if patterns.local and not patterns.matches(text) and not ("\\" in text and patterns.matches(_unescaped(text))):
        # Each string stands in one of the two as it is scanned, between quotes, which to \\b are as good as its ends.
        return text, []
    patterns = patterns.in_json
    pieces: list[str] = []
    counts: dict[int, int] = {}
    at = 0
    while at < len(text):
        gap = _GAP.match(text, at).end()  # type: ignore[union-attr]
        pieces.append(text[at:gap])
        at = gap
        if string := _STRING.match(text, at):
            pieces += ('"', _redact_string(patterns, string[1], counts), string[2])
            at = string.end()
        elif (word := _WORD.match(text, at)) and _VALUE.fullmatch(word[0]):
            shown = patterns.redacted(word[0], counts)
            pieces.append(word[0] if shown == word[0] else f'"{shown}"')
            at = word.end()
        else:
            pieces.append(patterns.redacted(text[at:], counts))
            break
    return "".join(pieces), patterns.findings(counts)


def _redact_string(patterns: Patterns, source: str, counts: dict[int, int]) -> str:
    """What stands between the quotes, with what stands for each character kept as it is."""
    if "\\" not in source:
        return patterns.redacted(source, counts)
    units = _UNIT.findall(source)
    spans = patterns.find("".join(map(_decoded, units)))
    for span in spans:
        counts[span.guard] = counts.get(span.guard, 0) + 1
    redactions = merged(((span.begin, span.guard, span.end) for span in spans), patterns.guards)
    if not redactions:
        return source
    written = [sign for unit in units for sign in ([unit] if unit[0] == "\\" else unit)]
    pieces: list[str] = []
    at = 0
    for begin, end, replacement in redactions:
        pieces += (*written[at:begin], replacement)
        at = end
    return "".join(pieces + written[at:])
