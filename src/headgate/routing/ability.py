"""Which models cannot serve a request: what it needs against what they take. Pure.

- What is unknown keeps nobody away.
- Thinking is a wish, not a need: a model without it answers all the same, so it is told (conditions may ask for it) but not
  demanded.
- An output cap above the model's own is refused by its provider, so it counts as one more thing that the model cannot.
"""

from __future__ import annotations

from headgate.model.ability import Abilities, Needs

CANNOT: dict[str, str] = {
    "images": "takes no images",
    "audio": "takes no audio",
    "documents": "takes no documents",
    "video": "takes no video",
    "tools": "calls no tools",
    "schema": "is not bound to a JSON schema",
}
"""Ability demanded -> words for its absence, in the order in which they are told."""


def lacking(needs: Needs, abilities: Abilities | None) -> str | None:
    """The first thing that the request needs and the model cannot, in words ("takes no images"); None where it can, or where
    nothing is known."""
    if abilities is None:
        return None
    for name, words in CANNOT.items():
        if getattr(needs, name) and getattr(abilities, name) is False:
            return words
    if abilities.context is not None and needs.tokens > abilities.context:
        return f"its context of {abilities.context:,} tokens is too small for at least {needs.tokens:,}"
    if abilities.max_output is not None and needs.output > abilities.max_output:
        return f"its output of {abilities.max_output:,} tokens at most is less than the {needs.output:,} asked for"
    return None
