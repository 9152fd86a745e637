"""The short way of a stream's frames: one that is told by its form and is of no guard's business makes no frame and no event.

Rules of this file:
- Only where the answer is shown as it comes and at most one filter looks at it: what one has taken must not be taken back.
- A text of characters in which nothing begins that concerns the filter goes on at once. What follows from it for filter, meter and
  render is done for many such texts together (`settle`): before anything else is, and when the source ends, breaks or pauses.
- Other texts are asked for one by one (`Filter.passes`). What does not pass takes the way of all frames; so does every text where the
  filter looks at tool arguments alone.
"""

from __future__ import annotations

from headgate.dialects.form import Form, meaning_themselves
from headgate.dialects.render import Patched, Verbatim
from headgate.meter import Meter
from headgate.net import Sink
from headgate.stages.base import Filter
from headgate.upstream import Progress

ROOM = 8 * 1024
"""Bytes of frames that are kept to be settled together: some thirty."""


class Passing:
    """A `form.Passer`: frames go to `write` as they came. `prompt`: the meter is read meanwhile, and must have each text at once.
    What goes wrong here is `broken`: it is not the source's fault, and whoever pours raises it."""

    __slots__ = (
        "_filter",
        "_form",
        "_gone",
        "_harmless",
        "_meter",
        "_progress",
        "_render",
        "_room",
        "_write",
        "broken",
        "wrote",
    )

    def __init__(
        self,
        render: Verbatim | Patched,
        meter: Meter,
        filter_: Filter | None,
        progress: Progress,
        write: Sink,
        *,
        prompt: bool,
    ) -> None:
        self._render = render
        self._meter = meter
        self._filter = filter_
        self._progress = progress
        self._write = write
        self._harmless = b"" if prompt else meaning_themselves(None if filter_ is None else filter_.harmless)
        self._form: Form | None = None
        """Whose texts go on at once."""
        self._gone: list[bytes] = []
        """Frames that went on, to be settled."""
        self._room = ROOM
        self.broken: Exception | None = None
        self.wrote = False

    def __call__(self, form: Form, raw: bytes) -> bool | None:
        try:
            known = form is self._form or self._begins(form)
            if known and raw.startswith(form.head) and raw.endswith(form.tail):
                text = raw[form.place]
                if text and not text.translate(None, self._harmless):
                    self._gone.append(raw)
                    self._room -= len(raw)
                    if self._room <= 0:
                        self.settle()
                    return self._write(raw)
            return self._asked(form, raw)
        except Exception as error:  # noqa: BLE001 - raised by who pours
            self.broken = error
            return False

    def _begins(self, form: Form) -> bool:
        self.settle()
        if not self._harmless or self._progress.complete:
            return False
        if self._filter is None or self._filter.rests(form.key):
            self._form = form
            return True
        return False

    def _asked(self, form: Form, raw: bytes) -> bool | None:
        self.settle()
        text = None if self._progress.complete else form.text(raw)
        if text is None or (self._filter is not None and not self._filter.passes(form.key, text)):
            return None
        self._meter.take((text,))
        if out := self._render.pass_on(form, raw, text):
            self.wrote = True
            return self._write(out)
        return True

    def settle(self) -> None:
        """Everybody has had what went on."""
        form, self._form = self._form, None
        gone, self._gone, self._room = self._gone, [], ROOM
        if form is None or not gone:
            return
        self.wrote = True
        texts = form.texts(gone)
        together = "".join(texts)
        self._meter.take(texts)
        passed = self._filter is None or self._filter.passes(form.key, together)
        shown = self._render.pass_on(form, gone[-1], together)
        assert passed and shown is gone[-1], "it has gone on"
