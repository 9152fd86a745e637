"""Anthropic Messages: the messages written for clients of other dialects, and for its own where bytes cannot pass."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from dialects.anthropic_messages_judged import HI, PNG, TARGET, lost, prompt, says, write
from headgate.dialects import carrier
from headgate.dialects.anthropic_messages import DIALECT
from headgate.dialects.base import Json
from headgate.errors import BadRequest
from headgate.model.prompt import (
    Citation,
    Media,
    Native,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

ASKED: Json = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def said(text: str) -> Json:
    return {"type": "text", "text": text}


def test_system_texts_lead_and_later_ones_keep_their_place() -> None:
    written = write(
        prompt(
            says("system", "one"),
            says("developer", "two"),
            HI,
            says("system", "three"),
            says("assistant", "yes"),
            says("user", "go on"),
        )
    )
    assert written.json["system"] == [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert written.json["messages"] == [
        {"role": "user", "content": [said("hi"), said("<system>\nthree\n</system>")]},
        {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
        {"role": "user", "content": [{"type": "text", "text": "go on"}]},
    ]  # fmt: skip
    assert not written.losses and written.json["max_tokens"] == 8000


def test_neighbours_of_one_role_are_one_message_with_results_first() -> None:
    written = write(
        prompt(
            HI,
            says("assistant", "calling"),
            says("assistant", ToolCall(id="a", name="f", arguments="{}"), ToolCall(id="b", name="f", arguments="")),
            says("tool", ToolResult(call_id="a", parts=[Text(text="A")])),
            says("user", "meanwhile"),
            says("tool", ToolResult(call_id="b", parts=[], error=True)),
            tools=[Tool(name="f")],
        )
    )
    assert [message["role"] for message in written.json["messages"]] == ["user", "assistant", "user"]
    assert written.json["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "A"},
        {"type": "tool_result", "tool_use_id": "b", "is_error": True},
        {"type": "text", "text": "meanwhile"},
    ]
    assert written.json["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]


def test_a_call_without_a_result_is_refused() -> None:
    for rest in ([], [says("user", "never mind")], [says("user", "x"), says("assistant", "y")]):
        with pytest.raises(BadRequest, match="'a' has no result"):
            DIALECT.write(prompt(HI, says("assistant", ToolCall(id="a", name="f", arguments="{}")), *rest), TARGET)


def test_a_result_without_a_call_is_a_loss() -> None:
    call = says("assistant", ToolCall(id="a", name="f", arguments="{}"))
    result = says("tool", ToolResult(call_id="a", parts=[Text(text="A")]))
    written = write(prompt(result, HI, call, result, result, says("user", "x")))
    assert [loss.what for loss in written.losses] == ["messages.tool_result"] * 2
    assert len(written.json["messages"]) == 3
    with pytest.raises(BadRequest, match="answer no call"):
        DIALECT.write(prompt(result), TARGET)


def test_ids_and_names_are_mapped_alike_everywhere() -> None:
    written = write(
        prompt(
            HI,
            says("assistant", ToolCall(id="call|1.é", name="files.read", arguments="{}")),
            says("tool", ToolResult(call_id="call|1.é", parts=[Text(text="x")])),
            tools=[Tool(name="files.read"), Tool(name="files_read")],
            tool_choice=ToolChoice(mode="any", names=("files.read",)),
        )
    )
    offered = [tool["name"] for tool in written.json["tools"]]
    call, result = written.json["messages"][1]["content"][0], written.json["messages"][2]["content"][0]
    assert len(set(offered)) == 2 and offered[1] == "files_read"
    assert call["name"] == offered[0] == written.json["tool_choice"]["name"]
    assert written.renamed == {offered[0]: "files.read"} and call["id"] == result["tool_use_id"]


def test_blank_texts_are_left_out() -> None:
    written = write(prompt(says("system", ""), says("user", "", " \n", "x"), says("assistant", ""), says("user", "y ")))
    assert written.json["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y "}]}
    ]
    assert lost(written) == {"messages.blank_text": " \n"} and "system" not in written.json
    with pytest.raises(BadRequest):
        DIALECT.write(prompt(says("user", "")), TARGET)


def test_odd_beginnings_and_ends() -> None:
    """An assistant who speaks first, a system text alone, a prefill that ends in white space."""
    written = write(prompt(says("assistant", "Welcome"), says("user", "hi"), says("assistant", "I will \n")))
    assert [m["role"] for m in written.json["messages"]] == ["user", "assistant", "user", "assistant"]
    assert written.json["messages"][-1]["content"][0]["text"] == "I will"
    alone = write(prompt(says("system", "Only this")))
    assert alone.json["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Only this"}]}]
    assert "system" not in alone.json


def test_a_client_of_this_dialect_gets_its_own_words_back() -> None:
    """Also what we would not write: system messages in the middle, an unanswered call, blank texts, any temperature."""
    given = ASKED | {
        "temperature": 1.5,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "system", "content": [{"type": "text", "text": "now"}], "clear_at": "never"},
            {"role": "assistant", "content": [said(" "), {"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        ],
        "thinking": {"type": "enabled", "budget_tokens": 4, "display": "summarized"},
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    }  # fmt: skip
    written = DIALECT.write(DIALECT.read(given), TARGET)
    assert written.json == given | {"model": "claude"} and not written.losses


def test_thoughts_go_up_signed_or_not_at_all() -> None:
    own = Thinking(text="mine", extras={"anthropic": {"signature": "s"}})
    redacted = Thinking(text="", extras={"anthropic": {"redacted": "r"}})
    foreign = Thinking(text="theirs", extras={"openai": {"encrypted_content": "e"}})
    bare = Thinking(text="plain")
    written = write(prompt(HI, says("assistant", own, redacted, foreign, bare, "so"), says("user", "and?")))
    assert written.json["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "mine", "signature": "s"},
        {"type": "redacted_thinking", "data": "r"},
        {"type": "text", "text": "so"},
    ]
    assert [loss.value for loss in written.losses] == [foreign, bare]


def test_carriers_are_unwrapped() -> None:
    extras = {"openai": {"id": "rs_1", "encrypted_content": "zzz"}}
    block = {"type": "thinking", "thinking": "t", "signature": carrier.wrap(extras)}
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": [block]}]
    assert DIALECT.read(ASKED | {"messages": messages}).messages[1].parts == [Thinking(text="t", extras=extras)]


def test_images_documents_and_what_has_no_place() -> None:
    parts: list[Part] = [
        Media(kind="image", mime="image/png", data=PNG, detail="high"),
        Media(kind="image", data=PNG, name="a.png"),
        Media(kind="image", url="https://e.org/a.png"),
        Media(kind="document", mime="application/pdf", data="JVBERi0=", name="a.pdf"),
        Media(kind="document", mime="text/csv", data=base64.b64encode(b"a,b").decode()),
        Media(kind="document", text="words"),
    ]
    gone: list[Part] = [
        Media(kind="image", mime="image/tiff", data="AAAA"),
        Media(kind="image", url="gs://bucket/a.png"),
        Media(kind="image", file_id="file-openai"),
        Media(kind="document", mime="application/msword", data="AAAA"),
        Media(kind="document", mime="text/plain", data="//4="),
        Media(kind="audio", mime="audio/wav", data="AAAA"),
        Media(kind="video", url="https://e.org/a.mp4"),
    ]
    written = write(prompt(says("user", *parts, *gone)))
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    png = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    assert written.json["messages"][0]["content"] == [
        png,
        png,
        {"type": "image", "source": {"type": "url", "url": "https://e.org/a.png"}},
        {"type": "document", "source": pdf, "title": "a.pdf"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
    ]  # fmt: skip
    values = [loss.value for loss in written.losses]
    assert values == ["high", "a.png", *gone]
    blind = write(prompt(says("user", "see", *parts)), images=False, documents=False)
    assert len(blind.losses) == len(parts) and len(blind.json["messages"][0]["content"]) == 1


def test_results_hold_images_documents_and_errors() -> None:
    image = Media(kind="image", mime="image/png", data=PNG)
    sound = Media(kind="audio", data="AAAA")
    result = ToolResult(call_id="a", parts=[Text(text="see"), Text(text=""), image, sound], error=True)
    written = write(
        prompt(HI, says("assistant", ToolCall(id="a", name="f", arguments='{"x": 1.0}')), says("tool", result))
    )
    (block,) = written.json["messages"][2]["content"]
    assert block["is_error"] and [inner["type"] for inner in block["content"]] == ["text", "image"]
    assert lost(written) == {"messages.audio": sound}
    assert written.json["messages"][1]["content"][0]["input"] == {"x": 1.0}


def test_marks_of_this_api_are_kept_and_others_listed() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    ours: Any = {"anthropic": {"cache_control": mark}}
    written = write(
        prompt(
            says("system", Text(text="s", extras=ours)),
            says("user", Text(text="u", extras=ours | {"google": {"thoughtSignature": "g"}})),
            says("assistant", ToolCall(id="a", name="f", arguments="{}", extras={"openai": {"id": "fc_1"}})),
            says("tool", ToolResult(call_id="a", parts=[Text(text="r")], extras=ours)),
            tools=[Tool(name="f", extras=ours | {"openai": {"defer": True}}, description="")],
            extras={"openai": {"store": True}, "anthropic": {"container": "c", "betas": ["b"]}},
        )
    )
    body = written.json
    assert body["system"][0]["cache_control"] == body["tools"][0]["cache_control"] == mark
    assert (
        body["messages"][0]["content"][0]["cache_control"] == body["messages"][2]["content"][0]["cache_control"] == mark
    )
    assert body["container"] == "c" and "betas" not in body
    assert lost(written) == {
        "messages.text.thoughtSignature": "g",
        "messages.tool_call.id": "fc_1",
        "tools.defer": True,
        "store": True,
        "betas": ["b"],
    }


def test_native_items_go_to_their_own_family() -> None:
    ours = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    search = {"type": "web_search_20250305", "name": "web_search"}
    theirs = {"type": "web_search_call", "id": "ws_1"}
    written = write(
        prompt(
            HI,
            says(
                "assistant",
                Native(family="anthropic", name="server_tool_use", json=ours),
                Native(family="anthropic", name="web_search_tool_result", json=found),
                Native(family="openai", name="web_search_call", json=theirs),
                Refusal(text="I will not"),
                Text(text="cited", citations=[Citation(url="https://e.org", quote="q")]),
            ),
            says("user", "ok"),
            tools=[
                Tool(name="web_search", kind="native", extras={"anthropic": search}),
                Tool(name="file_search", kind="native", extras={"openai": {"type": "file_search"}}),
            ],
        )
    )  # fmt: skip
    assert written.json["messages"][1]["content"][:3] == [ours, found, {"type": "text", "text": "I will not"}]
    assert written.json["tools"] == [search]
    assert list(lost(written)) == ["messages.web_search_call", "messages.citation", "tools.file_search"]
