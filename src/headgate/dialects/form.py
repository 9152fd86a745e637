"""The form of a stream's frames: nearly all of them are alike but for one text.

Rules of this file:
- A decoder says of what it read (`Decoded.alike`) that a document which differs in nothing but its text means the same but for that
  text, and that reading it changes nothing in the decoder. The next frame of that form is then told by its bytes: no framing is looked
  for, no JSON parsed (6 µs less a chunk). Where it is of no guard's business there is no frame either (a `Passer`).
- Of that form is a text that means itself: valid UTF-8 without a quote, a backslash or a control character (RFC 8259 §7). Frames with
  other texts are read; so is the next one, whatever its form, once the decoder has read one that is not alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from headgate.dialects.splice import sole
from headgate.model.events import Frame, PartDelta, Slot


class Form:
    """`frame`: the one that was read, with its one delta; `place`: where in its bytes that delta's text stands."""

    __slots__ = ("_begin", "_end", "_event", "_kind", "_path", "data", "head", "key", "place", "tail")

    def __init__(self, frame: Frame, delta: PartDelta, place: tuple[int, int]) -> None:
        assert frame.span is not None and delta.slot is not None
        raw, size = frame.raw, len(frame.raw)
        self._event = frame.event
        self._begin, self._end = frame.span[0], frame.span[1] - size
        self.head, self.tail = raw[: place[0]], raw[place[1] :]
        """What stands before and behind the text, in each of them."""
        self.place = slice(place[0], place[1] - size)
        self._kind, self._path = delta.kind, delta.slot.path
        self.data = slice(self._begin, self._end)
        """Where a frame of this form has its document."""
        self.key = (delta.choice, delta.part)
        """Whose text it is."""

    def read(self, raw: bytes) -> Frame | None:
        """The frame that these bytes are, if they are one of this form."""
        text = self.text(raw)
        return None if text is None else self.frame(raw, text)

    def text(self, raw: bytes) -> str | None:
        """The text of the frame that these bytes are, if they are one of this form."""
        if not (raw.startswith(self.head) and raw.endswith(self.tail)):
            return None
        try:
            text = raw[self.place].decode()
        except UnicodeDecodeError:
            return None
        if not text or not text.isprintable() or '"' in text or "\\" in text:
            return None
        return text

    def texts(self, frames: Iterable[bytes]) -> list[str]:
        """Of frames of this form."""
        return [raw[self.place].decode() for raw in frames]

    def frame(self, raw: bytes, text: str) -> Frame:
        """The frame that these bytes are, which hold this text."""
        begin, end = self._begin, self._end + len(raw)
        choice, part = self.key
        delta = PartDelta(choice=choice, part=part, kind=self._kind, text=text, slot=Slot(self._path))
        return Frame(raw=raw, data=raw[begin:end], event=self._event, span=(begin, end), events=(delta,))


def form_of(frame: Frame) -> Form | None:
    """Of a frame that is alike to others, where its text's place is sure at a glance."""
    (delta,) = frame.events
    if frame.span is None or frame.data is None or not isinstance(delta, PartDelta) or delta.slot is None:
        return None
    if delta.part < 0 or delta.whole:
        return None
    place = sole(frame.data, delta.slot.path[-1])
    if place is None or frame.data[place[0] : place[0] + 1] != b'"' or not frame.raw.endswith(b"\n"):
        return None  # (behind a CR, an LF may follow that belongs to it)
    begin = frame.span[0]
    return Form(frame, delta, (begin + place[0] + 1, begin + place[1] - 1))


@lru_cache(maxsize=256)
def meaning_themselves(characters: bytes | None) -> bytes:
    """Of these characters (None: of all) the ASCII ones that stand for themselves in JSON."""
    return bytes(one for one in range(0x20, 0x7F) if one not in b'"\\' and (characters is None or one in characters))


Passer = Callable[[Form, bytes], bool | None]
"""Takes bytes that may be a frame of this form, and says whether more may come at once; None: they are to be taken as others are."""
