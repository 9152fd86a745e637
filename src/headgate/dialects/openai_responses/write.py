"""Prompt -> this API's JSON.

Rules of this file:
- A first system message that is one plain text is `instructions`; everything else is an item, in order.
- An assistant's text is a plain message; with an item id, citations or a refusal it is an output message, whose
  contents are the texts that share the id. A made id is a hash of what it names: the same history gives the same
  bytes.
- Thoughts go up only if they are this API's own; those of one item are put together again. A thought that only its id
  names needs a provider that keeps state.
- An image that an assistant made is shown as the user's: this API's assistant has no images but its own tool's.
- A failed tool result begins with ERROR: there is no flag for it.
"""

from __future__ import annotations

from typing import Any

from headgate.dialects.base import Json, Target, Written
from headgate.dialects.naming import digest, tool_id, tool_names
from headgate.errors import BadRequest
from headgate.model.prompt import (
    Loss,
    Media,
    Message,
    Native,
    Part,
    Prompt,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    foreign,
)

from . import media
from .options import write_options
from .read import stateful
from .shapes import annotation
from .tables import (
    CALL_EXTRAS,
    CONTENT,
    FAMILY,
    MESSAGE_EXTRAS,
    NATIVE_CONTENTS,
    NATIVE_ITEM_ENDS,
    NATIVE_ITEMS,
    NATIVE_TOOLS,
    RESULT_EXTRAS,
    TEXT_EXTRAS,
    THOUGHT_EXTRAS,
    TOOL_EXTRAS,
)
from .tools import Namespaces, write_choice

ERROR = "Error: "
_CONTENTS = tuple(CONTENT + begin for begin in NATIVE_CONTENTS)
_LONGEST_ID = 64


def write(prompt: Prompt, target: Target) -> Written:
    if not target.accepts.state:
        for field, why in stateful(prompt):
            raise BadRequest(f"{field} cannot be used here: {why}, and this one keeps nothing", param=field)
    writer = _Writer(prompt, target)
    json: Json = {"model": target.model}
    messages = prompt.messages
    if messages and _plain(messages[0]):
        first = messages[0].parts[0]
        assert isinstance(first, Text)
        json["instructions"] = first.text
        writer.losses += foreign(first.extras, FAMILY, "messages")
        writer.losses += foreign(messages[0].extras, FAMILY, "messages")
        messages = messages[1:]
    for message in messages:
        writer.message(message)
    json["input"] = writer.items
    options, losses = write_options(prompt, target.accepts, writer.replays)
    json |= options
    json |= writer.tools()
    losses = writer.losses + losses
    for field in sorted(target.accepts.drop & json.keys()):
        losses.append(Loss(field, "the target refuses it", json.pop(field)))
    return Written(json=json, losses=losses, renamed=writer.renamed)


def _plain(message: Message) -> bool:
    """Whether a first message can be `instructions`: nothing would be lost but what is listed."""
    if message.role != "system" or len(message.parts) != 1 or message.name or FAMILY in message.extras:
        return False
    part = message.parts[0]
    return isinstance(part, Text) and bool(part.text) and FAMILY not in part.extras and not part.citations


class _Writer:
    def __init__(self, prompt: Prompt, target: Target) -> None:
        self.items: list[Json] = []
        self.losses: list[Loss] = []
        self.replays = False
        self._prompt = prompt
        self._accepts = target.accepts
        self._namespaces = Namespaces(prompt.tools)
        self._mapped = tool_names(self._names())
        self.renamed = {made: name for name, made in self._mapped.items() if made != name}
        self._ids: set[str] = set()

    def _names(self) -> list[str]:
        prompt = self._prompt
        names = [tool.name for tool in prompt.tools if tool.kind != "native"]
        names += [part.name for message in prompt.messages for part in message.parts if isinstance(part, ToolCall)]
        names += prompt.tool_choice.names if prompt.tool_choice is not None else ()
        return [name for name in names if self._namespaces.shown(name) is None]

    # -- messages

    def message(self, message: Message) -> None:
        self.losses += foreign(message.extras, FAMILY, "messages")
        if message.name is not None:
            self.losses.append(Loss("messages.name", "messages have no name here", message.name))
        own = message.extras.get(FAMILY, {})
        if "additional_tools" in own:
            self._additional(own["additional_tools"])
        extra = [name for name in own if name not in (*MESSAGE_EXTRAS, "additional_tools")]
        self.losses += [Loss(f"messages.{name}", "not known here", own[name]) for name in extra]
        kept = {name: own[name] for name in MESSAGE_EXTRAS if name in own}
        contents: list[Json] = []
        role = "user" if message.role == "tool" else message.role
        for part in message.parts:
            shown = self._content(part) if role != "assistant" else None
            if shown is not None:
                contents.append(shown)
                continue
            self._flush(role, contents, kept)
            if role != "assistant" and isinstance(part, Text | Media):
                continue
            self._item(part)
        self._flush(role, contents, kept)

    def _flush(self, role: str, contents: list[Json], kept: dict[str, Any]) -> None:
        if contents:
            self.items.append({"type": "message", "role": role, "content": list(contents), **kept})
            contents.clear()

    def _content(self, part: Part) -> Json | None:
        """The part as content of a user's, system's or tool's text; None where it is none, or was lost."""
        if isinstance(part, Text):
            own = self._own(part.extras, TEXT_EXTRAS, "messages.content")
            self.losses += [
                Loss("messages.content.citations", "a user's text cites nothing", cited) for cited in part.citations
            ]
            return {"type": "input_text", "text": part.text, **own}
        if isinstance(part, Refusal):
            return {"type": "input_text", "text": part.text}
        if isinstance(part, Media):
            shown, losses = media.write(part, self._accepts, "messages.content")
            self.losses += losses
            return shown
        if isinstance(part, Native) and part.family == FAMILY and part.name.startswith(_CONTENTS):
            return part.json
        return None

    def _item(self, part: Part) -> None:
        match part:
            case Text() | Refusal():
                self._said(part)
            case Thinking():
                self._thought(part)
            case ToolCall():
                self._call(part)
            case ToolResult():
                self._result(part)
            case Native():
                self._native(part)
            case Media():
                shown = self._content(part)
                if shown is not None:
                    self.items.append({"type": "message", "role": "user", "content": [shown]})

    def _said(self, part: Text | Refusal) -> None:
        """A text of the assistant."""
        self.losses += foreign(part.extras, FAMILY, "messages.content")
        own = dict(part.extras.get(FAMILY, {}))
        unknown = [name for name in own if name not in (*MESSAGE_EXTRAS, *TEXT_EXTRAS)]
        self.losses += [Loss(f"messages.content.{name}", "not known here", own.pop(name)) for name in unknown]
        cited: list[Json] = []
        content: Json
        if isinstance(part, Refusal):
            content = {"type": "refusal", "refusal": part.text}
        else:
            for citation in part.citations:
                shown = annotation(citation, len(part.text))
                if shown is None:
                    self.losses.append(Loss("messages.content.citations", "it names no URL", citation))
                else:
                    cited.append(shown)
                    self._quote(citation)
            content = {"type": "output_text", "text": part.text, "annotations": cited, "logprobs": []}
        id = own.get("id")
        last = self.items[-1] if self.items else {}
        if id is not None and last.get("id") == id and last.get("role") == "assistant":
            last["content"].append(content)
            return
        message = {name: own[name] for name in ("phase",) if name in own}
        if id is None and not cited and isinstance(part, Text):
            self.items.append({"role": "assistant", "content": part.text, **message})
            return
        self.items.append(
            {
                "type": "message",
                "role": "assistant",
                "id": id or f"msg_{digest(part.text, 24)}",
                "status": own.get("status", "completed"),
                "content": [content],
                **message,
            }
        )

    def _quote(self, citation: Any) -> None:
        """What an annotation has no member for."""
        if FAMILY in citation.extras:
            return
        self.losses += foreign(citation.extras, FAMILY, "messages.content.citations")
        if citation.quote is not None:
            self.losses.append(Loss("messages.content.citations.quote", "an annotation quotes nothing", citation.quote))

    def _thought(self, part: Thinking) -> None:
        own = part.extras.get(FAMILY, {})
        self.losses += foreign(part.extras, FAMILY, "messages.thinking")
        if not own.get("id") and not own.get("encrypted_content"):
            if part.text or own:
                self.losses.append(Loss("messages.thinking", "not a thought of this API", {"text": part.text, **own}))
            return
        inside = bool(own.get("content"))
        if not (self._accepts.state or inside or own.get("encrypted_content")):
            self.losses.append(
                Loss("messages.thinking", "only its id names it, and the provider keeps none", part.text)
            )
            return
        fields = {name: own[name] for name in THOUGHT_EXTRAS if name in own}
        unknown = [name for name in own if name not in (*THOUGHT_EXTRAS, "id", "content")]
        self.losses += [Loss(f"messages.thinking.{name}", "not known here", own[name]) for name in unknown]
        self.replays = self.replays or "encrypted_content" in fields
        id = own.get("id") or f"rs_{digest(str(own['encrypted_content']), 24)}"
        last = self.items[-1] if self.items else {}
        if last.get("type") != "reasoning" or last["id"] != id:
            last = {"type": "reasoning", "id": id, "summary": []}
            self.items.append(last)
        last |= fields
        if inside:
            last.setdefault("content", []).append({"type": "reasoning_text", "text": part.text})
        elif part.text:
            last["summary"].append({"type": "summary_text", "text": part.text})

    def _call_id(self, id: str) -> str:
        made = tool_id(id, self._accepts.tool_id)
        return made if len(made) <= _LONGEST_ID else tool_id(made, "openai")

    def _call(self, part: ToolCall) -> None:
        own = self._own(part.extras, CALL_EXTRAS, "messages.tool_call")
        custom = part.kind == "custom"
        self.items.append(
            {
                "type": "custom_tool_call" if custom else "function_call",
                "call_id": self._call_id(part.id),
                **own,
                **(self._namespaces.shown(part.name) or {"name": self._mapped[part.name]}),
                ("input" if custom else "arguments"): part.arguments,
            }
        )

    def _result(self, part: ToolResult) -> None:
        own = self._own(part.extras, RESULT_EXTRAS, "messages.tool_result")
        contents: list[Json] = []
        for inner in part.parts:
            shown = self._content(inner)
            if shown is not None:
                contents.append(shown)
            elif not isinstance(inner, Media):
                self.losses.append(Loss("messages.tool_result", "a result holds text, images and files", inner))
        output: str | list[Json] = contents
        if len(contents) == 1 and contents[0].keys() == {"type", "text"}:
            output = contents[0]["text"]
        if part.error:
            output = ERROR + output if isinstance(output, str) else [{"type": "input_text", "text": ERROR}, *output]
        self.items.append(
            {
                "type": "custom_tool_call_output" if part.kind == "custom" else "function_call_output",
                "call_id": self._call_id(part.call_id),
                "output": output,
                **own,
            }
        )

    def _native(self, part: Native) -> None:
        own = part.family == FAMILY
        if own and part.name.startswith(_CONTENTS):
            self.items.append({"type": "message", "role": "assistant", "content": [part.json]})
        elif own and (part.name in NATIVE_ITEMS or part.name.endswith(NATIVE_ITEM_ENDS)):
            self.items.append(part.json)
        else:
            self.losses.append(Loss(f"messages.{part.name}", "this API has no such item", part.json))

    def _own(self, extras: dict[str, dict[str, Any]], known: frozenset[str], where: str) -> Json:
        """The extras of this family that the API takes there; the others are losses."""
        self.losses += foreign(extras, FAMILY, where)
        own = extras.get(FAMILY, {})
        self.losses += [Loss(f"{where}.{name}", "not known here", own[name]) for name in own if name not in known]
        return {name: value for name, value in own.items() if name in known}

    # -- tools

    def tools(self) -> Json:
        prompt = self._prompt
        json: Json = {}
        tools = self._tools([tool for tool in prompt.tools if "additional_tools" not in tool.extras.get(FAMILY, {})])
        if tools:
            json["tools"] = tools
        native = prompt.extras.get(FAMILY, {}).get("tool_choice")
        if prompt.tool_choice is not None:
            json["tool_choice"] = write_choice(prompt.tool_choice, prompt, self._mapped)
        elif native is not None:
            json["tool_choice"] = native
        brought = any("additional_tools" in tool.extras.get(FAMILY, {}) for tool in prompt.tools)
        if "tool_choice" in json and not tools and not brought:
            # The API refuses a choice among no tools.
            choice = json.pop("tool_choice")
            if choice not in ("auto", "none"):
                self.losses.append(Loss("tool_choice", "there are no tools", choice))
        return json

    def _additional(self, own: dict[str, Any]) -> None:
        mark = own.get("mark")
        tools = [tool for tool in self._prompt.tools if tool.extras.get(FAMILY, {}).get("additional_tools") == mark]
        item = {name: value for name, value in own.items() if name != "mark"}
        self.items.append({**item, "tools": self._tools(tools)})

    def _tools(self, tools: list[Tool]) -> list[Json]:
        shown: list[Json] = []
        spaces: dict[str, Json] = {}
        for tool in tools:
            json = self._tool(tool)
            if json is None:
                continue
            space = tool.extras.get(FAMILY, {}).get("namespace")
            if tool.kind == "native" or not isinstance(space, dict):
                shown.append(json)
                continue
            json["name"] = tool.extras[FAMILY]["local"]
            if space["name"] not in spaces:
                spaces[space["name"]] = {"type": "namespace", **space, "tools": []}
                shown.append(spaces[space["name"]])
            spaces[space["name"]]["tools"].append(json)
        return shown

    def _tool(self, tool: Tool) -> Json | None:
        own = tool.extras.get(FAMILY, {})
        self.losses += foreign(tool.extras, FAMILY, f"tools.{tool.name}")
        if tool.kind == "native":
            native = {name: value for name, value in own.items() if name != "additional_tools"}
            if native.get("type") in NATIVE_TOOLS:
                return native
            self.losses += [Loss(f"tools.{tool.name}", "this API has no such tool", native)] if native else []
            return None
        hidden = ("additional_tools", "namespace", "local", *TOOL_EXTRAS)
        unknown = [name for name in own if name not in hidden]
        self.losses += [Loss(f"tools.{tool.name}.{name}", "not known here", own[name]) for name in unknown]
        json: Json = {"type": tool.kind, "name": self._mapped.get(tool.name, tool.name)}
        if tool.description is not None:
            json["description"] = tool.description
        if tool.kind == "custom":
            if tool.grammar is not None:
                json["format"] = tool.grammar
        else:
            json["parameters"] = tool.schema
            # Unsaid is not strict: this API's own default would change the schema, or refuse it.
            json["strict"] = tool.strict if self._accepts.strict_tools or not tool.strict else False
            if json["strict"] != tool.strict:
                self.losses.append(Loss(f"tools.{tool.name}.strict", "the target is never strict", tool.strict))
        return json | {name: value for name, value in own.items() if name in TOOL_EXTRAS}
