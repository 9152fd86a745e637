"""What one crossing to this dialect knows and loses: the target, the names of its tools, the list of losses.

Rules of this file:
- Of extras, only keys that Google's API knows (tables of `tables.py`) are written, all others are listed.
- An effort, a generation or a grammar is asked here, so that the writers of parts and of settings agree.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from headgate.dialects.base import Target
from headgate.dialects.naming import tool_names
from headgate.model.prompt import Extras, Loss, Prompt, ToolCall, ToolResult, foreign

from .tables import FAMILY, generation


class Crossing:
    def __init__(self, prompt: Prompt, target: Target) -> None:
        self.prompt = prompt
        self.target = target
        self.generation = generation(target.model)
        self.losses: list[Loss] = []
        self.names = tool_names(_spoken(prompt), "google")
        self.own = prompt.family == FAMILY

    def lose(self, what: str, why: str, value: Any = None) -> None:
        self.losses.append(Loss(what, why, value))

    def extras(self, extras: Extras, known: Container[str], where: str) -> dict[str, Any]:
        """What of `extras` goes to Google; the rest is listed as lost."""
        if not extras:
            return {}
        self.losses += foreign(extras, FAMILY, where)
        kept: dict[str, Any] = {}
        for name, value in extras.get(FAMILY, {}).items():
            if name in known:
                kept[name] = value
            else:
                self.lose(f"{where}.{name}" if where else name, "the API has no such field", value)
        return kept


def _spoken(prompt: Prompt) -> list[str]:
    """All names of client-side tools that the request speaks of."""
    names = [tool.name for tool in prompt.tools if tool.kind != "native"]
    names += prompt.tool_choice.names if prompt.tool_choice is not None else ()
    for message in prompt.messages:
        for part in message.parts:
            if isinstance(part, ToolCall) or (isinstance(part, ToolResult) and part.name is not None):
                names.append(part.name or "")
    return names
