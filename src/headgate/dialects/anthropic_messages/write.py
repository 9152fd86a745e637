"""Prompt -> a request: model, cap and messages. Parameters and tools are in `write_params`.

Rules of this file:
- Neighbours of one role are one message, which is all the same to the API. Beyond that a client of this dialect gets
  its messages back as it said them, but for empty texts: the API judges them. For others:
- Leading system and developer texts become `system`. Later ones keep their place as a user text inside <system> tags,
  since only some models take the role "system" there (a client of this dialect has chosen it itself).
- In a user message the tool results stand first, as the API demands.
- Every call needs its result in the next user message: a call without one is refused (BadRequest); a result without a
  call, or a second one, is a listed loss.
- Texts without a visible character are left out: the API refuses them. So is white space at the end of a last assistant
  turn.
- A first message of the assistant gets a user message before it (FIRST). A system text alone is the user's.
- Thoughts go up signed or not at all. A custom call's free text stands under `input`.
"""

from __future__ import annotations

from typing import Any

from headgate.dialects.base import Json, Target, Written
from headgate.dialects.naming import tool_id, tool_names
from headgate.errors import BadRequest
from headgate.model.prompt import Media, Message, Native, Part, Prompt, Refusal, Text, Thinking, ToolCall, ToolResult

from .blocks import tool_input
from .draft import Draft
from .media import media_block
from .tables import FAMILY
from .write_params import parameters

ORPHAN = "messages.tool_result"
_EMPTY = {
    False: "no message says anything, which this model's API refuses",
    True: "the tool results answer no call of this conversation; this model's API keeps no earlier one",
}
FIRST = "(The conversation begins with the assistant.)"


def write(prompt: Prompt, target: Target) -> Written:
    draft = Draft(prompt=prompt, target=target, names=tool_names(_names(prompt), "anthropic"))
    cap = prompt.max_tokens if prompt.max_tokens is not None else target.default_max_tokens
    json: Json = {"model": target.model, "max_tokens": cap}
    system, messages = _conversation(draft)
    if system:
        json["system"] = system[0]["text"] if len(system) == 1 and len(system[0]) == 2 else system
    json["messages"] = messages
    parameters(draft, json)
    for name in sorted(target.accepts.drop & json.keys()):
        draft.lose(name, "this target refuses it", json.pop(name))
    return Written(
        json=json,
        losses=draft.losses,
        renamed={written: name for name, written in draft.names.items() if written != name},
        wrapped=frozenset(draft.names.get(tool.name, tool.name) for tool in prompt.tools if tool.kind == "custom"),
    )


def _names(prompt: Prompt) -> list[str]:
    """All names of client-side tools, those of the offered first."""
    names = [tool.name for tool in prompt.tools if tool.kind != "native"]
    names += prompt.tool_choice.names if prompt.tool_choice is not None else ()
    names += [part.name for message in prompt.messages for part in message.parts if isinstance(part, ToolCall)]
    native = {tool.name for tool in prompt.tools if tool.kind == "native"}
    return [name for name in names if name not in native]


def _conversation(draft: Draft) -> tuple[list[Json], list[Json]]:
    system: list[Json] = []
    turns: list[Json] = []
    for message in draft.prompt.messages:
        if message.name is not None:
            draft.lose("messages.name", "this dialect has no names of speakers", message.name)
        speaks = message.role in ("system", "developer")
        own = draft.own(message.extras, "system" if speaks and draft.own_family else "message", "messages")
        if speaks and not turns and not own and not any(isinstance(part, Native) for part in message.parts):
            system += _blocks(draft, message)
            continue
        blocks = _blocks(draft, message)
        role = "assistant" if message.role == "assistant" else "user"
        if speaks and draft.own_family:
            if blocks or own:
                turns.append({"role": "system", "content": blocks, **own})
            continue
        if speaks:
            blocks = [_tagged(block) for block in blocks]
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return _settled(draft, system, turns)


def _tagged(block: Json) -> Json:
    return block | {"text": f"<system>\n{block['text']}\n</system>"} if block["type"] == "text" else block


def _settled(draft: Draft, system: list[Json], turns: list[Json]) -> tuple[list[Json], list[Json]]:
    """Turns in the order and pairing that the API demands."""
    if not draft.own_family:
        _pair(draft, turns)
    turns = [turn for turn in turns if turn["content"] or turn["role"] == "system"]
    if turns and turns[-1]["role"] == "assistant" and not draft.own_family:
        _trim(draft, turns)
    if not any(turn["role"] != "system" for turn in turns):
        if not system:
            raise BadRequest(_EMPTY[any(loss.what == ORPHAN for loss in draft.losses)], param="messages")
        return [], [{"role": "user", "content": system}, *turns]
    if turns[0]["role"] == "assistant" and not draft.own_family:
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": FIRST}]})
    return system, turns


def _pair(draft: Draft, turns: list[Json]) -> None:
    """Brings results to the front of their turn; checks that calls and results match."""
    waiting: list[str] = []
    for turn in turns:
        if turn["role"] == "system":
            continue
        results = [block for block in turn["content"] if block["type"] == "tool_result"]
        rest = [block for block in turn["content"] if block["type"] != "tool_result"]
        kept: list[Json] = []
        for block in results:
            if block["tool_use_id"] in waiting:
                waiting.remove(block["tool_use_id"])
                kept.append(block)
            else:
                draft.lose(ORPHAN, "it answers no call of the message before it", block)
        _answered(waiting)
        turn["content"] = kept + rest
        waiting = [block["id"] for block in rest if block["type"] == "tool_use"]
    _answered(waiting)


def _answered(waiting: list[str]) -> None:
    if waiting:
        raise BadRequest(f"the tool call {waiting[0]!r} has no result in the message after it", param="messages")


def _trim(draft: Draft, turns: list[Json]) -> None:
    last = turns[-1]["content"][-1]
    if last["type"] == "text" and last["text"] != (bare := last["text"].rstrip()):
        draft.lose("messages.trailing_space", "the last assistant text may not end with white space", last["text"])
        turns[-1]["content"][-1] = last | {"text": bare}


def _blocks(draft: Draft, message: Message) -> list[Json]:
    written = (_block(draft, part, message.role) for part in message.parts)
    return [block for block in written if block is not None]


def _block(draft: Draft, part: Part, role: str) -> Json | None:
    match part:
        case Text():
            return _text(draft, part)
        case Refusal():
            return _said(draft, part.text, draft.own(part.extras, "text", "messages.refusal"))
        case Media():
            if role not in ("user", "tool"):
                draft.lose(f"messages.{part.kind}", f"the role {role} cannot show it", part)
                return None
            return media_block(draft, part)
        case Thinking():
            return _thinking(draft, part)
        case ToolCall():
            return _call(draft, part)
        case ToolResult():
            return _result(draft, part)
        case Native():
            if part.family == FAMILY:
                return part.json
            draft.lose(f"messages.{part.name}", f"only {part.family} has it", part.json)
            return None


def _said(draft: Draft, text: str, more: Json) -> Json | None:
    if text.strip() or (text and draft.own_family):
        return {"type": "text", "text": text, **more}
    if text:
        draft.lose("messages.blank_text", "a text must have a visible character", text)
    return None


def _text(draft: Draft, part: Text) -> Json | None:
    block = _said(draft, part.text, draft.own(part.extras, "text", "messages.text"))
    cited = []
    for citation in part.citations:
        own = citation.extras.get(FAMILY, {}).get("citation")
        if own is not None:
            cited.append(own)
        else:
            draft.lose("messages.citation", "its source is not this API's", citation)
    if block is not None and cited:
        block["citations"] = cited
    return block


def _thinking(draft: Draft, part: Thinking) -> Json | None:
    own: dict[str, Any] = part.extras.get(FAMILY, {})
    if isinstance(own.get("redacted"), str):
        return {"type": "redacted_thinking", "data": own["redacted"]}
    if isinstance(own.get("signature"), str):
        return {"type": "thinking", "thinking": part.text, "signature": own["signature"]}
    draft.thoughts_lost = True
    draft.lose("messages.thinking", "it is not signed by this API", part)
    return None


def _call(draft: Draft, part: ToolCall) -> Json:
    if part.kind == "custom":
        value: Json = {"input": part.arguments}
    else:
        value, losses = tool_input(part.arguments)
        draft.losses += losses
    return {
        "type": "tool_use",
        "id": tool_id(part.id, "anthropic"),
        "name": draft.names.get(part.name, part.name),
        "input": value,
        **draft.own(part.extras, "tool_use", "messages.tool_call"),
    }


def _result(draft: Draft, part: ToolResult) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": tool_id(part.call_id, "anthropic")}
    match part.parts:
        case []:
            pass
        case [Text(citations=[], extras=extras) as only] if not extras:
            block["content"] = only.text
        case parts:
            written = (_block(draft, inner, "tool") for inner in parts)
            block["content"] = [inner for inner in written if inner is not None]
    if part.error:
        block["is_error"] = True
    return block | draft.own(part.extras, "tool_result", "messages.tool_result")
