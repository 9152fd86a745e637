"""Two answers shown as one: the first broke off, the second goes on behind its text.

Rules of this file:
- Only plain text can be gone on with (one choice; thoughts before it are let be). A call, a picture, a second choice cannot, nor a
  choice that has its end: what broke off behind it (the usage, the stream's end) is nothing that another target could say.
- Of the second answer, its start and its thoughts are not shown; its first text belongs to the part that was left open; what
  follows is numbered on.
- Providers refuse a text that ends in white space, so it is asked for without, and the white space shown already is not shown
  twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from headgate.model.events import Event, Finished, PartDelta, PartEnded, PartStarted, Started


class Joint:
    """What one answer has shown, and where the next one's events belong. Feed every event of each in order."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._plain = True
        self._open: int | None = None
        """The text part that is shown and not ended."""
        self._next = 0
        self._joined = False
        self._parts: dict[int, int | None] = {}
        """Part of the present answer -> part as shown, None where it is not."""
        self._space = ""

    @property
    def text(self) -> str:
        """What may be gone on with: the text so far, "" where there is none or it is not all."""
        return "".join(self._texts).rstrip() if self._plain else ""

    def join(self) -> None:
        """The next answer's events come from now on."""
        whole = "".join(self._texts)
        self._space = whole[len(whole.rstrip()) :]
        self._joined = True
        self._parts = {}

    def events(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, PartStarted):
                yield from self._started(event)
            elif isinstance(event, PartDelta):
                yield from self._delta(event)
            elif isinstance(event, PartEnded):
                yield from self._ended(event)
            elif isinstance(event, Finished):
                self._plain = False
                yield event
            elif not (self._joined and isinstance(event, Started)):
                yield event

    def _started(self, event: PartStarted) -> Iterator[Event]:
        if event.kind not in ("text", "thinking") or event.choice:
            self._plain = False
        if self._joined and event.kind == "thinking":
            self._parts[event.part] = None
        elif self._joined and event.kind == "text" and self._open is not None:
            self._parts[event.part] = self._open
        else:
            shown = self._parts[event.part] = self._next
            self._next += 1
            if event.kind == "text":
                self._open = shown
            yield replace(event, part=shown)

    def _delta(self, event: PartDelta) -> Iterator[Event]:
        shown = self._parts.get(event.part, event.part)
        if shown is None:
            return
        text = event.text
        if event.kind == "text":
            if self._space and text:
                kept = text.lstrip() if text[0].isspace() else text
                text, self._space = kept, "" if kept else self._space
            self._texts.append(text)
        if text or not event.text:
            yield replace(event, part=shown, text=text)

    def _ended(self, event: PartEnded) -> Iterator[Event]:
        shown = self._parts.get(event.part, event.part)
        if shown is not None:
            if shown == self._open:
                self._open = None
            yield replace(event, part=shown)
