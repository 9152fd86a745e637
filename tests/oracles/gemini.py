"""What Google's own SDK (google-genai) understands of an answer, and whether a request is valid to Google's
description.

Rules of this file:
- Answers go through the SDK's client, in-process: its HTTP layer is given the recorded bytes, its own types parse
  them. The SDK accumulates nothing but the text of a chunk, so chunks are added up as its users do: parts appended in
  order.
- The SDK speaks to the Gemini API or to Vertex (`vertexai=True`); their answers are parsed by different converters,
  and only Vertex's keeps arguments that arrive in pieces. Enumerations as numbers are unknown to it and are named
  here.
- Requests: the SDK's types, strictly (unknown fields are forbidden there), and the published descriptions: the Gemini
  API's, with Vertex's for what only Vertex has. `BEYOND` lists fields that the SDK sends and recordings show, but that
  the descriptions at hand are too old to know.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from . import ReadChoice, Reading

SPECS = Path(__file__).parents[3] / "shared" / "specs" / "google"

STOPS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "MALFORMED_FUNCTION_CALL": "malformed_call",
    "UNEXPECTED_TOOL_CALL": "malformed_call",
    "CONTINUATION": "pause",
}
NUMBERS = {
    "finishReason": ("FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER"),
    "modality": ("MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT"),
    "trafficType": ("TRAFFIC_TYPE_UNSPECIFIED", "ON_DEMAND", "PROVISIONED_THROUGHPUT"),
}


class _Served:
    """What the HTTP layer of a client answers next. A client is dear to make and keeps nothing between answers."""

    status = 200
    kind = "application/json"
    body = b""

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(self.status, headers={"content-type": self.kind}, content=self.body)


@cache
def _made(vertex: bool) -> tuple[_Served, genai.Client]:
    served = _Served()
    options = types.HttpOptions(httpx_client=httpx2.Client(transport=httpx2.MockTransport(served)))
    return served, genai.Client(vertexai=True if vertex else None, api_key="k", http_options=options)


class _Server:
    """What the SDK's transport answers next."""

    def __init__(self) -> None:
        self.next = (200, "application/json", b"")

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        status, kind, body = self.next
        return httpx2.Response(status, headers={"content-type": kind}, content=body)


@cache
def _server(vertex: bool) -> tuple[_Server, genai.Client]:
    server = _Server()
    options = types.HttpOptions(httpx_client=httpx2.Client(transport=httpx2.MockTransport(server)))
    if vertex:
        return server, genai.Client(vertexai=True, api_key="k", http_options=options)
    return server, genai.Client(api_key="k", http_options=options)


def _client(body: bytes, stream: bool, vertex: bool, status: int = 200) -> genai.Client:
    server, client = _server(vertex)
    server.next = (status, "text/event-stream" if stream else "application/json", body)
    return client


def _chunks(body: bytes, stream: bool, vertex: bool, status: int = 200) -> Iterator[types.GenerateContentResponse]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = _client(body, stream, vertex, status)
        config = types.GenerateContentConfig(automatic_continuation=False)
        if stream:
            yield from client.models.generate_content_stream(model="gemini-x", contents="x", config=config)
        else:
            yield client.models.generate_content(model="gemini-x", contents="x", config=config)


def named(value: Any) -> Any:
    """The JSON with enumerations as words, where they came as numbers."""
    if isinstance(value, dict):
        return {
            key: NUMBERS[key][item] if key in NUMBERS and isinstance(item, int) else named(item)
            for key, item in value.items()
        }
    return [named(item) for item in value] if isinstance(value, list) else value


def whole(document: bytes, vertex: bool = True) -> Reading:
    return _read(_chunks(json.dumps(named(json.loads(document))).encode(), False, vertex))


def stream(body: bytes, vertex: bool = True) -> Reading:
    """A streamed body: SSE, or the JSON array that a request without alt=sse gets."""
    if body.lstrip()[:1] == b"[":
        documents = json.loads(body)
        body = b"".join(b"data: " + json.dumps(document).encode() + b"\r\n\r\n" for document in documents)
    return _read(_chunks(body, True, vertex))


def error(status: int, body: bytes, stream: bool = False) -> errors.APIError:
    """The exception that the SDK raises for this answer."""
    try:
        for _ in _chunks(body, stream, False, status):
            pass
    except errors.APIError as raised:
        return raised
    raise AssertionError("the SDK raised nothing")


def models(document: dict[str, Any]) -> list[types.Model]:
    client = _client(json.dumps(document).encode(), False, False)
    return list(client.models.list())


def count(document: dict[str, Any]) -> int | None:
    client = _client(json.dumps(document).encode(), False, False)
    return client.models.count_tokens(model="gemini-x", contents="x").total_tokens


def _read(chunks: Iterator[types.GenerateContentResponse]) -> Reading:
    reading = Reading()
    found: dict[int, ReadChoice] = {}
    pieces: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for position, candidate in enumerate(chunk.candidates or ()):
            index = candidate.index if candidate.index is not None else position
            choice = found.setdefault(index, ReadChoice())
            for part in (candidate.content.parts if candidate.content else None) or ():
                _part(choice, part, pieces.setdefault(index, {}))
            if candidate.finish_reason is not None:
                choice.stop = STOPS.get(candidate.finish_reason.value, "other")
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            found.setdefault(0, ReadChoice()).stop = "content_filter"
        if chunk.usage_metadata is not None:
            reading.usage = _usage(chunk.usage_metadata)
    for index in sorted(found):
        choice = found[index]
        if choice.stop == "stop" and choice.tools:
            choice.stop = "tool_use"
        reading.choices.append(choice)
    return reading


def _part(choice: ReadChoice, part: types.Part, pieces: dict[str, Any]) -> None:
    if part.text is not None:
        if part.thought:
            choice.thinking += part.text
        else:
            choice.text += part.text
    call = part.function_call
    if call is None:
        return
    if call.name:
        choice.tools.append((call.name, dict(call.args or {})))
        pieces.clear()
    for piece in call.partial_args or ():
        path = piece.json_path or ""
        steps = [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]$'\"]+", path)]
        value: Any = piece.bool_value if piece.number_value is None else piece.number_value
        if piece.string_value is not None:
            pieces[path] = value = pieces.get(path, "") + piece.string_value
        _put(choice.tools[-1][1], steps, value)


def _put(container: Any, steps: list[Any], value: Any) -> None:
    step, *rest = steps
    if isinstance(container, list):
        container.extend([None] * (step + 1 - len(container)))
    if not rest:
        container[step] = value
        return
    here = container[step] if isinstance(container, list) else container.get(step)
    if here is None:
        here = container[step] = [] if isinstance(rest[0], int) else {}
    _put(here, rest, value)


def _usage(usage: types.GenerateContentResponseUsageMetadata) -> dict[str, int]:
    thoughts = usage.thoughts_token_count or 0
    return {
        "input": (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
        "output": (usage.candidates_token_count or 0) + thoughts,
        "cache_read": usage.cached_content_token_count or 0,
        "cache_write": 0,
        "reasoning": thoughts,
    }


# requests

BEYOND = {
    "Request": {"serviceTier": str, "store": bool},
    "Part": {"toolCall": dict, "toolResponse": dict, "mediaProcessing": dict},
    "ToolConfig": {"includeServerSideToolInvocations": bool},
    "FunctionCallingConfig": {"streamFunctionCallArguments": bool},
    "VideoMetadata": {},
}
"""Schema -> fields that the SDK sends and the descriptions do not know yet."""
WORD_FIELDS = {"role"}
OPAQUE = {
    "args",
    "response",
    "partMetadata",
    "labels",
    "parametersJsonSchema",
    "responseJsonSchema",
    "metadata",
    "headers",
}


def camel(value: Any, key: str = "") -> Any:
    """Keys in camelCase, as the descriptions spell them; what holds the user's own keys stays."""
    if key in OPAQUE or isinstance(value, str):
        return value
    if isinstance(value, dict):
        keep = key in ("properties", "defs")
        return {
            (name if keep else _camel(name)): camel(item, "" if keep else _camel(name)) for name, item in value.items()
        }
    return [camel(item, key) for item in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    return re.sub(r"(?<=.)_([a-z0-9])", lambda found: found[1].upper(), name)


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    """One description of both APIs: Vertex's fields beside the Gemini API's."""
    if not SPECS.is_dir():
        pytest.skip(f"no API descriptions here: {SPECS.name} is not beside the project")
    gemini = json.loads((SPECS / "generativelanguage.openapi.json").read_text())["components"]["schemas"]
    vertex = json.loads((SPECS / "aiplatform.v1.json").read_text())["schemas"]
    prefix = "GoogleCloudAiplatformV1"
    merged: dict[str, dict[str, Any]] = {}
    aliases = {"GenerateContentRequest": "Request", "ThinkingConfig": "GenerationConfigThinkingConfig"}
    for name, schema in gemini.items():
        merged[aliases.get(name, name)] = {
            "properties": dict(schema.get("properties") or {}),
            "enum": schema.get("enum"),
        }
    for name, schema in vertex.items():
        if name.startswith(prefix):
            bare = name.removeprefix(prefix)
            mine = merged.setdefault(aliases.get(bare, bare), {"properties": {}, "enum": None})
            for key, value in (schema.get("properties") or {}).items():
                mine["properties"].setdefault(key, value)
    merged["ThinkingConfig"] = merged["GenerationConfigThinkingConfig"]
    return merged


def problems(request: dict[str, Any]) -> list[str]:
    """What Google's descriptions and the SDK's types have against a request body."""
    body = camel(request)
    found = list(_against("Request", body, ""))
    if not body.get("contents"):
        found.append("contents: empty")
    for index, content in enumerate(body.get("contents") or ()):
        if not content.get("parts"):
            found.append(f"contents[{index}].parts: empty")
        if content.get("role") not in ("user", "model"):
            found.append(f"contents[{index}].role: {content.get('role')}")
        for part in content.get("parts") or ():
            # A user's empty message is taken by the API, as recordings show; an empty part beside others is not needed.
            empty = part.get("text") == "" and "thoughtSignature" not in part
            found += [f"contents[{index}]: an empty text"] if empty and content.get("role") != "user" else []
    found += _typed(body)
    return found


def _typed(body: dict[str, Any]) -> Iterator[str]:
    models: tuple[tuple[str, Any, Any], ...] = (
        ("contents", types.Content, body.get("contents") or []),
        ("systemInstruction", types.Content, [body["systemInstruction"]] if "systemInstruction" in body else []),
        ("tools", types.Tool, body.get("tools") or []),
        ("toolConfig", types.ToolConfig, [body["toolConfig"]] if "toolConfig" in body else []),
        ("generationConfig", types.GenerationConfig, [_settings(body)] if "generationConfig" in body else []),
        ("safetySettings", types.SafetySetting, body.get("safetySettings") or []),
    )
    for name, model, values in models:
        for value in values:
            try:
                model.model_validate_json(json.dumps(value))
            except (ValueError, AttributeError) as error:
                yield f"{name}: {error}"


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    """`imageConfig` is a member of the API's generationConfig that the SDK's type of the same name lacks."""
    return {name: value for name, value in body["generationConfig"].items() if name not in ("imageConfig",)}


def _against(name: str, value: Any, path: str) -> Iterator[str]:
    schema = _schemas()[name]
    if schema["enum"]:
        if value not in schema["enum"]:
            yield f"{path}: {value!r} is not in {name}"
        return
    if not isinstance(value, dict):
        yield f"{path}: {name} is an object"
        return
    for key, item in value.items():
        kind = schema["properties"].get(key)
        if kind is None:
            beyond = BEYOND.get(name, {}).get(key)
            if beyond is None:
                yield f"{path}.{key}: {name} has no such field"
            elif not isinstance(item, beyond):
                yield f"{path}.{key}: not {beyond}"
        elif item is not None:
            yield from _kind(kind, item, f"{path}.{key}")


def _kind(kind: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    kind = kind["allOf"][0] if "allOf" in kind else kind
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2].removeprefix("GoogleCloudAiplatformV1")
        if name in _schemas():
            yield from _against(name, value, path)
        return
    if kind.get("enum"):
        if value not in kind["enum"] and path.rpartition(".")[2] not in ("category", "blockReason"):
            yield f"{path}: {value!r} is not one of {kind['enum']}"
        return
    match kind.get("type"):
        case "array":
            if not isinstance(value, list):
                yield f"{path}: a list"
            else:
                for index, item in enumerate(value):
                    yield from _kind(kind["items"], item, f"{path}[{index}]")
        case "string":
            if not isinstance(value, str) and not (kind.get("format") == "int64" and isinstance(value, int)):
                yield f"{path}: a string"
        case "integer":
            if not isinstance(value, int) or isinstance(value, bool):
                yield f"{path}: an integer"
        case "number":
            if not isinstance(value, int | float) or isinstance(value, bool):
                yield f"{path}: a number"
        case "boolean":
            if not isinstance(value, bool):
                yield f"{path}: a boolean"
        case "object":
            if not isinstance(value, dict):
                yield f"{path}: an object"
