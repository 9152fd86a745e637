"""A Prompt as a chat request: parameters and tools. Messages are written in `compose`.

Rules of this file:
- What this API has no place for is listed as a loss, with its value; so is what this target does not take
  (`Accepts`).
- The same prompt gives the same JSON, member by member in this order: model, messages, tools, parameters.
- A field that only chat speakers know is written where a chat client said it (family "openai"), never invented for
  others: OpenAI refuses a request for one unknown member.
"""

from __future__ import annotations

from headgate.dialects.base import Accepts, Json, Target, Written
from headgate.dialects.naming import tool_names
from headgate.dialects.openai_chat.compose import Composer
from headgate.dialects.openai_chat.tables import (
    BUDGETS,
    EFFORTS,
    EXTRA_FIELDS,
    EXTRA_TOOL_FIELDS,
    MODALITIES,
    PARAMETERS,
    SERVICE_TIERS,
)
from headgate.model.prompt import (
    Extras,
    Loss,
    Output,
    Prompt,
    Reasoning,
    Tool,
    ToolCall,
    ToolChoice,
    foreign,
)

STOP_LIMIT = 4
"""Stop sequences that OpenAI takes."""

_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""The schema of a free-form tool offered as a function."""


def write(prompt: Prompt, target: Target) -> Written:
    return _Writer(prompt, target).written()


class _Writer:
    def __init__(self, prompt: Prompt, target: Target) -> None:
        self.prompt = prompt
        self.target = target
        self.accepts: Accepts = target.accepts
        self.losses: list[Loss] = []
        self.names = tool_names(_names(prompt))
        custom = {tool.name for tool in prompt.tools if tool.kind == "custom"}
        self.wrapped = frozenset() if self.accepts.custom_tools else frozenset(custom)

    def _prefill(self, json: Json) -> None:
        """The answer's beginning, where the conversation ends with one."""
        last = json["messages"][-1] if json["messages"] else {}
        if last.get("role") != "assistant" or last.get("tool_calls"):
            return
        form = self.accepts.prefill
        if form in ("prefix", "partial"):
            last[form] = True
        elif form == "flag":
            json |= {"continue_final_message": True, "add_generation_prompt": False}

    def written(self) -> Written:
        prompt = self.prompt
        composer = Composer(self.accepts, self.names, self.losses)
        json: Json = {"model": self.target.model, "messages": composer.messages(prompt.messages)}
        self._prefill(json)
        tools = [tool for tool in map(self._tool, prompt.tools) if tool is not None]
        if tools:
            json["tools"] = tools
        if prompt.tool_choice is not None:
            self._choice(prompt.tool_choice, json, bool(tools))
        if prompt.parallel_tools is not None and tools:
            if self.accepts.parallel_tools:
                json["parallel_tool_calls"] = prompt.parallel_tools
            else:
                self._lose("parallel_tool_calls", "this target has no such switch", prompt.parallel_tools)
        if prompt.max_tokens is not None:
            json[self.accepts.max_tokens_field or "max_completion_tokens"] = prompt.max_tokens
        self._parameters(json)
        if prompt.output is not None:
            self._output(prompt.output, json)
        if prompt.reasoning is not None:
            self._reasoning(prompt.reasoning, json)
        self._extras(json)
        if prompt.stream:
            json["stream"] = True
            if self.accepts.stream_usage:
                json["stream_options"] = {**json.get("stream_options", {}), "include_usage": True}
        self._dropped(json)
        renamed = {made: name for name, made in self.names.items() if made != name}
        return Written(json=json, losses=self.losses, renamed=renamed, wrapped=self.wrapped)

    def _lose(self, what: str, why: str, value: object) -> None:
        self.losses.append(Loss(what, why, value))

    def _owned(self, extras: Extras, known: frozenset[str], where: str) -> Json:
        """Own extras that this API knows; the rest, and what other families own, is lost."""
        self.losses.extend(foreign(extras, "openai", where))
        kept: Json = {}
        for key, value in extras.get("openai", {}).items():
            if key in known:
                kept[key] = value
            else:
                self._lose(f"{where}.{key}" if where else key, "this API has no such member", value)
        return kept

    # ------------------------------------------------------------------ parameters

    def _parameters(self, json: Json) -> None:
        prompt = self.prompt
        for name in PARAMETERS:
            value = getattr(prompt, name)
            if value is not None and self._fits(name, value):
                json[name] = value
        if prompt.seed is not None:
            json["seed"] = prompt.seed
        if prompt.stop:
            kept = prompt.stop if prompt.family == "openai" else prompt.stop[:STOP_LIMIT]
            json["stop"] = kept
            if len(kept) < len(prompt.stop):
                self._lose("stop", f"only {STOP_LIMIT} stop sequences are taken", prompt.stop[STOP_LIMIT:])

    def _fits(self, name: str, value: object) -> bool:
        if self.prompt.family == "openai":
            return True
        why = ""
        if name == "top_k":
            why = "this API has no such parameter"
        elif name == "service_tier" and value not in SERVICE_TIERS:
            why = "no such tier here"
        elif name == "modalities" and isinstance(value, list) and not MODALITIES.issuperset(value):
            why = "not all of these can be answered here"
        elif name == "metadata" and isinstance(value, dict):
            odd = {key: item for key, item in value.items() if not isinstance(item, str)}
            why = "values here are strings" if odd else ""
        if why:
            self._lose(name, why, value)
        return not why

    def _output(self, output: Output, json: Json) -> None:
        held = self._owned(output.extras, frozenset(("response_format",)), "response_format")
        if "response_format" in held:
            json["response_format"] = held["response_format"]
        elif output.kind == "text":
            json["response_format"] = {"type": "text"}
        elif output.kind == "json":
            json["response_format"] = {"type": "json_object"}
        else:
            said = {name: getattr(output, name) for name in ("description", "schema", "strict")}
            wanted = {
                "name": output.name or "answer",
                **{key: value for key, value in said.items() if value is not None},
            }
            if self.accepts.json_schema:
                json["response_format"] = {"type": "json_schema", "json_schema": wanted}
            else:
                json["response_format"] = {"type": "json_object"}
                self._lose("response_format.json_schema", "this target takes no schema", wanted)

    def _reasoning(self, reasoning: Reasoning, json: Json) -> None:
        own = self._owned(reasoning.extras, frozenset(("reasoning", "thinking")), "reasoning")
        if "reasoning" in own:  # OpenRouter's form holds effort, budget and the rest
            json["reasoning"] = own["reasoning"]
            return
        effort = reasoning.effort
        if self.prompt.family == "openai" and reasoning.enabled is not None and effort != "none":
            kind = "enabled" if reasoning.enabled else "disabled"
            budget = {} if reasoning.budget is None else {"budget_tokens": reasoning.budget}
            json["thinking"] = {"type": kind, **budget, **own.get("thinking", {})}
        elif own:
            json.update(own)
        elif effort is None:
            effort = self._effort(reasoning)
        if effort is not None and effort not in EFFORTS and self.prompt.family != "openai":
            self._lose("reasoning.effort", "no such level here", effort)
        elif effort is not None:
            json["reasoning_effort"] = effort
        if reasoning.show is not None:
            self._lose("reasoning.show", "this API has no such choice", reasoning.show)

    def _effort(self, reasoning: Reasoning) -> str | None:
        """A level for a budget. A switch is not a level: models that do not reason refuse any, so it is listed instead."""
        if reasoning.budget is not None and reasoning.budget >= 0 and reasoning.enabled is not False:
            effort = next((word for limit, word in BUDGETS if reasoning.budget <= limit), "high")
            self._lose("reasoning.budget", f"written as the effort {effort!r}", reasoning.budget)
            return effort
        if reasoning.enabled is not None:
            self._lose(
                "reasoning.enabled", "this API has levels, not a switch: the model's own is used", reasoning.enabled
            )
        return None

    def _extras(self, json: Json) -> None:
        for key, value in self._owned(self.prompt.extras, EXTRA_FIELDS, "").items():
            json.setdefault(key, value)

    def _dropped(self, json: Json) -> None:
        for name in sorted(self.accepts.drop & json.keys()):
            self._lose(name, "this target refuses it", json.pop(name))

    # ------------------------------------------------------------------ tools

    def _tool(self, tool: Tool) -> Json | None:
        if tool.kind == "native":
            return self._native(tool)
        where = f"tools.{tool.name}"
        extras, marks = dict(tool.extras), {}
        if self.accepts.cache_marks and "cache_control" in extras.get("anthropic", {}):
            marks = {"cache_control": extras["anthropic"]["cache_control"]}
            extras["anthropic"] = {key: v for key, v in extras["anthropic"].items() if key != "cache_control"}
        outer = {**marks, **self._owned(extras, EXTRA_TOOL_FIELDS, where)}
        if tool.kind == "custom" and not self.wrapped:
            return {"type": "custom", "custom": self._custom(tool), **outer}
        function: Json = {"name": self.names[tool.name]}
        if tool.description is not None:
            function["description"] = tool.description
        if tool.kind == "custom":
            function["parameters"] = _INPUT
            if tool.grammar is not None:
                self._lose(f"{where}.format", "a function's argument has no grammar", tool.grammar)
        elif tool.schema is not None:
            function["parameters"] = tool.schema
        if tool.strict is not None:
            if self.accepts.strict_tools:
                function["strict"] = tool.strict
            elif tool.strict:
                self._lose(f"{where}.strict", "this target knows no strict tools", tool.strict)
        return {"type": "function", "function": function, **outer}

    def _custom(self, tool: Tool) -> Json:
        custom: Json = {"name": self.names[tool.name]}
        if tool.description is not None:
            custom["description"] = tool.description
        grammar = tool.grammar
        if grammar is not None and grammar.get("type") == "grammar" and "grammar" not in grammar:
            grammar = {"type": "grammar", "grammar": {key: v for key, v in grammar.items() if key != "type"}}
        if grammar is not None:
            custom["format"] = grammar
        return custom

    def _native(self, tool: Tool) -> Json | None:
        """A server-side tool of a chat speaker has the speaker's name in its type; any other is one of the Responses API."""
        own = tool.extras.get("openai")
        if own is not None and ":" in str(own.get("type")):
            return own
        for family, fields in tool.extras.items():
            self._lose(
                f"tools.{tool.name}", f"only {family} has this tool" if own is None else "not in this API", fields
            )
        return None

    def _choice(self, choice: ToolChoice, json: Json, tools: bool) -> None:
        if not tools:
            if choice.mode != "auto" or choice.names:
                self._lose("tool_choice", "no tool is left to choose", choice)
            return
        mode = "required" if choice.mode == "any" else choice.mode
        if not choice.names or choice.mode == "none":
            json["tool_choice"] = mode
            return
        named = [self._named(name) for name in choice.names]
        if choice.mode == "any" and len(named) == 1:
            json["tool_choice"] = named[0]
        else:
            json["tool_choice"] = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}}

    def _named(self, name: str) -> Json:
        custom = not self.wrapped and any(tool.kind == "custom" and tool.name == name for tool in self.prompt.tools)
        kind = "custom" if custom else "function"
        return {"type": kind, kind: {"name": self.names.get(name, name)}}


def _names(prompt: Prompt) -> list[str]:
    """Every tool name the request speaks of, in order."""
    names = [tool.name for tool in prompt.tools if tool.kind != "native"]
    if prompt.tool_choice is not None:
        names += prompt.tool_choice.names
    for message in prompt.messages:
        names.extend(part.name for part in message.parts if isinstance(part, ToolCall))
    return names
