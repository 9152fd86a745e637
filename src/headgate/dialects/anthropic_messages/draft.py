"""What the writers of a request share: whom it is for, how tools are called there, and what was lost on the way."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from headgate.dialects.base import Json, Target
from headgate.model.prompt import Extras, Loss, Prompt, foreign

from .tables import EXTRAS, FAMILY


class Draft(Struct, kw_only=True):
    prompt: Prompt
    target: Target
    names: dict[str, str]
    """The client's name of a tool -> the target's."""
    losses: list[Loss] = field(default_factory=list)
    thoughts_lost: bool = False

    @property
    def own_family(self) -> bool:
        """The client spoke this dialect: its words go up as it said them, for the API to judge."""
        return self.prompt.family == FAMILY

    def lose(self, what: str, why: str, value: Any = None) -> None:
        self.losses.append(Loss(what, why, value))

    def own(self, extras: Extras, element: str, where: str) -> Json:
        """The extras this API knows on this element; everything else in them is a loss."""
        if not extras:
            return {}
        self.losses += foreign(extras, FAMILY, where)
        taken: Json = {}
        for name, value in extras.get(FAMILY, {}).items():
            if name in EXTRAS[element]:
                taken[name] = value
            else:
                self.lose(f"{where}.{name}", "this API does not have it here", value)
        return taken
