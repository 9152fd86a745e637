"""A chat request as the client wrote it -> Prompt: parameters and tools. Messages are read in `history`.

Rules of this file:
- A member that is null, or empty and in no table, is one that was not said.
- Members that no table knows ride in `extras["openai"]` under their own name; nothing is dropped.
- Names of one thing are one: max_tokens = max_completion_tokens, functions = tools, function_call = tool_choice,
  `any` = required.
"""

from __future__ import annotations

from typing import Any

from headgate.dialects.openai_chat.fields import (
    Member,
    flag,
    inner,
    listing,
    mapping,
    number,
    refuse,
    string,
    text,
    unsaid,
    whole,
)
from headgate.dialects.openai_chat.history import History
from headgate.errors import BadRequest
from headgate.model.prompt import Extras, Output, Prompt, Reasoning, Tool, ToolChoice

_READ = frozenset(
    (
        "model",
        "messages",
        "stream",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "reasoning",
        "thinking",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "random_seed",
        "stop",
        "n",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "user",
        "metadata",
        "service_tier",
        "verbosity",
        "modalities",
        "stream_options",
    )
)
_MODES = {"auto": "auto", "none": "none", "required": "any", "any": "any"}


def read(json: Member) -> Prompt:
    json = mapping(json, "")
    messages = listing(json.get("messages"), "messages")
    cap = whole(json, "max_completion_tokens")
    prompt = Prompt(
        model=text(json, "model", "") or "",
        family="openai",
        messages=History().read(messages),
        max_tokens=cap if cap is not None else whole(json, "max_tokens"),
        temperature=number(json, "temperature"),
        top_p=number(json, "top_p"),
        top_k=whole(json, "top_k"),
        seed=whole(json, "seed") if json.get("seed") is not None else whole(json, "random_seed"),
        stop=_stop(json.get("stop")),
        n=whole(json, "n"),
        presence_penalty=number(json, "presence_penalty"),
        frequency_penalty=number(json, "frequency_penalty"),
        logit_bias=_bias(json),
        logprobs=flag(json, "logprobs"),
        top_logprobs=whole(json, "top_logprobs"),
        user=text(json, "user", ""),
        metadata=inner(json, "metadata"),
        service_tier=text(json, "service_tier", ""),
        verbosity=text(json, "verbosity", ""),
        modalities=_strings(json.get("modalities"), "modalities"),
        stream=bool(flag(json, "stream")),
        parallel_tools=flag(json, "parallel_tool_calls"),
        output=_output(json),
        reasoning=_reasoning(json),
    )
    _tools(json, prompt)
    extras = {key: value for key, value in json.items() if key not in _READ and not unsaid(value)}
    if extras.get("store") is False:  # what nobody keeps unasked is not asked for
        del extras["store"]
    options = inner(json, "stream_options") or {}
    flag(options, "include_usage", "stream_options")
    kept = {key: value for key, value in options.items() if key != "include_usage"}
    if kept:
        extras["stream_options"] = kept
    if extras:
        prompt.extras = {"openai": extras}
    return prompt


def _strings(value: Any, path: str) -> list[str] | None:
    if value is None:
        return None
    return [string(item, f"{path}[{index}]") for index, item in enumerate(listing(value, path))]


def _stop(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else _strings(value, "stop") or []


def _bias(json: Member) -> dict[str, float] | None:
    bias = inner(json, "logit_bias")
    if bias is not None:
        for key in bias:
            number(bias, key, "logit_bias")
    return bias


def _output(json: Member) -> Output | None:
    wanted = inner(json, "response_format")
    if wanted is None:
        return None
    kind = text(wanted, "type", "response_format")
    match kind:
        case "text":
            return Output(kind="text")
        case "json_object":
            schema = inner(wanted, "schema", "response_format")  # Together and others
            return Output(kind="json_schema", schema=schema) if schema else Output(kind="json")
        case "json_schema":
            path = "response_format.json_schema"
            found = mapping(wanted.get("json_schema"), path)
            return Output(
                kind="json_schema",
                name=text(found, "name", path),
                description=text(found, "description", path),
                schema=inner(found, "schema", path),
                strict=flag(found, "strict", path),
            )
    return Output(kind="text", extras={"openai": {"response_format": wanted}})


def _reasoning(json: Member) -> Reasoning | None:
    effort = text(json, "reasoning_effort", "")
    asked, thinking = inner(json, "reasoning"), inner(json, "thinking")
    if effort is None and asked is None and thinking is None:
        return None
    found = Reasoning(effort=effort)
    kept: Member = {}
    if asked is not None:  # OpenRouter
        found.effort = text(asked, "effort", "reasoning") or effort
        found.budget = whole(asked, "max_tokens", "reasoning")
        found.enabled = flag(asked, "enabled", "reasoning")
        found.show = text(asked, "summary", "reasoning")
        if set(asked) - {"effort"}:
            kept["reasoning"] = asked
    if thinking is not None:  # DeepSeek, Z.AI
        kind = text(thinking, "type", "thinking")
        found.enabled = found.enabled if kind is None else kind != "disabled"
        found.budget = whole(thinking, "budget_tokens", "thinking") or found.budget
        rest = {key: value for key, value in thinking.items() if key not in ("type", "budget_tokens")}
        if rest:
            kept["thinking"] = rest
    if found.effort == "none":
        found.enabled = False
    if kept:
        found.extras = {"openai": kept}
    return found


# ------------------------------------------------------------------ tools


def _tools(json: Member, prompt: Prompt) -> None:
    for index, item in enumerate(listing(json.get("tools") or [], "tools")):
        prompt.tools.append(_tool(mapping(item, f"tools[{index}]"), f"tools[{index}]"))
    functions = listing(json.get("functions") or [], "functions")
    for index, item in enumerate(functions):
        prompt.tools.append(_function(mapping(item, f"functions[{index}]"), f"functions[{index}]", {}))
    choice, path = json.get("tool_choice"), "tool_choice"
    if choice is None and json.get("function_call") is not None:
        choice, path = json["function_call"], "function_call"
    prompt.legacy_functions = bool(functions) and not json.get("tools")
    if prompt.legacy_functions and prompt.parallel_tools is None:
        prompt.parallel_tools = False
    if choice is not None:
        prompt.tool_choice = _tool_choice(choice, path)


def marks(holder: Member, known: frozenset[str]) -> Extras:
    """Extras of an element: what is not in `known`, Anthropic's cache mark under its own family."""
    extras: Extras = {}
    for key, value in holder.items():
        if key in known or unsaid(value):
            continue
        family = "anthropic" if key == "cache_control" else "openai"
        extras.setdefault(family, {})[key] = value
    return extras


def _tool(item: Member, path: str) -> Tool:
    kind = item.get("type", "function")
    if kind == "function":
        function = mapping(item.get("function"), f"{path}.function")
        return _function(function, f"{path}.function", marks(item, frozenset(("type", "function"))))
    if kind == "custom":
        custom = mapping(item.get("custom"), f"{path}.custom")
        return Tool(
            name=string(custom.get("name"), f"{path}.custom.name"),
            kind="custom",
            description=text(custom, "description", f"{path}.custom"),
            grammar=_grammar(inner(custom, "format", f"{path}.custom")),
            extras=marks(item, frozenset(("type", "custom"))),
        )
    return Tool(name=string(kind, f"{path}.type"), kind="native", extras={"openai": item})


def _grammar(found: Member | None) -> Member | None:
    """Responses' flat form, which is the neutral one."""
    if found is None or not isinstance(found.get("grammar"), dict):
        return found
    return {**{key: value for key, value in found.items() if key != "grammar"}, **found["grammar"]}


_FUNCTION = frozenset(("name", "description", "parameters", "strict"))


def _function(function: Member, path: str, extras: Extras) -> Tool:
    for family, fields in marks(function, _FUNCTION).items():
        extras.setdefault(family, {}).update(fields)
    return Tool(
        name=string(function.get("name"), f"{path}.name"),
        description=text(function, "description", path),
        schema=inner(function, "parameters", path),
        strict=flag(function, "strict", path),
        extras=extras,
    )


def _tool_choice(choice: Any, path: str) -> ToolChoice:
    if isinstance(choice, str):
        mode = _MODES.get(choice)
        if mode is None:
            raise BadRequest(f"{path} must be one of auto, none, required, or name a tool", param=path)
        return ToolChoice(mode=mode)  # type: ignore[arg-type]
    found = mapping(choice, path)
    kind = found.get("type")
    for key in ("function", "custom"):
        if key in found:
            return ToolChoice(
                mode="any", names=(string(mapping(found[key], f"{path}.{key}").get("name"), f"{path}.{key}.name"),)
            )
    if kind == "allowed_tools":
        return _allowed(mapping(found.get("allowed_tools", found), f"{path}.allowed_tools"), f"{path}.allowed_tools")
    if isinstance(found.get("name"), str):  # `function_call`, and other dialects' forms
        return ToolChoice(mode="any", names=(found["name"],))
    if isinstance(kind, str) and kind in _MODES:
        return ToolChoice(mode=_MODES[kind])  # type: ignore[arg-type]
    raise BadRequest(f"{path} names no tool", param=path)


def _allowed(allowed: Member, path: str) -> ToolChoice:
    mode = allowed.get("mode", "auto")
    if mode not in ("auto", "required"):
        raise refuse(f"{path}.mode", "auto or required", mode)
    names = []
    for index, item in enumerate(listing(allowed.get("tools"), f"{path}.tools")):
        here = f"{path}.tools[{index}]"
        found = mapping(item, here)
        held = next((found[key] for key in ("function", "custom") if isinstance(found.get(key), dict)), found)
        names.append(string(held.get("name"), f"{here}.name"))
    return ToolChoice(mode="auto" if mode == "auto" else "any", names=tuple(names))
