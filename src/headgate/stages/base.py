"""What a stage is. All methods are optional: the pipeline calls those that a class overrides.

start   before dispatch, in order. None: go on. Raise `Refused`: stop. It may read the request, and edit it through `x.edits`.
events  on the answer's events, in reverse order: pass, change, hold or add. A stage holds only PartDeltas, and gives back each
        one it held, in order, at the latest from `flush`.
rests   before a text that goes on at once, because nothing begins in it that concerns the filter (`harmless`); `passes` has it then.
passes  before `events`, of a text that may need none: the short way of most frames of a stream.
flush   the answer ended: what was held.
finish  exactly once if `start` was entered, in reverse order; a plain function, so that nothing cancels it half-way.
        The outcome is in `x.outcome`.
"""

from __future__ import annotations

from collections.abc import Sequence

from headgate.model.events import Event
from headgate.model.exchange import Exchange


class Stage:
    name: str = ""

    async def start(self, x: Exchange) -> None:
        return None

    def filter(self, x: Exchange) -> Filter | None:
        """This answer's event filter, made once dispatch has answered; None: events pass this stage by."""
        return None

    def finish(self, x: Exchange) -> None:
        return None


class Filter:
    """One answer's way through one stage. State lives here, keyed by (choice, part)."""

    harmless = b""
    """ASCII characters in which nothing begins that concerns it."""

    def events(self, events: Sequence[Event]) -> Sequence[Event]:
        """What goes on of a frame's events, and of those held before them. The very same sequence where all pass as they are."""
        raise NotImplementedError

    def rests(self, key: tuple[int, int]) -> bool:
        """Whether nothing of this part is held or undecided, so that `passes` is True of every text of `harmless` characters that may come
        next."""
        return False

    def passes(self, key: tuple[int, int], text: str) -> bool:
        """Whether this next text of a part (choice, part) passes as it is, and nothing else goes on by it: then the filter has had it, as
        by `events`. False: nothing has happened, and `events` is to be asked."""
        return False

    def flush(self) -> Sequence[Event]:
        return ()

    def end(self) -> None:
        """Once, when the answer is over, however it ended."""
