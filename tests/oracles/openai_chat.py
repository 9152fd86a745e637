"""OpenAI Chat Completions as its official client reads it.

Rules of this file:
- Answers go through the client itself over a mock transport: its types for a whole reply, its `stream` helper and
  accumulator for a streamed one. `chunks` is for recorded streams of other providers that the accumulator refuses
  (list entries without index, content as a list): the client still parses each chunk, and the few lines here add them
  up.
- Thoughts, and other providers' peculiarities, are read where their own documents say they stand; each text once.
- `problems` checks requests against the published OpenAPI description, and refuses members it does not have, but for
  those in BESIDE (what other providers' servers document).
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import openai
import pytest
import yaml
from openai._streaming import Stream
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from oracles import ReadChoice, Reading

STOPS = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "model_length": "length",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
}
BESIDE = {
    "": {"provider"},
    "messages": {
        "reasoning_details",
        "reasoning_content",
        "reasoning",
        "extra_content",
        "prefix",
        "partial",
        "thought_signature",
    },
    "content": {"cache_control", "prompt_cache_breakpoint"},
    "tool_calls": {"extra_content"},
    "tools": {"cache_control", "eager_input_streaming"},
}
_ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def client(body: bytes, content_type: str, status: int = 200) -> openai.OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers={"content-type": content_type})

    transport = httpx2.MockTransport(answer)
    return openai.OpenAI(api_key="x", max_retries=0, http_client=httpx2.Client(transport=transport))


def whole(document: bytes) -> Reading:
    answer = client(document, "application/json").chat.completions.create(**_ASK)
    assert isinstance(answer, ChatCompletion)
    return _reading(answer)


def stream(body: bytes) -> Reading:
    """As the client's own accumulator adds it up."""
    try:
        with client(body, "text/event-stream").chat.completions.stream(**_ASK) as events:
            for _ in events:
                pass
            read = _reading(events._state.current_completion_snapshot)
    except openai.APIError as error:
        return Reading(error=error.message)
    if read.usage is None:  # Groq says it in `x_groq`; OpenAI's moderation chunk says null after it was told
        read.usage = chunks(body).usage
    return read


def recorded(body: bytes) -> Reading:
    """A recorded stream: by the accumulator, or chunk by chunk where it gives up or loses content that is a list."""
    try:
        read = stream(body)
    except (RuntimeError, TypeError, AttributeError, AssertionError):
        return chunks(body)
    return chunks(body) if b'"content":[{' in body else read


def chunks(body: bytes) -> Reading:
    """As the client parses its chunks, added up here."""
    message: dict[int, dict[str, Any]] = {}
    finishes: dict[int, str | None] = {}
    usage: Any = None
    try:
        answers = client(body, "text/event-stream").chat.completions.create(**_ASK, stream=True)
        assert isinstance(answers, Stream)
        for chunk in answers:
            assert isinstance(chunk, ChatCompletionChunk)
            raw = chunk.model_dump(exclude_unset=True)
            usage = raw.get("usage") or (raw.get("x_groq") or {}).get("usage") or usage
            for choice in raw.get("choices") or []:
                held = message.setdefault(choice["index"], {})
                usage = choice.get("usage") or usage
                finishes[choice["index"]] = choice.get("finish_reason") or finishes.get(choice["index"])
                _add(held, choice.get("delta") or {})
    except openai.APIError as error:
        return Reading(error=error.message)
    found = [
        {"index": index, "message": held, "finish_reason": finishes[index]} for index, held in sorted(message.items())
    ]
    return _read(found, usage)


def _add(held: dict[str, Any], delta: dict[str, Any]) -> None:
    for key, value in delta.items():
        if isinstance(value, str):
            held[key] = held.get(key, "") + value if isinstance(held.get(key, ""), str) else held[key]
            if isinstance(held[key], list):
                held[key].append({"type": "text", "text": value})
        elif key == "content" and isinstance(value, list):
            before = held.get(key) or []
            held[key] = ([{"type": "text", "text": before}] if isinstance(before, str) else before) + value
        elif key == "reasoning_details" and isinstance(value, list):
            held[key] = held.get(key, []) + value
        elif key == "tool_calls":
            for call in value or []:
                _add_call(held.setdefault("tool_calls", []), call)
        elif key == "function_call" and value:
            call = held.setdefault(key, {"name": "", "arguments": ""})
            for name in ("name", "arguments"):
                call[name] += value.get(name) or ""


def _add_call(calls: list[dict[str, Any]], call: dict[str, Any]) -> None:
    known = [
        held for held in calls if held.get("index") == call.get("index") and call.get("id") in (None, "", held["id"])
    ]
    if not known:
        held = {"index": call.get("index"), "id": call.get("id"), "function": {"name": "", "arguments": ""}}
        calls.append(held)
        known = [held]
    function = call.get("function") or {}
    for name in ("name", "arguments"):
        known[0]["function"][name] += function.get(name) or ""


# ------------------------------------------------------------------ from the client's types to a Reading


def _reading(answer: Any) -> Reading:
    raw = answer.model_dump(exclude_unset=True)
    if not raw.get("choices") and raw.get("error"):
        return Reading(error=str(raw["error"].get("message")))
    return _read(raw.get("choices") or [], raw.get("usage"))


def _read(choices: list[dict[str, Any]], usage: Any) -> Reading:
    return Reading(choices=[_choice(choice) for choice in choices], usage=_usage(usage) if usage else None)


def _choice(choice: dict[str, Any]) -> ReadChoice:
    message = choice.get("message") or {}
    read = ReadChoice(refusal=message.get("refusal") or "")
    content = message.get("content")
    if isinstance(content, list):
        for block in content:
            if block.get("type") == "text":
                read.text += block["text"]
            elif block.get("type") == "thinking":
                read.thinking += "".join(piece.get("text", "") for piece in block["thinking"])
    else:
        read.text = content or ""
    read.text += (message.get("audio") or {}).get("transcript") or ""
    told = message.get("reasoning_content") or message.get("reasoning")
    details = message.get("reasoning_details") or []
    read.thinking += told or "".join(entry.get("text") or entry.get("summary") or "" for entry in details)
    for call in message.get("tool_calls") or []:
        custom = call.get("custom") or {}
        if custom.get("name"):
            read.tools.append((custom["name"], custom["input"]))
        elif call["function"]["name"]:
            read.tools.append((call["function"]["name"], _parsed(call["function"].get("arguments"))))
    legacy = message.get("function_call") or {}
    if legacy.get("name"):
        read.tools.append((legacy["name"], _parsed(legacy["arguments"])))
    word = choice.get("finish_reason")
    read.stop = STOPS.get(word, "other") if word else "stop"
    if read.tools and read.stop == "stop":
        read.stop = "tool_use"
    return read


def _parsed(arguments: Any) -> Any:
    if arguments is None or isinstance(arguments, dict):
        return arguments or {}
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def _usage(usage: dict[str, Any]) -> dict[str, int]:
    """In inclusive counts. xAI and Gemini's endpoint have thoughts in the total beside the completion."""
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    said, output = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    reasoning = completion.get("reasoning_tokens") or usage.get("reasoning_tokens") or 0
    hidden = (usage.get("total_tokens") or 0) - said - output
    if hidden > 0 and hidden == reasoning:
        output += hidden
    elif hidden > 0 and not completion:
        output, reasoning = output + hidden, hidden
    cached = prompt.get("cached_tokens")
    for name in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"):
        cached = cached or usage.get(name)
    return {
        "input": said,
        "output": output,
        "cache_read": cached or 0,
        "cache_write": min(prompt.get("cache_write_tokens") or 0, said - (cached or 0)),
        "reasoning": min(reasoning, output),
    }


def failure(body: bytes, status: int) -> openai.APIStatusError:
    """The exception that the client raises for an error reply."""
    try:
        client(body, "application/json", status).chat.completions.create(**_ASK)
    except openai.APIStatusError as error:
        return error
    raise AssertionError("the client saw no error")


# ------------------------------------------------------------------ requests


@cache
def _description() -> dict[str, Any]:
    named = os.environ.get("HEADGATE_SPECS")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "specs"
    if not folder.is_dir():
        pytest.skip("no API descriptions here: they are not beside the project")
    return yaml.load((folder / "openai-openapi.yaml").read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _plain(schema: Any) -> Any:
    """OpenAPI 3.0's `nullable` in JSON Schema; descriptions and defaults left out."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: {name: _plain(item) for name, item in value.items()} if key == "properties" else _plain(value)
        for key, value in schema.items()
        if key not in ("description", "example", "examples", "default", "discriminator", "x-oaiMeta", "nullable")
    }
    if schema.get("nullable"):
        return {"anyOf": [found, {"type": "null"}]}
    return found


@cache
def validator(name: str) -> Any:
    schemas = {key: _plain(value) for key, value in _description()["components"]["schemas"].items()}
    document = {"components": {"schemas": schemas}, "$ref": f"#/components/schemas/{name}"}
    return jsonschema.Draft202012Validator(document)


@cache
def _members(name: str) -> frozenset[str]:
    """The members that a schema names, through references and combinations."""
    schemas = _description()["components"]["schemas"]
    found: set[str] = set()

    def look(schema: Any) -> None:
        if "$ref" in schema:
            look(schemas[schema["$ref"].rpartition("/")[2]])
        found.update(schema.get("properties", {}))
        for key in ("allOf", "oneOf", "anyOf"):
            for item in schema.get(key, ()):
                look(item)

    look(schemas[name])
    return frozenset(found)


def problems(request: dict[str, Any]) -> list[str]:
    errors = validator("CreateChatCompletionRequest").iter_errors(request)
    found = [f"{error.json_path}: {_short(error.message)}" for error in errors]
    return found + list(_unknown(copy.deepcopy(request)))


def _short(message: str) -> str:
    return message if len(message) < 300 else f"{message[:200]} ... {message[-90:]}"


def _unknown(request: dict[str, Any]) -> Iterator[str]:
    def beside(place: str, item: dict[str, Any], schema: str) -> Iterator[str]:
        for key in item.keys() - _members(schema) - BESIDE.get(place, set()):
            yield f"{place}: unknown member {key}"

    yield from beside("", request, "CreateChatCompletionRequest")
    for message in request["messages"]:
        yield from beside("messages", message, "ChatCompletionRequestMessage")
        for call in message.get("tool_calls") or []:
            kind = "CustomToolCall" if call.get("type") == "custom" else "ToolCall"
            yield from beside("tool_calls", call, f"ChatCompletionMessage{kind}")
    for tool in request.get("tools") or []:
        if tool.get("type") == "function":
            yield from beside("tools", tool, "ChatCompletionTool")
