"""What a response repeats of its request: a client of this API expects its own settings in the answer."""

from __future__ import annotations

from typing import Any

from headgate.dialects.base import Accepts, Json
from headgate.model.prompt import Prompt, Text, Tool

from .options import write_reasoning, write_text
from .tables import FAMILY
from .tools import Namespaces, write_choice


class Names:
    """How an answer's calls name their tools: those of a namespace by their local names."""

    def __init__(self, prompt: Prompt | None) -> None:
        self._namespaces = Namespaces(prompt.tools if prompt is not None else ())

    def shown(self, name: str) -> dict[str, str]:
        return self._namespaces.shown(name) or {"name": name}


def settings(prompt: Prompt | None) -> Json:
    """Defaults are those that the API itself shows."""
    shown: Json = {
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "reasoning": {"effort": None, "summary": None},
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }
    if prompt is None:
        return shown
    first = prompt.messages[0] if prompt.messages else None
    if first is not None and first.role == "system" and len(first.parts) == 1 and isinstance(first.parts[0], Text):
        shown["instructions"] = first.parts[0].text
    said: dict[str, Any] = {
        "max_output_tokens": prompt.max_tokens,
        "metadata": prompt.metadata,
        "parallel_tool_calls": prompt.parallel_tools,
        "temperature": prompt.temperature,
        "top_p": prompt.top_p,
        "user": prompt.user,
        "truncation": prompt.extras.get(FAMILY, {}).get("truncation"),
        "tools": [_tool(tool) for tool in prompt.tools],
    }
    shown |= {name: value for name, value in said.items() if value is not None}
    if prompt.reasoning is not None:
        shown["reasoning"] |= write_reasoning(prompt.reasoning, [])
    shown["text"] |= write_text(prompt, Accepts(), [])
    if prompt.tool_choice is not None:
        shown["tool_choice"] = write_choice(prompt.tool_choice, prompt, {})
    return shown


def _tool(tool: Tool) -> Json:
    own = tool.extras.get(FAMILY, {})
    if tool.kind == "native":
        return {"type": tool.name, **own}
    if tool.kind == "custom":
        json: Json = {"type": "custom", "name": tool.name, "description": tool.description, "format": tool.grammar}
        return {name: value for name, value in json.items() if value is not None}
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.schema,
        "strict": bool(tool.strict),
    }
