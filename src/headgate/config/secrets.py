"""Secrets in the config: the type that hides itself, and `${...}` replaced by what it stands for.

    ${VAR}              a variable; one that is not set is an error
    ${VAR:-default}     the default where the variable is not set or empty; it may hold further `${...}`
    ${env:VAR}          the same as ${VAR}, for names that hold a colon or begin otherwise
    ${file:path}        a file's text without its last line ends; a relative path begins at the config file's folder
    $$                  one "$"; any other "$" stands for itself, so that patterns need no escapes

Rules of this file:
- What was put in is not read again: a value that holds "${" stays as it is.
- No error shows a value: neither a variable's nor a default nor a file's text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, MutableMapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeAlias

MAX_FILE = 1 << 20
"""Bytes that `${file:}` takes at most."""

_NEXT = re.compile(r"\$\$|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


Files: TypeAlias = MutableMapping[Path, bytes]
"""Path of a file that a config names by `${file:}` -> `digest` of what was read there."""


class Secret(str):
    """A string that does not show itself in repr, so that no log or error prints it by accident."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(***)"


class Unresolved(Exception):
    """A `${...}` that stands for nothing; `hint` says what to do."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint


def digest(path: Path, limit: int = MAX_FILE) -> bytes:
    """What tells a file's text from another one, as far as somebody reads it who takes `limit` bytes at most; b"" where it cannot be
    read."""
    try:
        with path.open("rb") as file:
            return _digest(file.read(limit + 1))
    except OSError:
        return b""


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def interpolate(text: str, environment: Mapping[str, str], folder: Path, files: Files) -> str:
    """The text with every `${...}` and `$$` replaced; what was read for it is added to `files`. Raises Unresolved."""
    if "$" not in text:
        return text
    out: list[str] = []
    at = 0
    while found := _NEXT.search(text, at):
        out.append(text[at : found.start()])
        if found[0] == "$$":
            out.append("$")
            at = found.end()
        else:
            end = _closing(text, found.end())
            out.append(_resolve(text[found.end() : end], environment, folder, files))
            at = end + 1
    out.append(text[at:])
    return "".join(out)


def _closing(text: str, start: int) -> int:
    depth = 1
    for at in range(start, len(text)):
        if text[at] == "{" and text[at - 1] == "$":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
    raise Unresolved('a "${" is not closed', 'close it with "}", or write "$${" for the characters themselves')


def _resolve(inside: str, environment: Mapping[str, str], folder: Path, files: Files) -> str:
    if inside.startswith("file:"):
        return _read(folder / interpolate(inside[5:], environment, folder, files), files)
    name, dash, default = inside.removeprefix("env:").partition(":-")
    if not name or (not inside.startswith("env:") and not _NAME.fullmatch(name)):
        raise Unresolved(
            'this "${...}" is none of ${VAR}, ${VAR:-default}, ${env:VAR}, ${file:path}',
            'write "$${" for the characters themselves',
        )
    value = environment.get(name)
    if dash and not value:
        return interpolate(default, environment, folder, files)
    if value is None:
        close = get_close_matches(name, environment, 1, 0.8)
        hint = f"did you mean {close[0]}?" if close else f"set it, or write ${{{name}:-}} where it may be missing"
        raise Unresolved(f"the variable {name} is not set", hint)
    return value


def _read(path: Path, files: Files) -> str:
    files[path] = b""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise Unresolved(f"the file {path} cannot be read: {error.strerror}") from None
    files[path] = _digest(data)
    if len(data) > MAX_FILE:
        raise Unresolved(f"the file {path} is larger than {MAX_FILE} bytes")
    try:
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Unresolved(f"the file {path} is not UTF-8 text") from None
