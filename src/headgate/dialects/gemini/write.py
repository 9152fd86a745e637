"""The neutral Prompt -> generateContent JSON.

Rules of this file:
- System messages at the start become systemInstruction. Later ones, which the API cannot take, become user text where
  they stood, so that the messages before keep their bytes and provider caches hit; that is listed as a loss.
- Contents change with the role. Function responses stand in a content of their own right after the calls (Google
  counts them against the calls of the turn before), whatever messages the client sent them in.
- Empty text without a signature is not written, and a turn of it alone only if it is the user's: a call must follow
  one.
- Gemini 3 refuses a model turn whose first call carries no signature. Calls that another model made get the word that
  Google's guide names for them.
"""

from __future__ import annotations

from typing import Any

from headgate.dialects.base import Json, Target, Written
from headgate.model.prompt import Message, Part, Prompt, Text, Thinking, ToolCall, ToolResult

from .crossing import Crossing
from .tables import FAMILY, SKIP_SIGNATURE
from .write_params import write_params
from .write_parts import PartWriter

_SYSTEM = ("system", "developer")


def write(prompt: Prompt, target: Target) -> Written:
    crossing = Crossing(prompt, target)
    json: Json = {}
    writer = PartWriter(crossing)
    leading = _leading(prompt)
    instruction = [part for message in prompt.messages[:leading] for part in _instruction(message, writer, crossing)]
    contents = _contents(prompt.messages[leading:], writer, crossing)
    if instruction and leading == len(prompt.messages):
        contents = [{"role": "user", "parts": instruction}]  # the API wants at least one content
    elif instruction:
        json["systemInstruction"] = {"parts": instruction}
    json["contents"] = contents
    if crossing.generation is not None and crossing.generation >= 3:
        _sign(contents)
    wrapped = write_params(prompt, json, crossing)
    for name in sorted(target.accepts.drop & json.keys()):
        crossing.lose(name, f"{target.provider} does not support it", json.pop(name))
    renamed = {theirs: ours for ours, theirs in crossing.names.items() if theirs != ours}
    return Written(json=json, losses=crossing.losses, renamed=renamed, wrapped=wrapped)


def _leading(prompt: Prompt) -> int:
    count = 0
    while count < len(prompt.messages) and prompt.messages[count].role in _SYSTEM:
        count += 1
    return count


def _instruction(message: Message, writer: PartWriter, crossing: Crossing) -> list[Json]:
    _named(message, crossing)
    parts: list[Json] = []
    for part in message.parts:
        if isinstance(part, Text):
            parts += writer.parts(part)
        else:
            crossing.lose("messages.system", "a system instruction holds text alone", part)
    return parts


def _named(message: Message, crossing: Crossing) -> None:
    if message.name is not None:
        crossing.lose("messages.name", "the API has no names of participants", message.name)
    crossing.extras(message.extras, (), "messages")


def _contents(messages: list[Message], writer: PartWriter, crossing: Crossing) -> list[Json]:
    contents: list[Json] = []
    kind = ""
    for message in messages:
        _named(message, crossing)
        if message.role in _SYSTEM:
            texts = [part.text for part in message.parts if isinstance(part, Text)]
            crossing.lose("messages.system", "system messages stand only at the start: written as the user's", texts)
        kind = _message(message, kind, contents, writer)
    return contents or [{"role": "user", "parts": [{"text": ""}]}]


def _message(message: Message, kind: str, contents: list[Json], writer: PartWriter) -> str:
    """Adds one message; the kind of the last content."""
    empty = True
    for part in message.parts if writer.own else _signed(message.parts):
        mine = _kind(message, part)
        for written in writer.parts(part):
            if mine != kind:
                contents.append({"role": "model" if mine == "model" else "user", "parts": []})
                kind = mine
            contents[-1]["parts"].append(written)
            empty = False
        if writer.beside:
            contents.append({"role": "user", "parts": writer.beside})
            kind, writer.beside = "user", []
    if empty and message.role == "user" and kind != "user":
        contents.append({"role": "user", "parts": [{"text": ""}]})
        kind = "user"
    return kind


def _kind(message: Message, part: Part) -> str:
    if isinstance(part, ToolResult):
        return "tool"
    return "model" if message.role == "assistant" else "user"


def _signed(parts: list[Part]) -> list[Part]:
    """A client without a slot on calls and texts sends their signature as an empty thought before them: put back."""
    out: list[Part] = []
    waiting: list[Thinking] = []
    for part in parts:
        if isinstance(part, Thinking) and not part.text and _signature(part):
            waiting.append(part)
            continue
        if waiting and isinstance(part, ToolCall | Text):
            theirs = _signature(part)
            if theirs is None:
                last = waiting.pop()
                own = {**part.extras.get(FAMILY, {}), "thoughtSignature": _signature(last)}
                part = _with(part, own)
            waiting = [thought for thought in waiting if _signature(thought) != _signature(part)]
        out += waiting
        waiting = []
        out.append(part)
    return out + waiting


def _with(part: ToolCall | Text, own: dict[str, Any]) -> ToolCall | Text:
    extras = {**part.extras, FAMILY: own}
    if isinstance(part, Text):
        return Text(text=part.text, citations=part.citations, extras=extras)
    return ToolCall(id=part.id, name=part.name, arguments=part.arguments, kind=part.kind, extras=extras)


def _signature(part: Thinking | ToolCall | Text) -> Any:
    return part.extras.get(FAMILY, {}).get("thoughtSignature")


def _sign(contents: list[Json]) -> None:
    """The first call of each model turn is signed (parallel calls after it are not)."""
    for content in contents:
        if content["role"] != "model":
            continue
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and not any("thoughtSignature" in call for call in calls):
            calls[0]["thoughtSignature"] = SKIP_SIGNATURE
