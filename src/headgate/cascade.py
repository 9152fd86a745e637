"""A cascade's draft is judged: whether it is committed, or the next target is asked.

What costs least is asked first: what the draft is (routing/check.py), then whether it fits the schema that its request asked for (in a
thread: a caller's schema may cost a tenth of a second), then a model, where the route names one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

from headgate.errors import BadRequest
from headgate.model.events import Answer, Fold, Frame
from headgate.model.exchange import Exchange
from headgate.model.prompt import Prompt, Text
from headgate.routing.check import lacks, misfit
from headgate.routing.policy import DraftCheck, JudgeTerms


class Draft(Struct, kw_only=True):
    """What a judge is shown: the draft of a request's attempt, by its number, and the user's last words."""

    number: int
    asked: str
    answer: Answer


Judge: TypeAlias = Callable[[Exchange, Draft, JudgeTerms, float], Awaitable[str | None]]
"""(exchange, draft, terms, seconds it may take at most) -> why the draft will not do, None where it will."""


class Check(Struct, frozen=True, kw_only=True):
    """How one request's drafts are judged. `left(seconds)`: how many of these it has."""

    terms: DraftCheck
    judge: Judge | None
    left: Callable[[float], float]

    async def __call__(self, x: Exchange, number: int, held: list[Frame]) -> str | None:
        """Why the draft of this attempt will not do, None where it will."""
        terms, answer = self.terms, folded(held)
        why = lacks(answer, terms)
        if why is not None or not (terms.schema or terms.judge):
            return why
        try:
            prompt = x.dialect.read(x.request_json())
        except BadRequest:
            return "its request cannot be read, so it cannot be judged"
        if terms.schema and (why := await asyncio.to_thread(misfit, answer, prompt.output)) is not None:
            return why
        if terms.judge is None or self.judge is None:
            return None
        draft = Draft(number=number, asked=last_words(prompt), answer=answer)
        return await self.judge(x, draft, terms.judge, self.left(terms.judge.timeout))


def folded(held: list[Frame]) -> Answer:
    fold = Fold()
    for frame in held:
        for event in frame.events:
            fold.feed(event)
    return fold.close()


def last_words(prompt: Prompt) -> str:
    """The text of the user's last message that has one."""
    for message in reversed(prompt.messages):
        texts = [part.text for part in message.parts if isinstance(part, Text)] if message.role == "user" else []
        if texts:
            return "\n".join(texts)
    return ""
