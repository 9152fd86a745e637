"""A client's generateContent JSON: what its bytes tell the gateway, what the Prompt says, what is refused."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest

from dialects.test_gemini_decode import replaced
from headgate.dialects import carrier, splice
from headgate.dialects.base import Accepts, Edit, Head, Target
from headgate.dialects.gemini import DIALECT
from headgate.errors import BadRequest
from headgate.model.prompt import (
    Media,
    Native,
    Output,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    flat,
)
from recordings import recordings


def said(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def parts(*contents: Any, **beside: Any) -> list[tuple[str, Any]]:
    return list(flat(DIALECT.read({"contents": list(contents), **beside})))


def call(name: str, identity: str | None = None, /, **args: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": args, **({"id": identity} if identity else {})}}


def result(name: str, identity: str | None = None, /, **response: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": response, **({"id": identity} if identity else {})}}


@pytest.mark.corpus
def test_every_recorded_request_is_read() -> None:
    """All that Google answered; a request Google refused for its form is refused here with the place."""
    for row in recordings("gemini"):
        if row.request is not None:
            try:
                DIALECT.read(row.request)
            except BadRequest as error:
                assert row.status == 400, row
                assert error.param


@pytest.mark.corpus
def test_slots_are_the_texts_and_an_edit_at_each_works() -> None:
    """Of every recorded request: a slot's value is its text; replaced in the bytes, nothing else changes."""
    for row in recordings("gemini"):
        if row.request is None:
            continue
        body = json.dumps(row.request, ensure_ascii=False).encode()
        slots = list(DIALECT.slots(row.request))
        for slot in slots:
            value = row.request
            for step in slot.path:
                value = value[step]
            assert value == (json.loads(slot.text) if slot.kind == "object" else slot.text), row
        assert len({slot.path for slot in slots}) == len(slots)
        edits = [Edit(name="guard", path=slot.path, value=b'"\\u00d8"') for slot in slots]
        edited = json.loads(splice.apply(body, edits))
        assert [(slot.path, slot.text) for slot in DIALECT.slots(edited)] == [(slot.path, "Ø") for slot in slots], row


@pytest.mark.corpus
def test_prompts_stand_in_slots() -> None:
    """Every text of the conversation, every argument and every response that `read` sees is seen by guards."""
    for row in recordings("gemini"):
        if row.request is None or row.status >= 300:
            continue
        seen = {slot.text for slot in DIALECT.slots(row.request)}
        for _, part in flat(DIALECT.read(row.request)):
            match part:
                case Text() | Thinking():
                    assert not part.text or part.text in seen, row
                case ToolCall():
                    arguments = json.loads(part.arguments)
                    assert not arguments or any(arguments == json.loads(text) for text in seen if text[:1] == "{"), row
                case _:
                    pass


def leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in leaves(item)]


@pytest.mark.corpus
def test_broken_requests_are_bad_requests_and_nothing_else() -> None:
    """Recorded requests with one value replaced: read and written, or BadRequest."""
    chance = random.Random(11)
    target = Target(model="gemini-3-pro-preview", provider="p")
    for row in recordings("gemini"):
        if row.request is None:
            continue
        for _ in range(3):
            broken = replaced(row.request, chance)
            list(DIALECT.slots(broken))
            for look in (
                lambda json_: DIALECT.head(json.dumps(json_).encode()),
                lambda json_: DIALECT.write(DIALECT.read(json_), target),
            ):
                try:
                    look(broken)
                except BadRequest as error:
                    assert error.message


def test_head() -> None:
    body = {
        "contents": [said({"text": "hi"}, {"fileData": {"fileUri": f"{FILES}v1beta/files/abc"}})],
        "generationConfig": {"maxOutputTokens": "100", "candidateCount": 2},
        "tools": [{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/s"]}}],
        "cachedContent": "cachedContents/c",
    }
    text = json.dumps(body).encode()
    assert DIALECT.head(text) == Head(
        model="",
        body=text,
        state=True,
        max_output=100,
        n=2,
        tools=True,
        objects=("cachedContents/c", "fileSearchStores/s", "files/abc"),
    )


FILES = "https://generativelanguage.googleapis.com/"


@pytest.mark.parametrize(
    ("part", "prose"),
    [
        ({"text": "a", "thought": True}, True),
        ({"text": "a", "thoughtSignature": carrier.wrap({})}, False),
        ({"text": "a", "thought_signature": carrier.wrap({})}, False),
        ({"functionCall": {"name": "f", "args": {"fileUri": "a"}}}, False),
        ({"inlineData": {"mimeType": "image/png", "data": ""}}, False),
        ({"fileData": {"fileUri": f"{FILES}v1beta/files/abc"}}, False),
        (7, False),
    ],
)
def test_texts_alone_are_prose(part: Any, prose: bool) -> None:
    """Only they go up without a look for files and for what we gave the client to carry."""
    for before in ("", "x" * 3000):
        assert DIALECT.head(json.dumps({"contents": [said({"text": before}, part)]}).encode()).prose is prose


@pytest.mark.parametrize("key", ["fileSearchStoreNames", "file\\u0053earchStoreNames"])
def test_what_is_held_is_found_beside_long_contents(key: str) -> None:
    body = {"contents": [said({"text": "x" * 3000})], "tools": [{"fileSearch": {"KEY": ["fileSearchStores/s"]}}]}
    for told in (body, dict(reversed(body.items()))):
        head = DIALECT.head(json.dumps(told).replace("KEY", key).encode())
        assert head.objects == ("fileSearchStores/s",) and head.bulk is not None and head.prose


def test_nothing_is_edited_but_the_model_of_a_wrapped_request() -> None:
    target = Target(model="gemini-x", provider="p")
    body = b'{"contents" : [{"parts":[{"text":"say generateContentRequest"}]}]}'
    assert splice.apply(body, DIALECT.edits(DIALECT.head(body), target)) == body
    body = b'{"generateContentRequest": {"model": "models/alias", "contents" : []}}'
    edited = splice.apply(body, DIALECT.edits(DIALECT.head(body), target))
    assert edited == b'{"generateContentRequest": {"model": "models/gemini-x", "contents" : []}}'


def test_a_field_that_the_target_refuses() -> None:
    """Refused clearly in the same dialect, in either spelling; listed as a loss in a crossing."""
    target = Target(model="gemini-x", provider="p", accepts=Accepts(drop=frozenset(("modelArmorConfig", "labels"))))
    body = {"contents": [said({"text": "labels"})], "model_armor_config": {"a": "b"}}
    with pytest.raises(BadRequest) as refused:
        DIALECT.edits(DIALECT.head(json.dumps(body).encode()), target)
    assert refused.value.param == "model_armor_config"
    written = DIALECT.write(DIALECT.read(body), target)
    assert "modelArmorConfig" not in written.json
    assert [(loss.what, loss.value) for loss in written.losses] == [("modelArmorConfig", {"a": "b"})]
    del body["model_armor_config"]
    assert DIALECT.edits(DIALECT.head(json.dumps(body).encode()), target) == ()


def test_head_in_the_other_spelling() -> None:
    body = {
        "contents": [said({"file_data": {"file_uri": f"{FILES}v1beta/files/abc"}})],
        "generation_config": {"max_output_tokens": 7},
        "cached_content": "cachedContents/c",
    }
    head = DIALECT.head(json.dumps(body).encode())
    assert (head.max_output, head.objects) == (7, ("cachedContents/c", "files/abc"))


def test_head_sees_a_file_however_it_is_escaped() -> None:
    """Another tenant's file must not slip by as an escape."""
    body = json.dumps({"contents": [said({"fileData": {"fileUri": f"{FILES}v1beta/files/abc"}})]})
    body = body.replace("fileUri", r"file\u0055ri").replace("/files/", r"\/files\/")
    assert DIALECT.head(body.encode()).objects == ("files/abc",)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"[]", None),
        (b"{", None),
        (b'{"generationConfig":[]}', "generationConfig"),
        (b'{"generationConfig":{"maxOutputTokens":[]}}', "generationConfig.maxOutputTokens"),
        (b'{"generationConfig":{"maxOutputTokens":"x"}}', "generationConfig.maxOutputTokens"),
        (b'{"generationConfig":{"candidateCount":1.5}}', "generationConfig.candidateCount"),
        (b'{"tools":"x"}', "tools"),
        (b'{"cachedContent":1}', "cachedContent"),
        (b'{"a":' + b"[" * 200_000, None),
        (b"\xff", None),
    ],
)
def test_head_refuses(body: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        DIALECT.head(body)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("json", "param"),
    [
        ({"contents": "x"}, "contents"),
        ({"contents": [1]}, "contents[0]"),
        ({"contents": [said({"text": 1})]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{}]}]}, "contents[0].parts[0]"),
        ({"contents": [said({"text": "a", "inlineData": {}})]}, "contents[0].parts[0]"),
        ({"contents": [said({"inline_data": {"data": 5}})]}, "contents[0].parts[0].inline_data.data"),
        ({"contents": [said({"functionCall": {"name": "f", "args": []}})]}, "contents[0].parts[0].functionCall.args"),
        ({"contents": [said({"functionCall": {}})]}, "contents[0].parts[0].functionCall.name"),
        ({"contents": [{"role": "bot", "parts": []}]}, "contents[0].role"),
        ({"contents": [said(result("f", output="x"))]}, "contents[0].parts[0].functionResponse"),
        ({"systemInstruction": {"parts": [{"text": []}]}}, "systemInstruction.parts[0].text"),
        ({"tools": [{"functionDeclarations": [{"name": 1}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"toolConfig": {"functionCallingConfig": {"mode": 2}}}, "toolConfig.functionCallingConfig.mode"),
        ({"generation_config": {"top_p": []}}, "generation_config.top_p"),
        ({"generationConfig": {"seed": float("inf")}}, "generationConfig.seed"),
        ({"generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences[0]"),
        ({"generationConfig": {"thinkingConfig": []}}, "generationConfig.thinkingConfig"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_refused_with_its_place(json: Any, param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        DIALECT.read(json)
    assert refused.value.param == param


def test_too_deep_a_schema_is_refused() -> None:
    schema: dict[str, Any] = {"type": "STRING"}
    for _ in range(50_000):
        schema = {"type": "ARRAY", "items": schema}
    with pytest.raises(BadRequest):
        DIALECT.read({"contents": [], "generationConfig": {"responseSchema": schema}})


def test_roles_and_kinds() -> None:
    contents = [
        {"parts": {"text": "no role, bare part"}},
        said({"text": "think", "thought": True, "thoughtSignature": "MQ=="}, {"text": "say"}, role="model"),
        said({"executableCode": {"language": "PYTHON", "code": "1"}}, role="model"),
    ]
    assert parts(*contents, systemInstruction={"parts": {"text": "be"}}) == [
        ("system", Text(text="be")),
        ("user", Text(text="no role, bare part")),
        ("assistant", Thinking(text="think", extras={"google": {"thoughtSignature": "MQ=="}})),
        ("assistant", Text(text="say")),
        (
            "assistant",
            Native(
                family="google", name="executableCode", json={"executableCode": {"language": "PYTHON", "code": "1"}}
            ),
        ),
    ]


def test_both_spellings_mean_the_same() -> None:
    snake = {
        "system_instruction": {"parts": [{"text": "be"}]},
        "contents": [
            said({"inline_data": {"mime_type": "image/png", "data": "AA=="}}),
            said({"function_call": {"name": "f", "args": {"snake_key": 1}}, "thought_signature": "MQ=="}, role="model"),
            said({"function_response": {"name": "f", "response": {"snake_key": 2}}}),
        ],
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
        "generation_config": {"max_output_tokens": 5, "thinking_config": {"thinking_budget": 3}},
        "safety_settings": [],
    }
    other = {
        "systemInstruction": {"parts": [{"text": "be"}]},
        "contents": [
            said({"inlineData": {"mimeType": "image/png", "data": "AA=="}}),
            said({"functionCall": {"name": "f", "args": {"snake_key": 1}}, "thoughtSignature": "MQ=="}, role="model"),
            said({"functionResponse": {"name": "f", "response": {"snake_key": 2}}}),
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"maxOutputTokens": 5, "thinkingConfig": {"thinkingBudget": 3}},
        "safetySettings": [],
    }
    assert DIALECT.read(snake) == DIALECT.read(other)


def test_calls_without_ids_meet_their_responses_by_name_and_order() -> None:
    """Also two calls of the same function; ids are stable, and the first messages alone give the same ones."""
    asked = said(call("f", a=1), call("g"), call("f", a=2), role="model")
    answered = said(result("f", output="1"), result("g", output="2"), result("f", output="3"))
    told = [part for _, part in parts(asked, answered)]
    calls, results = told[:3], told[3:]
    assert len({part.id for part in calls}) == 3
    assert [part.call_id for part in results] == [part.id for part in calls]
    assert [part for _, part in parts(asked)] == calls


def test_ids_go_before_order() -> None:
    told = [
        part
        for _, part in parts(
            said(call("f", "one"), call("f", "two"), role="model"),
            said(result("f", "two", output="2"), result("f", "one", output="1")),
        )
    ]
    assert [(part.call_id, part.parts[0].text) for part in told[2:]] == [("two", "2"), ("one", "1")]


@pytest.mark.parametrize(
    ("response", "text", "error"),
    [
        ({"output": "plain"}, "plain", False),
        ({"output": {"a": [1]}}, '{"a":[1]}', False),
        ({"error": "no"}, "no", True),
        ({"result": "x"}, '{"result":"x"}', False),
        ({"output": "x", "error": "y"}, '{"output":"x","error":"y"}', False),
    ],
)
def test_what_a_response_says(response: Any, text: str, error: bool) -> None:
    """Google's guide: `output` and `error` are the keys that mean something, else the whole object is the output."""
    (_, (_, told)) = parts(said(call("f"), role="model"), said(result("f", **response)))
    assert isinstance(told, ToolResult)
    assert (told.parts, told.error) == ([Text(text=text)], error)


def test_media_of_every_kind() -> None:
    told = [
        part
        for _, part in parts(
            said(
                {"inlineData": {"mimeType": "image/png", "data": "-_8="}, "mediaResolution": {"level": "L"}},
                {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}},
                {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/x.pdf"}},
                {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}, "videoMetadata": {"fps": 1}},
                {"fileData": {"fileUri": f"{FILES}v1beta/files/abc", "mimeType": "image/png"}},
            )
        )
    ]
    assert told == [
        Media(kind="image", mime="image/png", data="+/8=", extras={"google": {"mediaResolution": {"level": "L"}}}),
        Media(kind="audio", mime="audio/wav", data="AA=="),
        Media(kind="document", mime="application/pdf", url="gs://b/x.pdf"),
        Media(kind="video", url="https://www.youtube.com/watch?v=1", extras={"google": {"videoMetadata": {"fps": 1}}}),
        Media(kind="image", mime="image/png", file_id=f"{FILES}v1beta/files/abc"),
    ]


def test_a_carrier_is_unwrapped_and_the_pieces_before_it_joined() -> None:
    """SDKs write bytes in the alphabet for URLs, and a streamed thought comes back in the pieces that it came in."""
    extras = {"anthropic": {"signature": "sig" + "?>" * 40}}
    signature = base64.urlsafe_b64encode(base64.b64decode(carrier.wrap(extras))).decode()
    assert signature != carrier.wrap(extras)
    told = parts(
        said(
            {"text": "one ", "thought": True},
            {"text": "two", "thought": True},
            {"text": "", "thought": True, "thoughtSignature": signature},
            {"text": "", "thought": True, "thoughtSignature": carrier.wrap({"anthropic": {"redacted": "x"}})},
            {"text": "answer"},
            {**call("f", "c1"), "thoughtSignature": carrier.wrap({"openai": {"id": "fc_1"}})},
            role="model",
        )
    )
    assert [part for _, part in told] == [
        Thinking(text="one two", extras=extras),
        Thinking(text="", extras={"anthropic": {"redacted": "x"}}),
        Text(text="answer"),
        ToolCall(id="c1", name="f", arguments="{}", extras={"openai": {"id": "fc_1"}}),
    ]


def test_settings() -> None:
    prompt = DIALECT.read(
        {
            "contents": [said({"text": "x"})],
            "generationConfig": {
                "temperature": 0.5,
                "topP": 0.9,
                "topK": 40.0,
                "seed": 3,
                "maxOutputTokens": 10,
                "candidateCount": 2,
                "stopSequences": ["a"],
                "presencePenalty": 0.1,
                "frequencyPenalty": 0.2,
                "responseLogprobs": True,
                "logprobs": 4,
                "responseModalities": ["TEXT", "IMAGE"],
                "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"},
                "speechConfig": {"languageCode": "de"},
            },
            "serviceTier": "flex",
            "labels": {"team": "x"},
            "somethingNew": 1,
        }
    )
    assert (prompt.temperature, prompt.top_p, prompt.top_k, prompt.seed, prompt.max_tokens) == (0.5, 0.9, 40, 3, 10)
    assert (prompt.n, prompt.stop, prompt.presence_penalty, prompt.frequency_penalty) == (2, ["a"], 0.1, 0.2)
    assert (prompt.logprobs, prompt.top_logprobs, prompt.modalities) == (True, 4, ["text", "image"])
    assert prompt.reasoning == Reasoning(effort="high", show="auto")
    assert prompt.service_tier == "flex"
    assert prompt.extras == {
        "google": {
            "labels": {"team": "x"},
            "somethingNew": 1,
            "generationConfig": {"speechConfig": {"languageCode": "de"}},
        }
    }


@pytest.mark.parametrize(
    ("settings", "output"),
    [
        ({"responseMimeType": "application/json"}, Output(kind="json")),
        ({"responseMimeType": "text/plain"}, Output(kind="text")),
        ({"responseJsonSchema": {"type": "object"}}, Output(kind="json_schema", schema={"type": "object"})),
        ({"response_schema": {"type": "OBJECT"}}, Output(kind="json_schema", schema={"type": "object"})),
        ({}, None),
    ],
)
def test_the_shape_of_the_answer(settings: Any, output: Output | None) -> None:
    assert DIALECT.read({"contents": [], "generationConfig": settings}).output == output


def test_schemas_of_the_openapi_subset_become_json_schema() -> None:
    """Also in snake_case, with type numbers, and with names of properties that look like keywords."""
    subset = {
        "type": 6,
        "properties": {
            "type": {"type": "STRING", "nullable": True, "enum": ["a"]},
            "any_of": {"any_of": [{"type": "INTEGER"}], "nullable": True},
            "list": {"type": "ARRAY", "items": {"type": "NUMBER"}, "min_items": "2"},
        },
        "property_ordering": ["list", "type"],
        "example": {"x": 1},
        "required": ["type"],
    }
    tool = {"functionDeclarations": [{"name": "f", "parameters": subset}]}
    (read,) = DIALECT.read({"contents": [], "tools": [tool]}).tools
    assert read.schema == {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"type": "number"}, "minItems": 2},
            "type": {"type": ["string", "null"], "enum": ["a", None]},
            "any_of": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "examples": [{"x": 1}],
        "required": ["type"],
    }
    assert read.schema is not None and list(read.schema["properties"]) == ["list", "type", "any_of"]


def test_tools_and_their_choice() -> None:
    prompt = DIALECT.read(
        {
            "contents": [],
            "tools": [
                {
                    "functionDeclarations": [{"name": "f", "description": "d", "behavior": "BLOCKING"}],
                    "googleSearch": {},
                },
                {"url_context": {}},
            ],
            "toolConfig": {
                "functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
                "includeServerSideToolInvocations": True,
            },
        }
    )
    assert prompt.tools == [
        Tool(name="f", description="d", extras={"google": {"behavior": "BLOCKING"}}),
        Tool(name="googleSearch", kind="native", extras={"google": {"googleSearch": {}}}),
        Tool(name="urlContext", kind="native", extras={"google": {"urlContext": {}}}),
    ]
    assert prompt.tool_choice == ToolChoice(mode="auto", names=("f",))
    assert prompt.extras["google"]["toolConfig"] == {
        "includeServerSideToolInvocations": True,
        "functionCallingConfig": {"mode": "VALIDATED"},
    }


def test_a_count_wraps_the_request_that_would_be_made() -> None:
    inner = {"model": "models/m", "contents": [said({"text": "x"})], "systemInstruction": {"parts": [{"text": "s"}]}}
    prompt = DIALECT.read({"generateContentRequest": inner})
    assert list(flat(prompt)) == [("system", Text(text="s")), ("user", Text(text="x"))]
    assert [slot.text for slot in DIALECT.slots({"generateContentRequest": inner})] == ["s", "x"]


def test_slots_name_roles_and_leave_words_of_the_grammar_alone() -> None:
    json_ = {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [
            said({"text": "u"}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}}),
            said({**call("name", "id1", name="v", deep=["w"]), "thoughtSignature": "MQ=="}, role="model"),
            said(result("name", "id1", output={"id": "kept"}, note="x")),
        ],
        "tools": {"functionDeclarations": [{"name": "f", "description": "d", "parameters": {"description": "p"}}]},
    }
    assert [(slot.role, slot.text) for slot in DIALECT.slots(json_)] == [
        ("system", "s"),
        ("user", "u"),
        ("assistant", '{"name":"v","deep":["w"]}'),
        ("tool", "kept"),
        ("tool", "x"),
        ("system", "d"),
        ("system", "p"),
    ]
