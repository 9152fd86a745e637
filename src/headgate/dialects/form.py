"""The form of a stream's frames: nearly all of them are alike but for one text.

Rules of this file:
- A decoder says of what it read (`Decoded.alike`) that a document which differs in nothing but its text means the same but for that
  text, and that reading it changes nothing in the decoder. The next frame of that form is then told by its bytes: no framing is looked
  for, no JSON parsed (6 µs less a chunk).
- Of that form is a text that means itself: valid UTF-8 without a quote, a backslash or a control character (RFC 8259 §7). Frames with
  other texts are read; so is the next one, whatever its form, once the decoder has read one that is not alike.
"""

from __future__ import annotations

from headgate.dialects.splice import sole
from headgate.model.events import Frame, PartDelta, Slot


class Form:
    """`frame`: the one that was read, with its one delta; `text`: where in its bytes that delta's text stands."""

    __slots__ = ("_begin", "_choice", "_end", "_event", "_head", "_kind", "_part", "_path", "_tail", "_text")

    def __init__(self, frame: Frame, delta: PartDelta, text: tuple[int, int]) -> None:
        assert frame.span is not None and delta.slot is not None
        raw, size = frame.raw, len(frame.raw)
        self._event = frame.event
        self._begin, self._end = frame.span[0], frame.span[1] - size
        self._head, self._tail = raw[: text[0]], raw[text[1] :]
        self._text = slice(text[0], text[1] - size)
        self._choice, self._part, self._kind, self._path = delta.choice, delta.part, delta.kind, delta.slot.path

    def read(self, raw: bytes) -> Frame | None:
        """The frame that these bytes are, if they are one of this form."""
        if not (raw.startswith(self._head) and raw.endswith(self._tail)):
            return None
        try:
            text = raw[self._text].decode()
        except UnicodeDecodeError:
            return None
        if not text or not text.isprintable() or '"' in text or "\\" in text:
            return None
        begin, end = self._begin, self._end + len(raw)
        delta = PartDelta(choice=self._choice, part=self._part, kind=self._kind, text=text, slot=Slot(self._path))
        return Frame(raw=raw, data=raw[begin:end], event=self._event, span=(begin, end), events=(delta,))


def form_of(frame: Frame) -> Form | None:
    """Of a frame that is alike to others, where its text's place is sure at a glance."""
    (delta,) = frame.events
    if frame.span is None or frame.data is None or not isinstance(delta, PartDelta) or delta.slot is None:
        return None
    place = sole(frame.data, delta.slot.path[-1])
    if place is None or frame.data[place[0] : place[0] + 1] != b'"' or not frame.raw.endswith(b"\n"):
        return None  # (behind a CR, an LF may follow that belongs to it)
    begin = frame.span[0]
    return Form(frame, delta, (begin + place[0] + 1, begin + place[1] - 1))
