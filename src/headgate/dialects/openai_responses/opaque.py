"""What a client carries for others: the opaque values of thoughts, calls and texts, in `encrypted_content`."""

from __future__ import annotations

from headgate.dialects import carrier
from headgate.dialects.base import Json
from headgate.model.prompt import Extras, Loss, foreign

from .tables import CARRIED, FAMILY, OURS, THOUGHT_EXTRAS


def native(extras: Extras) -> bool:
    """Whether a thought is this API's own."""
    own = extras.get(FAMILY, {})
    return bool(own.get("encrypted_content") or own.get("id"))


def opaque(extras: Extras) -> tuple[Json, list[Loss]]:
    """The members that a thought adds to its reasoning item."""
    if not native(extras):
        return {"encrypted_content": carrier.wrap({name: fields for name, fields in extras.items() if fields})}, []
    own = extras[FAMILY]
    rest = [name for name in own if name not in (*THOUGHT_EXTRAS, "id", "content")]
    losses = [Loss(f"reasoning.{name}", "a reasoning item has no such member", own[name]) for name in rest]
    losses += foreign(extras, FAMILY, "reasoning")
    return {name: own[name] for name in THOUGHT_EXTRAS if name in own}, losses


def beside(extras: Extras, of: str) -> tuple[str | None, list[Loss]]:
    """The carrier that goes beside a call or a text, None where there is nothing to carry; and what nothing carries."""
    carried: Extras = {}
    losses: list[Loss] = []
    for family, fields in extras.items():
        kept = {name: value for name, value in fields.items() if name in CARRIED.get(family, ())}
        losses += foreign({family: {name: fields[name] for name in fields if name not in kept}}, FAMILY, "output")
        if kept:
            carried[family] = kept
    return (carrier.wrap({**carried, OURS: {"of": of}}) if carried else None), losses
