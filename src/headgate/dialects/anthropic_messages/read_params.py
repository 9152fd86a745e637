"""A client's request -> Prompt: everything but the messages.

Rules of this file:
- `output_config.format` and the older top-level `output_format` are one thing; both at once are refused.
- `disable_parallel_tool_use` stands inside tool_choice; its absence says nothing.
- What the neutral model has no name for stays in `prompt.extras["anthropic"]` under its own name.
"""

from __future__ import annotations

from headgate.errors import BadRequest
from headgate.model.prompt import Output, Prompt, Reasoning, Tool, ToolChoice

from .tables import DISPLAYS, FAMILY, SERVICE_TIERS
from .typed import Place

_KNOWN = frozenset(
    (
        "model",
        "messages",
        "system",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "stream",
        "metadata",
        "service_tier",
        "thinking",
        "output_config",
        "output_format",
        "tools",
        "tool_choice",
    )
)
_MODES: dict[str, ToolChoice] = {
    "auto": ToolChoice(mode="auto"),
    "any": ToolChoice(mode="any"),
    "none": ToolChoice(mode="none"),
}


def parameters(place: Place) -> Prompt:
    prompt = Prompt(model=place.need("model").text(), messages=[], family=FAMILY, extras=place.rest(_KNOWN))
    if (value := place.get("max_tokens")) is not None:
        prompt.max_tokens = value.count()
    if (value := place.get("temperature")) is not None:
        prompt.temperature = value.number()
    if (value := place.get("top_p")) is not None:
        prompt.top_p = value.number()
    if (value := place.get("top_k")) is not None:
        prompt.top_k = value.count()
    if (value := place.get("stop_sequences")) is not None:
        prompt.stop = [item.text() for item in value.items()]
    if (value := place.get("stream")) is not None:
        prompt.stream = value.flag()
    if (value := place.get("service_tier")) is not None:
        prompt.service_tier = SERVICE_TIERS.get(value.text(), value.text())
    if (value := place.get("tools")) is not None:
        prompt.tools = [_tool(tool) for tool in value.items()]
    if (value := place.get("tool_choice")) is not None:
        _tool_choice(value, prompt)
    _metadata(place, prompt)
    _output(place, prompt)
    _thinking(place, prompt)
    return prompt


def _keep(prompt: Prompt, name: str, value: object) -> None:
    if value:
        prompt.extras.setdefault(FAMILY, {})[name] = value


def _metadata(place: Place, prompt: Prompt) -> None:
    metadata = place.get("metadata")
    if metadata is not None:
        user = metadata.get("user_id")
        prompt.user = user.text() if user is not None else None
        prompt.metadata = metadata.rest(("user_id",)).get(FAMILY)


def _tool(place: Place) -> Tool:
    kind = place.get("type")
    name = place.get("name")
    if kind is not None and kind.text() != "custom":
        named = name if name is not None else kind
        return Tool(name=named.text(), kind="native", extras={FAMILY: place.object()})
    description, strict = place.get("description"), place.get("strict")
    return Tool(
        name=place.need("name").text(),
        description=description.text() if description is not None else None,
        schema=place.need("input_schema").object(),
        strict=strict.flag() if strict is not None else None,
        extras=place.rest(("name", "description", "input_schema", "strict", "type")),
    )


def _tool_choice(place: Place, prompt: Prompt) -> None:
    word = place.need("type").text()
    if word == "tool":
        prompt.tool_choice = ToolChoice(mode="any", names=(place.need("name").text(),))
    elif word in _MODES:
        prompt.tool_choice = _MODES[word]
    else:
        raise BadRequest(f"a tool_choice of type {word!r} is not known", param=place.at("type"))
    alone = place.get("disable_parallel_tool_use")
    if alone is not None:
        prompt.parallel_tools = not alone.flag()
    left = place.rest(("type", "name", "disable_parallel_tool_use")).get(FAMILY)
    _keep(prompt, "tool_choice", left)


def _output(place: Place, prompt: Prompt) -> None:
    config, older = place.get("output_config"), place.get("output_format")
    format = config.get("format") if config is not None else None
    if format is not None and older is not None:
        raise BadRequest("output_format and output_config.format say the same thing twice", param="output_format")
    format = format or older
    if format is not None:
        word = format.need("type").text()
        if word != "json_schema":
            raise BadRequest(f"an output format of type {word!r} is not known", param=format.at("type"))
        prompt.output = Output(
            kind="json_schema", schema=format.need("schema").object(), extras=format.rest(("type", "schema"))
        )
    if config is not None:
        if (effort := config.get("effort")) is not None:
            prompt.reasoning = Reasoning(effort=effort.text())
        _keep(prompt, "output_config", config.rest(("format", "effort")).get(FAMILY))


def _thinking(place: Place, prompt: Prompt) -> None:
    """`enabled` with its budget, `adaptive` (budget -1), `disabled`; another word stays in the extras."""
    given = place.get("thinking")
    if given is None:
        return
    reasoning = prompt.reasoning = prompt.reasoning or Reasoning()
    word = given.need("type").text()
    reasoning.enabled = word != "disabled"
    reasoning.extras = given.rest(("type", "budget_tokens"))
    if word == "enabled":
        reasoning.budget = given.need("budget_tokens").count()
    elif word != "disabled":
        reasoning.budget = -1
        if word != "adaptive":
            reasoning.extras.setdefault(FAMILY, {})["type"] = word
    if reasoning.enabled:
        display = given.get("display")
        reasoning.show = DISPLAYS.get(display.text(), display.text()) if display is not None else "auto"
