"""Tools and the choice among them: JSON <-> Tool, ToolChoice.

Rules of this file:
- Functions and custom tools are neutral; every other tool is native, carried whole.
- A namespace holds tools under local names. Here each has one qualified name, "namespace__name", which other dialects
  can say; its extras keep the namespace (with its own members) and the local name, and `Namespaces` finds the way
  back.
- A choice that speaks of native tools cannot be said neutrally: it rides in the prompt's extras.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headgate.dialects.base import Json
from headgate.model.prompt import Prompt, Tool, ToolChoice

from .tables import FAMILY
from .values import a_dict, a_list, a_string, rest, string_or_none, wrong

_MODES = {"auto": "auto", "none": "none", "required": "any"}


class Namespaces:
    """(namespace, local name) <-> qualified name, for the namespaces that a request declares."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._qualified: dict[tuple[str, str], str] = {}
        self._local: dict[str, tuple[str, str]] = {}
        for tool in tools:
            own = tool.extras.get(FAMILY, {})
            if tool.kind != "native" and isinstance(own.get("namespace"), dict):
                self._learn(own["namespace"]["name"], own["local"], tool.name)

    def _learn(self, namespace: str, name: str, qualified: str) -> None:
        self._qualified[namespace, name] = qualified
        self._local[qualified] = (namespace, name)

    def add(self, namespace: str, name: str) -> str:
        made = f"{namespace.removesuffix('__')}__{name}"
        while self._local.get(made, (namespace, name)) != (namespace, name):
            made += "_"
        self._learn(namespace, name, made)
        return made

    def qualified(self, namespace: str | None, name: str) -> str:
        return name if namespace is None else self._qualified.get((namespace, name), name)

    def shown(self, name: str) -> dict[str, str] | None:
        """How a call names a tool of a namespace; None for any other."""
        local = self._local.get(name)
        return {"name": local[1], "namespace": local[0]} if local is not None else None


def read_tools(given: list[Any], at: str, namespaces: Namespaces) -> list[Tool]:
    tools: list[Tool] = []
    for index, value in enumerate(given):
        where = f"{at}[{index}]"
        tool = a_dict(value, where)
        kind = a_string(tool.get("type"), f"{where}.type")
        if kind == "namespace":
            own = rest(tool, "type", "tools")
            name = a_string(tool.get("name"), f"{where}.name")
            for inner in read_tools(a_list(tool.get("tools"), f"{where}.tools"), f"{where}.tools", namespaces):
                fields = {**inner.extras.get(FAMILY, {}), "namespace": own, "local": inner.name}
                inner.extras = {**inner.extras, FAMILY: fields}
                inner.name = namespaces.add(name, inner.name)
                tools.append(inner)
        elif kind == "function":
            tools.append(_function(tool, where))
        elif kind == "custom":
            own = rest(tool, "type", "name", "description", "format")
            tools.append(
                Tool(
                    name=a_string(tool.get("name"), f"{where}.name"),
                    kind="custom",
                    description=string_or_none(tool, "description", where),
                    grammar=_dict_or_none(tool, "format", where),
                    extras={FAMILY: own} if own else {},
                )
            )
        else:
            tools.append(Tool(name=kind, kind="native", extras={FAMILY: tool}))
    return tools


def _function(tool: dict[str, Any], where: str) -> Tool:
    own = rest(tool, "type", "name", "description", "parameters", "strict")
    strict = tool.get("strict")
    if strict is not None and not isinstance(strict, bool):
        wrong(f"{where}.strict", "true or false")
    return Tool(
        name=a_string(tool.get("name"), f"{where}.name"),
        description=string_or_none(tool, "description", where),
        schema=_dict_or_none(tool, "parameters", where),
        strict=strict,
        extras={FAMILY: own} if own else {},
    )


def _dict_or_none(fields: dict[str, Any], name: str, at: str) -> dict[str, Any] | None:
    value = fields.get(name)
    return None if value is None else a_dict(value, f"{at}.{name}")


def read_choice(given: Any, prompt: Prompt, namespaces: Namespaces) -> None:
    if isinstance(given, str):
        if given not in _MODES:
            wrong("tool_choice", "auto, none, required or an object")
        prompt.tool_choice = ToolChoice(mode=_MODES[given])  # type: ignore[arg-type]
        return
    choice = a_dict(given, "tool_choice")
    kind = a_string(choice.get("type"), "tool_choice.type")
    if kind in ("function", "custom"):
        name = a_string(choice.get("name"), "tool_choice.name")
        name = namespaces.qualified(string_or_none(choice, "namespace", "tool_choice"), name)
        prompt.tool_choice = ToolChoice(mode="any", names=(name,))
        return
    if kind == "allowed_tools":
        tools = a_list(choice.get("tools"), "tool_choice.tools")
        mode = choice.get("mode", "auto")
        if mode not in ("auto", "required"):
            wrong("tool_choice.mode", "auto or required")
        allowed = [a_dict(tool, f"tool_choice.tools[{index}]") for index, tool in enumerate(tools)]
        if all(tool.get("type") in ("function", "custom") and isinstance(tool.get("name"), str) for tool in allowed):
            names = tuple(
                namespaces.qualified(string_or_none(tool, "namespace", f"tool_choice.tools[{index}]"), tool["name"])
                for index, tool in enumerate(allowed)
            )
            prompt.tool_choice = ToolChoice(mode=_MODES[mode], names=names)  # type: ignore[arg-type]
            return
    prompt.extras.setdefault(FAMILY, {})["tool_choice"] = choice


def named(names: Iterable[str], prompt: Prompt, mapped: dict[str, str]) -> list[Json]:
    """Tools as a choice names them."""
    custom = {tool.name for tool in prompt.tools if tool.kind == "custom"}
    namespaces = Namespaces(prompt.tools)
    return [
        {"type": "custom" if name in custom else "function"}
        | (namespaces.shown(name) or {"name": mapped.get(name, name)})
        for name in names
    ]


def write_choice(choice: ToolChoice, prompt: Prompt, mapped: dict[str, str]) -> Json | str:
    tools = named(choice.names, prompt, mapped)
    if not tools or choice.mode == "none":
        return "required" if choice.mode == "any" else choice.mode
    if choice.mode == "any" and len(tools) == 1:
        return tools[0]
    return {"type": "allowed_tools", "mode": "required" if choice.mode == "any" else "auto", "tools": tools}
