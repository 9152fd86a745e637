"""Prompt -> a request: tools, choice, shape, thinking, sampling, and what has no place here.

Rules of this file:
- A client of this dialect gets its own words back, also where they contradict each other: the API judges them.
- For others: no sampling beside thinking, no thinking beside a forced tool, a budget below the cap, temperatures in
  [0, 1]; each change is a listed loss.
- Effort goes to models that think adaptively as `output_config.effort`; models that are told a budget get it by table.
- Within a tool loop a model that is told a budget wants its own signed thought first: where that was lost, it may not
  think.
"""

from __future__ import annotations

from typing import Any

from headgate.dialects.base import Json
from headgate.model.prompt import Reasoning, Tool

from .draft import Draft
from .schema import enforceable
from .tables import (
    BUDGETS,
    DISPLAYS,
    EFFORTS,
    EXTRAS,
    FAMILY,
    MIN_BUDGET,
    SERVICE_TIER_WORDS,
    TOP_FIELDS,
)

_SHOWN = {show: display for display, show in DISPLAYS.items()}
_UNCARRIED: dict[str, object] = {
    "seed": None,
    "logit_bias": {},
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "verbosity": None,
}
"""What this API does not have -> the value that asks for nothing."""


def parameters(draft: Draft, json: Json) -> None:
    prompt = draft.prompt
    if prompt.tools:
        json["tools"] = [tool for given in prompt.tools if (tool := _tool(draft, given)) is not None]
        if not json["tools"]:
            del json["tools"]
    _tool_choice(draft, json)
    _top(draft, json)
    _output(draft, json)
    _thinking(draft, json)
    _sampling(draft, json)
    _who(draft, json)
    if prompt.stream:
        json["stream"] = True
    for name, nothing in _UNCARRIED.items():
        value = getattr(prompt, name)
        if value is not None and value != nothing:
            draft.lose(name, "this dialect does not have it", value)
    if prompt.n not in (None, 1):
        draft.lose("n", "this dialect gives one choice", prompt.n)
    if prompt.logprobs or prompt.top_logprobs:
        draft.lose("logprobs", "this dialect has no logprobs", prompt.top_logprobs)
    if prompt.modalities not in (None, [], ["text"]):
        draft.lose("modalities", "this dialect answers in text", prompt.modalities)


def _top(draft: Draft, json: Json) -> None:
    """Fields only this API knows; those that belong into another member are put there by its own function."""
    for family, fields in draft.prompt.extras.items():
        for name, value in fields.items():
            if family != FAMILY:
                draft.lose(name, f"only {family} has it", value)
            elif name in TOP_FIELDS:
                json[name] = value
            elif name == "output_config":
                json[name] = {key: item for key, item in value.items() if key in EXTRAS[name]}
                _leftover(draft, name, value, EXTRAS[name])
            else:
                draft.lose(name, "this API does not have it", value)


def _leftover(draft: Draft, where: str, value: Json, known: frozenset[str]) -> None:
    for key, item in value.items():
        if key not in known:
            draft.lose(f"{where}.{key}", "this API does not have it", item)


def _tool(draft: Draft, tool: Tool) -> Json | None:
    if tool.kind == "native":
        native: Json | None = tool.extras.get(FAMILY)
        if native is None:
            draft.losses += _foreign_tool(draft, tool)
        return native
    written: Json = {"name": draft.names.get(tool.name, tool.name)}
    description, schema = tool.description, tool.schema
    if tool.kind == "custom":
        schema = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
        if tool.grammar is not None:
            draft.lose("tools.format", "the grammar of a free-form tool is not enforced here", tool.grammar)
    elif not draft.own_family:
        schema = _object_schema(schema)
    if description or (description is not None and draft.own_family):
        written["description"] = description
    if tool.strict is not None and (draft.own_family or tool.strict):
        if draft.target.accepts.strict_tools:
            written["strict"] = tool.strict
        else:
            draft.lose("tools.strict", "this target does not enforce schemas", tool.strict)
    if written.get("strict") and not draft.own_family:
        schema, moved = enforceable(schema or {})
        if moved:
            draft.lose("tools.schema", "constraints are told to the model, not enforced", moved)
    written["input_schema"] = schema
    return written | draft.own(tool.extras, "tool", "tools")


def _foreign_tool(draft: Draft, tool: Tool) -> list[Any]:
    before = len(draft.losses)
    for family, fields in tool.extras.items():
        draft.lose(f"tools.{tool.name}", f"only {family} has it", fields)
    made = draft.losses[before:]
    del draft.losses[before:]
    return made


def _object_schema(schema: Json | None) -> Json:
    if not schema:
        return {"type": "object", "properties": {}}
    return schema if schema.get("type") == "object" else {**schema, "type": "object"}


def _tool_choice(draft: Draft, json: Json) -> None:
    choice, parallel = draft.prompt.tool_choice, draft.prompt.parallel_tools
    if not draft.own_family and "tools" not in json:
        if choice is not None and choice.mode == "any":
            draft.lose("tool_choice", "there is no tool to choose", choice)
        return
    written: Json = {}
    if choice is not None:
        written = {"type": choice.mode}
        if choice.mode == "any" and len(choice.names) == 1:
            name = choice.names[0]
            written = {"type": "tool", "name": draft.names.get(name, name)}
        elif choice.names:
            draft.lose("tool_choice.names", "this dialect cannot limit the choice to some tools", list(choice.names))
    if parallel is not None and (choice is None or choice.mode != "none"):
        if draft.target.accepts.parallel_tools or parallel:
            if written or not parallel:
                written = {"type": "auto", **written, "disable_parallel_tool_use": not parallel}
        else:
            draft.lose("parallel_tool_calls", "this target has no such switch", parallel)
    if written:
        json["tool_choice"] = written


def _output(draft: Draft, json: Json) -> None:
    output = draft.prompt.output
    if output is None:
        return
    for family, fields in output.extras.items():
        for key, value in fields.items():
            draft.lose(f"response_format.{key}", f"only {family} has it", value)
    if output.kind == "text":
        return
    if output.kind == "json":
        draft.lose("response_format", "this dialect has no JSON mode without a schema", "json_object")
        return
    for name in ("name", "description"):
        value = getattr(output, name)
        if value:
            draft.lose(f"response_format.{name}", "a schema has none here", value)
    if not draft.target.accepts.json_schema:
        draft.lose("response_format.schema", "this target takes no schema", output.schema)
        return
    schema = output.schema or {"type": "object"}
    if not draft.own_family:
        schema, moved = enforceable(schema)
        if moved:
            draft.lose("response_format.schema", "constraints are told to the model, not enforced", moved)
    json.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}


def _thinking(draft: Draft, json: Json) -> None:
    reasoning = draft.prompt.reasoning
    if reasoning is None:
        return
    own = draft.own(reasoning.extras, "thinking", "reasoning")
    effort, thinking = (_as_said if draft.own_family else _translated)(draft, reasoning, json["max_tokens"])
    if effort is not None:
        json.setdefault("output_config", {})["effort"] = effort
    if thinking is None:
        return
    thinking |= own
    forced = json.get("tool_choice", {}).get("type") in ("any", "tool")
    if forced and not draft.own_family and thinking["type"] != "disabled":
        draft.lose("reasoning", "a forced tool choice allows no thinking", reasoning)
        return
    if thinking["type"] == "enabled" and (draft.thoughts_lost or not draft.own_family) and _in_loop(json["messages"]):
        draft.lose("reasoning", "the thought that began this tool loop is not here", reasoning)
        return
    json["thinking"] = thinking


def _as_said(draft: Draft, reasoning: Reasoning, cap: int) -> tuple[str | None, Json | None]:
    if reasoning.enabled is None:
        return reasoning.effort, None
    if not reasoning.enabled:
        return reasoning.effort, {"type": "disabled"}
    if reasoning.budget is None or reasoning.budget < 0:
        return reasoning.effort, {"type": "adaptive"}
    return reasoning.effort, {"type": "enabled", "budget_tokens": reasoning.budget}


def _translated(draft: Draft, reasoning: Reasoning, cap: int) -> tuple[str | None, Json | None]:
    effort, budget = reasoning.effort, reasoning.budget
    if effort == "none" or reasoning.enabled is False or budget == 0:
        return None, {"type": "disabled"}
    if effort is None and budget is None and not reasoning.enabled:
        if reasoning.show:
            draft.lose("reasoning.show", "no thinking was asked for", reasoning.show)
        return None, None
    if effort is not None and effort not in EFFORTS:
        draft.lose("reasoning.effort", "this dialect has no such level", effort)
        effort = None
    thinking: Json = {"type": "adaptive"}
    if draft.target.accepts.thinking == "adaptive":
        if budget is not None and budget > 0:
            draft.lose("reasoning.budget", "this model thinks by effort, not by a budget", budget)
            effort = effort or next((word for word, most in BUDGETS.items() if budget <= most), "max")
        effort = EFFORTS[effort] if effort is not None else None
    else:
        wanted = budget if budget is not None and budget > 0 else BUDGETS[effort or "medium"]
        if cap <= MIN_BUDGET:
            draft.lose("reasoning", f"a cap of {cap} tokens leaves no room for thinking", reasoning)
            return None, None
        given = max(MIN_BUDGET, min(wanted, max(MIN_BUDGET, cap // 2) if wanted >= cap else wanted))
        if budget is not None and budget > 0 and given != budget:
            draft.lose("reasoning.budget", "a budget is at least 1024 and below the cap", budget)
        thinking, effort = {"type": "enabled", "budget_tokens": given}, None
    if reasoning.show is not None:
        thinking["display"] = _SHOWN.get(reasoning.show, "summarized")
    return effort, thinking


def _in_loop(messages: list[Json]) -> bool:
    """The last word is a tool's, and the assistant turn it answers does not begin with a signed thought."""
    for turn in reversed(messages):
        first = turn["content"][0]["type"] if turn["content"] else ""
        if turn["role"] == "assistant":
            return first not in ("thinking", "redacted_thinking")
        if turn["role"] == "user" and first != "tool_result":
            return False
    return False


def _sampling(draft: Draft, json: Json) -> None:
    prompt = draft.prompt
    thinks = json.get("thinking", {}).get("type", "disabled") != "disabled" and not draft.own_family
    heat = prompt.temperature
    if heat is not None:
        if thinks and heat != 1:
            draft.lose("temperature", "a model that thinks takes none", heat)
        else:
            json["temperature"] = heat if draft.own_family else min(1, max(0, heat))
            if json["temperature"] != heat:
                draft.lose("temperature", "temperatures here go from 0 to 1", heat)
    for name, fits in (("top_p", 0.95), ("top_k", float("inf"))):
        value = getattr(prompt, name)
        if value is not None:
            if thinks and value < fits:
                draft.lose(name, "a model that thinks takes none", value)
            else:
                json[name] = value
    stops = [stop for stop in prompt.stop if stop.strip() or draft.own_family]
    if stops:
        json["stop_sequences"] = stops
    if len(stops) < len(prompt.stop):
        draft.lose("stop", "a stop sequence must have a visible character", [s for s in prompt.stop if not s.strip()])


def _who(draft: Draft, json: Json) -> None:
    prompt = draft.prompt
    if prompt.user is not None:
        json["metadata"] = {"user_id": prompt.user}
    if prompt.metadata:
        draft.lose("metadata", "this API takes a user id alone", prompt.metadata)
    if prompt.service_tier is not None:
        tier = SERVICE_TIER_WORDS.get(prompt.service_tier)
        if tier is not None:
            json["service_tier"] = tier
        elif draft.own_family:
            json["service_tier"] = prompt.service_tier
        else:
            draft.lose("service_tier", "this API has no such tier", prompt.service_tier)
