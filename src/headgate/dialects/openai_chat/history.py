"""The messages of a chat request, read into neutral messages.

Rules of this file:
- Content is a string, null, or a list of typed parts. Parts in other APIs' forms that clients send here (Mistral's
  `thinking` and `document_url`, Anthropic's tool_use, tool_result, image) are read as what they mean; an unknown one
  is carried as `Native`.
- Thoughts of earlier turns come as `reasoning_details`, `reasoning_content` or `reasoning`; said in both, they count
  once.
- Every call is answered by a tool message before anything else is said. A tool message must answer a call of an
  assistant message before it, and takes that call's name. Calls without an id (and `function_call`, which never had
  one) get one made of name and place, and are answered in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from headgate.dialects.naming import call_id
from headgate.dialects.openai_chat import reasoning
from headgate.dialects.openai_chat.blocks import READERS, extras_besides, pieces
from headgate.dialects.openai_chat.fields import Member, inner, listing, mapping, refuse, string, text
from headgate.dialects.openai_chat.tables import REASONING_FIELDS
from headgate.errors import BadRequest
from headgate.model.events import merged
from headgate.model.prompt import (
    Citation,
    Extras,
    Message,
    Native,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_MESSAGE = frozenset(("role", "content", "name"))
_RESULT = frozenset((*_MESSAGE, "tool_call_id"))
_ASSISTANT = frozenset(
    (
        *_MESSAGE,
        "tool_calls",
        "function_call",
        "refusal",
        "annotations",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
    )
)
_CALL = frozenset(("id", "type", "function", "custom", "index"))


class History:
    """Reads the messages of one request in order."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._open: list[tuple[str, str]] = []
        """(id, name) of calls that have no answer yet, in order."""
        self._made: set[str] = set()
        self._old: set[str] = set()
        """Ids made for `function_call`, which needs no answer."""

    def read(self, messages: list[Any]) -> list[Message]:
        found: list[Message] = []
        asked = 0
        """Where the last message stands that called tools."""
        for index, item in enumerate(messages):
            waiting = {id for id, _ in self._open} - self._old
            read = self._message(mapping(item, f"messages[{index}]"), index)
            found += read
            if read[0].role != "tool":
                self._answered(waiting, asked)
            asked = index if read[-1].role == "assistant" else asked
        self._answered({id for id, _ in self._open} - self._old, asked)
        return found

    def _answered(self, waiting: set[str], asked: int) -> None:
        """Every call is answered before anything else is said: the API demands it, and so do all others."""
        missing = [id for id, _ in self._open if id in waiting]
        if missing:
            raise BadRequest(
                f"messages[{asked}] calls tools: a tool message must follow for each call; missing: {', '.join(missing)}",
                param=f"messages[{asked}].tool_calls",
            )

    def _message(self, item: Member, index: int) -> list[Message]:
        path = f"messages[{index}]"
        said = string(item.get("role"), f"{path}.role")
        role = _ROLES.get(said)
        if role is None:
            raise BadRequest(f"{path}.role must be one of {', '.join(_ROLES)}", param=f"{path}.role")
        content = [self._block(part) for part in pieces(item.get("content"), path)]
        if role == "tool":
            return [Message(role=role, parts=[self._answer(item, said, content, path)])]
        known = _ASSISTANT if role == "assistant" else _MESSAGE
        message = Message(role=role, parts=content, name=text(item, "name", path), extras=extras_besides(item, known))
        if role == "assistant":
            message.parts = self._assistant(item, content, index, message)
            return [message]
        results: list[Part] = [part for part in content if isinstance(part, ToolResult)]
        if not results:
            return [message]
        message.parts = [part for part in content if not isinstance(part, ToolResult)]
        said_more = message.parts or message.extras or message.name
        # Anthropic's blocks: results stand before what the user says.
        return [Message(role="tool", parts=results), *([message] if said_more else [])]

    # ------------------------------------------------------------------ assistant turns

    def _assistant(self, item: Member, content: list[Part], index: int, message: Message) -> list[Part]:
        path = f"messages[{index}]"
        details = [
            mapping(detail, f"{path}.reasoning_details[{place}]")
            for place, detail in enumerate(listing(item.get("reasoning_details") or [], f"{path}.reasoning_details"))
        ]
        parts: list[Part] = [*_thoughts(item, details, path), *content]
        refusal = text(item, "refusal", path)
        if refusal:
            parts.append(Refusal(text=refusal))
        parts += self._calls(item, index)
        for part in content:
            if isinstance(part, ToolCall):
                self._asked(part)
        for place, found in enumerate(listing(item.get("annotations") or [], f"{path}.annotations")):
            _cite(parts, mapping(found, f"{path}.annotations[{place}]"))
        for detail in details:
            holder = reasoning.owner(detail)
            if holder is not None:
                _attach(parts, holder, reasoning.extras_of(detail))
        signature = _google(message.extras)
        if signature:
            _sign(parts, signature)
        return parts

    def _calls(self, item: Member, index: int) -> Iterator[ToolCall]:
        path = f"messages[{index}].tool_calls"
        for place, found in enumerate(listing(item.get("tool_calls") or [], path)):
            here = f"{path}[{place}]"
            call = mapping(found, here)
            custom = call.get("type") == "custom"
            key, field = ("custom", "input") if custom else ("function", "arguments")
            function = mapping(call.get(key), f"{here}.{key}")
            yield self._call(
                text(call, "id", here) or "",
                string(function.get("name"), f"{here}.{key}.name"),
                _arguments(function.get(field), custom, f"{here}.{key}.{field}"),
                custom,
                place + index * 1000,
                merged(extras_besides(call, _CALL), extras_besides(function, frozenset(("name", field)))),
            )
        legacy = inner(item, "function_call", f"messages[{index}]")
        if legacy is not None and legacy.get("name"):
            here = f"messages[{index}].function_call"
            name = string(legacy.get("name"), f"{here}.name")
            old = self._call("", name, _arguments(legacy.get("arguments"), False, here), False, index * 1000, {})
            self._old.add(old.id)
            yield old

    def _call(self, id: str, name: str, arguments: str, custom: bool, place: int, extras: Extras) -> ToolCall:
        if not id:
            id = call_id(f"{name}:{arguments}", place)
            self._made.add(id)
        signature = _google(extras)
        if signature:
            extras.setdefault("google", {})["thoughtSignature"] = signature
        call = ToolCall(id=id, name=name, arguments=arguments, kind="custom" if custom else "function", extras=extras)
        self._asked(call)
        return call

    def _asked(self, call: ToolCall) -> None:
        self._names[call.id] = call.name
        self._open.append((call.id, call.name))

    # ------------------------------------------------------------------ answers to calls

    def _answer(self, item: Member, role: str, content: list[Part], path: str) -> ToolResult:
        name = text(item, "name", path)
        if role == "function" and name is None:
            raise refuse(f"{path}.name", "a string", None)
        id = text(item, "tool_call_id", path) if role == "tool" else ""
        if id is None:
            raise refuse(f"{path}.tool_call_id", "a string", None)
        found = self._match(id, name, path)
        extras = extras_besides(item, _RESULT)
        if name not in (None, self._names[found]):
            extras.setdefault("openai", {})["name"] = name
        return ToolResult(call_id=found, name=self._names[found], parts=content, extras=extras)

    def _match(self, id: str, name: str | None, path: str) -> str:
        """The id of the call that this answers. An empty id is matched by name and order."""
        for place, (open_id, open_name) in enumerate(self._open):
            if open_id == id or (not id and open_id in self._made and name in (None, open_name)):
                del self._open[place]
                return open_id
        if id in self._names:
            return id
        raise BadRequest(
            f"{path} answers a tool call that no assistant message before it made", param=f"{path}.tool_call_id"
        )

    # ------------------------------------------------------------------ content parts

    def _block(self, block: tuple[Any, str], nested: bool = False) -> Part:
        item, path = block
        if isinstance(item, str):
            return Text(text=item)
        kind = item.get("type", "text" if "text" in item else None)
        reader = READERS.get(string(kind, f"{path}.type"))
        if reader is not None:
            return reader(item, path)
        if kind == "tool_result" and not nested:
            return self._result_block(item, path)
        return Native(family="openai", name=f"content.{kind}", json=item)

    def _result_block(self, item: Member, path: str) -> Part:
        id = string(item.get("tool_use_id"), f"{path}.tool_use_id")
        parts = [self._block(part, nested=True) for part in pieces(item.get("content"), path)]
        found = self._match(id, None, path)
        error = item.get("is_error") is True
        return ToolResult(call_id=found, name=self._names[found], parts=parts, error=error)


def _arguments(value: Any, custom: bool, path: str) -> str:
    if isinstance(value, dict):  # some clients send the object itself
        return msgspec.json.encode(value).decode()
    if value is None or (value == "" and not custom):
        return "" if custom else "{}"
    return string(value, path)


def _google(extras: Extras) -> str | None:
    """Takes Gemini's signature out of `extra_content` (and its old twin, `thought_signature`)."""
    own = extras.get("openai", {})
    held = own.get("extra_content")
    google = held.get("google") if isinstance(held, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else own.get("thought_signature")
    if not isinstance(signature, str) or not signature:
        return None
    own.pop("thought_signature", None)
    if isinstance(held, dict) and isinstance(google, dict):
        rest = {key: value for key, value in google.items() if key not in ("thought_signature", "thought")}
        others = {key: value for key, value in held.items() if key != "google"}
        own.pop("extra_content")
        if rest or others:
            own["extra_content"] = {**others, **({"google": rest} if rest else {})}
    if not own:
        extras.pop("openai", None)
    return signature


def _sign(parts: list[Part], signature: str) -> None:
    """A message's own signature belongs to its first call, else to its text."""
    calls = [part for part in parts if isinstance(part, ToolCall)]
    holder = calls[0] if calls else next((part for part in reversed(parts) if isinstance(part, Text)), None)
    if holder is None:
        parts.append(Thinking(text="", extras={"google": {"thoughtSignature": signature}}))
    else:
        holder.extras.setdefault("google", {}).setdefault("thoughtSignature", signature)


def _thoughts(item: Member, details: list[Member], path: str) -> list[Part]:
    found: list[Part] = list(reasoning.thoughts(details))
    told = "".join(part.text for part in found if isinstance(part, Thinking))
    shown = [part.text for part in found if isinstance(part, Thinking) and part.text]
    for name in REASONING_FIELDS:
        value = text(item, name, path)
        if value and value != told and not (shown and all(piece in value for piece in shown)):
            found.insert(0, Thinking(text=value))
            told = value
    return found


def _attach(parts: list[Part], holder: str, extras: Extras) -> None:
    """Extras of a call or a text, back on it; of one that is gone, a thought of their own."""
    for part in reversed(parts):
        if isinstance(part, ToolCall) and part.id == holder:
            merged(part.extras, extras)
            return
        if isinstance(part, Text) and holder == reasoning.CONTENT:
            merged(part.extras, extras)
            return
    parts.insert(0, Thinking(text="", extras=extras))


def _cite(parts: list[Part], found: Member) -> None:
    cited = found.get("url_citation")
    for part in parts:
        if isinstance(part, Text):
            if isinstance(cited, dict):
                part.citations.append(
                    Citation(
                        url=cited.get("url"),
                        title=cited.get("title"),
                        quote=cited.get("content"),
                        start=cited.get("start_index"),
                        end=cited.get("end_index"),
                    )
                )
            else:
                part.citations.append(Citation(extras={"openai": {"annotation": found}}))
            return
