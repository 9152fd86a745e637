"""Whether a config's text has changed, or a file that it names by `${file:}`: asked again and again, cheaply.

Rules of this file:
- A look is a `stat` of what each path leads to now: a symbolic link that is pointed elsewhere (as mounted ConfigMaps and Secrets
  are) counts, and so does a file that another one was renamed over.
- The text is read only when that has changed and has stood still from one look to the next: nobody's half-written file is taken,
  least of all an empty one, which is a valid config. What counts then is the text: a touched file has not changed.
- A named file is known as it was when the config was loaded, whatever has become of it since: no rotation falls between.
- A change is told once, whatever becomes of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from headgate.config.document import MAX_BYTES
from headgate.config.secrets import MAX_FILE, digest


class Watch:
    """Of one config. `follow` says which other files it names."""

    def __init__(self, path: Path) -> None:
        self._config = _Watched(path, MAX_BYTES)
        self._named: dict[Path, _Watched] = {}

    def changed(self) -> bool:
        """Whether a text is another one than at the last True, or at the beginning. A file that is gone is another text."""
        return any(watched.changed() for watched in (self._config, *self._named.values()))

    def seen(self) -> bool:
        """Take the config's text as it is now for known; whether it is another one."""
        return self._config.seen()

    def follow(self, files: Mapping[Path, bytes]) -> None:
        """From now on these files count too, and no others: path -> `secrets.digest` of what was read there."""
        named = {path: self._named.get(path) or _Watched(path, MAX_FILE) for path in files}
        for path, watched in named.items():
            watched.read(files[path])
        self._named = named


class _Watched:
    def __init__(self, path: Path, limit: int) -> None:
        self._path, self._limit = path, limit
        self._stamp = self._look()
        self._text = digest(path, limit)
        self._moving = False

    def changed(self) -> bool:
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp, self._moving = stamp, True
            return False
        if not self._moving:
            return False
        self._moving = False
        return self.seen()

    def seen(self) -> bool:
        before, self._text = self._text, digest(self._path, self._limit)
        return before != self._text

    def read(self, text: bytes) -> None:
        """This is what was read; the next looks see whether it is there still."""
        self._text, self._moving = text, True

    def _look(self) -> tuple[str, int, int, int] | None:
        try:
            real = os.path.realpath(self._path)
            stat = os.stat(real)
        except OSError:
            return None  # gone, or not to be read: that too is a state, and who loads it says why
        return real, stat.st_mtime_ns, stat.st_size, stat.st_ino
