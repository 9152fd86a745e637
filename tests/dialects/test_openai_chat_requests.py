"""Chat requests: read of every form clients send, written for every kind of target, edited where it must be, refused
with its place where it is wrong."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import openai
import pytest

from dialects.carried import missing
from headgate.dialects import carrier, splice
from headgate.dialects.base import Accepts, Ask, Json, ModelCard, Target, Written
from headgate.dialects.openai_chat import DIALECT
from headgate.errors import (
    BadRequest,
    Blocked,
    Forbidden,
    HeadgateError,
    Limited,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UpstreamRefused,
    UpstreamTimeout,
)
from headgate.model.prompt import (
    Citation,
    Media,
    Message,
    Native,
    Part,
    Prompt,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    flat,
)
from oracles import openai_chat as oracle

ASK = Ask(id="req_1", model="m", created=1)
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def read(*messages: Json, **more: Any) -> Prompt:
    return DIALECT.read({"model": "m", "messages": list(messages), **more})


def parts(*messages: Json) -> list[Part]:
    return [part for _, part in flat(read(*messages))]


def written(*messages: Message, accepts: Accepts | None = None, family: str = "anthropic", **more: Any) -> Written:
    prompt = Prompt(model="x", family=family, messages=list(messages), **more)
    found = DIALECT.write(prompt, Target(model="m", provider="p", accepts=accepts or Accepts()))
    assert not oracle.problems(found.json), oracle.problems(found.json)
    return found


def user(*content: Part) -> Message:
    return Message(role="user", parts=list(content))


def turn(*content: Part) -> Message:
    return Message(role="assistant", parts=list(content))


def lost(found: Written) -> list[str]:
    return [loss.what for loss in found.losses]


# ------------------------------------------------------------------ read


@pytest.mark.parametrize(
    ("part", "want"),
    [
        ({"type": "text", "text": "x"}, Text(text="x")),
        (
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
            Text(text="x", extras={"anthropic": {"cache_control": {"type": "ephemeral"}}}),
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
            Media(kind="image", url="https://a/b.png", detail="low"),
        ),
        (
            {"type": "image_url", "image_url": "data:image/png;base64,AA"},
            Media(kind="image", mime="image/png", data="AA"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}},
            Media(kind="audio", mime="audio/mpeg", data="AA"),
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}},
            Media(kind="document", mime="application/pdf", data="AA", name="a.pdf"),
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, Media(kind="document", file_id="file-1")),
        ({"type": "document_url", "document_url": "https://a/b.pdf"}, Media(kind="document", url="https://a/b.pdf")),
        ({"type": "video_url", "video_url": {"url": "https://a/b.mp4"}}, Media(kind="video", url="https://a/b.mp4")),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}},
            Media(kind="image", mime="image/png", data="AA"),
        ),
        (
            {"type": "document", "title": "t", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
            Media(kind="document", mime="text/plain", text="hi", name="t"),
        ),
        ({"type": "novel", "x": 1}, Native(family="openai", name="content.novel", json={"type": "novel", "x": 1})),
    ],
)
def test_content_parts(part: Json, want: Part) -> None:
    assert parts({"role": "user", "content": [part]}) == [want]


def test_an_assistant_turn_is_thoughts_text_refusal_calls() -> None:
    found = parts(
        {
            "role": "assistant",
            "reasoning_content": "hm",
            "content": "x",
            "refusal": "no",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
                {"id": "b", "type": "custom", "custom": {"name": "g", "input": "free"}},
            ],
        },
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    )
    assert found == [
        Thinking(text="hm"),
        Text(text="x"),
        Refusal(text="no"),
        ToolCall(id="a", name="f", arguments="{}"),
        ToolCall(id="b", name="g", arguments="free", kind="custom"),
        ToolResult(call_id="b", name="g", parts=[Text(text="2")]),
        ToolResult(call_id="a", name="f", parts=[Text(text="1")]),
    ]


def test_empty_content_is_no_part() -> None:
    for content in (None, "", []):
        assert parts({"role": "user", "content": content}) == []


def test_function_call_of_old_is_a_tool_call_answered_in_order() -> None:
    first, second, one, two = parts(
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "function", "name": "f", "content": "2"},
    )
    assert isinstance(first, ToolCall) and isinstance(second, ToolCall) and first.id != second.id
    assert isinstance(one, ToolResult) and isinstance(two, ToolResult)
    assert (one.call_id, two.call_id) == (first.id, second.id)


def test_blocks_of_anthropic_in_a_chat_body() -> None:
    """Some clients send Messages blocks here: a result stands before what the user says."""
    found = list(
        flat(
            read(
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "go on"},
                        {"type": "tool_result", "tool_use_id": "t", "content": "1", "is_error": True},
                    ],
                },
            )
        )
    )
    assert found == [
        ("assistant", ToolCall(id="t", name="f", arguments='{"a":1}')),
        ("tool", ToolResult(call_id="t", name="f", parts=[Text(text="1")], error=True)),
        ("user", Text(text="go on")),
    ]


def test_thoughts_come_back_with_their_seals() -> None:
    """Pieces of one index are one thought, whether a client merged them or appended them."""
    details = [
        {"type": "reasoning.text", "text": "a", "index": 0},
        {"type": "reasoning.text", "text": "b", "index": 0},
        {"type": "reasoning.text", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.summary", "summary": "c", "format": "openai-responses-v1", "index": 2},
        {"type": "reasoning.encrypted", "data": "e", "id": "rs", "format": "openai-responses-v1", "index": 3},
        {
            "type": "reasoning.encrypted",
            "data": carrier.wrap({"openai": {"id": "q"}}),
            "format": "headgate-v1",
            "index": 4,
        },
    ]
    found = parts({"role": "assistant", "content": "x", "reasoning_content": "abc", "reasoning_details": details})
    assert found == [
        Thinking(text="ab", extras={"anthropic": {"signature": "s"}}),
        Thinking(text="", extras={"anthropic": {"redacted": "d"}}),
        Thinking(text="c", extras={"openai": {"id": "rs", "encrypted_content": "e"}}),
        Thinking(text="", extras={"openai": {"id": "q"}}),
        Text(text="x"),
    ]


def test_geminis_signature_of_a_call_comes_back() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    signed = {**call, "extra_content": {"google": {"thought_signature": "s"}}}
    detail = {"type": "reasoning.encrypted", "data": "s", "id": "a", "format": "google-gemini-v1", "index": 0}
    want = ToolCall(id="a", name="f", arguments="{}", extras={"google": {"thoughtSignature": "s"}})
    result = {"role": "tool", "tool_call_id": "a", "content": "1"}
    assert parts({"role": "assistant", "tool_calls": [signed]}, result)[0] == want
    assert parts({"role": "assistant", "tool_calls": [call], "reasoning_details": [detail]}, result)[0] == want


@pytest.mark.parametrize(
    ("choice", "want"),
    [
        ("auto", ToolChoice(mode="auto")),
        ("required", ToolChoice(mode="any")),
        ("any", ToolChoice(mode="any")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice(mode="any", names=("f",))),
        ({"function": {"name": "f"}}, ToolChoice(mode="any", names=("f",))),
        ({"type": "tool", "name": "f"}, ToolChoice(mode="any", names=("f",))),
        ({"type": "auto"}, ToolChoice(mode="auto")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            ToolChoice(mode="auto", names=("f",)),
        ),
    ],
)
def test_tool_choices(choice: Any, want: ToolChoice) -> None:
    assert read(tool_choice=choice).tool_choice == want
    assert read(function_call="none").tool_choice == ToolChoice(mode="none")


def test_levels_of_reasoning() -> None:
    assert read(reasoning_effort="low").reasoning == Reasoning(effort="low")
    assert read(reasoning_effort="none").reasoning == Reasoning(effort="none", enabled=False)
    assert read(reasoning={"effort": "high"}).reasoning == Reasoning(effort="high")
    budget = read(reasoning={"max_tokens": 9}).reasoning
    assert budget is not None and budget.budget == 9
    switch = read(thinking={"type": "disabled"}).reasoning
    assert switch is not None and switch.enabled is False


def test_unknown_members_are_kept() -> None:
    prompt = read({"role": "user", "content": "x", "novel": 1}, provider={"order": ["a"]}, x=None)
    assert prompt.extras == {"openai": {"provider": {"order": ["a"]}}}
    assert prompt.messages[0].extras == {"openai": {"novel": 1}}


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"model": 7, "messages": []}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": [1]}, "messages[0]"),
        ({"model": "m", "messages": [{"role": "robot"}]}, "messages[0].role"),
        ({"model": "m", "messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"model": "m", "messages": [{"role": "user", "content": [{"text": 7}]}]}, "messages[0].content[0].text"),
        ({"model": "m", "messages": [{"role": "user", "content": [{"type": 7}]}]}, "messages[0].content[0].type"),
        (
            {"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"model": "m", "messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"model": "m", "messages": [{"role": "tool", "tool_call_id": "a"}]}, "messages[0].tool_call_id"),
        ({"model": "m", "messages": [{"role": "assistant", "tool_calls": [CALL]}]}, "messages[0].tool_calls"),
        (
            {
                "model": "m",
                "messages": [
                    {"role": "user", "content": "x"},
                    {"role": "assistant", "tool_calls": [CALL]},
                    {"role": "user", "content": "never mind"},
                    {"role": "tool", "tool_call_id": "a", "content": "1"},
                ],
            },
            "messages[1].tool_calls",
        ),
        ({"model": "m", "messages": [], "temperature": "hot"}, "temperature"),
        ({"model": "m", "messages": [], "max_tokens": 1.5}, "max_tokens"),
        ({"model": "m", "messages": [], "stop": [1]}, "stop[0]"),
        ({"model": "m", "messages": [], "tools": [{"type": "function"}]}, "tools[0].function"),
        ({"model": "m", "messages": [], "tool_choice": "maybe"}, "tool_choice"),
        ({"model": "m", "messages": [], "logit_bias": {"1": "x"}}, "logit_bias.1"),
        ({"model": "m", "messages": [], "response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ],
)
def test_a_wrong_type_is_refused_with_its_place(request_: Json, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        DIALECT.read(request_)
    assert caught.value.param == param


# ------------------------------------------------------------------ write


def test_one_text_is_a_string_and_two_stay_two() -> None:
    found = written(user(Text(text="a")), user(Text(text="b"), Text(text="c")), user())
    assert [message["content"] for message in found.json["messages"]] == [
        "a",
        [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}],
        "",
    ]


def test_results_follow_their_calls_and_their_images_follow_in_a_user_message() -> None:
    image = Media(kind="image", mime="image/png", data="AA")
    found = written(
        turn(ToolCall(id="a", name="f", arguments="{}"), ToolCall(id="b", name="f", arguments="{}")),
        Message(
            role="tool",
            parts=[
                ToolResult(call_id="a", parts=[Text(text="1"), image]),
                ToolResult(call_id="b", parts=[Text(text="boom")], error=True),
            ],
        ),
        user(Text(text="and?")),
    )
    assert [message["role"] for message in found.json["messages"]] == ["assistant", "tool", "tool", "user", "user"]
    assert [message["content"] for message in found.json["messages"][1:3]] == ["1", "Error: boom"]
    label, picture = found.json["messages"][3]["content"]
    assert "a" in label["text"] and picture["image_url"]["url"] == "data:image/png;base64,AA"
    assert not found.losses


def test_thoughts_that_follow_a_text_begin_another_message() -> None:
    signed = {"anthropic": {"signature": "s"}}
    found = written(
        turn(
            Thinking(text="1", extras=signed),
            Text(text="a"),
            Thinking(text="2", extras=signed),
            Text(text="b"),
            ToolCall(id="t", name="f", arguments="{}"),
        )
    )
    first, second = found.json["messages"]
    assert (first["content"], first["reasoning_details"][0]["text"]) == ("a", "1") and "tool_calls" not in first
    assert (second["content"], second["reasoning_details"][0]["text"]) == ("b", "2") and second["tool_calls"]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "none", "reasoning_details"])
def test_thoughts_go_where_the_target_takes_them(field: str) -> None:
    thought = Thinking(text="hm", extras={"anthropic": {"signature": "s"}})
    found = written(turn(thought, Text(text="x")), accepts=Accepts(reasoning_field=field))  # type: ignore[arg-type]
    message = found.json["messages"][0]
    if field == "reasoning_details":
        assert message[field][0]["signature"] == "s" and not found.losses
    elif field == "none":
        assert message.keys() == {"role", "content"} and found.losses[0].value["text"] == "hm"
    else:
        assert message[field] == "hm" and [loss.value for loss in found.losses] == ["s"]


def test_free_form_tools_are_wrapped_unless_the_target_has_them() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
    tools = [Tool(name="sh", kind="custom", description="d", grammar=grammar)]
    history = turn(ToolCall(id="a", name="sh", arguments='say "hi"', kind="custom"))
    choice = ToolChoice(mode="any", names=("sh",))
    found = written(user(Text(text="x")), history, tools=tools, tool_choice=choice)
    assert found.wrapped == {"sh"} and found.losses[0].value == grammar
    assert found.json["tools"][0]["function"]["parameters"]["required"] == ["input"]
    assert found.json["tool_choice"]["type"] == "function"
    arguments = found.json["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"input": 'say "hi"'}

    found = written(history, tools=tools, tool_choice=choice, accepts=Accepts(custom_tools=True))
    assert not found.wrapped and not found.losses
    assert found.json["tools"][0]["custom"]["format"]["grammar"] == {"syntax": "lark", "definition": "start: WORD"}
    assert found.json["tool_choice"] == {"type": "custom", "custom": {"name": "sh"}}
    assert found.json["messages"][0]["tool_calls"][0]["custom"] == {"name": "sh", "input": 'say "hi"'}


def test_names_and_ids_are_brought_to_the_targets_grammar_everywhere() -> None:
    found = written(
        user(Text(text="x")),
        turn(ToolCall(id="toolu_01", name="a.b", arguments="{}")),
        Message(role="tool", parts=[ToolResult(call_id="toolu_01", parts=[Text(text="1")])]),
        tools=[Tool(name="a.b"), Tool(name="a_b")],
        tool_choice=ToolChoice(mode="any", names=("a.b",)),
        accepts=Accepts(tool_id="mistral"),
    )
    made = next(new for new, old in found.renamed.items() if old == "a.b")
    assert [tool["function"]["name"] for tool in found.json["tools"]] == [made, "a_b"] and made != "a_b"
    assert found.json["tool_choice"]["function"]["name"] == made
    call = found.json["messages"][1]["tool_calls"][0]
    assert call["function"]["name"] == made
    assert call["id"] == found.json["messages"][2]["tool_call_id"] and len(call["id"]) == 9


def test_parameters_and_what_they_lose() -> None:
    found = written(
        user(Text(text="x")),
        max_tokens=5,
        top_k=3,
        stop=["1", "2", "3", "4", "5"],
        service_tier="standard_only",
        modalities=["text", "image"],
        metadata={"a": "b"},
        reasoning=Reasoning(budget=2000, show="auto"),
        extras={"anthropic": {"betas": ["x"]}},
    )
    assert found.json["max_completion_tokens"] == 5 and found.json["reasoning_effort"] == "low"
    assert found.json["stop"] == ["1", "2", "3", "4"] and found.json["metadata"] == {"a": "b"}
    assert sorted(lost(found)) == [
        "betas",
        "modalities",
        "reasoning.budget",
        "reasoning.show",
        "service_tier",
        "stop",
        "top_k",
    ]


def test_what_a_target_does_not_take_is_listed() -> None:
    media: list[Part] = [
        Media(kind="image", url="https://a/b.png"),
        Media(kind="document", data="AA", mime="application/pdf"),
        Media(kind="audio", data="AA", mime="audio/wav"),
        Media(kind="video", url="https://a/b.mp4"),
        Media(kind="audio", data="AA", mime="audio/ogg"),
        Native(family="anthropic", name="server_tool_use", json={"type": "server_tool_use"}),
    ]
    bare = Accepts(
        images=False,
        documents=False,
        audio=False,
        json_schema=False,
        strict_tools=False,
        parallel_tools=False,
        drop=frozenset(("temperature",)),
    )
    from headgate.model.prompt import Output

    found = written(
        user(*media),
        accepts=bare,
        temperature=1.0,
        tools=[Tool(name="f", strict=True)],
        parallel_tools=False,
        output=Output(kind="json_schema", name="n", schema={"type": "object"}),
    )
    assert found.json["messages"][0]["content"] == ""
    assert sorted(lost(found)) == [
        "messages.server_tool_use",
        "messages.user.audio",
        "messages.user.audio",
        "messages.user.document",
        "messages.user.image",
        "messages.user.video",
        "parallel_tool_calls",
        "response_format.json_schema",
        "temperature",
        "tools.f.strict",
    ]
    assert found.json["response_format"] == {"type": "json_object"}


def test_text_documents_are_carried_as_text() -> None:
    document = Media(kind="document", mime="text/plain", text="hello", name="T")
    found = written(user(document), accepts=Accepts(documents=False))
    assert "hello" in found.json["messages"][0]["content"] and "T" in found.json["messages"][0]["content"]
    assert not found.losses


def test_cache_marks_go_where_they_are_understood() -> None:
    mark = {"anthropic": {"cache_control": {"type": "ephemeral"}}}
    messages = [user(Text(text="x", extras=mark))]
    tools = [Tool(name="f", extras=mark)]
    kept = written(*messages, tools=tools, accepts=Accepts(cache_marks=True))
    assert kept.json["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert kept.json["tools"][0]["cache_control"] == {"type": "ephemeral"} and not kept.losses
    gone = written(*messages, tools=tools)
    assert gone.json["messages"][0]["content"] == "x" and len(gone.losses) == 2


def test_a_stream_asks_for_usage() -> None:
    assert written(user(Text(text="x")), stream=True).json["stream_options"] == {"include_usage": True}
    silent = written(user(Text(text="x")), stream=True, accepts=Accepts(stream_usage=False))
    assert "stream_options" not in silent.json and silent.json["stream"] is True


def test_a_developer_is_a_system_where_the_role_is_unknown() -> None:
    message = Message(role="developer", parts=[Text(text="x")])
    assert written(message).json["messages"][0]["role"] == "developer"
    assert written(message, accepts=Accepts(developer_role=False)).json["messages"][0]["role"] == "system"


def test_citations_are_listed() -> None:
    cited = Citation(url="https://a")
    found = written(turn(Text(text="x", citations=[cited])))
    assert [loss.value for loss in found.losses] == [cited]


def test_the_first_messages_give_the_same_json_whatever_follows() -> None:
    """Providers cache by prefix."""
    first = [user(Text(text="a")), turn(Thinking(text="t"), ToolCall(id="x.y" * 20, name="f.g", arguments="{}"))]
    short = written(*first, accepts=Accepts(tool_id="openai"))
    long = written(*first, user(Text(text="b")), accepts=Accepts(tool_id="openai"))
    assert long.json["messages"][: len(short.json["messages"])] == short.json["messages"]


# ------------------------------------------------------------------ same dialect


def edited(body: Json, **accepts: Any) -> Json:
    raw = json.dumps(body).encode()
    head = DIALECT.head(raw)
    target = Target(model=body["model"], provider="p", accepts=Accepts(**accepts))
    return json.loads(splice.apply(raw, DIALECT.edits(head, target)))  # type: ignore[no-any-return]


def test_usage_is_asked_for_and_hidden_from_those_who_did_not_ask() -> None:
    for options, asks in (
        (None, False),
        ({"include_usage": False}, False),
        ({"include_usage": True}, True),
        ({}, False),
    ):
        body = {"model": "m", "stream": True, "messages": [], "stream_options": options}
        assert DIALECT.head(json.dumps(body).encode()).include_usage is asks
        assert edited(body)["stream_options"] == {"include_usage": True}
        assert edited(body, stream_usage=False) == body
    whole = {"model": "m", "messages": []}
    assert edited(whole) == whole and DIALECT.head(json.dumps(whole).encode()).include_usage


def test_the_cap_takes_the_targets_name() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": '"max_tokens"'}], "max_tokens": 5}
    renamed = {"model": "m", "messages": body["messages"], "max_completion_tokens": 5}
    assert edited(body, max_tokens_field="max_completion_tokens") == renamed
    assert edited(body, max_tokens_field="max_tokens") == body
    assert edited(body) == body
    both = {**body, "max_completion_tokens": 7}
    assert edited(both, max_tokens_field="max_tokens") == {**body, "max_tokens": 7}


def test_roles_and_ids_are_edited_where_the_target_demands_it() -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "x"},
            {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        ],
    }
    assert edited(body, tool_id="openai") == body
    found = edited(body, developer_role=False, tool_id="mistral")
    made = found["messages"][1]["tool_calls"][0]["id"]
    assert len(made) == 9 and found["messages"][2]["tool_call_id"] == made
    assert found["messages"][0] == {"role": "system", "content": "x"}


def test_a_member_the_target_refuses_is_refused_clearly() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": '"seed"'}]}
    assert edited(body, drop=frozenset(("seed",))) == body
    with pytest.raises(BadRequest) as caught:
        edited({**body, "seed": 1}, drop=frozenset(("seed",)))
    assert (caught.value.param, caught.value.code) == ("seed", "unsupported_parameter")


def test_what_a_head_tells() -> None:
    head = DIALECT.head(
        b'{"model":"m","stream":true,"max_tokens":9,"n":2,"tools":[{}],"store":true,'
        b'"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]}'
    )
    assert (head.model, head.stream, head.max_output, head.n, head.tools) == ("m", True, 9, 2, True)
    assert head.objects == ("file-1",) and head.stores
    assert not DIALECT.head(b'{"model":"m","tools":[]}').tools


def test_a_file_is_told_of_however_it_is_spelled_and_whatever_stands_beside_it() -> None:
    """It may be another tenant's."""
    head = DIALECT.head(
        b'{"model":"m","messages":[{"role":1,"content":[7]},{"content":"file_id"},'
        b'{"content": [{"type":"file","f\\u0069le":{"file\\u005fid":"file-1"}},{"file":{"file_id":"file-2"}}]}]}'
    )
    assert head.objects == ("file-1", "file-2")


def test_texts_and_calls_alone_are_prose() -> None:
    """Only they go up without a look for what we gave the client to carry, and are searched before they are parsed."""
    carried = {"role": "assistant", "reasoning_details": [{"type": "reasoning.encrypted", "data": carrier.wrap({})}]}
    image = {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}
    text = {"role": "user", "content": [{"type": "text", "text": "a"}]}
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"arguments": "{}"}}]}
    for messages, prose in (
        ([text, call, {"role": "tool", "content": "a"}], True),
        ([text, image], False),
        ([carried, text], False),
        ([{"content": ["a"]}], False),
        ("a", False),
    ):
        head = DIALECT.head(json.dumps({"model": "m", "messages": messages}).encode())
        assert head.prose is prose, messages


def test_an_edit_beside_long_messages_is_made_there() -> None:
    """A key within a message is none of the request's."""
    messages = [{"role": "user", "content": "x" * 3000, "model": "inside", "max_tokens": 1}]
    for body in ({"model": "a", "messages": messages, "max_tokens": 5}, {"messages": messages, "model": "a"}):
        head = DIALECT.head(json.dumps(body).encode())
        target = Target(model="b", provider="p", accepts=Accepts(max_tokens_field="max_completion_tokens"))
        told = json.loads(splice.apply(head.body, DIALECT.edits(head, target), head.bulk))
        cap = {"max_completion_tokens": 5} if "max_tokens" in body else {}
        assert told == {"model": "b", "messages": messages, **cap}


def test_numbers_that_cannot_be_reckoned_with_are_bounded_and_go_up_as_they_are() -> None:
    """The upstream judges them: the budget counts with what it can."""
    for said, cap, choices in ((b"-1", None, 1), (b"0", 0, 1), (b"9" * 26, 2**31, 1024)):
        body = b'{"model":"m","n":%b,"max_tokens":%b}' % (said, said)
        head = DIALECT.head(body)
        assert (head.max_output, head.n) == (cap, choices)
        assert not DIALECT.edits(head, Target(model="m", provider="p"))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b"\xff", None),
        (b'{"model":"m","x":' + b"[" * 100000, None),
        (b'{"model":7}', "model"),
        (b'{"model":"m","stream":"yes"}', "stream"),
        (b'{"model":"m","stream_options":{"include_usage":1}}', "stream_options.include_usage"),
    ],
)
def test_a_head_of_wrong_types_is_refused(body: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        DIALECT.head(body)
    assert caught.value.param == param


# ------------------------------------------------------------------ errors, models


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b'{"error":{"message":"m","type":"t","code":"c","param":"p"}}', "m", "c"),
        (b'{"error":"m"}', "m", "upstream_error"),
        (b'[{"error":{"message":"m","code":429}}]', "m", "429"),
        (b'{"object":"error","message":"m","type":"t","code":"c"}', "m", "c"),
        (b'{"detail":"m"}', "m", "upstream_error"),
        (b'{"detail":[{"loc":["body","x"],"msg":"m"}]}', "m", "upstream_error"),
        (b'{"error":{"message":"m","metadata":{"raw":"why"}}}', "m: why", "upstream_error"),
        (b"m", "m", "upstream_error"),
        (b"<html>no</html>", "the provider answered with status 429", "upstream_error"),
        (b"", "the provider answered with status 429", "upstream_error"),
        (b"\xff\xfe", "\ufffd\ufffd", "upstream_error"),
        (b"[" * 100000, "[" * 2000, "upstream_error"),
    ],
)
def test_every_shape_of_error_is_read(body: bytes, message: str, code: str) -> None:
    error = DIALECT.refusal(429, body)
    assert (error.message, error.code, error.status, error.retryable) == (message, code, 429, True)


def test_an_empty_account_is_not_tried_again() -> None:
    assert not DIALECT.refusal(429, b'{"error":{"message":"m","code":"insufficient_quota"}}').retryable
    assert not DIALECT.refusal(400, b"{}").retryable and DIALECT.refusal(503, b"{}").retryable


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (BadRequest("m", param="p"), openai.BadRequestError),
        (Blocked("m"), openai.BadRequestError),
        (Unauthenticated("m"), openai.AuthenticationError),
        (Forbidden("m"), openai.PermissionDeniedError),
        (NotFound("m"), openai.NotFoundError),
        (TooLarge("m"), openai.APIStatusError),
        (Limited("m"), openai.RateLimitError),
        (Unavailable("m"), openai.InternalServerError),
        (UpstreamTimeout("m"), openai.InternalServerError),
        (UpstreamRefused("m", status=422), openai.UnprocessableEntityError),
    ],
)
def test_the_client_raises_the_right_class(error: HeadgateError, raised: type[openai.APIStatusError]) -> None:
    body = DIALECT.error_body(error, "req_1")
    found = oracle.failure(json.dumps(body).encode(), error.status)
    assert type(found) is raised or raised is openai.APIStatusError
    assert found.code == error.code and found.param == error.param and error.message in found.message
    assert body["error"]["request_id"] == "req_1"
    broken = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n' + DIALECT.error_frame(error, ASK, b"")
    assert oracle.stream(broken).error == "m"


def test_models_are_listed_as_the_client_reads_them() -> None:
    card = ModelCard(id="m", owner="o", created=5, title="M", context=100)
    body = DIALECT.models([card])
    page = oracle.client(json.dumps(body).encode(), "application/json").models.list()
    assert [(model.id, model.owned_by, model.created) for model in page] == [("m", "o", 5)]
    one = oracle.client(json.dumps(DIALECT.model(card)).encode(), "application/json").models.retrieve("m")
    assert one.id == "m"


def test_paths() -> None:
    assert DIALECT.path("m", "generate", True) == "/chat/completions"
    for act in (lambda: DIALECT.path("m", "count", False), lambda: DIALECT.count_body(1)):
        with pytest.raises(NotFound):
            act()


def test_the_grammar_of_a_tool_is_a_text() -> None:
    """As in the Responses API: it is told to the model like a description."""
    custom = {
        "name": "f",
        "description": "d",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "g"}},
    }
    body = {"messages": [], "tools": [{"type": "custom", "custom": custom}]}
    assert [slot.text for slot in DIALECT.slots(body)] == ["d", "g"]


def test_what_was_missing_is_told() -> None:
    """The measure itself: it finds a lost text, and a lost number of an argument."""
    source = {"messages": [{"content": "secret"}, {"arguments": '{"a":1}'}]}
    assert missing(source, {"messages": [{"arguments": '{"a":2}'}]}) and not missing(source, source)


@pytest.mark.parametrize("depth", [300, 900, 100_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [(b"[", b"]"), (b'{"description":', b"}"), (b'[{"type":"tool_result","tool_use_id":"a","content":', b"}]")],
)
def test_nothing_nests_too_deeply_for_us(opening: bytes, closing: bytes, depth: int) -> None:
    """Refused, or read: no stack overflows."""
    value = opening * depth + b'"x"' + closing * depth
    for body in (
        b'{"model":"m","messages":[{"role":"user","content":%b}]}' % value,
        b'{"model":"m","messages":[{"role":"user","content":[{"type":"new","a":%b}]}]}' % value,
        b'{"model":"m","messages":[],"tools":[{"function":{"name":"f","parameters":{"properties":%b}}}]}' % value,
    ):
        try:
            DIALECT.head(body)
            json_ = msgspec.json.decode(body)
        except (BadRequest, RecursionError):
            continue
        list(DIALECT.slots(json_))
        try:
            found = DIALECT.write(DIALECT.read(json_), Target(model="m", provider="p"))
        except BadRequest:
            continue
        assert msgspec.json.encode(found.json)
