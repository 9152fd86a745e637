"""A client's JSON -> Prompt.

Rules of this file:
- `instructions` is the first system message. Items of the assistant's turn follow one another in one message, each
  part with its item's own members in extras; so do tool results.
- A reasoning item is one thought for each of its texts, all with its id; the last has the rest (encrypted_content).
- Tools of a namespace get qualified names, and remember where they belong. Tools that an `additional_tools` item
  brings are tools like any other; an empty developer message marks the item's place.
- Items of a type not known here are native parts. What only a stateful provider can honour stays in extras:
  `stateful` lists it.
- A call without its result is refused, as the API does, and so is a result without its call, unless an earlier answer
  that the provider keeps may hold the call.
"""

from __future__ import annotations

from typing import Any

from headgate.dialects import carrier
from headgate.dialects.base import Json
from headgate.errors import BadRequest
from headgate.model.prompt import (
    Citation,
    Extras,
    Message,
    Native,
    Part,
    Prompt,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

from . import media
from .options import read_options
from .shapes import citation
from .tables import CONTENT, FAMILY, OURS, STATEFUL, TOOL_ROLES
from .tools import Namespaces, read_tools
from .values import a_dict, a_list, a_string, rest, string_or_none, wrong

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "developer"}
_OUTPUTS = {"function_call_output": "function", "custom_tool_call_output": "custom"}


def read(json: Json) -> Prompt:
    prompt = Prompt(model=string_or_none(json, "model", "") or "", messages=[], family=FAMILY)
    namespaces = Namespaces()
    if json.get("tools") is not None:
        prompt.tools = read_tools(a_list(json["tools"], "tools"), "tools", namespaces)
    reader = _Reader(prompt, namespaces)
    instructions = string_or_none(json, "instructions", "")
    if instructions:
        prompt.messages.append(Message(role="system", parts=[Text(text=instructions)]))
    given = json.get("input")
    if isinstance(given, str):
        prompt.messages.append(Message(role="user", parts=[Text(text=given)]))
    elif given is not None:
        for index, item in enumerate(a_list(given, "input")):
            reader.item(a_dict(item, f"input[{index}]"), f"input[{index}]")
    read_options(json, prompt)
    reader.close()
    return prompt


def stateful(prompt: Prompt) -> list[tuple[str, str]]:
    """What of a prompt needs a provider that keeps state: (field, why). A crossing to a dialect without state refuses
    these."""
    own = prompt.extras.get(FAMILY, {})
    found = [(name, why) for name, why in STATEFUL.items() if own.get(name) not in (None, False)]
    references = any(
        isinstance(part, Native) and part.family == FAMILY and part.name == "item_reference"
        for message in prompt.messages
        for part in message.parts
    )
    return [*found, ("input", "an item_reference names an item that its provider keeps")] if references else found


class _Reader:
    """The conversation as its items come."""

    def __init__(self, prompt: Prompt, namespaces: Namespaces) -> None:
        self._prompt = prompt
        self._messages = prompt.messages
        self._namespaces = namespaces
        self._calls: dict[str, ToolCall | None] = {}
        self._open: list[tuple[str, str]] = []
        self._results: list[tuple[str, str]] = []
        self._waiting: dict[str, Extras] = {}

    def item(self, item: dict[str, Any], at: str) -> None:
        kind = string_or_none(item, "type", at)
        if kind is None:
            kind = "message" if "role" in item else "item_reference" if "id" in item else None
        match kind:
            case "message":
                self._message(item, at)
            case "function_call" | "custom_tool_call":
                self._call(item, kind, at)
            case "function_call_output" | "custom_tool_call_output":
                self._result(item, kind, at)
            case "reasoning":
                self._reasoning(item, at)
            case "additional_tools":
                self._tools(item, at)
            case None:
                wrong(f"{at}.type", "the type of an item")
            case _:
                if not kind.endswith("_output") and isinstance(item.get("call_id"), str):
                    self._calls[item["call_id"]] = None
                role: Role = "tool" if kind in TOOL_ROLES else "assistant"
                self._add(role, Native(family=FAMILY, name=kind, json=item))

    def close(self) -> None:
        for extras in self._waiting.values():
            self._add("assistant", Thinking(text="", extras=extras))
        answered = {id for id, _ in self._results}
        for id, at in self._open:
            if id not in answered:
                raise BadRequest(f"no output found for the tool call with call_id {id!r}", param=at)
        if stateful(self._prompt):
            return
        for id, at in self._results:
            if id not in self._calls:
                raise BadRequest(f"no call found for the tool output with call_id {id!r}", param=at)

    def _add(self, role: Role, *parts: Part) -> None:
        if not self._messages or self._messages[-1].role != role or self._messages[-1].extras:
            self._messages.append(Message(role=role, parts=[]))
        self._messages[-1].parts += parts

    def _message(self, item: dict[str, Any], at: str) -> None:
        word = a_string(item.get("role"), f"{at}.role")
        if word not in _ROLES:
            wrong(f"{at}.role", "user, assistant, system or developer")
        own = _own(item, "type", "role", "content")
        content = item.get("content")
        assistant = word == "assistant"
        extras: Extras = {FAMILY: own} if own and assistant else {}
        parts: list[Part]
        if isinstance(content, str):
            parts = [Text(text=content, extras=extras)]
        else:
            parts = [
                self._content(a_dict(part, f"{at}.content[{index}]"), f"{at}.content[{index}]", extras)
                for index, part in enumerate(a_list(content, f"{at}.content"))
            ]
        if assistant:
            self._add("assistant", *parts)
        else:
            self._messages.append(Message(role=_ROLES[word], parts=parts, extras={FAMILY: own} if own else {}))

    def _content(self, part: dict[str, Any], at: str, extras: Extras) -> Part:
        kind = a_string(part.get("type"), f"{at}.type")
        match kind:
            case "input_text" | "output_text" | "text":
                own = rest(part, "type", "text", "annotations", "logprobs")
                both = {FAMILY: {**extras.get(FAMILY, {}), **own}} if own else extras
                text = a_string(part.get("text"), f"{at}.text")
                return Text(text=text, citations=_citations(part.get("annotations"), at), extras=both)
            case "refusal":
                return Refusal(text=a_string(part.get("refusal"), f"{at}.refusal"), extras=extras)
            case "input_image":
                return media.image(part, at)
            case "input_file":
                return media.document(part, at)
            case "input_audio":
                return media.audio(part, at)
            case _:
                return Native(family=FAMILY, name=CONTENT + kind, json=part)

    def _call(self, item: dict[str, Any], kind: str, at: str) -> None:
        custom = kind == "custom_tool_call"
        member = "input" if custom else "arguments"
        id = a_string(item.get("call_id"), f"{at}.call_id")
        text = a_string(item.get(member), f"{at}.{member}")
        own = _own(item, "type", "call_id", "name", member)
        name = a_string(item.get("name"), f"{at}.name")
        qualified = self._namespaces.qualified(string_or_none(item, "namespace", at), name)
        extras: Extras = {FAMILY: own} if own else {}
        if id in self._waiting:
            extras |= self._waiting.pop(id)
        call = ToolCall(
            id=id,
            name=qualified,
            arguments=text if custom else text or "{}",
            kind="custom" if custom else "function",
            extras=extras,
        )
        self._calls[id] = call
        self._open.append((id, f"{at}.call_id"))
        self._add("assistant", call)

    def _result(self, item: dict[str, Any], kind: str, at: str) -> None:
        id = a_string(item.get("call_id"), f"{at}.call_id")
        output = item.get("output")
        own = _own(item, "type", "call_id", "output")
        parts: list[Part]
        if isinstance(output, str):
            parts = [Text(text=output)]
        else:
            parts = [
                self._content(a_dict(part, f"{at}.output[{index}]"), f"{at}.output[{index}]", {})
                for index, part in enumerate(a_list(output, f"{at}.output"))
            ]
        self._results.append((id, f"{at}.call_id"))
        result = ToolResult(
            call_id=id,
            parts=parts,
            kind="custom" if _OUTPUTS[kind] == "custom" else "function",
            extras={FAMILY: own} if own else {},
        )
        self._add("tool", result)

    def _reasoning(self, item: dict[str, Any], at: str) -> None:
        texts: list[tuple[bool, str]] = []
        for place in ("summary", "content"):
            for index, value in enumerate(a_list(item.get(place) or [], f"{at}.{place}")):
                where = f"{at}.{place}[{index}]"
                texts.append((place == "content", a_string(a_dict(value, where).get("text"), f"{where}.text")))
        opaque = string_or_none(item, "encrypted_content", at)
        carried = carrier.unwrap(opaque) if opaque is not None else None
        if carried is not None:
            self._carried(carried, [text for _, text in texts])
            return
        own = rest(item, "type", "summary", "content")
        if own.get("status") == "completed":
            del own["status"]
        shared = {"id": own["id"]} if "id" in own else {}
        *before, last = texts or [(False, "")]
        for inside, text in before:
            self._add("assistant", _thought(text, shared, inside))
        self._add("assistant", _thought(last[1], own, last[0]))

    def _carried(self, extras: Extras, texts: list[str]) -> None:
        """What our own encoder put into a client's hands."""
        of = extras.pop(OURS, {}).get("of")
        if isinstance(of, str) and of != "previous":
            call = self._calls.get(of)
            if call is None:
                self._waiting[of] = extras
            else:
                call.extras = {**call.extras, **extras}
            return
        last = self._messages[-1].parts[-1] if self._messages and self._messages[-1].parts else None
        if of == "previous" and isinstance(last, Text | Refusal):
            last.extras = {**last.extras, **extras}
            return
        *before, end = texts or [""]
        self._add("assistant", *(Thinking(text=text) for text in before), Thinking(text=end, extras=extras))

    def _tools(self, item: dict[str, Any], at: str) -> None:
        tools = read_tools(a_list(item.get("tools"), f"{at}.tools"), f"{at}.tools", self._namespaces)
        mark = len(self._messages)
        for tool in tools:
            tool.extras = {**tool.extras, FAMILY: {**tool.extras.get(FAMILY, {}), "additional_tools": mark}}
        self._prompt.tools += tools
        own = rest(item, "tools") | {"mark": mark}
        self._messages.append(Message(role="developer", parts=[], extras={FAMILY: {"additional_tools": own}}))


def _own(item: dict[str, Any], *read: str) -> dict[str, Any]:
    """What of an item goes with its parts. That it is complete goes without saying, and its id names it to its provider alone."""
    own = rest(item, "id", *read)
    return {name: value for name, value in own.items() if (name, value) != ("status", "completed")}


def _thought(text: str, own: dict[str, Any], inside: bool) -> Thinking:
    fields = {**own, "content": True} if inside else dict(own)
    return Thinking(text=text, extras={FAMILY: fields} if fields else {})


def _citations(given: Any, at: str) -> list[Citation]:
    return [
        citation(a_dict(value, f"{at}.annotations[{index}]"))
        for index, value in enumerate(a_list(given or [], f"{at}.annotations"))
    ]
