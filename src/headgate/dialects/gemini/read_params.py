"""Tools, tool choice, generation settings and what stands beside the contents -> the Prompt's fields.

Rules of this file:
- A table of plain settings; what needs thought (thinking, output shape, tool choice) has a function.
- What no neutral field holds stays in `prompt.extras["google"]`: unknown top-level members as they are, the rest of
  generationConfig and of toolConfig under their own names.
"""

from __future__ import annotations

from typing import Any

from headgate.model.prompt import Output, Prompt, Reasoning, Tool, ToolChoice

from .place import Place
from .schema import json_schema
from .tables import FAMILY, MODES, camel

_TAKEN = frozenset(
    (
        "model",
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "serviceTier",
        "generateContentRequest",
    )
)
_COUNTS = {
    "maxOutputTokens": "max_tokens",
    "candidateCount": "n",
    "seed": "seed",
    "logprobs": "top_logprobs",
    "topK": "top_k",
}
_NUMBERS = {
    "temperature": "temperature",
    "topP": "top_p",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}
_SHAPE = ("responseMimeType", "responseSchema", "responseJsonSchema", "_responseJsonSchema")
_SETTINGS = frozenset(
    (*_COUNTS, *_NUMBERS, *_SHAPE, "stopSequences", "responseLogprobs", "responseModalities", "thinkingConfig")
)


def read_params(body: Place, prompt: Prompt) -> None:
    own: dict[str, Any] = body.rest(_TAKEN).get(FAMILY, {})
    tools = body.get("tools")
    for tool in tools.items() if tools is not None else ():
        prompt.tools += _tools(tool)
    config = body.get("toolConfig")
    if config is not None:
        left = _tool_config(config, prompt)
        if left:
            own["toolConfig"] = left
    settings = body.get("generationConfig")
    if settings is not None:
        left = _settings(settings, prompt)
        if left:
            own["generationConfig"] = left
    tier = body.get("serviceTier")
    if tier is not None:
        prompt.service_tier = tier.text().lower()
    if own:
        prompt.extras = {FAMILY: own}


def _tools(tool: Place) -> list[Tool]:
    """One element of `tools`: functions, and tools that Google runs, each under its own name."""
    found: list[Tool] = []
    for spelled, value in tool.object().items():
        if value is None:
            continue
        name = camel(spelled)
        if name == "functionDeclarations":
            found += [_function(item) for item in Place(value, tool.at(spelled)).items()]
        else:
            found.append(Tool(name=name, kind="native", extras={FAMILY: {name: value}}))
    return found


def _function(place: Place) -> Tool:
    description = place.get("description")
    schema = place.get("parametersJsonSchema")
    subset = place.get("parameters") if schema is None else None
    return Tool(
        name=place.need("name").text(),
        description=description.text() if description is not None else None,
        schema=schema.object() if schema else json_schema(subset.object()) if subset else None,
        extras=place.rest(("name", "description", "parameters", "parametersJsonSchema")),
    )


def _tool_config(config: Place, prompt: Prompt) -> dict[str, Any]:
    left: dict[str, Any] = config.rest(("functionCallingConfig",)).get(FAMILY, {})
    calling = config.get("functionCallingConfig")
    if calling is None:
        return left
    mode = calling.get("mode")
    word = mode.word() if mode is not None else "AUTO"
    names = calling.get("allowedFunctionNames")
    rest = calling.rest(("mode", "allowedFunctionNames")).get(FAMILY, {})
    if word not in MODES or word == "VALIDATED":
        rest["mode"] = word
    prompt.tool_choice = ToolChoice(
        mode=MODES.get(word, "auto"),  # type: ignore[arg-type]
        names=tuple(names.texts()) if names is not None else (),
    )
    if rest:
        left["functionCallingConfig"] = rest
    return left


def _settings(place: Place, prompt: Prompt) -> dict[str, Any]:
    left: dict[str, Any] = place.rest(_SETTINGS).get(FAMILY, {})
    for name, target in _COUNTS.items():
        found = place.get(name)
        if found is not None:
            setattr(prompt, target, found.count())
    for name, target in _NUMBERS.items():
        found = place.get(name)
        if found is not None:
            setattr(prompt, target, found.number())
    stop = place.get("stopSequences")
    if stop is not None:
        prompt.stop = stop.texts()
    logprobs = place.get("responseLogprobs")
    if logprobs is not None:
        prompt.logprobs = logprobs.flag()
    modalities = place.get("responseModalities")
    if modalities is not None:
        prompt.modalities = [word.lower() for word in modalities.texts()]
    thinking = place.get("thinkingConfig")
    if thinking is not None:
        rest = _thinking(thinking, prompt)
        if rest:
            left["thinkingConfig"] = rest
    _shape(place, prompt, left)
    return left


def _thinking(place: Place, prompt: Prompt) -> dict[str, Any]:
    budget, level, show = place.get("thinkingBudget"), place.get("thinkingLevel"), place.get("includeThoughts")
    reasoning = Reasoning()
    if budget is not None:
        reasoning.budget = budget.count()
        reasoning.enabled = reasoning.budget != 0
    if level is not None and level.word() != "THINKING_LEVEL_UNSPECIFIED":
        reasoning.effort = level.text().lower()
    if show is not None and show.flag():
        reasoning.show = "auto"
    if reasoning != Reasoning():
        prompt.reasoning = reasoning
    return place.rest(("thinkingBudget", "thinkingLevel", "includeThoughts")).get(FAMILY, {})


def _shape(place: Place, prompt: Prompt, left: dict[str, Any]) -> None:
    """The shape of the answer's text. A MIME type that says neither JSON nor plain text rides in extras."""
    mime = place.get("responseMimeType")
    word = mime.text() if mime is not None else ""
    full = place.get("responseJsonSchema") or place.get("_responseJsonSchema")
    subset = place.get("responseSchema")
    if full is not None or subset is not None:
        schema = full.object() if full is not None else json_schema(subset.object()) if subset is not None else None
        prompt.output = Output(kind="json_schema", schema=schema)
    elif word == "application/json":
        prompt.output = Output(kind="json")
    elif word == "text/plain":
        prompt.output = Output(kind="text")
    if word and word not in ("application/json", "text/plain"):
        left["responseMimeType"] = word
