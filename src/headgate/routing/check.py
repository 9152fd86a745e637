"""What a cascade's draft must be to become the answer. Pure: the folded answer in, a reason against it out."""

from __future__ import annotations

from headgate.model.events import Answer, Choice
from headgate.model.prompt import Output
from headgate.routing.policy import DraftCheck
from headgate.routing.schema import Unchecked, breaks


def lacks(answer: Answer, check: DraftCheck) -> str | None:
    """Why this draft will not do; None where it will."""
    for choice in answer.choices:
        stop = choice.stop
        if check.refusal and (stop in ("refusal", "content_filter") or any(p.kind == "refusal" for p in choice.parts)):
            return "it refuses"
        if check.complete and stop == "length":
            return "it was cut off by its length"
        if _calls(choice):
            continue
        length = sum(len(part.text) for part in choice.parts if part.kind == "text")
        if length < check.min_length:
            return f"its text is shorter than {check.min_length} characters"
        if check.max_length is not None and length > check.max_length:
            return f"its text is longer than {check.max_length} characters"
    return None if answer.choices else "it is empty"


def misfit(answer: Answer, output: Output | None) -> str | None:
    """Why this draft is not the JSON that its request asked for (`output`); None where it is, or asked for none. What calls a tool is not
    the answer yet."""
    if output is None or output.kind == "text":
        return None
    for choice in answer.choices:
        if _calls(choice):
            continue
        text = "".join(part.text for part in choice.parts if part.kind == "text")
        try:
            why = breaks(text, output.schema)
        except Unchecked as error:
            why = f"its schema cannot be judged by: {error}"
        if why is not None:
            return why
    return None


def _calls(choice: Choice) -> bool:
    return any(part.kind in ("tool_call", "custom_call") for part in choice.parts)
