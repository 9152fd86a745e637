"""Names and ids between grammars: of tools and of their calls.

Rules of this file:
- What fits the target's grammar is unchanged; what does not becomes a pure function of itself, so that a call and its
  result, this turn and the next, this process and another all agree without a memory.
- Nothing is random: a hash stands where a provider would draw a number. 24 base-62 digits of SHA-256 hold 142 bits,
  9 digits (Mistral's grammar) hold 53: enough that two calls of one conversation do not meet.
- Tool names change only as far as they must ("files.read" -> "files_read"); a hash is added only where two would meet
  or where the end was cut.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable
from typing import Literal, TypeAlias

IdGrammar: TypeAlias = Literal["any", "openai", "anthropic", "mistral", "google"]
NameGrammar: TypeAlias = Literal["openai", "anthropic", "google"]

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_IDS: dict[IdGrammar, re.Pattern[str]] = {
    "any": re.compile(r"(?s).+"),
    "google": re.compile(r"(?s).+"),
    "openai": re.compile(r"[ -~]{1,40}"),
    "anthropic": re.compile(r"[a-zA-Z0-9_-]{1,64}"),
    "mistral": re.compile(r"[a-zA-Z0-9]{9}"),
}
_MADE: dict[IdGrammar, tuple[str, int]] = {
    "any": ("call_", 24),
    "google": ("call_", 24),
    "openai": ("call_", 24),
    "anthropic": ("toolu_", 24),
    "mistral": ("", 9),
}
"""Grammar -> prefix and number of digits of an id made from one that does not fit."""

_NAMES: dict[NameGrammar, tuple[re.Pattern[str], re.Pattern[str], int]] = {
    "openai": (re.compile(r"[a-zA-Z0-9_-]{1,64}"), re.compile(r"[^a-zA-Z0-9_-]"), 64),
    "anthropic": (re.compile(r"[a-zA-Z0-9_-]{1,128}"), re.compile(r"[^a-zA-Z0-9_-]"), 128),
    "google": (re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}"), re.compile(r"[^a-zA-Z0-9_.:-]"), 64),
}
"""Grammar -> what fits, what a character may not be, longest name."""


def digest(text: str, digits: int) -> str:
    """`digits` (≤ 40) base-62 digits of SHA-256 of `text`."""
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), "big")
    made = []
    for _ in range(digits):
        number, digit = divmod(number, 62)
        made.append(_DIGITS[digit])
    return "".join(made)


def tool_id(id: str, grammar: IdGrammar) -> str:
    """The id of a call in the target's grammar: itself where it fits, else made from it, for call and result alike."""
    if _IDS[grammar].fullmatch(id):
        return id
    prefix, digits = _MADE[grammar]
    return prefix + digest(id, digits)


def call_id(seed: str, number: int) -> str:
    """An id for a call that came without one. `seed`: what is the call's own, such as f"{answer id}:{name}:{choice}";
    `number`: its part number in the choice."""
    return "call_" + digest(f"{seed}#{number}", 24)


def tool_name(name: str, taken: Container[str], grammar: NameGrammar = "openai") -> str:
    """`name` in the target's grammar. `taken`: names that the result may not be (those that other tools have already);
    a name that fits is unchanged whatever is taken, so give the fitting ones first or use `tool_names`."""
    fits, wrong, longest = _NAMES[grammar]
    if fits.fullmatch(name):
        return name
    made = wrong.sub("_", name) or "_"
    if not fits.fullmatch(made[:longest]):
        made = "_" + made
    if len(made) > longest or made in taken:
        made = f"{made[: longest - 9]}_{digest(name, 8)}"
    return made


def tool_names(names: Iterable[str], grammar: NameGrammar = "openai") -> dict[str, str]:
    """The client's name -> the target's, for all tools a request speaks of. Names that fit are served first."""
    fits = _NAMES[grammar][0]
    distinct = list(dict.fromkeys(names))
    mapped = {name: name for name in distinct if fits.fullmatch(name)}
    taken = set(mapped)
    for name in distinct:
        if name not in mapped:
            mapped[name] = tool_name(name, taken, grammar)
            taken.add(mapped[name])
    return mapped
