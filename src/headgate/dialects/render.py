"""From an answer's frames and events to the client's bytes. Five ways, one interface:

Verbatim   same dialect and framing, nothing edits: the provider's bytes.
Patched    same dialect and framing, guards edit: frames wait until all their text is decided, then the slots of their own JSON
           are replaced, and what repeats an edited text is rewritten. No frame is added, lost or reordered.
Encoded    crossing, streamed: the client dialect's Encoder.
Folded     crossing, whole (also a stream told to a client that wants one document).
Unshown    nothing: of an answer whose frames others render.

`show` takes a frame and what the guards let through when its events had been fed to them (its own events, of earlier frames, or none
yet), and gives the bytes that may go now; `end` takes what they held to the last, and gives the rest. A usage frame that only the
gateway asked for is not shown. The first two take a frame also by its form (`pass_on`), where the guards let its text through as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec
from msgspec.structs import replace

from headgate.dialects.base import Ask, Dialect, Edit, Encoder
from headgate.dialects.form import Form
from headgate.dialects.splice import apply, places
from headgate.model.events import Event, Finished, Fold, Frame, PartDelta, PartStarted, Path, Repeat, Started
from headgate.model.prompt import Loss


class Render(Protocol):
    needs_events: bool

    @property
    def last(self) -> bytes:
        """The JSON of the frame shown last (for an error frame that must follow it)."""
        ...

    def show(self, frame: Frame, events: Sequence[Event]) -> bytes: ...

    def end(self, events: Sequence[Event]) -> bytes: ...

    def losses(self) -> list[Loss]: ...


class Verbatim:
    needs_events = False

    def __init__(self, hide_usage: bool) -> None:
        self._hide = hide_usage
        self.last = b""

    def pass_on(self, form: Form, raw: bytes, text: str) -> bytes:
        self.last = raw[form.data]
        return raw

    def show(self, frame: Frame, events: Sequence[Event]) -> bytes:
        if frame.usage_only and self._hide:
            return b""
        if frame.data is not None:
            self.last = frame.data
        return frame.raw

    def end(self, events: Sequence[Event]) -> bytes:
        return b""

    def losses(self) -> list[Loss]:
        return []


class _Waiting:
    """A frame whose texts are with the guards. While one is, its slot's `home` is (the frame that waits, the text as it came)."""

    __slots__ = ("edits", "frame", "parts", "waiting")

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.waiting = 0
        self.edits: dict[Path, str] | None = None
        self.parts: set[tuple[int, int]] | None = None


class Patched:
    needs_events = True

    def __init__(self, hide_usage: bool) -> None:
        self._hide = hide_usage
        self._queue: deque[_Waiting] = deque()
        self._shown: dict[tuple[int, int], list[str]] = {}
        self._edited: set[tuple[int, int]] = set()
        self.last = b""

    def pass_on(self, form: Form, raw: bytes, text: str) -> bytes:
        if self._queue:
            frame = form.frame(raw, text)
            return self.show(frame, frame.events)
        self._shown.setdefault(form.key, []).append(text)
        self.last = raw[form.data]
        return raw

    def show(self, frame: Frame, events: Sequence[Event]) -> bytes:
        if events is frame.events and not (self._queue or self._edited or frame.usage_only):
            # all came back at once, as they were, and nothing waits before it
            for event in events:
                if type(event) is PartDelta and event.part >= 0 and event.slot is not None:
                    self._shown.setdefault((event.choice, event.part), []).append(event.text)
            if frame.data is not None:
                self.last = frame.data
            return frame.raw
        job = _Waiting(frame)
        for event in frame.events:
            if type(event) is PartDelta and event.slot is not None:
                event.slot.home = (job, event.text)
                job.waiting += 1
        self._queue.append(job)
        return self.end(events)

    def end(self, events: Sequence[Event]) -> bytes:
        for event in events:
            if type(event) is not PartDelta or event.slot is None:
                continue
            slot, text = event.slot, event.text
            job, original = slot.home
            slot.home = None  # no cycle is left for the collector
            job.waiting -= 1
            if event.part >= 0:
                self._shown.setdefault((event.choice, event.part), []).append(text)
            if text is not original and text != original:
                self._edit(job, event, slot.path)
        return self._ready()

    def _edit(self, job: _Waiting, event: PartDelta, path: Path) -> None:
        key = (event.choice, event.part)
        if job.edits is None or job.parts is None:
            job.edits, job.parts = {}, set()
        job.edits[path] = event.text
        job.parts.add(key)
        self._edited.add(key)

    def _ready(self) -> bytes:
        """Those of the frames that wait whose texts are decided."""
        out: list[bytes] = []
        queue = self._queue
        while queue and queue[0].waiting == 0:
            job = queue.popleft()
            frame = job.frame
            if frame.usage_only and self._hide:
                continue
            out.append(self._patched(job) if self._edited else frame.raw)
            if frame.data is not None:
                self.last = frame.data
        return out[0] if len(out) == 1 else b"".join(out)

    def _patched(self, job: _Waiting) -> bytes:
        frame = job.frame
        values = {path: msgspec.json.encode(text) for path, text in (job.edits or {}).items()}
        for repeat in frame.repeats:
            value = self._repeated(job, repeat)
            if value is not None:
                values[repeat.path] = value
        if not values or frame.data is None:
            return frame.raw
        patched = apply(frame.data, [Edit(name="guard", path=path, value=value) for path, value in values.items()])
        if frame.span is not None:
            return frame.raw[: frame.span[0]] + patched + frame.raw[frame.span[1] :]
        name = b"event: " + frame.event.encode() + b"\n" if frame.event else b""
        return name + b"".join(b"data: " + line + b"\n" for line in patched.split(b"\n")) + b"\n"

    def _repeated(self, job: _Waiting, repeat: Repeat) -> bytes | None:
        key = (repeat.choice, repeat.part)
        if key not in self._edited:
            return None
        own = any(
            type(event) is PartDelta and event.slot is not None and (event.choice, event.part) == key
            for event in job.frame.events
        )
        if repeat.kind == "drop":
            return b"null" if not own or key in (job.parts or ()) else None
        text = "".join(self._shown.get(key, ()))
        if repeat.kind == "json":
            return text.encode("utf-8", "surrogatepass") or b"{}"
        return msgspec.json.encode(text)

    def losses(self) -> list[Loss]:
        return []


class Encoded:
    needs_events = True

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._shown = b""

    def show(self, frame: Frame, events: Sequence[Event]) -> bytes:
        data = self._encoder.feed(events)
        if data:
            self._shown = data
        return data

    @property
    def last(self) -> bytes:
        """The last document that was shown, out of the bytes that held it: an event's data, or an item of an array."""
        shown = self._shown.rstrip()
        at = shown.rfind(b"data: ")
        return shown[at + 6 :] if at >= 0 else shown.lstrip(b"[,\r\n ")

    def end(self, events: Sequence[Event]) -> bytes:
        return self._encoder.feed(events) + self._encoder.end()

    def losses(self) -> list[Loss]:
        return self._encoder.losses


class Folded:
    needs_events = True

    def __init__(self, dialect: Dialect, ask: Ask) -> None:
        self._dialect = dialect
        self._ask = ask
        self._fold = Fold()
        self._losses: list[Loss] = []
        self.last = b""

    def show(self, frame: Frame, events: Sequence[Event]) -> bytes:
        for event in events:
            self._fold.feed(event)
        return b""

    def end(self, events: Sequence[Event]) -> bytes:
        for event in events:
            self._fold.feed(event)
        json, self._losses = self._dialect.answer(self._fold.close(), self._ask)
        return msgspec.json.encode(json)

    def losses(self) -> list[Loss]:
        return self._losses


class Unshown:
    needs_events = False
    last = b""

    def show(self, frame: Frame, events: Sequence[Event]) -> bytes:
        return b""

    def end(self, events: Sequence[Event]) -> bytes:
        return b""

    def losses(self) -> list[Loss]:
        return []


_MODEL: tuple[Path, ...] = (("model",), ("modelVersion",), ("message", "model"), ("response", "model"))
"""Where the dialects' documents name the model."""


class Aliased:
    """Another render, with the alias in place of the model's name: a splice in each frame that says it."""

    def __init__(self, inner: Render, alias: str) -> None:
        self._inner = inner
        self._alias = alias
        self._value = msgspec.json.encode(alias)
        self.needs_events = inner.needs_events
        self.end, self.losses = inner.end, inner.losses

    @property
    def last(self) -> bytes:
        return self._inner.last

    def show(self, frame: Frame, events: Sequence[Event]) -> bytes:
        if any(type(event) is Started for event in events):
            events = [replace(event, model=self._alias) if isinstance(event, Started) else event for event in events]
        if frame.data is not None and frame.span is not None and frame.data[:1] == b"{":
            named = [Edit(name="model", path=path, value=self._value) for path in places(frame.data, _MODEL)]
            frame.data = apply(frame.data, named)
            begin, end = frame.span
            frame.raw = frame.raw[:begin] + frame.data + frame.raw[end:]
            frame.span = (begin, begin + len(frame.data))
        return self._inner.show(frame, events)


def has_content(events: Iterable[Event]) -> bool:
    """Whether the answer has begun for good: text, a call, an end. Not: a start, usage, an empty part."""
    for event in events:
        kind = type(event)
        if kind is PartDelta:
            if event.text or event.extras:  # type: ignore[union-attr]
                return True
        elif kind is Finished or (kind is PartStarted and event.id):  # type: ignore[union-attr]
            return True
    return False
