"""Events of any upstream, shown to a Completions client: text, and a word for its end.

Rules of this file:
- Text and refusals are the text. Thoughts, calls, media and items of one family have no place: each is listed once,
  whole.
- Texts of one choice that interleave are shown one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from headgate.dialects.base import Ask, Json
from headgate.dialects.openai_chat.errors import failed_body
from headgate.dialects.openai_chat.shown import finish_word
from headgate.dialects.openai_chat.usage import write_usage
from headgate.dialects.openai_completions.answers import from_tokens
from headgate.model.events import (
    Answer,
    AnswerPart,
    Choice,
    Event,
    Failed,
    Finished,
    Fold,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
)
from headgate.model.prompt import Loss

_SHOWN = frozenset(("text", "refusal"))


def _id(given: str, ask: Ask) -> str:
    return given or "cmpl-" + ask.id.removeprefix("req_")


def _word(finished: Finished | Choice, losses: list[Loss]) -> str:
    """finish_reason. A call cannot be shown, so it is not what the answer ends with."""
    word, lost = finish_word(finished.stop or "other", finished.extras)
    losses += lost
    if word in ("tool_calls", "function_call"):
        losses.append(Loss("finish_reason", "calls cannot be told here", word))
        word = "stop"
    if finished.sequence is not None:
        losses.append(Loss("stop_sequence", "which one was met cannot be said here", finished.sequence))
    return word


def _lost(part: AnswerPart) -> list[Loss]:
    """What of a part this dialect cannot show."""
    found: list[Loss] = []
    if part.kind == "native":
        found += [
            Loss(f"answer.{part.name}", "an answer here is text", held.get("item", held))
            for held in part.extras.values()
        ]
    elif part.kind not in _SHOWN:
        found.append(
            Loss(f"answer.{part.kind}", "an answer here is text", {"name": part.name, "text": part.text, **part.extras})
        )
    else:
        found += [Loss("answer.citation", "an answer here is text", citation) for citation in part.citations]
        found += [
            Loss(f"answer.{key}", "an answer here is text", value)
            for held in part.extras.values()
            for key, value in held.items()
        ]
    return found


class Encoder:
    """See dialects.base.Encoder."""

    def __init__(self, ask: Ask) -> None:
        self.losses: list[Loss] = []
        self._ask = ask
        self._fold = Fold()
        self._head = b""
        self._lengths: dict[int, int] = {}
        self._open: dict[int, list[int]] = {}
        """Choice -> its open text parts in order of their start: the first is being shown, the others wait."""
        self._held: dict[tuple[int, int], list[PartDelta]] = {}
        self._ended: set[tuple[int, int]] = set()
        self._failed = False

    def feed(self, events: Iterable[Event]) -> bytes:
        return b"".join(map(self._event, events))

    def _event(self, event: Event) -> bytes:
        self._fold.feed(event)
        if isinstance(event, PartDelta):
            return self._delta(event) if event.kind in _SHOWN and event.part >= 0 else b""
        if isinstance(event, PartStarted) and event.kind in _SHOWN:
            self._open.setdefault(event.choice, []).append(event.part)
        elif isinstance(event, PartEnded):
            self._ended.add((event.choice, event.part))
            return self._next(event.choice)
        elif isinstance(event, Finished):
            rest = self._rest(event.choice)
            return rest + self._chunk(event.choice, "", finish=_word(event, self.losses))
        elif isinstance(event, Started):
            self._head = b""
        elif isinstance(event, Failed):
            self._failed = True
            return b"data: " + msgspec.json.encode(failed_body(event, self._ask.id)) + b"\n\n"
        return b""

    def _delta(self, event: PartDelta) -> bytes:
        waiting = self._open.get(event.choice)
        if waiting and waiting[0] != event.part:
            self._held.setdefault((event.choice, event.part), []).append(event)
            return b""
        return self._show(event)

    def _show(self, event: PartDelta) -> bytes:
        if not event.text and not event.logprobs:
            return b""
        logprobs = None
        if event.logprobs:
            logprobs = from_tokens(list(event.logprobs), self._lengths.get(event.choice, 0))
        self._lengths[event.choice] = self._lengths.get(event.choice, 0) + len(event.text)
        return self._chunk(event.choice, event.text, logprobs)

    def _next(self, choice: int) -> bytes:
        """Parts that ended leave; the next one shows what it held."""
        waiting = self._open.get(choice, [])
        out = []
        while waiting and (choice, waiting[0]) in self._ended:
            del waiting[0]
            if waiting:
                out += [self._show(held) for held in self._held.pop((choice, waiting[0]), ())]
        return b"".join(out)

    def _rest(self, choice: int) -> bytes:
        """Everything a choice still holds: nothing more comes."""
        self._ended.update((choice, part) for part in self._open.get(choice, ()))
        return self._next(choice)

    def _chunk(self, choice: int, text: str, logprobs: Json | None = None, finish: str | None = None) -> bytes:
        if not self._head:
            self._head = b"data: " + msgspec.json.encode(self._frame())[:-1] + b',"choices":[{"index":'
        return b'%b%d,"text":%b,"logprobs":%b,"finish_reason":%b}]}\n\n' % (
            self._head,
            choice,
            msgspec.json.encode(text),
            msgspec.json.encode(logprobs),
            msgspec.json.encode(finish),
        )

    def _frame(self) -> Json:
        answer = self._fold.answer
        return {
            "id": _id(answer.id, self._ask),
            "object": "text_completion",
            "created": answer.created if answer.created is not None else self._ask.created,
            "model": answer.model or self._ask.model,
        }

    def end(self) -> bytes:
        if self._failed:
            return b""
        out = [self._rest(choice) for choice in self._open]
        answer = self._fold.close()
        for choice in answer.choices:
            for part in choice.parts:
                self.losses += _lost(part)
        if answer.usage is not None and self._ask.include_usage:
            body = {**self._frame(), "choices": [], "usage": write_usage(answer.usage)}
            out.append(b"data: " + msgspec.json.encode(body) + b"\n\n")
        out.append(b"data: [DONE]\n\n")
        return b"".join(out)


def answer(folded: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
    """See dialects.base.Dialect.answer. A failed answer is the error's body."""
    if folded.failed is not None:
        return failed_body(folded.failed, ask.id), []
    losses: list[Loss] = []
    choices: list[Any] = []
    for index, choice in enumerate(folded.choices or [Choice()]):
        texts = [part for part in choice.parts if part.kind in _SHOWN]
        tokens = [token for part in texts for token in part.logprobs]
        for part in choice.parts:
            losses += _lost(part)
        choices.append(
            {
                "text": "".join(part.text for part in texts),
                "index": index,
                "logprobs": from_tokens(tokens, 0) if tokens else None,
                "finish_reason": _word(choice, losses),
            }
        )
    body: Json = {
        "id": _id(folded.id, ask),
        "object": "text_completion",
        "created": folded.created if folded.created is not None else ask.created,
        "model": folded.model or ask.model,
        "choices": choices,
    }
    if folded.usage is not None:
        body["usage"] = write_usage(folded.usage)
    return body, losses
