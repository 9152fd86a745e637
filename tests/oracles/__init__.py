"""Independent readers: what a dialect's official SDK understands of an answer, and whether a request is valid to its strict
description. One module for each dialect, with three functions:

    whole(document: bytes) -> Reading        the official SDK's types parse a whole reply
    stream(body: bytes) -> Reading           the official SDK reads and accumulates a streamed body (its own accumulator)
    problems(request: dict) -> list[str]     what a strict validator has against a request ([]: valid)

Nothing here imports headgate: an oracle that shared code with what it judges would agree with its mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ReadChoice:
    """One choice as an SDK shows it. `tools` are client-side calls only: (name, parsed arguments or free text).
    `stop` is in neutral words (headgate.model.events.Stop)."""

    text: str = ""
    thinking: str = ""
    refusal: str = ""
    tools: list[tuple[str, Any]] = field(default_factory=list)
    stop: str = ""


@dataclass
class Reading:
    """An answer in terms every dialect has. `usage`: input (cached included), output (reasoning included), cache_read,
    cache_write, reasoning; None where the answer has no usage at all."""

    choices: list[ReadChoice] = field(default_factory=list)
    usage: dict[str, int] | None = None
    error: str = ""
