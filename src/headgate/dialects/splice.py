"""Edits of JSON text that leave every other byte as it is.

Rules of this file:
- A place is a path of keys and indices. `places` finds values' byte ranges by walking tokens (RFC 8259 §2), so white space,
  key order, escapes and number forms of everything else survive.
- A duplicate key among those we look for is refused: the upstream might read the other one.
- An edit of one outermost member needs no walk where the key is spelled in the text exactly once (or never).
- Edits beside the bulk of a text (`bulk`) are looked for beside it: its inside holds no key of the outermost object, and to search
  400 kB for one costs as much as to decode them.
- The text is valid JSON (it was decoded before); an invalid one raises BadRequest, never anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import itemgetter

import msgspec
from msgspec import Struct

from headgate.dialects.base import Bulk, Edit
from headgate.errors import BadRequest
from headgate.model.events import Path

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++', re.S)
_STRING_OR_ATOM = re.compile(rb'\s*+:\s*+("(?:[^"\\]|\\.)*+"|[^\s{}\[\],:"]++)', re.S)
_COMMA = re.compile(rb"\s*+,")
_COLON_SIGN = re.compile(rb"\s*+:\s*+")
_LONG = 2048
"""Bytes of a text below which it costs more to look for its bulk than to search all of it."""
_PIECE = 32_768
"""Bytes that are compared at a time: memory for the whole would come fresh from the system, which costs more than the comparison."""
_OBJECT, _ARRAY, _BEGINS, _ENDS, _COMMA_SIGN, _COLON = 0x7B, 0x5B, b'{["', b"}]", 0x2C, 0x3A


class Place(Struct):
    """The bytes of a value: text[begin:end]; `key` is where its key begins, or -1 in an array."""

    begin: int
    end: int
    key: int


class _Wanted:
    """A trie of the paths we look for."""

    __slots__ = ("children", "path", "seen")

    def __init__(self) -> None:
        self.children: dict[str | int, _Wanted] = {}
        self.path: Path | None = None
        self.seen = False


class _Open(Struct):
    """A container that the walk is in."""

    wanted: _Wanted | None
    is_object: bool
    begin: int
    key: int
    index: int = 0


def places(text: bytes, paths: Iterable[Path]) -> dict[Path, Place]:
    """The place of the value at each path that exists. Raises BadRequest on a duplicate key on the way to a path."""
    root = _trie(paths)
    found: dict[Path, Place] = {}
    stack: list[_Open] = []
    wanted: _Wanted | None = root
    key_at = -1
    key_next = False
    for token in _TOKEN.finditer(text):
        sign = text[token.start()]
        if sign == _COLON:
            continue
        if sign == _COMMA_SIGN:
            if not stack:
                raise BadRequest("malformed JSON")
            top = stack[-1]
            if top.is_object:
                key_next = True
            else:
                top.index += 1
                wanted = top.wanted.children.get(top.index) if top.wanted else None
        elif sign in _ENDS:
            if not stack:
                raise BadRequest("malformed JSON")
            closed = stack.pop()
            key_next = False
            if closed.wanted is not None and closed.wanted.path is not None:
                found[closed.wanted.path] = Place(closed.begin, token.end(), closed.key)
        elif key_next:
            key_next = False
            key_at = token.start()
            wanted = _member(stack[-1].wanted, token[0])
        elif sign in (_OBJECT, _ARRAY):
            stack.append(_Open(wanted, sign == _OBJECT, token.start(), key_at))
            key_next = sign == _OBJECT
            key_at = -1
            wanted = wanted.children.get(0) if wanted is not None and sign == _ARRAY else None
        elif wanted is not None:
            if wanted.path is not None:
                found[wanted.path] = Place(token.start(), token.end(), key_at)
            wanted = None
    return found


def _trie(paths: Iterable[Path]) -> _Wanted:
    root = _Wanted()
    for path in paths:
        node = root
        for key in path:
            node = node.children.setdefault(key, _Wanted())
        node.path = path
    return root


def _member(parent: _Wanted | None, lexeme: bytes) -> _Wanted | None:
    if parent is None or not parent.children:
        return None
    try:
        name = msgspec.json.decode(lexeme, type=str)
    except msgspec.DecodeError as error:
        raise BadRequest("malformed JSON") from error
    child = parent.children.get(name)
    if child is not None:
        if child.seen:
            raise BadRequest(f"duplicate key {name!r}", param=name)
        child.seen = True
    return child


Change = tuple[int, int, bytes]
_PLACE = itemgetter(0, 1)


def bulk(text: bytes, key: str, value: msgspec.Raw) -> Bulk | None:
    """Where `value`, which a decoder read under this outermost key, stands in `text`; None where that is not plain. It is not taken on
    trust: what follows the first such key are its very bytes, and a JSON array, object or string ends where it ends."""
    at = text.find(b'"%s"' % key.encode()) if len(text) >= _LONG else -1
    colon = _COLON_SIGN.match(text, at + len(key) + 2) if at >= 0 else None
    if colon is None or text[colon.end()] not in _BEGINS:
        return None
    begin, given = colon.end(), memoryview(value)
    if not all(text.startswith(bytes(given[at : at + _PIECE]), begin + at) for at in range(0, len(given), _PIECE)):
        return None
    return Bulk(key, begin, begin + len(given))


def apply(text: bytes, edits: Sequence[Edit], bulk: Bulk | None = None) -> bytes:
    """`text` (a JSON object) with all edits made. A member that does not exist is added right after the opening brace of the
    deepest object that does; removing an absent one does nothing. `bulk`: of `text`."""
    if not edits:
        return text
    if bulk is None or any(edit.path[0] == bulk.key for edit in edits):
        changes = _changes(text, edits)
    else:
        changes = _changes(bulk.beside(text), edits)
        size = bulk.end - bulk.begin
        changes = [
            (begin if begin < bulk.begin else begin + size, end if end < bulk.begin else end + size, value)
            for begin, end, value in changes
        ]
    whole = memoryview(text)
    parts: list[bytes | memoryview] = []
    at = 0
    for begin, end, value in sorted(changes, key=_PLACE):
        parts += whole[at:begin], value
        at = end
    parts.append(whole[at:])
    return b"".join(parts)


def _changes(text: bytes, edits: Sequence[Edit]) -> list[Change]:
    changes: list[Change] = []
    for edit in edits:
        change = _quick(text, edit)
        if change is None:
            return _walked(text, edits)
        changes.append(change)
    return changes


@lru_cache(maxsize=64)
def _spelling(name: str | int) -> bytes | None:
    """A key as JSON text usually has it; None for keys that may be spelled in other ways than with \\u00XX escapes."""
    return b'"%s"' % name.encode() if isinstance(name, str) and name.isascii() and name.isidentifier() else None


def _quick(text: bytes, edit: Edit) -> Change | None:
    """The change for an outermost member whose key is spelled once or never, without a walk; None where that is not sure."""
    key = _spelling(edit.path[0])
    if key is None or edit.value is None or b"\\u00" in text:
        return None
    spelled = text.count(key)
    if spelled == 0:
        brace = text.find(b"{")
        if text[brace + 1 :].lstrip()[:1] == b"}":
            return None
        return brace + 1, brace + 1, _nested(edit.path, edit.value) + b","
    if spelled == 1 and edit.present and len(edit.path) == 1:
        value = _value(text, key)
        if value is not None:
            return *value, edit.value
    return None


def _value(text: bytes, key: bytes) -> tuple[int, int] | None:
    """Of the key that is spelled so; None where it is neither a string nor an atom."""
    found = _STRING_OR_ATOM.match(text, text.find(key) + len(key))
    return None if found is None else found.span(1)


def sole(text: bytes, name: str | int) -> tuple[int, int] | None:
    """Begin and end of the string or atom that is the value of the one member of this name, of a text that is known to have one;
    None where the key's spelling does not tell which that is."""
    key = _spelling(name)
    if key is None or text.count(key) != 1 or b"\\u00" in text:
        return None
    return _value(text, key)


def _nested(path: Path, value: bytes) -> bytes:
    """`"a":{"b":value}` for the path (a, b)."""
    for key in reversed(path[1:]):
        value = b"{%s:%s}" % (msgspec.json.encode(str(key)), value)
    return b"%s:%s" % (msgspec.json.encode(str(path[0])), value)


def _walked(text: bytes, edits: Sequence[Edit]) -> list[Change]:
    found = places(text, {edit.path[:depth] for edit in edits for depth in range(len(edit.path) + 1)})
    if () not in found:
        raise BadRequest("the body is not a JSON object")
    changes: list[Change] = []
    for edit in edits:
        place = found.get(edit.path)
        if place is None:
            if edit.value is not None:
                changes.append(_added(text, edit, found))
        elif edit.value is not None:
            changes.append((place.begin, place.end, edit.value))
        else:
            changes.append(_removed(text, place))
    return changes


def _added(text: bytes, edit: Edit, found: dict[Path, Place]) -> Change:
    depth = len(edit.path) - 1
    while edit.path[:depth] not in found:
        depth -= 1
    place = found[edit.path[:depth]]
    member = _nested(edit.path[depth:], edit.value or b"null")
    if text[place.begin] != _OBJECT:  # null: the value becomes the object we need
        return place.begin, place.end, b"{" + member + b"}"
    empty = not text[place.begin + 1 : place.end - 1].strip()
    return place.begin + 1, place.begin + 1, member if empty else member + b","


def _removed(text: bytes, place: Place) -> Change:
    """A whole member goes, with the comma after it, or else the one before it."""
    after = _COMMA.match(text, place.end)
    if after is not None:
        return place.key, after.end(), b""
    before = text[: place.key].rstrip()
    return (len(before) - 1 if before.endswith(b",") else place.key), place.end, b""
