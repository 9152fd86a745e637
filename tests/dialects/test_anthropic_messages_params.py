"""Anthropic Messages: tools, thinking, sampling and shapes written for clients of other dialects; models and paths."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.anthropic_messages_judged import HI, lost, prompt, says, write
from dialects.carried import missing
from headgate.dialects.anthropic_messages import DIALECT
from headgate.dialects.base import Json, ModelCard
from headgate.errors import BadRequest
from headgate.model.prompt import (
    Output,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)


def test_custom_tools_are_wrapped() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /a+/"}
    written = write(
        prompt(
            HI,
            says("assistant", ToolCall(id="a", name="patch", arguments='*** "Begin"\n', kind="custom")),
            says("tool", ToolResult(call_id="a", parts=[Text(text="done")], kind="custom")),
            tools=[Tool(name="patch", kind="custom", description="Patches", grammar=grammar)],
        )
    )
    assert written.wrapped == {"patch"} and lost(written) == {"tools.format": grammar}
    assert written.json["tools"][0]["input_schema"]["required"] == ["input"]
    assert written.json["messages"][1]["content"][0]["input"] == {"input": '*** "Begin"\n'}


ONE = ToolChoice(mode="any", names=("f",))


@pytest.mark.parametrize(
    ("choice", "parallel", "want", "losses"),
    [
        (None, None, None, []),
        (None, True, None, []),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}, []),
        (ToolChoice(mode="auto"), None, {"type": "auto"}, []),
        (ToolChoice(mode="none"), False, {"type": "none"}, []),
        (ToolChoice(mode="any"), False, {"type": "any", "disable_parallel_tool_use": True}, []),
        (ONE, None, {"type": "tool", "name": "f"}, []),
        (ONE, True, {"type": "tool", "name": "f", "disable_parallel_tool_use": False}, []),
        (ToolChoice(mode="any", names=("f", "g")), None, {"type": "any"}, ["tool_choice.names"]),
        (ToolChoice(mode="auto", names=("f",)), None, {"type": "auto"}, ["tool_choice.names"]),
    ],
)  # fmt: skip
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, want: Json | None, losses: list[str]) -> None:
    tools = [Tool(name="f"), Tool(name="g")]
    written = write(prompt(HI, tools=tools, tool_choice=choice, parallel_tools=parallel))
    assert written.json.get("tool_choice") == want and list(lost(written)) == losses
    without = write(prompt(HI, tool_choice=choice, parallel_tools=parallel))
    assert "tool_choice" not in without.json


@pytest.mark.parametrize(
    ("reasoning", "adaptive", "budget"),
    [
        (Reasoning(effort="none"), ("disabled", None), ("disabled", None)),
        (Reasoning(enabled=False), ("disabled", None), ("disabled", None)),
        (Reasoning(budget=0), ("disabled", None), ("disabled", None)),
        (Reasoning(effort="minimal"), ("adaptive", "low"), ("enabled", 1024)),
        (Reasoning(effort="low"), ("adaptive", "low"), ("enabled", 2048)),
        (Reasoning(effort="high"), ("adaptive", "high"), ("enabled", 16384)),
        (Reasoning(effort="max"), ("adaptive", "max"), ("enabled", 20000)),
        (Reasoning(enabled=True), ("adaptive", None), ("enabled", 8192)),
        (Reasoning(budget=-1), ("adaptive", None), ("enabled", 8192)),
        (Reasoning(budget=3000), ("adaptive", "medium"), ("enabled", 3000)),
        (Reasoning(budget=100), ("adaptive", "low"), ("enabled", 1024)),
        (Reasoning(budget=90000), ("adaptive", "max"), ("enabled", 20000)),
        (Reasoning(show="auto"), (None, None), (None, None)),
        (Reasoning(effort="enormous", enabled=True), ("adaptive", None), ("enabled", 8192)),
    ],
)
def test_effort_and_budget(
    reasoning: Reasoning, adaptive: tuple[str | None, Any], budget: tuple[str | None, Any]
) -> None:
    """Models that think adaptively are told an effort, older ones a budget below the cap (here 40000)."""
    body = write(prompt(HI, reasoning=reasoning, max_tokens=40000), thinking="adaptive").json
    assert (body.get("thinking", {}).get("type"), body.get("output_config", {}).get("effort")) == adaptive
    body = write(prompt(HI, reasoning=reasoning, max_tokens=40000), thinking="budget").json
    assert (body.get("thinking", {}).get("type"), body.get("thinking", {}).get("budget_tokens")) == budget
    assert "output_config" not in body


def test_thinking_gives_way_where_the_api_forbids_it() -> None:
    """To a forced tool; to a cap without room; to a budget in a tool loop whose own thought was lost."""
    thinks = Reasoning(effort="high", show="detailed")
    free = write(prompt(HI, reasoning=thinks))
    assert free.json["thinking"] == {"type": "adaptive", "display": "summarized"}
    forced = write(prompt(HI, reasoning=thinks, tools=[Tool(name="f")], tool_choice=ToolChoice(mode="any")))
    assert "thinking" not in forced.json and lost(forced) == {"reasoning": thinks}
    small = write(prompt(HI, reasoning=thinks, max_tokens=1000), thinking="budget")
    assert "thinking" not in small.json and lost(small) == {"reasoning": thinks}
    call = ToolCall(id="a", name="f", arguments="{}")
    result = says("tool", ToolResult(call_id="a", parts=[Text(text="x")]))
    signed = Thinking(text="t", extras={"anthropic": {"signature": "s"}})
    loop = prompt(HI, says("assistant", call), result, reasoning=thinks)
    assert "thinking" not in write(loop, thinking="budget").json and "thinking" in write(loop).json
    kept = prompt(HI, says("assistant", signed, call), result, reasoning=thinks)
    assert "thinking" in write(kept, thinking="budget").json


def test_sampling_is_kept_within_the_apis_bounds() -> None:
    plain = write(prompt(HI, temperature=1.4, top_p=0.5, top_k=3, stop=["x", " "], seed=0, presence_penalty=0.0))
    assert plain.json["temperature"] == 1 and plain.json["top_p"] == 0.5 and plain.json["top_k"] == 3
    assert plain.json["stop_sequences"] == ["x"]
    assert lost(plain) == {"temperature": 1.4, "stop": [" "], "seed": 0}
    thinks = write(prompt(HI, temperature=0.3, top_p=0.5, top_k=3, reasoning=Reasoning(effort="low")))
    assert lost(thinks) == {"temperature": 0.3, "top_p": 0.5, "top_k": 3}
    same = write(prompt(HI, temperature=1, top_p=0.99, reasoning=Reasoning(effort="low")))
    assert not same.losses and same.json["top_p"] == 0.99


def test_what_has_no_place_here_is_listed() -> None:
    given: dict[str, Any] = {
        "n": 2,
        "seed": 7,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
        "logit_bias": {"5": 1.0},
        "logprobs": True,
        "top_logprobs": 3,
        "verbosity": "low",
        "modalities": ["text", "audio"],
        "metadata": {"trace": "t"},
        "service_tier": "flex",
        "output": Output(kind="json"),
    }
    written = write(prompt(says("user", "hi", name="ada"), user="u-1", **given))
    assert set(lost(written)) == {
        "messages.name", "n", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "verbosity",
        "modalities", "metadata", "service_tier", "response_format",
    }  # fmt: skip
    assert written.json["metadata"] == {"user_id": "u-1"}
    assert write(prompt(HI, service_tier="default")).json["service_tier"] == "standard_only"


SCHEMA: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "age": {"type": "integer", "minimum": 3, "description": "Years"},
        "mail": {"type": "string", "format": "email", "minLength": 2},
        "either": {"oneOf": [{"type": "string"}, {"$ref": "#/$defs/Deep"}]},
        "many": {"type": "array", "items": {"type": "object", "properties": {}}, "minItems": 2},
    },
    "required": ["age"],
    "additionalProperties": True,
    "$defs": {"Deep": {"type": "object", "properties": {"format": {"type": "string", "format": "color"}}}},
}


def test_a_schema_is_told_in_the_subset_that_is_enforced() -> None:
    output = Output(kind="json_schema", name="Person", description="A person", schema=SCHEMA, strict=True)
    written = write(prompt(HI, output=output))
    schema = written.json["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is False and "$schema" not in schema
    assert schema["properties"] == {
        "age": {"type": "integer", "description": "Years\n\nminimum: 3"},
        "mail": {"type": "string", "format": "email", "description": "minLength: 2"},
        "either": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Deep"}]},
        "many": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {},
                "description": "additionalProperties: true",
                "additionalProperties": False,
            },
            "description": "minItems: 2",
        },
    }
    assert schema["$defs"]["Deep"]["properties"] == {"format": {"type": "string", "description": 'format: "color"'}}
    assert SCHEMA["additionalProperties"] is True and "description" not in SCHEMA["properties"]["mail"]
    assert list(lost(written)) == ["response_format.name", "response_format.description", "response_format.schema"]
    assert missing(SCHEMA, written.json, written.losses) == []
    refused = write(prompt(HI, output=output), json_schema=False)
    assert lost(refused)["response_format.schema"] == SCHEMA and "output_config" not in refused.json


def test_strict_tools_are_told_in_that_subset_too() -> None:
    tools = [Tool(name="f", schema=SCHEMA, strict=True), Tool(name="g", schema=SCHEMA, strict=False)]
    strict, loose = write(prompt(HI, tools=tools)).json["tools"]
    assert strict["strict"] is True and strict["input_schema"]["additionalProperties"] is False
    assert "strict" not in loose and loose["input_schema"] == SCHEMA
    (first, _) = write(prompt(HI, tools=tools), strict_tools=False).json["tools"]
    assert "strict" not in first and first["input_schema"] == SCHEMA


def test_models_counts_and_paths() -> None:
    card = ModelCard(id="alias", owner="us", created=1700000000, title="Alias", context=9, max_output=3)
    assert DIALECT.model(card) == {
        "type": "model",
        "id": "alias",
        "display_name": "Alias",
        "created_at": "2023-11-14T22:13:20Z",
        "max_input_tokens": 9,
        "max_tokens": 3,
    }
    listed = DIALECT.models([card, ModelCard(id="b", owner="us")])
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("alias", "b", False)
    assert DIALECT.models([])["first_id"] is None
    assert DIALECT.count_body(7) == {"input_tokens": 7}
    assert DIALECT.path("m", "generate", True) == "/messages"
    assert DIALECT.path("m", "count", False) == "/messages/count_tokens"
    with pytest.raises(BadRequest):
        DIALECT.path("m", "embed", False)
