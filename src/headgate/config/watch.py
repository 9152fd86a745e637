"""Whether a file's text has changed: asked again and again, cheaply.

Rules of this file:
- A look is a `stat` of what the path leads to now: a symbolic link that is pointed elsewhere (as mounted ConfigMaps are) counts,
  and so does a file that another one was renamed over.
- The text is read only when that has changed and has stood still from one look to the next: nobody's half-written file is taken,
  least of all an empty one, which is a valid config. What counts then is the text: a touched file has not changed.
- A change is told once, whatever becomes of it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


class Watch:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._look()
        self._text = self._digest()
        self._moving = False

    def changed(self) -> bool:
        """Whether the text is another one than at the last True, or at the beginning. A file that is gone is another text."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp, self._moving = stamp, True
            return False
        if not self._moving:
            return False
        self._moving = False
        return self.seen()

    def seen(self) -> bool:
        """Take the text as it is now for known; whether it is another one."""
        before, self._text = self._text, self._digest()
        return before != self._text

    def _look(self) -> tuple[str, int, int, int] | None:
        try:
            real = os.path.realpath(self._path)
            stat = os.stat(real)
        except OSError:
            return None  # gone, or not to be read: that too is a state, and who loads it says why
        return real, stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _digest(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError:
            return b""
