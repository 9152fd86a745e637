"""What an attempt used, counted as its frames arrive, before any stage sees them: a blocked or abandoned answer is counted too.

An answer that ends without the provider's usage is estimated, and marked so: about three bytes of text a token, which is on the
high side for every tokenizer in use (an estimate below the provider's bill would be a hole in the budget).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from headgate.model.events import Event, Failed, Finished, PartDelta, Started, UsageSeen
from headgate.model.usage import Usage

BYTES_A_TOKEN = 3


class Meter:
    __slots__ = ("_input", "complete", "failed", "letters", "model", "started_id", "usage")

    def __init__(self, body_bytes: int) -> None:
        self._input = body_bytes
        self.letters = 0
        self.usage: Usage | None = None
        self.started_id = ""
        self.model = ""
        self.failed: Failed | None = None
        self.complete = False

    def observe(self, events: Iterable[Event]) -> None:
        for event in events:
            kind = type(event)
            if kind is PartDelta:
                self.letters += len(event.text)  # type: ignore[union-attr]
            elif kind is UsageSeen:
                self.usage = event.usage  # type: ignore[union-attr]
            elif kind is Started:
                self.started_id = event.id or self.started_id  # type: ignore[union-attr]
                self.model = event.model or self.model  # type: ignore[union-attr]
            elif kind is Finished:
                self.complete = True
            elif kind is Failed:
                self.failed = event  # type: ignore[assignment]

    def result(self, ended: bool) -> Usage | None:
        """The usage to account, None for what is free. `ended`: the answer came to its own end, so that the provider's last
        figure is final."""
        seen = self.usage
        if ended and seen is not None:
            return seen
        output = -(-self.letters // BYTES_A_TOKEN)
        if seen is None:
            return Usage(input=estimate_tokens(self._input), output=output, estimated=True)
        return replace(seen, output=max(seen.output, output), estimated=True)


class Free(Meter):
    """Of an operation that providers do not bill (counting tokens)."""

    def result(self, ended: bool) -> None:
        return None


def estimate_tokens(body_bytes: int) -> int:
    return -(-body_bytes // BYTES_A_TOKEN)
