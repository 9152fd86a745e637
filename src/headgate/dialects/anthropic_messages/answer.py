"""The fold of an answer -> a whole message. What the rules of `blocks` and `encode` say holds here too."""

from __future__ import annotations

from typing import Any

from headgate.dialects.base import Ask, Json
from headgate.dialects.finish import beside
from headgate.model.events import Answer, AnswerPart, Choice, Finished
from headgate.model.prompt import Loss

from . import blocks
from .citations import write_citation
from .errors import failed_body
from .tables import DELTA_EXTRAS, FAMILY, MESSAGE_EXTRAS
from .usage import write_usage


def answer(given: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
    if given.failed is not None:
        return failed_body(given.failed, ask.id), []
    choice = given.choices[0] if given.choices else Choice()
    losses = [Loss("n", "this dialect shows one choice", number) for number in range(1, len(given.choices))]
    losses += beside(given.extras, FAMILY)
    content: list[dict[str, Any]] = []
    for number, part in enumerate(choice.parts):
        shown, lost = _blocks(part, number, ask)
        content += shown
        losses += lost
    message = blocks.message(given, ask) | {"content": content}
    if choice.stop is not None:
        called = any(part.kind in ("tool_call", "custom_call") for part in choice.parts)
        refused = any(part.kind == "refusal" for part in choice.parts)
        finished = Finished(stop=choice.stop, native=choice.native, extras=choice.extras)
        message["stop_reason"], lost = blocks.stop_word(finished, called, refused)
        message["stop_sequence"] = choice.sequence
        losses += lost
        own = choice.extras.get(FAMILY, {})
        message |= {name: own[name] for name in (*DELTA_EXTRAS, *MESSAGE_EXTRAS) if name in own}
    message["usage"] = write_usage(given.usage)
    return message, losses


def _blocks(part: AnswerPart, number: int, ask: Ask) -> tuple[list[dict[str, Any]], list[Loss]]:
    losses = [Loss("logprobs", "this dialect has no logprobs")] if part.logprobs else []
    match part.kind:
        case "text" | "refusal":
            block: dict[str, Any] = {"type": "text", "text": part.text}
            if part.citations:
                block["citations"] = [write_citation(citation) for citation in part.citations]
            shown = [block] if part.text or part.citations else []
            return shown + _beside(part, "previous"), losses + blocks.uncarried(part.extras, "content")
        case "thinking":
            shown = [blocks.thinking_block(part.text, part.extras)] if part.text or any(part.extras.values()) else []
            return shown, losses
        case "tool_call" | "custom_call":
            id = blocks.shown_id(ask, number, part.id, part.name)
            lost: list[Loss] = []
            value: dict[str, Any] = {"input": part.text}
            if part.kind == "tool_call":
                value, lost = blocks.tool_input(part.text)
            call = blocks.call_block(id, part.name, part.extras) | {"input": value}
            return [*_beside(part, id), call], losses + lost + blocks.uncarried(part.extras, "content")
        case "native":
            item = part.extras.get(FAMILY, {}).get("item")
            if isinstance(item, dict):
                return [item], losses
            return [], losses + blocks.uncarried(part.extras, "content")
        case _:
            value = {"mime": part.mime, "data": part.text}
            return [], [*losses, Loss("content.media", "this dialect's answers have no media", value)]


def _beside(part: AnswerPart, of: str) -> list[dict[str, Any]]:
    opaque = blocks.carried(part.extras, of)
    return [{"type": "thinking", "thinking": "", "signature": opaque}] if opaque is not None else []
