"""Settings of a request beside its conversation: JSON <-> the neutral fields.

Rules of this file:
- Each scalar stands in one table that goes both ways. What has no neutral field rides in extras and goes back as it
  came.
- `reasoning` and `text` keep the members that only this API has in their own extras.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headgate.dialects.base import Accepts, Json
from headgate.dialects.naming import tool_name
from headgate.model.prompt import Loss, Output, Prompt, Reasoning, foreign

from .shapes import strings
from .tables import (
    BUDGET_TOP,
    BUDGETS,
    EFFORTS,
    ENCRYPTED,
    FAMILY,
    HIDDEN,
    LOGPROBS,
    MIN_OUTPUT,
    REASONING_EXTRAS,
    SERVICE_TIERS,
    STREAM_OPTIONS,
    SUMMARIES,
    TOP_FIELDS,
    VERBOSITIES,
)
from .tools import Namespaces, read_choice
from .values import a_boolean, a_dict, a_list, a_number, a_string, an_integer, rest, string_or_none, wrong

SCALARS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "max_output_tokens": ("max_tokens", an_integer),
    "temperature": ("temperature", a_number),
    "top_p": ("top_p", a_number),
    "top_logprobs": ("top_logprobs", an_integer),
    "parallel_tool_calls": ("parallel_tools", a_boolean),
    "user": ("user", a_string),
    "service_tier": ("service_tier", a_string),
    "metadata": ("metadata", a_dict),
    "stream": ("stream", a_boolean),
}
"""Field -> neutral field, and the type it must have."""

_READ = frozenset(("model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", *SCALARS))

UNKNOWN_HERE = (
    "top_k",
    "seed",
    "stop",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
)
"""Neutral fields that this API has no word for: losses where they say something."""


def read_options(json: Json, prompt: Prompt) -> None:
    for name, (field, kind) in SCALARS.items():
        if json.get(name) is not None:
            setattr(prompt, field, kind(json[name], name))
    if json.get("reasoning") is not None:
        prompt.reasoning = _read_reasoning(a_dict(json["reasoning"], "reasoning"))
    if json.get("text") is not None:
        _read_text(a_dict(json["text"], "text"), prompt)
    if json.get("tool_choice") is not None:
        read_choice(json["tool_choice"], prompt, Namespaces(prompt.tools))
    include = json.get("include")
    if include is not None:
        words = [a_string(word, f"include[{index}]") for index, word in enumerate(a_list(include, "include"))]
        if LOGPROBS in words:
            prompt.logprobs = True
        # A client of this API has its thoughts handed out encrypted in any case (`opaque`).
        others = [word for word in words if word not in (LOGPROBS, ENCRYPTED)]
        if others:
            prompt.extras.setdefault(FAMILY, {})["include"] = others
    own = {name: value for name, value in json.items() if name not in _READ and value is not None}
    if own.get("store") is False:  # what is not kept in any case
        del own["store"]
    if own:
        prompt.extras.setdefault(FAMILY, {}).update(own)


def _read_reasoning(given: dict[str, Any]) -> Reasoning:
    effort = string_or_none(given, "effort", "reasoning")
    own = rest(given, "effort", "summary")
    return Reasoning(
        enabled=False if effort == "none" else None,
        effort=effort,
        show=string_or_none(given, "summary", "reasoning"),
        extras={FAMILY: own} if own else {},
    )


def _read_text(given: dict[str, Any], prompt: Prompt) -> None:
    prompt.verbosity = string_or_none(given, "verbosity", "text")
    own = rest(given, "format", "verbosity")
    if own:
        prompt.extras.setdefault(FAMILY, {})["text"] = own
    if given.get("format") is None:
        return
    shape = a_dict(given["format"], "text.format")
    match a_string(shape.get("type"), "text.format.type"):
        case "text":
            prompt.output = Output(kind="text")
        case "json_object":
            prompt.output = Output(kind="json")
        case "json_schema":
            own = rest(shape, "type", "name", "description", "schema", "strict")
            prompt.output = Output(
                kind="json_schema",
                name=string_or_none(shape, "name", "text.format"),
                description=string_or_none(shape, "description", "text.format"),
                schema=a_dict(shape.get("schema"), "text.format.schema"),
                strict=None if shape.get("strict") is None else a_boolean(shape["strict"], "text.format.strict"),
                extras={FAMILY: own} if own else {},
            )
        case _:
            wrong("text.format.type", "text, json_object or json_schema")


def write_options(prompt: Prompt, accepts: Accepts, replays: bool) -> tuple[Json, list[Loss]]:
    """Everything but model, conversation and tools. `replays`: encrypted thoughts of earlier turns go up with it."""
    json: Json = {}
    losses: list[Loss] = []
    for name, (field, _) in SCALARS.items():
        value = getattr(prompt, field)
        if value is not None and value is not False:
            json[name] = value
    if prompt.parallel_tools is False:
        json["parallel_tool_calls"] = False
    if not accepts.parallel_tools and "parallel_tool_calls" in json:
        losses.append(Loss("parallel_tools", "the target does not take it", json.pop("parallel_tool_calls")))
    if prompt.max_tokens is not None and prompt.max_tokens < MIN_OUTPUT:
        json["max_output_tokens"] = MIN_OUTPUT
        losses.append(Loss("max_tokens", f"the least is {MIN_OUTPUT}", prompt.max_tokens))
    _write_words(prompt, json, losses)
    _write_own(prompt, accepts, replays, json, losses)
    if prompt.reasoning is not None:
        reasoning = write_reasoning(prompt.reasoning, losses)
        if reasoning:
            json["reasoning"] = reasoning
    text = write_text(prompt, accepts, losses)
    if text:
        json["text"] = text
    for field in UNKNOWN_HERE:
        value = getattr(prompt, field)
        if value not in (None, []) and not (field == "n" and value == 1):
            losses.append(Loss(field, "a response has no such setting", value))
    if prompt.modalities not in (None, [], ["text"]):
        losses.append(Loss("modalities", "a response is text", prompt.modalities))
    return json, losses


def _write_words(prompt: Prompt, json: Json, losses: list[Loss]) -> None:
    """Settings whose values this API limits."""
    if prompt.service_tier is not None and prompt.service_tier not in SERVICE_TIERS:
        losses.append(Loss("service_tier", "no such tier here", json.pop("service_tier")))
    if prompt.metadata is not None:
        wrong_ones = {name: value for name, value in prompt.metadata.items() if not isinstance(value, str)}
        json["metadata"] = {name: value for name, value in prompt.metadata.items() if name not in wrong_ones}
        losses += [Loss(f"metadata.{name}", "metadata are strings", value) for name, value in wrong_ones.items()]


def _write_own(prompt: Prompt, accepts: Accepts, replays: bool, json: Json, losses: list[Loss]) -> None:
    own = prompt.extras.get(FAMILY, {})
    losses += foreign(prompt.extras, FAMILY, "")
    for name, value in own.items():
        if name == "stream_options" and isinstance(value, dict):
            json[name] = {key: item for key, item in value.items() if key in STREAM_OPTIONS}
            losses += [
                Loss(f"{name}.{key}", "not known here", value[key]) for key in value if key not in STREAM_OPTIONS
            ]
            if not json[name]:
                del json[name]
        elif name in TOP_FIELDS:
            json[name] = value
        elif name not in ("tool_choice", "text"):
            losses.append(Loss(name, "not a field of this API", value))
    include = list(json.get("include", ()))
    if prompt.logprobs:
        include.append(LOGPROBS)
    # Without state, thoughts come back only if they are handed out encrypted. Models that do not reason refuse the
    # word, so it is asked for only where reasoning was spoken of.
    asked = prompt.reasoning is not None and prompt.reasoning.enabled is not False
    if (asked or replays) and own.get("store") is not True and ENCRYPTED not in include:
        include.append(ENCRYPTED)
    if include:
        json["include"] = include
    # What went through the neutral model is kept upstream only where the client says so.
    json["store"] = own.get("store") is True and accepts.state
    if own.get("store") is True and not accepts.state:
        losses.append(Loss("store", "the provider keeps no answers", True))


def write_reasoning(given: Reasoning, losses: list[Loss]) -> Json:
    own = given.extras.get(FAMILY, {})
    losses += foreign(given.extras, FAMILY, "reasoning")
    losses += [Loss(f"reasoning.{key}", "not known here", own[key]) for key in own if key not in REASONING_EXTRAS]
    json: Json = {key: value for key, value in own.items() if key in REASONING_EXTRAS}
    effort = given.effort
    if given.enabled is False:
        effort = "none"
    elif effort is None and given.budget is not None and given.budget >= 0:
        effort = next((word for budget, word in BUDGETS if given.budget <= budget), BUDGET_TOP)
    if given.budget is not None:
        losses.append(Loss("reasoning.budget", f"told as an effort: {effort}", given.budget))
    if effort in EFFORTS:
        json["effort"] = effort
    elif effort is not None:
        losses.append(Loss("reasoning.effort", "no such effort here", effort))
    if given.show in SUMMARIES:
        json["summary"] = given.show
    elif given.show is not None and given.show not in HIDDEN:
        json["summary"] = "auto"
    return json


def write_text(prompt: Prompt, accepts: Accepts, losses: list[Loss]) -> Json:
    own = prompt.extras.get(FAMILY, {}).get("text")
    json: Json = dict(own) if isinstance(own, dict) else {}
    if prompt.verbosity in VERBOSITIES:
        json["verbosity"] = prompt.verbosity
    elif prompt.verbosity is not None:
        losses.append(Loss("verbosity", "no such word here", prompt.verbosity))
    output = prompt.output
    if output is None:
        return json
    losses += foreign(output.extras, FAMILY, "output")
    if output.kind == "text":
        losses += [
            Loss(f"output.{key}", "not known here", value) for key, value in output.extras.get(FAMILY, {}).items()
        ]
        return {"format": {"type": "text"}, **json}
    if output.kind == "json" or not accepts.json_schema:
        if output.kind == "json_schema":
            losses.append(Loss("output.schema", "the target takes no schema", output.schema))
        return {"format": {"type": "json_object"}, **json}
    shape: Json = {"type": "json_schema", "name": tool_name(output.name or "answer", ()), "schema": output.schema or {}}
    if output.description is not None:
        shape["description"] = output.description
    if output.strict is not None:
        shape["strict"] = output.strict
    own_shape = {key: value for key, value in output.extras.get(FAMILY, {}).items() if strings([key])}
    return {"format": {**shape, **own_shape}, **json}
