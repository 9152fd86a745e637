"""`reasoning_details`: thoughts with their opaque halves, as chat speakers carry them (OpenRouter's de-facto list).

    {"type": "reasoning.text", "text", "signature", "format": "anthropic-claude-v1" | "google-gemini-v1", "index"}
    {"type": "reasoning.summary", "summary", "format": "openai-responses-v1", "index"}
    {"type": "reasoning.encrypted", "data", "id", "format": ..., "index"}

Rules of this file:
- One thought may stand in several entries: in a stream its pieces have the same index, and clients send them back
  merged or not. What seals it (signature, data) comes last. `Grouping` tells which entries make one thought.
- An encrypted entry whose `id` names a tool call holds that call's extras; with the id "content", those of the
  text.
- What no format can hold travels as a carrier: `data` with the format "headgate-v1".
- Entries of formats we do not know are kept whole in extras["openai"]["detail"] and go back as they came.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headgate.dialects import carrier
from headgate.model.events import merged
from headgate.model.prompt import Extras, Thinking

ANTHROPIC, GOOGLE, OPENAI, OWN = "anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1", "headgate-v1"
CONTENT = "content"
_TEXT_KEYS = {"reasoning.text": "text", "reasoning.summary": "summary"}
_STRUCTURE = frozenset(("type", "index", "text", "summary", "format", "id", "signature", "data"))

Detail = dict[str, Any]


def text_key(detail: Detail) -> str:
    """The member of an entry that holds its text ("" for none)."""
    kind = detail.get("type")
    return _TEXT_KEYS.get(kind, "") if isinstance(kind, str) else ""


def style_of(detail: Detail) -> str:
    """The format of an entry, "" where it says none."""
    style = detail.get("format")
    return style if isinstance(style, str) and style != "unknown" else ""


def text_of(detail: Detail) -> str:
    """The text of an entry; anything else than a string counts as none."""
    value = detail.get(text_key(detail))
    return value if isinstance(value, str) else ""


def owner(detail: Detail) -> str | None:
    """The id of the tool call whose extras this entry holds, CONTENT for the text's, None for a thought."""
    name = detail.get("id")
    if detail.get("type") != "reasoning.encrypted" or style_of(detail) not in (GOOGLE, OWN):
        return None
    return name if isinstance(name, str) and name else None


def extras_of(detail: Detail) -> Extras:
    """What of an entry must go back unchanged, under the family that owns it."""
    signature, data, name = (detail.get(key) for key in ("signature", "data", "id"))
    style = style_of(detail)
    opaque = signature or data
    if isinstance(data, str) and (found := carrier.unwrap(data)) is not None:
        return found
    if style == ANTHROPIC and text_key(detail):
        return {"anthropic": {"signature": signature}} if signature else {}
    if style == ANTHROPIC and data:
        return {"anthropic": {"redacted": data}}
    if style == GOOGLE:
        return {"google": {"thoughtSignature": opaque}} if opaque else {}
    if style == OPENAI:
        held = {"id": name, "encrypted_content": data}
        return {"openai": {key: value for key, value in held.items() if value}} if any(held.values()) else {}
    rest = {key: value for key, value in detail.items() if key not in (text_key(detail), "index") and value is not None}
    if not style:
        rest.pop("format", None)
    if text_key(detail) == "text" or rest.keys() == {"type"}:
        rest.pop("type", None)
    return {"openai": {"detail": rest}} if rest else {}


class Grouping:
    """Tells whether an entry goes on with the thought before it. Feed the entries in order."""

    __slots__ = ("_index", "_open", "_sealed", "_style")

    def __init__(self) -> None:
        self.close()

    def close(self) -> None:
        """Something else was said: the next entry begins a thought."""
        self._open = self._sealed = False
        self._index: Any = None
        self._style = ""

    def goes_on(self, detail: Detail) -> bool:
        style, index = style_of(detail), detail.get("index")
        encrypted = not text_key(detail)
        if not self._open or self._sealed:
            on = False
        elif encrypted and style == OPENAI:
            on = self._style in ("", OPENAI)
        elif encrypted:
            on = False
        elif style == OPENAI == self._style:
            on = True
        else:
            on = (index == self._index or index is None) and (not style or self._style in ("", style))
        self._sealed = bool(detail.get("signature") or detail.get("data"))
        self._index = index
        self._style = self._style if on and not style else style
        self._open = True
        return on


def thoughts(details: list[Detail]) -> Iterator[Thinking]:
    """The thoughts in a list of entries (those that `owner` gives to a call or a text are not among them)."""
    grouping = Grouping()
    current: Thinking | None = None
    for detail in details:
        if owner(detail) is not None:
            continue
        if not grouping.goes_on(detail) or current is None:
            if current is not None:
                yield current
            current = Thinking(text="")
        current.text += text_of(detail)
        merged(current.extras, extras_of(detail))
    if current is not None:
        yield current


def seal(extras: Extras, text: bool) -> Detail | None:
    """The entry (without index) that holds a thought's extras after its text. `text`: there is an entry with its text.
    An entry that has a text key completes that one, under its index; another follows it under its own."""
    known = {family: set(fields) for family, fields in extras.items() if fields}
    anthropic, google, openai = (extras.get(family, {}) for family in ("anthropic", "google", "openai"))
    if not known:
        return None
    if known == {"anthropic": {"signature"}}:
        return {"type": "reasoning.text", "signature": anthropic["signature"], "format": ANTHROPIC}
    if known == {"anthropic": {"redacted"}} and not text:
        return {"type": "reasoning.encrypted", "data": anthropic["redacted"], "format": ANTHROPIC}
    if known == {"google": {"thoughtSignature"}}:
        return {"type": "reasoning.text", "signature": google["thoughtSignature"], "format": GOOGLE}
    if known == {"openai": {"id", "encrypted_content"}}:
        return {
            "type": "reasoning.encrypted",
            "data": openai["encrypted_content"],
            "id": openai["id"],
            "format": OPENAI,
        }
    if known == {"openai": {"detail"}} and isinstance(openai["detail"], dict):
        return {"type": "reasoning.text", **openai["detail"]}
    kind = "reasoning.text" if text else "reasoning.encrypted"
    return {"type": kind, "data": carrier.wrap(extras), "format": OWN}


def attached(extras: Extras, name: str) -> Detail | None:
    """The entry that holds the extras of the tool call with the id `name` (or of the text: CONTENT)."""
    kept = {family: fields for family, fields in extras.items() if fields}
    if not kept:
        return None
    if set(kept) == {"google"} and set(kept["google"]) == {"thoughtSignature"} and name != CONTENT:
        data = kept["google"]["thoughtSignature"]
        return {"type": "reasoning.encrypted", "data": data, "id": name, "format": GOOGLE}
    return {"type": "reasoning.encrypted", "data": carrier.wrap(kept), "id": name, "format": OWN}


def entries(thinking: Thinking, index: int) -> list[Detail]:
    """A whole thought as entries numbered from `index`."""
    sealing = seal(thinking.extras, bool(thinking.text))
    if not thinking.text:
        return [{**sealing, "index": index}] if sealing else []
    if sealing is None:
        return [{"type": "reasoning.text", "text": thinking.text, "index": index}]
    if key := text_key(sealing):
        rest = {name: value for name, value in sealing.items() if name != "type"}
        return [{"type": sealing["type"], key: thinking.text, **rest, "index": index}]
    if sealing["format"] == OPENAI:
        first = {"type": "reasoning.summary", "summary": thinking.text, "format": OPENAI, "index": index}
    else:
        first = {"type": "reasoning.text", "text": thinking.text, "index": index}
    return [first, {**sealing, "index": index + 1}]
