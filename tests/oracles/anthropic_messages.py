"""Anthropic Messages as its official client reads it (beta types: they hold everything the others do).

Rules of this file:
- Answers go through the client itself over a mock transport: its decoder, its types, its accumulator.
- `grammar` is stricter than the client, which forgives much: every event must validate against the client's types, and
  the events must come in the documented order with blocks numbered and never interleaved.
- `problems` walks the client's own TypedDicts and refuses every member they do not have. Members the API takes although
  the client's types dropped them are named in BESIDE. `rules` are what the API's documentation demands beyond types.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

import anthropic
import httpx2
from anthropic.types import message_create_params
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from anthropic.types.beta import message_create_params as beta_params
from pydantic import TypeAdapter, ValidationError
from typing_extensions import get_type_hints, is_typeddict

from oracles import ReadChoice, Reading

STOPS = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_window",
}
BESIDE: dict[str, Any] = {"temperature": float, "top_p": float, "top_k": int, "output_format": dict[str, object]}
_ASK: dict[str, Any] = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}


def _client(body: bytes, content_type: str, status: int = 200) -> anthropic.Anthropic:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers={"content-type": content_type})

    transport = httpx2.MockTransport(answer)
    return anthropic.Anthropic(api_key="x", max_retries=0, http_client=httpx2.Client(transport=transport))


def whole(document: bytes) -> Reading:
    return _reading(_client(document, "application/json").beta.messages.create(**_ASK))


def stream(body: bytes) -> Reading:
    try:
        with _client(body, "text/event-stream").beta.messages.stream(**_ASK) as events:
            return _reading(events.get_final_message())
    except anthropic.APIStatusError as error:
        return Reading(error=error.message)


def failure(body: bytes, status: int) -> anthropic.APIStatusError:
    """The exception that the client raises for an error reply."""
    try:
        _client(body, "application/json", status).beta.messages.create(**_ASK)
    except anthropic.APIStatusError as error:
        return error
    raise AssertionError("the client saw no error")


def _reading(message: BetaMessage) -> Reading:
    choice = ReadChoice(stop=STOPS.get(message.stop_reason or "", "other"))
    for block in message.content:
        match block.type:
            case "text":
                choice.text += block.text
            case "thinking":
                choice.thinking += block.thinking
            case "tool_use":
                choice.tools.append((block.name, block.input))
    usage = message.usage
    read, write = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    details = usage.output_tokens_details
    return Reading(
        choices=[choice],
        usage={
            "input": usage.input_tokens + read + write,
            "output": usage.output_tokens,
            "cache_read": read,
            "cache_write": write,
            "reasoning": details.thinking_tokens if details else 0,
        },
    )


_EVENT: TypeAdapter[Any] = TypeAdapter(BetaRawMessageStreamEvent)


def grammar(body: bytes) -> list[str]:
    """What is wrong with a stream: framing, types, order."""
    found: list[str] = []
    order: list[str] = []
    opened: int | None = None
    count = 0
    for item in body.decode().split("\n\n")[:-1]:
        name, _, data = item.partition("\n")
        event = json.loads(data.removeprefix("data: "))
        kind = event["type"]
        if name != f"event: {kind}":
            found.append(f"{kind} is announced as {name!r}")
        if kind in ("error", "ping"):
            order += [kind] if kind == "error" else []
            continue
        try:
            _EVENT.validate_python(event)
        except ValidationError as error:
            found.append(f"{kind}: {error}")
        if kind == "content_block_start":
            if opened is not None or event["index"] != count:
                found.append(f"block {event['index']} starts while {opened} is open, after {count}")
            opened, count = event["index"], count + 1
        elif kind.startswith("content_block"):
            if event["index"] != opened:
                found.append(f"{kind} of {event['index']} while {opened} is open")
            opened = None if kind.endswith("stop") else opened
        else:
            order.append(kind)
    if opened is not None and order[-1:] != ["error"]:
        found.append(f"block {opened} never stops")
    if order not in (["message_start", "message_delta", "message_stop"], ["message_start", "error"], ["error"]):
        found.append(f"events come in the order {order}")
    return found


def valid(document: Any) -> list[str]:
    """What the client's types have against a whole message."""
    try:
        BetaMessage.model_validate(document)
    except ValidationError as error:
        return [str(error)]
    return []


PARAMS = (beta_params.MessageCreateParamsStreaming, message_create_params.MessageCreateParamsStreaming)


def problems(request: dict[str, Any]) -> list[str]:
    return min((list(_against(request, params)) for params in PARAMS), key=len)


def _against(request: dict[str, Any], params: Any) -> Iterator[str]:
    given = {name: value for name, value in request.items() if name not in BESIDE} | {"stream": True}
    if not isinstance(request.get("stream", False), bool):
        yield "stream is not a boolean"
    yield from _mismatch(given, params, "")
    for name, hint in BESIDE.items():
        if name in request:
            yield from _mismatch(request[name], hint, name)


@cache
def _members(typed: Any) -> dict[str, tuple[Any, bool]]:
    """Member -> (type, whether it is demanded)."""
    found: dict[str, tuple[Any, bool]] = {}
    for name, hint in get_type_hints(typed, include_extras=True).items():
        demanded = False
        while get_origin(hint) in (Required, NotRequired, Annotated):
            demanded = demanded or get_origin(hint) is Required
            hint = get_args(hint)[0]
        found[name.rstrip("_")] = (hint, demanded)
    return found


def _mismatch(value: Any, hint: Any, at: str) -> Iterator[str]:
    """Why `value` is not of type `hint`; nothing if it is."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        yield from _mismatch(value, arguments[0], at)
    elif is_typeddict(hint):
        if not isinstance(value, dict):
            yield f"{at} is not an object"
            return
        members = _members(hint)
        yield from (f"{at}.{name} is unknown" for name in value if name not in members)
        for name, (inner, demanded) in members.items():
            if name in value:
                yield from _mismatch(value[name], inner, f"{at}.{name}")
            elif demanded:
                yield f"{at}.{name} is missing"
    elif origin in (Union, types.UnionType):
        tries = [list(_mismatch(value, option, at)) for option in arguments]
        yield from min(
            tries, key=lambda found: (len(found[0].partition(" ")[0]) * -1, len(found)) if found else (-999, 0)
        )
    elif origin is Literal:
        if value not in arguments:
            yield f"{at} is not one of {arguments}"
    elif origin is dict or hint is dict:
        if not isinstance(value, dict):
            yield f"{at} is not an object"
        elif arguments:
            for name, item in value.items():
                yield from _mismatch(item, arguments[1], f"{at}.{name}")
    elif origin is not None:  # Iterable, List, SequenceNotStr
        if not isinstance(value, list):
            yield f"{at} is not a list"
            return
        for index, item in enumerate(value):
            yield from _mismatch(item, arguments[0], f"{at}[{index}]")
    elif hint is object or hint is Any:
        return
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{at} is not a number"
    elif not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        yield f"{at} is not {hint}"


def rules(request: dict[str, Any]) -> list[str]:
    """What the API's documentation demands beyond types."""
    found: list[str] = []
    waiting: set[str] = set()
    previous = ""
    for index, message in enumerate(request["messages"]):
        blocks = message["content"]
        kinds = [block["type"] for block in blocks]
        if message["role"] == previous:
            found.append(f"message {index} repeats the role {previous}")
        previous = message["role"]
        found += [f"message {index} has an empty text" for b in blocks if b["type"] == "text" and not b["text"].strip()]
        if not blocks:
            found.append(f"message {index} is empty")
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if results != waiting:
            found.append(f"message {index} answers {results}, not {waiting}")
        if "tool_result" in kinds[kinds.count("tool_result") :]:
            found.append(f"message {index} has a tool result after something else")
        waiting = {block["id"] for block in blocks if block["type"] == "tool_use"}
        found += [f"id {id!r}" for id in waiting | results if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", id)]
        found += [f"unsigned thought in {index}" for b in blocks if b["type"] == "thinking" and not b["signature"]]
    if waiting:
        found.append(f"{waiting} is never answered")
    if request["messages"][0]["role"] != "user":
        found.append("the first message is not the user's")
    names = [tool["name"] for tool in request.get("tools", []) if "input_schema" in tool]
    found += [f"tool name {name!r}" for name in names if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", name)]
    thinking = request.get("thinking", {"type": "disabled"})
    if thinking["type"] == "enabled" and not 1024 <= thinking["budget_tokens"] < request["max_tokens"]:
        found.append("the budget does not fit the cap")
    if thinking["type"] != "disabled":
        found += [f"{name} beside thinking" for name in ("temperature", "top_k") if request.get(name, 1) != 1]
        if request.get("tool_choice", {}).get("type") in ("any", "tool"):
            found.append("thinking beside a forced tool")
    if not 0 <= request.get("temperature", 1) <= 1:
        found.append("the temperature is out of range")
    if "tool_choice" in request and "tools" not in request:
        found.append("a choice without tools")
    return found
