"""The Prompt's settings -> tools, toolConfig, generationConfig and what stands beside the contents.

Rules of this file:
- A table of plain settings; every setting that Google has not is listed as a loss.
- Schemas go up as they are: `parametersJsonSchema` and `responseJsonSchema` take JSON Schema. (`parameters`, the
  OpenAPI subset, would lose $ref, const and much else.)
- Thinking: a level for Gemini 3 and later, a budget before (mapped as Google maps `reasoning_effort`).
"""

from __future__ import annotations

from typing import Any

from headgate.dialects.base import Json
from headgate.model.prompt import Output, Prompt, Reasoning, Tool

from .crossing import Crossing
from .tables import (
    BUDGETS,
    FAMILY,
    FUNCTION_EXTRAS,
    GENERATION_EXTRAS,
    LEAST_BUDGET_PRO,
    LEVELS,
    MAX_STOPS,
    NATIVE_TOOLS,
    PROMPT_EXTRAS,
    TIERS_UP,
    TOOL_CONFIG_EXTRAS,
)

_PLAIN = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "max_tokens": "maxOutputTokens",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_ABSENT = ("logit_bias", "user", "metadata", "verbosity")


def write_params(prompt: Prompt, json: Json, crossing: Crossing) -> frozenset[str]:
    """Fills `json`; the names of custom tools that were wrapped."""
    own = crossing.extras(prompt.extras, PROMPT_EXTRAS, "")
    wrapped = _tools(prompt, json, crossing)
    config = _known(crossing, own.pop("toolConfig", {}), TOOL_CONFIG_EXTRAS, "toolConfig")
    calling = _calling(prompt, crossing, config.pop("functionCallingConfig", {}))
    if calling:
        config["functionCallingConfig"] = calling
    if config:
        json["toolConfig"] = config
    kept = _known(crossing, own.pop("generationConfig", {}), GENERATION_EXTRAS, "generationConfig")
    settings = _settings(prompt, crossing, kept)
    if settings:
        json["generationConfig"] = settings
    _tier(prompt, json, crossing)
    for name in _ABSENT:
        value = getattr(prompt, name)
        if value is not None and value != {}:
            crossing.lose(name, "the API has no such setting", value)
    if prompt.parallel_tools is False:
        crossing.lose("parallel_tool_calls", "the API cannot forbid them", False)
    json.update(own)
    return wrapped


def _known(crossing: Crossing, fields: Any, known: frozenset[str], where: str) -> dict[str, Any]:
    return crossing.extras({FAMILY: fields}, known, where) if isinstance(fields, dict) else {}


def _tools(prompt: Prompt, json: Json, crossing: Crossing) -> frozenset[str]:
    tools: list[Json] = []
    wrapped: set[str] = set()
    for tool in prompt.tools:
        if tool.kind == "native":
            tools += _native(tool, crossing)
            continue
        if not tools or "functionDeclarations" not in tools[-1]:
            tools.append({"functionDeclarations": []})
        tools[-1]["functionDeclarations"].append(_function(tool, crossing))
        if tool.kind == "custom":
            wrapped.add(tool.name)
    if tools:
        json["tools"] = tools
    return frozenset(wrapped)


def _native(tool: Tool, crossing: Crossing) -> list[Json]:
    own = crossing.extras(tool.extras, NATIVE_TOOLS, "tools")
    return [{name: value} for name, value in own.items()]


def _function(tool: Tool, crossing: Crossing) -> Json:
    function: Json = {"name": crossing.names[tool.name]}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.kind == "custom":
        function["parametersJsonSchema"] = {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
        }
        if tool.grammar is not None:
            crossing.lose("tools.grammar", "the API has no grammars", tool.grammar)
    elif tool.schema is not None:
        function["parametersJsonSchema"] = tool.schema
    if tool.strict:
        crossing.lose("tools.strict", "the API has no such promise", True)
    return {**function, **crossing.extras(tool.extras, FUNCTION_EXTRAS, "tools")}


def _calling(prompt: Prompt, crossing: Crossing, kept: Any) -> Json:
    choice = prompt.tool_choice
    rest: Json = dict(kept) if isinstance(kept, dict) else {}
    if choice is None:
        return rest
    names = [crossing.names[name] for name in choice.names]
    mode = "VALIDATED" if choice.mode == "auto" and names else choice.mode.upper()  # AUTO takes no list of names
    calling: Json = {"mode": mode, **rest}
    if names:
        calling["allowedFunctionNames"] = names
    return calling


def _settings(prompt: Prompt, crossing: Crossing, kept: dict[str, Any]) -> Json:
    settings: Json = {}
    for name, target in _PLAIN.items():
        value = getattr(prompt, name)
        if value is not None:
            settings[target] = value
    if prompt.stop:
        settings["stopSequences"] = prompt.stop[:MAX_STOPS]
        if len(prompt.stop) > MAX_STOPS:
            crossing.lose("stop", f"the API takes {MAX_STOPS}", prompt.stop[MAX_STOPS:])
    if prompt.modalities:
        settings["responseModalities"] = [word.upper() for word in prompt.modalities]
    if prompt.output is not None:
        settings.update(_shape(prompt.output, crossing))
    thinking = _thinking(prompt.reasoning, crossing) if prompt.reasoning is not None else {}
    thinking.update(kept.pop("thinkingConfig", {}))
    if thinking:
        settings["thinkingConfig"] = thinking
    return {**settings, **kept}


def _shape(output: Output, crossing: Crossing) -> Json:
    crossing.extras(output.extras, (), "response_format")
    if output.kind == "text":
        return {"responseMimeType": "text/plain"}
    if output.kind == "json" or output.schema is None:
        return {"responseMimeType": "application/json"}
    if not crossing.target.accepts.json_schema:
        crossing.lose("response_format.schema", "the target takes no schemas", output.schema)
        return {"responseMimeType": "application/json"}
    schema = output.schema
    if output.name is not None and "title" not in schema:
        schema = {"title": output.name, **schema}
    elif output.name is not None and output.name != schema["title"]:
        crossing.lose("response_format.name", "the schema has its own title", output.name)
    if output.description is not None and "description" not in schema:
        schema = {"description": output.description, **schema}
    elif output.description is not None and output.description != schema["description"]:
        crossing.lose("response_format.description", "the schema has its own", output.description)
    return {"responseMimeType": "application/json", "responseJsonSchema": schema}


def _thinking(reasoning: Reasoning, crossing: Crossing) -> Json:
    crossing.extras(reasoning.extras, (), "reasoning")
    model, generation = crossing.target.model, crossing.generation
    config: Json = {}
    if reasoning.show not in (None, "none"):
        config["includeThoughts"] = True
    if generation is not None and generation < 2.5 and not crossing.own:
        if reasoning.enabled is not False:
            crossing.lose("reasoning", f"{model} does not think", reasoning.effort or reasoning.budget)
        return {}
    if generation is not None and generation >= 3:
        return {**config, **_level(reasoning, crossing)}
    budget = reasoning.budget
    if reasoning.enabled is False:
        budget = 0
    elif budget is None and reasoning.effort is not None:
        budget = BUDGETS.get(reasoning.effort)
        if budget is None:
            crossing.lose("reasoning.effort", "not a level that is known", reasoning.effort)
    if budget == 0 and generation == 2.5 and "-pro" in model and not crossing.own:
        crossing.lose("reasoning.enabled", f"{model} cannot stop thinking: it thinks least", False)
        budget = LEAST_BUDGET_PRO
    if budget is not None:
        config["thinkingBudget"] = budget
    return config


def _level(reasoning: Reasoning, crossing: Crossing) -> Json:
    """Level and budget exclude each other; where the client gave both, the level counts."""
    if reasoning.effort is None and reasoning.enabled is not False:
        return {"thinkingBudget": reasoning.budget} if reasoning.budget is not None else {}
    if reasoning.effort is None and crossing.own:
        return {"thinkingBudget": 0}
    effort = "none" if reasoning.enabled is False else reasoning.effort or ""
    level = LEVELS.get(effort)
    if level is None:
        crossing.lose("reasoning.effort", "not a level that is known", effort)
        return {}
    if effort == "none":
        crossing.lose("reasoning.enabled", "the model cannot stop thinking: it thinks least", False)
    if level == "MINIMAL" and "-pro" in crossing.target.model and not crossing.own:
        level = "LOW"  # the least that Gemini 3 Pro takes
    return {"thinkingLevel": level}


def _tier(prompt: Prompt, json: Json, crossing: Crossing) -> None:
    tier = prompt.service_tier
    if tier is None or tier in ("auto", "unspecified"):
        return
    if tier in TIERS_UP:
        json["serviceTier"] = TIERS_UP[tier]
    else:
        crossing.lose("service_tier", "the API has no such tier", tier)
