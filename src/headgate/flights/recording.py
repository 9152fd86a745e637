"""One answer's frames for several readers: what has come, who has taken how much of it, what may be forgotten. No I/O, no clock.

Rules of this file:
- Every reader gets every frame once, in order, from the first one on.
- While a recording is open it forgets nothing, so that somebody may still join. Closed, it holds what its slowest reader has not taken.
- The fastest reader sets the pace: `ahead` asks for a pause when even that one is behind. Of a closed recording, who is behind by more
  than BEHIND when still more comes is cut: what waits for readers is bounded, and one who does not read stops nobody else.
- A reader who has had no chance to read is not behind: only what came before the last piece counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headgate.errors import HeadgateError
from headgate.model.events import Frame

BEHIND = 4 << 20
AHEAD = 1 << 20
"""Bytes."""
FRAME = 512
"""Bytes of a frame beside its data, which it holds twice (`raw`, and decoded): a chat chunk of 167 bytes takes 650 (tracemalloc)."""


class Held:
    """Bytes that recordings hold, all together."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


class Reader:
    __slots__ = ("at", "complete", "cut", "taken")

    def __init__(self) -> None:
        self.at = 0
        """Frames taken."""
        self.taken = 0
        """Bytes of them."""
        self.complete = False
        """The answer's end is among them (the body may not have ended)."""
        self.cut = False


class Recording:
    __slots__ = (
        *("_begin", "_beside", "_complete", "_frames", "_held", "_sizes", "_written"),
        *("error", "open", "over", "readers", "size"),
    )

    def __init__(self, held: Held) -> None:
        self._held = held
        self._frames: list[Frame] = []
        self._sizes: list[int] = []
        self._begin = 0
        """Frames that are forgotten."""
        self._written = 0
        self._beside = 0
        self._complete = False
        self.size = 0
        """Bytes held now."""
        self.readers: set[Reader] = set()
        self.open = True
        self.over = False
        """Nothing more comes."""
        self.error: HeadgateError | None = None
        """Why, where the answer did not come to its end."""

    # ------------------------------------------------------------------ readers

    def join(self) -> Reader | None:
        """A reader of all frames; None where some are forgotten."""
        if not self.open:
            return None
        reader = Reader()
        self.readers.add(reader)
        return reader

    def take(self, reader: Reader) -> Sequence[Frame]:
        """What the reader has not had yet."""
        if reader.cut or reader.at == self._end:
            return ()
        frames = self._frames[reader.at - self._begin :]
        reader.at, reader.taken, reader.complete = self._end, self._written, self._complete
        self._forget()
        return frames

    def leave(self, reader: Reader) -> None:
        """No effect on who has left, or was cut."""
        self.readers.discard(reader)
        self._forget()

    @property
    def ahead(self) -> bool:
        """More should not come before somebody has taken what is there."""
        return bool(self.readers) and self._written - max(reader.taken for reader in self.readers) > AHEAD

    # ------------------------------------------------------------------ the answer

    def add(self, frames: Iterable[Frame], complete: bool) -> None:
        """What has come, and whether the answer's end is among it."""
        if not self.open:
            for reader in [reader for reader in self.readers if self._written - reader.taken > BEHIND]:
                reader.cut = True
                self.readers.discard(reader)
        for frame in frames:
            size = 2 * len(frame.raw) + FRAME
            self._frames.append(frame)
            self._sizes.append(size)
            self._written += size
            self._hold(size)
        self._complete = complete
        self._forget()

    def burden(self, size: int) -> None:
        """What a newcomer needs beside the frames takes so many bytes, until there are no newcomers."""
        if self.open:
            self._beside += size
            self._hold(size)

    def end(self, error: HeadgateError | None) -> None:
        self.over, self.error = True, error

    def close(self) -> None:
        """Nobody may join any more."""
        self.open = False
        self._hold(-self._beside)
        self._beside = 0
        self._forget()

    # ------------------------------------------------------------------

    @property
    def _end(self) -> int:
        return self._begin + len(self._frames)

    def _forget(self) -> None:
        """Let go of what nobody will ask for."""
        if self.open:
            return
        count = min((reader.at for reader in self.readers), default=self._end) - self._begin
        if count:
            size = sum(self._sizes[:count])
            del self._frames[:count], self._sizes[:count]
            self._begin += count
            self._hold(-size)

    def _hold(self, size: int) -> None:
        self.size += size
        self._held.bytes += size
