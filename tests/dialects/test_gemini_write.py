"""The neutral Prompt -> generateContent JSON: valid by Google's schemas, nothing lost in silence, the same bytes each time."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from msgspec import to_builtins

from dialects.carried import missing
from headgate.dialects.base import Accepts, Target, Written
from headgate.dialects.gemini import DIALECT
from headgate.errors import BadRequest
from headgate.model.prompt import (
    Citation,
    Media,
    Message,
    Native,
    Output,
    Part,
    Prompt,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    flat,
)
from oracles import gemini as oracle
from recordings import Recording, recordings

SKIP = "skip_thought_signature_validator"


def target(model: str = "gemini-2.5-flash", **accepts: Any) -> Target:
    return Target(model=model, provider="p", accepts=Accepts(**accepts))


def written(*messages: tuple[Role, list[Part]], to: Target | None = None, **fields: Any) -> Written:
    prompt = Prompt(
        model="m", family="openai", messages=[Message(role=role, parts=parts) for role, parts in messages], **fields
    )
    made = DIALECT.write(prompt, to or target())
    assert oracle.problems(made.json) == []
    return made


def contents(*messages: tuple[Role, list[Part]], to: Target | None = None, **fields: Any) -> Any:
    return written(*messages, to=to, **fields).json["contents"]


def lost(made: Written) -> list[str]:
    return [loss.what for loss in made.losses]


def settings(to: Target | None = None, **fields: Any) -> Any:
    return written(("user", [Text(text="x")]), to=to, **fields).json.get("generationConfig", {})


HELLO: tuple[Role, list[Part]] = ("user", [Text(text="hello")])


def model_of(row: Recording) -> str:
    found = re.search(r"models/([^:]+):", row.url)
    return found[1] if found else "gemini"


def plain(value: Any) -> Any:
    """What has one meaning in one form: base64 in the standard alphabet, JSON texts as values, no empty texts, no
    signature that says there is none."""
    if isinstance(value, dict):
        return {
            key: item.replace("-", "+").replace("_", "/") if key == "data" and isinstance(item, str) else plain(item)
            for key, item in value.items()
            if item != SKIP
        }
    if isinstance(value, list | tuple):
        return [
            plain(item) for item in value if not (isinstance(item, dict) and item.get("text") == "" and len(item) < 3)
        ]
    if isinstance(value, str) and value[:1] == "{":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


@pytest.mark.corpus
def test_recorded_requests_there_and_back() -> None:
    """read, write, read: the same conversation and the same settings; what is written is valid and holds everything."""
    for row in recordings("gemini"):
        if row.request is None or row.status >= 300:
            continue
        prompt = DIALECT.read(row.request)
        made = DIALECT.write(prompt, target(model_of(row)))
        assert oracle.problems(made.json) == [], row
        assert missing(plain(row.request), plain(made.json), made.losses, made.renamed) == [], row
        again = DIALECT.read(made.json)
        one, two = ([(role, plain(to_builtins(part))) for role, part in flat(x)] for x in (prompt, again))
        assert [part for part in one if part[1] != {"type": "text", "text": "", "citations": [], "extras": {}}] == [
            part for part in two if part[1] != {"type": "text", "text": "", "citations": [], "extras": {}}
        ], row
        prompt.messages = again.messages = []
        assert prompt == again, row


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["openai_chat", "anthropic_messages", "openai_responses"])
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-pro-preview"])
def test_other_dialects_recorded_requests(name: str, model: str) -> None:
    """Written for Google, they are valid and hold all that was said, or the losses do."""
    module = pytest.importorskip(f"headgate.dialects.{name}")
    seen = 0
    for row in [*recordings(name)][::3]:
        if row.request is None or row.status >= 300:
            continue
        try:
            prompt = module.DIALECT.read(row.request)
        except BadRequest:
            continue  # that dialect's own matter
        made = DIALECT.write(prompt, target(model))
        assert oracle.problems(made.json) == [], row
        assert missing(row.request, made.json, made.losses, made.renamed) == [], row
        seen += 1
    assert seen > 100


def test_the_same_first_messages_give_the_same_bytes() -> None:
    """Or provider caches would miss: a longer history changes nothing before its end."""
    history: list[tuple[Role, list[Part]]] = [
        ("system", [Text(text="be")]),
        ("user", [Text(text="a")]),
        ("assistant", [ToolCall(id="c1", name="f", arguments='{"b": 1,  "a": 2}')]),
        ("tool", [ToolResult(call_id="c1", parts=[Text(text="{}")])]),
        ("system", [Text(text="now")]),
        ("assistant", [Text(text="b")]),
        ("user", [Text(text="c")]),
    ]
    for model in ("gemini-2.5-flash", "gemini-3-pro-preview"):
        whole = json.dumps(contents(*history, to=target(model)))
        for count in range(2, len(history)):
            part = json.dumps(contents(*history[:count], to=target(model)))
            assert whole.startswith(part[:-2].removesuffix("]}").removesuffix("}"))


def test_system_messages_at_the_start_and_later() -> None:
    made = written(
        ("system", [Text(text="one")]),
        ("developer", [Text(text="two")]),
        HELLO,
        ("system", [Text(text="later")]),
    )
    assert made.json["systemInstruction"] == {"parts": [{"text": "one"}, {"text": "two"}]}
    assert made.json["contents"] == [{"role": "user", "parts": [{"text": "hello"}, {"text": "later"}]}]
    assert lost(made) == ["messages.system"]


def test_a_request_of_a_system_message_alone() -> None:
    made = written(("system", [Text(text="one")]))
    assert made.json == {"contents": [{"role": "user", "parts": [{"text": "one"}]}]}


def test_empty_turns() -> None:
    """Empty text is not sent, but a user's turn stands, for calls must follow one."""
    call = ToolCall(id="c", name="f", arguments="")
    assert contents(("user", [Text(text="")]), ("assistant", [Text(text=""), call])) == [
        {"role": "user", "parts": [{"text": ""}]},
        {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "f", "args": {}}}]},
    ]
    assert contents(("assistant", [Text(text="")])) == [{"role": "user", "parts": [{"text": ""}]}]


def test_results_stand_together_after_their_calls() -> None:
    """One content for all of a turn's results, before the user's words; the name comes from the call."""
    made = contents(
        HELLO,
        (
            "assistant",
            [ToolCall(id="a", name="f", arguments='{"x":1}'), ToolCall(id="b", name="g", arguments="{}")],
        ),
        ("tool", [ToolResult(call_id="a", parts=[Text(text='{"y": 2}')])]),
        ("tool", [ToolResult(call_id="b", parts=[Text(text="no"), Text(text="way")], error=True)]),
        ("user", [Text(text="go on")]),
    )
    assert made[2:] == [
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "a", "name": "f", "response": {"y": 2}}},
                {"functionResponse": {"id": "b", "name": "g", "response": {"error": "no\nway"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "go on"}]},
    ]


@pytest.mark.parametrize(
    ("text", "error", "response"),
    [
        ("plain", False, {"output": "plain"}),
        ('{"a": 1}', False, {"a": 1}),
        ("[1]", False, {"output": "[1]"}),
        ("{broken", False, {"output": "{broken"}),
        ('{"a": 1}', True, {"error": {"a": 1}}),
        ("", False, {}),
    ],
)
def test_what_a_result_becomes(text: str, error: bool, response: Any) -> None:
    made = contents(
        HELLO,
        ("assistant", [ToolCall(id="a", name="f", arguments="{}")]),
        ("tool", [ToolResult(call_id="a", parts=[Text(text=text)], error=error)]),
    )
    assert made[2]["parts"][0]["functionResponse"]["response"] == response


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-pro-preview"])
def test_images_of_results(model: str) -> None:
    """Inside the response since Gemini 3, before that as the user's right after it."""
    image = Media(kind="image", mime="image/png", data="AA==")
    made = contents(
        HELLO,
        ("assistant", [ToolCall(id="a", name="f", arguments="{}")]),
        ("tool", [ToolResult(call_id="a", parts=[Text(text="see"), image])]),
        to=target(model),
    )
    blob = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    response = {"id": "a", "name": "f", "response": {"output": "see"}}
    if model.startswith("gemini-3"):
        assert made[2:] == [{"role": "user", "parts": [{"functionResponse": {**response, "parts": [blob]}}]}]
    else:
        assert made[2:] == [
            {"role": "user", "parts": [{"functionResponse": response}]},
            {"role": "user", "parts": [blob]},
        ]


def test_a_result_without_its_call_is_told() -> None:
    made = written(HELLO, ("tool", [ToolResult(call_id="a", parts=[Text(text="x")])]))
    assert lost(made) == ["messages.tool_result.name"]


def test_arguments_that_are_no_object() -> None:
    made = written(HELLO, ("assistant", [ToolCall(id="a", name="f", arguments="[1")]))
    assert made.json["contents"][1]["parts"][0]["functionCall"]["args"] == {"input": "[1"}
    assert lost(made) == ["messages.arguments"]


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (
            Media(kind="image", url="data:image/gif;base64,AA=="),
            {"inlineData": {"mimeType": "image/gif", "data": "AA=="}},
        ),
        (Media(kind="audio", mime="audio/wav", data="AA=="), {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}}),
        (
            Media(kind="image", url="https://x.example/a.PNG?w=1"),
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x.example/a.PNG?w=1"}},
        ),
        (
            Media(kind="image", url="https://x.example/a"),
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.example/a"}},
        ),
        (
            Media(kind="video", url="https://www.youtube.com/watch?v=1"),
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://www.youtube.com/watch?v=1"}},
        ),
        (
            Media(kind="document", url="gs://b/x.pdf"),
            {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/x.pdf"}},
        ),
        (Media(kind="document", text="words", name="Title"), {"text": "Title\n\nwords"}),
        (
            Media(kind="image", file_id="https://generativelanguage.googleapis.com/v1beta/files/a", mime="image/png"),
            {
                "fileData": {
                    "mimeType": "image/png",
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a",
                }
            },
        ),
    ],
)
def test_media(media: Media, part: Any) -> None:
    assert contents(("user", [media])) == [{"role": "user", "parts": [part]}]


@pytest.mark.parametrize(
    ("media", "accepts"),
    [
        (Media(kind="image", file_id="file-abc"), {}),
        (Media(kind="image", url="s3://b/x.png"), {}),
        (Media(kind="image", data="AA=="), {"images": False}),
        (Media(kind="document", data="AA=="), {"documents": False}),
        (Media(kind="audio", data="AA=="), {"audio": False}),
    ],
)
def test_media_that_cannot_go(media: Media, accepts: Any) -> None:
    made = written(("user", [Text(text="see"), media]), to=target(**accepts))
    assert [(loss.what, loss.value) for loss in made.losses] == [(f"messages.{media.kind}", media)]


def test_what_else_is_listed() -> None:
    made = written(
        (
            "user",
            [
                Text(text="x", extras={"anthropic": {"cache_control": {"type": "ephemeral"}}}),
                Media(kind="image", data="AA==", detail="low", name="a.png"),
                Native(family="anthropic", name="server_tool_use", json={"type": "server_tool_use"}),
            ],
        ),
        ("assistant", [Text(text="y", citations=[Citation(url="https://a.example")]), Refusal(text="no")]),
        logit_bias={"1": 2.0},
        user="u",
        metadata={"a": "b"},
        verbosity="low",
        parallel_tools=False,
        service_tier="scale",
        stop=["1", "2", "3", "4", "5", "6"],
        extras={"openai": {"store": True}, "google": {"unheardOf": 1}},
    )
    assert sorted(lost(made)) == sorted(
        [
            "messages.text.cache_control",
            "messages.image.detail",
            "messages.file.name",
            "messages.server_tool_use",
            "messages.citations",
            "logit_bias",
            "user",
            "metadata",
            "verbosity",
            "parallel_tool_calls",
            "service_tier",
            "stop",
            "store",
            "unheardOf",
        ]
    )
    assert made.json["contents"][1] == {"role": "model", "parts": [{"text": "y"}, {"text": "no"}]}


def test_thoughts_of_another_model_are_not_sent() -> None:
    """A signature of Google's own goes back where it belongs."""
    made = written(
        HELLO,
        (
            "assistant",
            [
                Thinking(text="foreign", extras={"anthropic": {"signature": "s"}}),
                Thinking(text="own", extras={"google": {"thoughtSignature": "MQ=="}}),
                ToolCall(id="a", name="f", arguments="{}", extras={"google": {"thoughtSignature": "Mg=="}}),
            ],
        ),
    )
    assert made.json["contents"][1]["parts"] == [
        {"text": "own", "thought": True, "thoughtSignature": "MQ=="},
        {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": "Mg=="},
    ]
    assert lost(made) == ["messages.thinking.signature", "messages.thinking"]


def test_a_signature_that_came_back_as_an_empty_thought() -> None:
    """Clients of chat have no slot on texts: it is put back on the part after it, once."""
    thought = Thinking(text="", extras={"google": {"thoughtSignature": "MQ=="}})
    call = ToolCall(id="a", name="f", arguments="{}")
    signed = ToolCall(id="a", name="f", arguments="{}", extras={"google": {"thoughtSignature": "MQ=="}})
    for parts in ([thought, call], [thought, signed]):
        assert contents(HELLO, ("assistant", list(parts)))[1]["parts"] == [
            {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": "MQ=="}
        ]


@pytest.mark.parametrize(("model", "signed"), [("gemini-3-pro-preview", True), ("gemini-2.5-pro", False), ("x", False)])
def test_gemini_3_wants_the_first_call_of_a_turn_signed(model: str, signed: bool) -> None:
    made = contents(
        HELLO,
        ("assistant", [ToolCall(id="a", name="f", arguments="{}"), ToolCall(id="b", name="f", arguments="{}")]),
        ("tool", [ToolResult(call_id=i, parts=[Text(text="x")]) for i in ("a", "b")]),
        (
            "assistant",
            [ToolCall(id="c", name="f", arguments="{}", extras={"google": {"thoughtSignature": "MQ=="}})],
        ),
        to=target(model),
    )
    assert [part.get("thoughtSignature") for part in made[1]["parts"]] == [SKIP if signed else None, None]
    assert made[3]["parts"][0]["thoughtSignature"] == "MQ=="


def test_tools_names_and_choice() -> None:
    """Names that the grammar refuses are mapped everywhere; custom tools become functions with one argument."""
    made = written(
        HELLO,
        ("assistant", [ToolCall(id="a", name="dir/read", arguments="{}"), ToolCall(id="b", name="sh", arguments="ls", kind="custom")]),
        ("tool", [ToolResult(call_id="a", name="dir/read", parts=[Text(text="x")])]),
        tools=[
            Tool(name="dir/read", description="d", schema={"type": "object", "$defs": {"a": {"const": 1}}}, strict=True),
            Tool(name="sh", kind="custom", grammar={"syntax": "lark"}),
            Tool(name="googleSearch", kind="native", extras={"google": {"googleSearch": {}}}),
            Tool(name="web_search", kind="native", extras={"openai": {"type": "web_search"}}),
            Tool(name="g"),
        ],
        tool_choice=ToolChoice(mode="any", names=("dir/read",)),
    )  # fmt: skip
    read, shell = made.json["tools"][0]["functionDeclarations"]
    assert read == {
        "name": "dir_read",
        "description": "d",
        "parametersJsonSchema": {"type": "object", "$defs": {"a": {"const": 1}}},
    }
    assert shell["parametersJsonSchema"]["properties"] == {"input": {"type": "string"}}
    assert made.json["tools"][1:] == [{"googleSearch": {}}, {"functionDeclarations": [{"name": "g"}]}]
    assert made.json["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["dir_read"]}}
    assert made.renamed == {"dir_read": "dir/read"}
    assert made.wrapped == {"sh"}
    calls = [part["functionCall"] for part in made.json["contents"][1]["parts"]]
    assert [(call["name"], call["args"]) for call in calls] == [("dir_read", {}), ("sh", {"input": "ls"})]
    assert made.json["contents"][2]["parts"][0]["functionResponse"]["name"] == "dir_read"
    assert lost(made) == ["tools.strict", "tools.grammar", "tools.type"]


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="any"), {"mode": "ANY"}),
        (ToolChoice(mode="auto", names=("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
    ],
)
def test_tool_choice(choice: ToolChoice, calling: Any) -> None:
    made = written(HELLO, tools=[Tool(name="f")], tool_choice=choice)
    assert made.json["toolConfig"] == {"functionCallingConfig": calling}


def test_settings() -> None:
    assert settings(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        seed=3,
        max_tokens=10,
        n=2,
        stop=["a"],
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logprobs=True,
        top_logprobs=4,
        modalities=["text", "image"],
        reasoning=Reasoning(budget=5, show="auto"),
    ) == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "seed": 3,
        "maxOutputTokens": 10,
        "candidateCount": 2,
        "stopSequences": ["a"],
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 4,
        "responseModalities": ["TEXT", "IMAGE"],
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 5},
    }


@pytest.mark.parametrize(
    ("model", "reasoning", "config", "losses"),
    [
        ("gemini-2.5-flash", Reasoning(effort="medium"), {"thinkingBudget": 8192}, []),
        ("gemini-2.5-flash", Reasoning(enabled=False), {"thinkingBudget": 0}, []),
        ("gemini-2.5-pro", Reasoning(enabled=False), {"thinkingBudget": 128}, ["reasoning.enabled"]),
        ("gemini-2.5-pro", Reasoning(budget=-1), {"thinkingBudget": -1}, []),
        ("gemini-2.5-pro", Reasoning(effort="odd"), None, ["reasoning.effort"]),
        ("gemini-2.0-flash", Reasoning(effort="high"), None, ["reasoning"]),
        ("gemini-2.0-flash", Reasoning(enabled=False), None, []),
        ("gemini-3-flash-preview", Reasoning(effort="minimal"), {"thinkingLevel": "MINIMAL"}, []),
        ("gemini-3-pro-preview", Reasoning(effort="minimal"), {"thinkingLevel": "LOW"}, []),
        ("gemini-3.1-pro-preview", Reasoning(effort="xhigh", budget=9), {"thinkingLevel": "HIGH"}, []),
        ("gemini-3-pro-preview", Reasoning(budget=2000), {"thinkingBudget": 2000}, []),
        ("gemini-flash-latest", Reasoning(enabled=False), {"thinkingLevel": "MINIMAL"}, ["reasoning.enabled"]),
        ("gemini-3-pro-preview", Reasoning(effort="odd", show="detailed"), {"includeThoughts": True}, ["reasoning.effort"]),
    ],
)  # fmt: skip
def test_thinking(model: str, reasoning: Reasoning, config: Any, losses: list[str]) -> None:
    made = written(HELLO, to=target(model), reasoning=reasoning)
    assert made.json.get("generationConfig", {}).get("thinkingConfig") == config
    assert lost(made) == losses


def test_the_shape_of_the_answer() -> None:
    """JSON Schema goes up as it is; name and description become the schema's own."""
    schema = {"type": "object", "$defs": {"a": {}}, "properties": {"x": {"$ref": "#/$defs/a"}}}
    output = Output(kind="json_schema", name="n", description="d", schema=schema, strict=True)
    assert settings(output=output) == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"title": "n", "description": "d", **schema},
    }
    made = written(HELLO, output=output, to=target(json_schema=False))
    assert made.json["generationConfig"] == {"responseMimeType": "application/json"}
    assert lost(made) == ["response_format.schema"]
    assert settings(output=Output(kind="json")) == {"responseMimeType": "application/json"}
    assert settings(output=Output(kind="text")) == {"responseMimeType": "text/plain"}


@pytest.mark.parametrize(
    ("tier", "told"), [("default", "standard"), ("flex", "flex"), ("priority", "priority"), ("auto", None)]
)
def test_service_tier(tier: str, told: str | None) -> None:
    made = written(HELLO, service_tier=tier)
    assert made.json.get("serviceTier") == told
    assert made.losses == []
