"""Parts of an answer as content blocks: what the streamed and the whole form share.

Rules of this file:
- `signature` is this dialect's opaque slot. A thought that the API did not sign is signed with a carrier of its
  own extras, even of none: a thought of another family must never look like one that the API would have to verify.
- An opaque value on a part that has no slot (Gemini's thoughtSignature of a call) travels in an empty thinking block
  beside it, whose carrier names the call ("of"; "previous" for a text). The reader lays it back on the part.
- `input` is an object. Arguments that are none are shown under "input", and listed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headgate.dialects import carrier
from headgate.dialects.base import Ask
from headgate.dialects.finish import beside
from headgate.dialects.naming import call_id, tool_id
from headgate.model.events import Answer, Finished, Started
from headgate.model.prompt import Extras, Loss, foreign

from .tables import ANSWER_EXTRAS, CARRIED, FAMILY, OURS, STOP_WORDS, STOPS, UNKNOWN_STOP


def signature(extras: Extras) -> str:
    own = extras.get(FAMILY, {})
    if "signature" in own:
        return str(own["signature"])
    return carrier.wrap({family: fields for family, fields in extras.items() if fields})


def thinking_block(text: str, extras: Extras) -> dict[str, Any]:
    redacted = extras.get(FAMILY, {}).get("redacted")
    if redacted is not None and not text:
        return {"type": "redacted_thinking", "data": redacted}
    return {"type": "thinking", "thinking": text, "signature": signature(extras)}


def carried(extras: Extras, of: str) -> str | None:
    """The signature of the empty thinking block that goes beside a part; None where the part has nothing to carry."""
    opaque: Extras = {}
    for family, fields in extras.items():
        kept = {name: value for name, value in fields.items() if name in CARRIED.get(family, ())}
        if kept:
            opaque[family] = kept
    return carrier.wrap({**opaque, OURS: {"of": of}}) if opaque else None


def uncarried(extras: Extras, where: str) -> list[Loss]:
    """What of a part's foreign extras nothing carries."""
    left = {
        family: {name: value for name, value in fields.items() if name not in CARRIED.get(family, ())}
        for family, fields in extras.items()
    }
    return list(foreign(left, FAMILY, where))


def call_block(id: str, name: str, extras: Extras) -> dict[str, Any]:
    """A tool_use block without its input."""
    own = {key: value for key, value in extras.get(FAMILY, {}).items() if key in ANSWER_EXTRAS}
    return {"type": "tool_use", "id": id, "name": name, "input": {}, **own}


def shown_id(ask: Ask, part: int, id: str, name: str) -> str:
    return tool_id(id, "anthropic") if id else call_id(f"{ask.id}:{name}", part)


def tool_input(text: str) -> tuple[dict[str, Any], list[Loss]]:
    """The object a call's arguments are."""
    if not text.strip():
        return {}, []
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        value = text
    if isinstance(value, dict):
        return value, []
    if value is None:
        return {}, []
    return {"input": value}, [Loss("tool_call.arguments", "not a JSON object: shown under 'input'", text)]


def message(started: Started | Answer, ask: Ask) -> dict[str, Any]:
    """A message without content, stop reason and usage."""
    return {
        "id": started.id or f"msg_{ask.id}",
        "type": "message",
        "role": "assistant",
        "model": started.model or ask.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        **started.extras.get(FAMILY, {}),
    }


def stop_word(finished: Finished, called: bool, refused: bool) -> tuple[str, list[Loss]]:
    """The stop reason to show: this API's own word if it said one. Calls that another provider's model made are to be
    run, whatever word that provider ended with."""
    losses = beside(finished.extras, FAMILY)
    own = finished.extras.get(FAMILY, {}).get("stop_reason")
    if isinstance(own, str):
        return own, losses
    stop = finished.stop
    if STOPS.get(finished.native) == stop:
        return finished.native, losses
    if stop == "stop" and (called or refused):
        stop = "tool_use" if called else "refusal"
    if stop in STOP_WORDS:
        return STOP_WORDS[stop], losses
    return UNKNOWN_STOP, [*losses, Loss("stop_reason", "this dialect has no such word", finished.native or stop)]
