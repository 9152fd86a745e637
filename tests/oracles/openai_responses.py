"""OpenAI Responses as its official client and its published description read it.

Rules of this file:
- Answers go through the client itself over a mock transport: its decoder, its types, its accumulator.
- `grammar` is stricter than the client, which forgives much: every event must validate against the client's types, be
  numbered, and come in the order real streams show; what is said twice must be the same.
- `problems` holds a request against OpenAI's OpenAPI description, objects closed: a member it does not name is a
  problem. Members that the service takes although the description lacks them are named in BESIDE.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx2
import jsonschema
import openai
import pytest
import yaml
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

import recordings
from oracles import ReadChoice, Reading

REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}
CLIENT_CALLS = {
    "apply_patch_call",
    "computer_call",
    "custom_tool_call",
    "function_call",
    "local_shell_call",
    "mcp_approval_request",
    "shell_call",
}
TERMINAL = ("response.completed", "response.incomplete", "response.failed")
BESIDE = {"provider"}


def _client(body: bytes, content_type: str, status: int = 200) -> openai.OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers={"content-type": content_type})

    transport = httpx2.MockTransport(answer)
    return openai.OpenAI(api_key="x", max_retries=0, http_client=httpx2.Client(transport=transport))


def whole(document: bytes) -> Reading:
    return reading(_client(document, "application/json").responses.create(model="m", input="x"))


def stream(body: bytes) -> Reading:
    """What the client's accumulator makes of a stream. RuntimeError where the grammar is broken for it."""
    final: Any = None
    warnings.filterwarnings(
        "ignore", "Pydantic serializer warnings", UserWarning
    )  # the client's own items do not fit it
    try:
        with _client(body, "text/event-stream").responses.stream(model="m", input="x") as events:
            for event in events:
                if event.type in TERMINAL:
                    final = event.response
    except openai.APIError as error:
        return Reading(error=error.message)
    return reading(final)


def heard(body: bytes) -> list[Reading]:
    """The responses that a stream's terminal events hold, without the accumulator: for streams it refuses."""
    events = _client(body, "text/event-stream").responses.create(model="m", input="x", stream=True)
    return [reading(event.response) for event in events if event.type in TERMINAL]


def failure(body: bytes, status: int) -> openai.APIStatusError:
    """The exception that the client raises for an error reply."""
    try:
        _client(body, "application/json", status).responses.create(model="m", input="x")
    except openai.APIStatusError as error:
        return error
    raise AssertionError("the client saw no error")


def reading(response: Any) -> Reading:
    if response is None:
        return Reading(error="the stream has no terminal event")
    if response.status == "failed":
        return Reading(error=response.error.message)
    choice = ReadChoice(stop=_stop(response))
    for item in response.output or ():
        match item.type:
            case "message":
                for content in item.content:
                    if content.type == "output_text":
                        choice.text += content.text
                    elif content.type == "refusal":
                        choice.refusal += content.refusal
            case "reasoning":
                texts = [*item.summary, *(getattr(item, "content", None) or ())]
                choice.thinking += "".join(text.text for text in texts)
            case "function_call":
                choice.tools.append((item.name, _arguments(item)))
            case "custom_tool_call":
                choice.tools.append((item.name, item.input))
    return Reading(choices=[choice], usage=_usage(response.usage))


def _arguments(item: Any) -> Any:
    """Parsed; the text itself where an answer was cut inside it."""
    try:
        return json.loads(item.arguments)
    except ValueError:
        return item.arguments


def _stop(response: Response) -> str:
    if response.status == "completed" or response.status is None:
        return "tool_use" if any(item.type in CLIENT_CALLS for item in response.output or ()) else "stop"
    if response.status == "incomplete" and response.incomplete_details is not None:
        return REASONS.get(str(response.incomplete_details.reason), "other")
    return "other"


def _usage(usage: Any) -> dict[str, int] | None:
    if usage is None:
        return None
    given, made = usage.input_tokens_details, usage.output_tokens_details
    return {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cache_read": getattr(given, "cached_tokens", 0) or 0,
        "cache_write": getattr(given, "cache_write_tokens", 0) or 0,
        "reasoning": getattr(made, "reasoning_tokens", 0) or 0,
    }


# -- the grammar of a stream

_event = TypeAdapter(ResponseStreamEvent)
_SPOKEN = {
    "response.output_text.delta": ("content", "content_index", "text"),
    "response.refusal.delta": ("content", "content_index", "refusal"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "text"),
    "response.reasoning_text.delta": ("content", "content_index", "text"),
    "response.function_call_arguments.delta": ("", "", "arguments"),
    "response.custom_tool_call_input.delta": ("", "", "input"),
}
_DONE = {kind.replace(".delta", ".done"): value for kind, value in _SPOKEN.items()}
_PARTS = {
    "response.content_part": ("content", "content_index"),
    "response.reasoning_summary_part": ("summary", "summary_index"),
}


def events(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each under its own name."""
    found = []
    for block in body.decode().split("\n\n"):
        if not block:
            continue
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


def grammar(body: bytes) -> list[str]:
    return list(_Grammar().problems(events(body)))


_TYPED = {"message", "reasoning", "function_call", "custom_tool_call", "image_generation_call"}
"""Items that are written, not passed on as some provider made them."""


def _types(event: dict[str, Any]) -> Iterator[str]:
    if event.get("item", {}).get("type", "message") not in _TYPED:
        return
    if "response" in event:
        output = [item for item in event["response"]["output"] if item["type"] in _TYPED]
        event = {**event, "response": {**event["response"], "output": output}}
        if isinstance(event["response"]["error"], dict) and isinstance(event["response"]["error"]["code"], str):
            event["response"]["error"] = {**event["response"]["error"], "code": "server_error"}  # The service has more.
    try:
        _event.validate_python(event)
    except ValidationError as error:
        name = "".join(
            word.capitalize() for word in re.split("[._]", event["type"].replace("output_text.delta", "text.delta"))
        )
        own = [one for one in error.errors() if str(one["loc"][0]).startswith(name)]
        yield " ".join(f"{one['loc']}: {one['msg']}" for one in (own or error.errors()[:1]))


class _Grammar:
    def __init__(self) -> None:
        self.items: dict[int, dict[str, Any]] = {}
        self.done: dict[int, dict[str, Any]] = {}
        self.parts: dict[tuple[int, str, int], dict[str, Any]] = {}
        self.closed: set[tuple[int, str, int]] = set()

    def problems(self, given: list[dict[str, Any]]) -> Iterator[str]:
        kinds = [event["type"] for event in given]
        if kinds[:2] != ["response.created", "response.in_progress"] or kinds[-1] not in TERMINAL:
            yield f"begins {kinds[:2]}, ends {kinds[-1:]}"
        for number, event in enumerate(given):
            where = f"{number} {event['type']}"
            if event["sequence_number"] != number:
                yield f"{where}: sequence_number {event['sequence_number']}"
            if event["type"] != "error":
                yield from (f"{where}: {problem}" for problem in _types(event))
            yield from (f"{where}: {problem}" for problem in self._one(event))
        if kinds[-1] != "response.failed":
            output = given[-1]["response"]["output"]
            if output != [self.done.get(index) for index in range(len(self.items))]:
                yield "the last response's output is not what the items said"

    def _one(self, event: dict[str, Any]) -> Iterator[str]:
        kind, index = event["type"], event.get("output_index", -1)
        item = self.items.get(index)
        if kind == "response.output_item.added":
            if index != len(self.items):
                yield f"item {index} added after {len(self.items)}"
            self.items[index] = json.loads(json.dumps(event["item"]))
            return
        if index >= 0 and item is None:
            yield "no such item"
            return
        if index in self.done:
            yield "the item is done"
        if item is not None and "item_id" in event and event["item_id"] != item["id"]:
            yield "another item's id"
        head, _, stage = kind.rpartition(".")
        if head in _PARTS:
            place, member = _PARTS[head]
            key = (index, place, event[member])
            if stage == "added":
                if key in self.parts:
                    yield "part added twice"
                self.parts[key] = dict(event["part"])
            else:
                self.closed.add(key)
                if event["part"] != self.parts.get(key):
                    yield f"part done is {event['part']}, was {self.parts.get(key)}"
        elif kind in _SPOKEN or kind in _DONE:
            yield from self._text(event, item or {}, index)
        elif kind == "response.output_text.annotation.added":
            annotations = self.parts[index, "content", event["content_index"]]["annotations"]
            if event["annotation_index"] != len(annotations):
                yield "annotation out of order"
            annotations.append(event["annotation"])
        elif kind == "response.output_item.done":
            yield from self._item(event["item"], item or {}, index)

    def _text(self, event: dict[str, Any], item: dict[str, Any], index: int) -> Iterator[str]:
        kind = event["type"]
        place, member, text = (_SPOKEN | _DONE)[kind]
        key = (index, place, event[member]) if place else None
        holder = item if key is None else self.parts.get(key)
        if holder is None:
            yield "no such part"
        elif key in self.closed:
            yield "the part is done"
        elif kind in _SPOKEN:
            holder[text] += event["delta"]
            if event.get("logprobs"):
                holder["logprobs"] += event["logprobs"]
        elif holder[text] != event[text]:
            yield f"done says {event[text]!r}, the pieces {holder[text]!r}"

    def _item(self, item: dict[str, Any], before: dict[str, Any], index: int) -> Iterator[str]:
        self.done[index] = item
        if (item["type"], item.get("id")) != (before["type"], before.get("id")):
            yield "the item changed its identity"
        for place in ("content", "summary"):
            parts = [part for key, part in self.parts.items() if key[:2] == (index, place)]
            if item.get(place, []) != parts:
                yield f"{place} is {item.get(place)}, its parts said {parts}"
        for member in ("arguments", "input"):
            if item["type"] in ("function_call", "custom_tool_call") and item.get(member) != before.get(member):
                yield f"{member} is {item.get(member)!r}, the pieces said {before.get(member)!r}"
        if item["type"] == "function_call" and item["status"] == "completed" and not item["arguments"]:
            yield "arguments are no JSON"


# -- requests


@cache
def _validator() -> tuple[jsonschema.Draft202012Validator, frozenset[str]]:
    if recordings.FOLDER is None:
        pytest.skip("no API descriptions here: they are not beside the project")
    spec = yaml.load((recordings.FOLDER.parent / "specs/openai-openapi.yaml").read_text(), Loader=yaml.CSafeLoader)
    schemas = spec["components"]["schemas"]
    known = frozenset(_members(schemas["CreateResponse"], schemas)) | BESIDE
    parts = {name for schema in schemas.values() for name in _parts(schema)}
    closed = {name: _closed(schema, within=name in parts) for name, schema in schemas.items()}
    root = {"$ref": "#/components/schemas/CreateResponse", "components": {"schemas": closed}}
    return jsonschema.Draft202012Validator(root), known


def _members(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield from _members(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    yield from schema.get("properties", ())
    for inner in schema.get("allOf", ()):
        yield from _members(inner, schemas)


def _parts(schema: Any) -> Iterator[str]:
    """The schemas that others are put together from: what one of them does not name, the other may."""
    if isinstance(schema, dict):
        yield from (value["$ref"].rpartition("/")[2] for value in schema.get("allOf", ()) if "$ref" in value)
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _parts(value)


def _closed(schema: Any, within: bool = False) -> Any:
    """The schema with its objects closed where they stand alone, and alternatives that may overlap: the description's
    own (a message is an easy message, too) do."""
    if isinstance(schema, list):
        return [_closed(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _closed(value) for name, value in schema.items() if name not in ("allOf", "oneOf", "discriminator")}
    if "oneOf" in schema:
        made["anyOf"] = [_closed(value) for value in schema["oneOf"]]
    if "allOf" in schema:
        made["allOf"] = [_closed(value, within=True) for value in schema["allOf"]]
    properties = schema.get("properties")
    if isinstance(properties, dict) and properties and schema.get("type") == "object" and not within:
        made.setdefault("additionalProperties", False)
    return made


def problems(request: dict[str, Any]) -> list[str]:
    validator, known = _validator()
    found = [f"{name}: not a field" for name in request if name not in known]
    for error in validator.iter_errors(request):
        deepest = jsonschema.exceptions.best_match([error]) or error
        found.append(f"{'/'.join(map(str, deepest.absolute_path))}: {deepest.message[:300]}")
    return found
