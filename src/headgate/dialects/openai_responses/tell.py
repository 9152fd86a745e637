"""The frames that tell a part's growth and its end. `say` sends one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .items import Growing

Say = Callable[..., None]


def piece(say: Say, part: Growing, text: str, logprobs: list[dict[str, Any]]) -> None:
    """The next piece of a part's text."""
    item = part.item
    if item is None:
        return
    match part.kind:
        case "text":
            say("response.output_text.delta", **part.at, delta=text, logprobs=logprobs)
        case "refusal":
            say("response.refusal.delta", **part.at, delta=text)
        case "tool_call":
            say("response.function_call_arguments.delta", **item.at, delta=text)
        case "custom_call":
            say("response.custom_tool_call_input.delta", **item.at, delta=text)
        case "thinking":
            if len(part.pieces) == 1:
                part.enter()
                say(_thought_part(part, "added"), **part.at, part=part.json())
            say(f"{_thought_text(part)}.delta", **part.at, delta=text)
        case _:
            pass  # Media and native items come whole.


def content(say: Say, part: Growing) -> None:
    """A text or refusal is done."""
    assert part.item is not None
    part.item.json["content"][part.index] = part.json()
    if part.kind == "text":
        say("response.output_text.done", **part.at, text=part.text, logprobs=part.logprobs)
    else:
        say("response.refusal.done", **part.at, refusal=part.text)
    say("response.content_part.done", **part.at, part=part.json())


def thought(say: Say, part: Growing) -> None:
    """A thought that has text is done."""
    assert part.item is not None
    part.item.json[part.place][part.index] = part.json()
    say(f"{_thought_text(part)}.done", **part.at, text=part.text)
    say(_thought_part(part, "done"), **part.at, part=part.json())


def call(say: Say, part: Growing) -> None:
    """A call is done. Arguments that say nothing are an empty object."""
    item = part.item
    assert item is not None
    if part.kind == "custom_call":
        item.json["input"] = part.text
        say("response.custom_tool_call_input.done", **item.at, input=part.text)
        return
    if not part.text.strip():
        say("response.function_call_arguments.delta", **item.at, delta="{}")
        part.text = "{}"
    item.json["arguments"] = part.text
    say("response.function_call_arguments.done", **item.at, name=item.json["name"], arguments=part.text)


def _thought_part(part: Growing, stage: str) -> str:
    return f"response.{'content' if part.place == 'content' else 'reasoning_summary'}_part.{stage}"


def _thought_text(part: Growing) -> str:
    return f"response.{'reasoning' if part.place == 'content' else 'reasoning_summary'}_text"
