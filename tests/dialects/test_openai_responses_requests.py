"""Requests of the Responses API: every recorded one goes through the neutral form and comes out the same and valid."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from carried import missing

from headgate.dialects import carrier
from headgate.dialects.base import Accepts, Edit, Target
from headgate.dialects.openai_responses import DIALECT, STATEFUL, stateful
from headgate.dialects.splice import apply
from headgate.errors import BadRequest
from headgate.model.prompt import (
    Citation,
    Media,
    Message,
    Native,
    Output,
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
from oracles import openai_responses as oracle
from recordings import Recording, recordings

TARGET = Target(model="upstream-model", provider="openai")
BESIDE = frozenset(("model", "messages", "family", "tools", "parallel_tools", "extras"))
PARAMETERS = [name for name in Prompt.__struct_fields__ if name not in BESIDE]


def requests() -> Iterator[Recording]:
    for row in recordings("openai_responses"):
        if row.request is not None:
            yield row


@pytest.mark.corpus
def test_every_request_comes_back_the_same() -> None:
    """Read, written and read again: conversation, tools and parameters are equal, and nothing is lost but what no
    table knows."""
    count = 0
    for row in requests():
        assert row.request is not None
        try:
            prompt = DIALECT.read(copy.deepcopy(row.request))
        except BadRequest:
            assert row.status >= 400, row
            continue
        written = DIALECT.write(prompt, TARGET)
        again = DIALECT.read(written.json)
        assert list(flat(again)) == list(flat(prompt)), row
        assert again.tools == prompt.tools, row
        for name in PARAMETERS:
            assert getattr(again, name) == getattr(prompt, name), (row, name)
        assert missing(row.request, written.json, written.losses, written.renamed) == [], row
        assert {loss.what for loss in written.losses} <= {"provider"}, row
        assert written.json["model"] == TARGET.model and written.renamed == {}
        count += 1
    assert count > 900


@pytest.mark.corpus
def test_what_is_written_is_valid() -> None:
    """By the published description, closed. Items and tools of the provider's own go up as the client gave them."""
    for row in requests():
        if row.status >= 400:
            continue
        assert row.request is not None
        prompt = DIALECT.read(row.request)
        written = DIALECT.write(prompt, TARGET).json
        given = [part.json for _, part in flat(prompt) if isinstance(part, Native)]
        written["input"] = [item for item in written["input"] if item not in given]
        assert oracle.problems(written) == [], row


@pytest.mark.corpus
def test_translation_is_deterministic_and_prefix_stable() -> None:
    """The same history gives the same bytes; one item more changes nothing before it."""
    for row in requests():
        if row.status >= 400 or not isinstance((row.request or {}).get("input"), list):
            continue
        assert row.request is not None
        whole = DIALECT.write(DIALECT.read(row.request), TARGET).json
        assert msgspec.json.encode(whole) == msgspec.json.encode(DIALECT.write(DIALECT.read(row.request), TARGET).json)
        more = {**row.request, "input": [*row.request["input"], {"role": "user", "content": "and now?"}]}
        longer = DIALECT.write(DIALECT.read(more), TARGET).json
        assert longer["input"][: len(whole["input"])] == whole["input"], row


@pytest.mark.corpus
def test_the_head_says_what_stands_there() -> None:
    for row in requests():
        request = row.request
        assert request is not None
        head = DIALECT.head(json.dumps(request).encode())
        assert head.model == request.get("model", "")
        assert head.stream is bool(request.get("stream"))
        assert head.max_output == request.get("max_output_tokens")
        assert head.stores is (request.get("store") is not False or bool(request.get("background")))
        for name in ("previous_response_id", "conversation"):
            assert request.get(name) is None or request[name] in head.objects
        assert bool(request.get("tools")) <= head.tools


@pytest.mark.corpus
def test_an_edit_changes_one_value_and_no_other_byte() -> None:
    for row in requests():
        body = json.dumps(row.request, indent=1).encode()
        head = DIALECT.head(body)
        changed = apply(body, DIALECT.edits(head, TARGET))
        assert json.loads(changed) == {**(row.request or {}), "model": TARGET.model}
        if head.model:
            old, new = json.dumps(head.model).encode(), json.dumps(TARGET.model).encode()
            place = changed.index(b'"model": ' + new)
            assert changed[: place + 9] == body[: place + 9]
            assert changed[place + 9 + len(new) :] == body[place + 9 + len(old) :]
        same = Target(model=head.model, provider="openai")
        assert not head.model or apply(body, DIALECT.edits(head, same)) == body


@pytest.mark.corpus
def test_every_text_is_a_slot_and_each_can_be_replaced() -> None:
    """All texts of the neutral form are seen by the guards; all of them can be replaced at once."""
    for row in requests():
        if row.status >= 400:
            continue
        assert row.request is not None
        slots = list(DIALECT.slots(row.request))
        seen = {slot.text for slot in slots}
        for role, part in flat(DIALECT.read(copy.deepcopy(row.request))):
            for text in _texts(part):
                assert not text or text in seen or text == "{}", (row, role, text[:80])
        edits = [
            Edit(name="guard", path=slot.path, value=json.dumps(f"[{number}]").encode())
            for number, slot in enumerate(slots)
        ]
        changed = json.loads(apply(json.dumps(row.request).encode(), edits))
        for number, slot in enumerate(slots):
            value: Any = changed
            for key in slot.path:
                value = value[key]
            assert value == f"[{number}]"


def _texts(part: Any) -> Iterator[str]:
    match part:
        case Text() | Refusal() | Thinking():
            yield part.text
        case ToolCall():
            yield part.arguments
        case ToolResult():
            for inner in part.parts:
                yield from _texts(inner)


WRONG = (True, -1, 1.5, 10**30, "x", [], [1], {}, {"a": 1}, [[]], [{}], [None])


@pytest.mark.corpus
def test_wrong_types_are_refused_with_their_place() -> None:
    """Recorded requests with one value changed: read goes on or refuses with the path of what is wrong, and nothing
    else."""
    chance = random.Random(3)
    refused = 0
    for row in requests():
        for _ in range(4):
            request: Any = copy.deepcopy(row.request)
            path = chance.choice([path for path in _paths(request, ()) if path])
            holder = request
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = chance.choice(WRONG)
            body = json.dumps(request).encode()
            for way, given in ((DIALECT.head, body), (_through, request)):
                try:
                    way(given)
                except BadRequest as error:
                    assert error.param, (row, path)
                    refused += 1
    assert refused > 300


def _through(request: Any) -> None:
    list(DIALECT.slots(request))
    DIALECT.write(DIALECT.read(request), TARGET)


def _paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _paths(item, (*path, key))


ALLOWED = {"type": "allowed_tools", "tools": [{"type": "function", "name": "f", "namespace": []}]}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"model": 3}, "model"),
        ({"model": "m", "input": 3}, "input"),
        ({"model": "m", "input": [3]}, "input[0]"),
        ({"model": "m", "input": [{"role": "user", "content": 3}]}, "input[0].content"),
        ({"model": "m", "input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"model": "m", "input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"model": "m", "input": [{"content": "x"}]}, "input[0].type"),
        ({"model": "m", "input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        (
            {"model": "m", "input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
            "input[0].call_id",
        ),
        ({"model": "m", "input": [CALL]}, "input[0].call_id"),
        ({"model": "m", "input": "x", "tools": [{"name": "f"}]}, "tools[0].type"),
        ({"model": "m", "input": "x", "tools": [{"type": "function"}]}, "tools[0].name"),
        ({"model": "m", "input": "x", "tool_choice": "maybe"}, "tool_choice"),
        ({"model": "m", "input": "x", "tool_choice": ALLOWED}, "tool_choice.tools[0].namespace"),
        ({"model": "m", "input": "x", "temperature": "hot"}, "temperature"),
        ({"model": "m", "input": "x", "text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"model": "m", "input": "x", "include": "all"}, "include"),
    ],
)
def test_the_place_of_what_is_wrong(request_: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as raised:
        DIALECT.read(request_)
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"model": 1}', "model"),
        (b'{"input": [{"type": 1}]}', "input[0].type"),
        (b'{"max_output_tokens": "9"}', "max_output_tokens"),
        (b'{"max_output_tokens": ' + b"9" * 5000 + b"}", None),
        (b'{"tools": [' + b'{"type":"x","a":' * 50_000, None),
        (b'{"input": [' + b"[" * 100_000, None),
        (b'{"input": [{"file_id": ' + b"[" * 100_000, None),
        (b'{"model": "\xff"}', None),
    ],
)
def test_bad_bodies_are_refused(body: bytes, param: str | None) -> None:
    """Not JSON, of wrong types, too deep, too large a number: a refusal, never a crash."""
    with pytest.raises(BadRequest) as raised:
        DIALECT.head(body)
    assert param is None or raised.value.param == param


def test_held_objects_are_named() -> None:
    """Everything a request refers to by the id of something kept upstream, so that another tenant's can be refused."""
    request = {
        "model": "m",
        "previous_response_id": "resp_1",
        "conversation": {"id": "conv_1"},
        "input": [
            {"type": "item_reference", "id": "rs_1"},
            {"id": "msg_1"},
            {"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]},
            {"type": "message", "role": "assistant", "id": "msg_2", "content": []},
        ],
        "tools": [
            {"type": "file_search", "vector_store_ids": ["vs_1"]},
            {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file_2"]}},
            {"type": "code_interpreter", "container": "cntr_1"},
        ],
    }
    head = DIALECT.head(json.dumps(request).encode())
    assert set(head.objects) == {"resp_1", "conv_1", "rs_1", "msg_1", "file_1", "vs_1", "file_2", "cntr_1"}


LONG = {"role": "user", "content": "x" * 3000}
TEXT = {"type": "output_text", "text": "a", "annotations": []}


@pytest.mark.parametrize(
    ("item", "prose"),
    [
        ({"type": "message", "role": "assistant", "content": [TEXT, {"type": "refusal", "refusal": "a"}]}, True),
        ({"type": "function_call", "call_id": "1", "name": "f", "arguments": '{"file_id":"a"}'}, True),
        ({"type": "function_call_output", "call_id": "1", "output": "a"}, True),
        ({"type": "function_call_output", "call_id": "1", "output": [{"type": "input_image"}]}, False),
        ({"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_image"}]}, False),
        ({"role": "assistant", "content": [{**TEXT, "annotations": [{"type": "file_citation"}]}]}, False),
        ({"role": "user", "content": [{"type": "input_text", "text": "a", "file_id": "f_1"}]}, False),
        ({"role": "user", "content": {"file_id": "f_1"}}, False),
        ({"role": "user", "content": [7]}, False),
        ({"type": "reasoning", "encrypted_content": carrier.wrap({}), "summary": []}, False),
        ({"type": "a_new_kind"}, False),
    ],
)
def test_texts_and_calls_alone_are_prose(item: dict[str, Any], prose: bool) -> None:
    """Only they go up without a look for files and for what we gave the client to carry."""
    for before in ([], [LONG]):
        assert DIALECT.head(json.dumps({"model": "m", "input": [*before, item]}).encode()).prose is prose


@pytest.mark.parametrize("given", ["x" * 3000, [LONG], [LONG, {"role": "user", "content": [{"type": "input_image"}]}]])
def test_what_stands_beside_a_long_input_is_found_and_replaced_there(given: Any) -> None:
    """However it is spelled."""
    for body in ({"model": "a", "input": given, "KEYS": ["vs_1"]}, {"KEYS": ["vs_1"], "input": given, "model": "a"}):
        for key in ("vector_store_ids", "vector\\u005fstore_ids"):
            head = DIALECT.head(json.dumps(body).replace("KEYS", key).encode())
            assert head.objects == ("vs_1",) and head.bulk is not None
            edited = apply(head.body, DIALECT.edits(head, TARGET), head.bulk)
            assert json.loads(edited) == {"model": TARGET.model, "input": given, "vector_store_ids": ["vs_1"]}


@pytest.mark.parametrize("field", [*STATEFUL, "input"])
def test_state_is_refused_where_there_is_none(field: str) -> None:
    """What only a provider that keeps state can honour is found, and refused clearly by a target that keeps none."""
    request: dict[str, Any] = {"model": "m", "input": "x"}
    request[field] = {
        "previous_response_id": "resp_1",
        "conversation": "conv_1",
        "background": True,
        "prompt": {"id": "pmpt_1"},
        "input": [{"type": "item_reference", "id": "msg_1"}],
    }[field]
    assert DIALECT.head(json.dumps(request).encode()).state
    prompt = DIALECT.read(request)
    assert [name for name, _ in stateful(prompt)] == [field]
    assert DIALECT.write(prompt, TARGET).json[field] == request[field]
    with pytest.raises(BadRequest) as raised:
        DIALECT.write(prompt, Target(model="m", provider="p", accepts=Accepts(state=False)))
    assert raised.value.param == field


def test_what_a_target_refuses_is_refused_in_the_same_dialect() -> None:
    head = DIALECT.head(b'{"model": "m", "input": "x", "truncation": "auto", "user": null}')
    assert not head.state
    accepts = Accepts(drop=frozenset(("truncation", "user")))
    with pytest.raises(BadRequest) as raised:
        DIALECT.edits(head, Target(model="m", provider="p", accepts=accepts))
    assert (raised.value.param, raised.value.code) == ("truncation", "unsupported_parameter")
    lax = Accepts(drop=frozenset(("user",)))
    assert DIALECT.edits(head, Target(model="m", provider="p", accepts=lax)) == ()


def test_nothing_is_stored_that_the_client_did_not_ask_to_store() -> None:
    for store, accepts, written in (
        (None, True, False),
        (True, True, True),
        (False, True, False),
        (True, False, False),
    ):
        prompt = DIALECT.read({"model": "m", "input": "x", "store": store})
        done = DIALECT.write(prompt, Target(model="m", provider="p", accepts=Accepts(state=accepts)))
        assert done.json["store"] is written
        assert [loss.what for loss in done.losses] == (["store"] if store and not accepts else [])


def test_additional_tools_are_tools_and_keep_their_place() -> None:
    """Tools that come inside the input are offered like any other, and go back where they stood."""
    brought = {"type": "function", "name": "g", "parameters": {"type": "object"}, "strict": False}
    request = {
        "model": "m",
        "tools": [{"type": "namespace", "name": "ns", "description": "d", "tools": [{**brought, "name": "f"}]}],
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
            {"type": "additional_tools", "role": "developer", "tools": [brought, {"type": "custom", "name": "sql"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "y"}]},
        ],
        "tool_choice": {"type": "function", "name": "f", "namespace": "ns"},
    }
    prompt = DIALECT.read(request)
    assert [(tool.name, tool.kind) for tool in prompt.tools] == [
        ("ns__f", "function"),
        ("g", "function"),
        ("sql", "custom"),
    ]
    assert prompt.tool_choice == ToolChoice(mode="any", names=("ns__f",))
    written = DIALECT.write(prompt, TARGET).json
    assert written["input"] == request["input"] and written["tools"] == request["tools"]
    assert written["tool_choice"] == request["tool_choice"]


def test_a_foreign_conversation() -> None:
    """What other dialects hold, told in this one: nothing is dropped in silence."""
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    prompt = Prompt(
        model="m",
        family="anthropic",
        messages=[
            Message(
                role="system",
                parts=[Text(text="be kind", extras={"anthropic": {"cache_control": {"type": "ephemeral"}}})],
            ),
            Message(
                role="user",
                name="ann",
                parts=[
                    Text(text="look"),
                    Media(kind="image", mime="image/png", data="iVBORw0="),
                    Media(kind="document", mime="application/pdf", data="JVBERi0="),
                    Media(kind="document", text="a plain text", name="notes.txt"),
                    Media(kind="audio", mime="audio/wav", data="UklGRg=="),
                ],
            ),
            Message(
                role="assistant",
                parts=[
                    Thinking(text="signed", extras={"anthropic": {"signature": "c2ln"}}),
                    Text(text="cited", citations=[Citation(url="https://a.example", quote="q", start=0, end=5)]),
                    Refusal(text="no"),
                    ToolCall(id="toolu_" + "x" * 70, name="files.read", arguments='{"path": "/a"}'),
                    Native(family="anthropic", name="server_tool_use", json={"type": "server_tool_use", "id": "s"}),
                ],
            ),
            Message(
                role="tool",
                parts=[
                    ToolResult(
                        call_id="toolu_" + "x" * 70,
                        error=True,
                        parts=[Text(text="denied"), Media(kind="image", mime="image/png", data="iVBORw1=")],
                    )
                ],
            ),
        ],
        tools=[
            Tool(name="files.read", schema=schema),
            Tool(name="web", kind="native", extras={"anthropic": {"type": "web"}}),
        ],
        tool_choice=ToolChoice(mode="any", names=("files.read",)),
        reasoning=Reasoning(enabled=True, budget=4000),
        output=Output(kind="json_schema", schema=schema, strict=True),
        max_tokens=1,
        top_k=5,
        seed=7,
        stop=["###"],
        n=2,
        logit_bias={"1": 1.0},
        logprobs=True,
        top_logprobs=3,
        service_tier="standard_only",
        metadata={"n": 1},
    )
    written = DIALECT.write(prompt, TARGET)
    assert oracle.problems(written.json) == []
    gone = missing(msgspec.to_builtins(prompt), written.json, written.losses, written.renamed)
    assert [one for one in gone if ".kind: " not in one and ".family: " not in one] == []
    assert written.renamed == {"files_read": "files.read"}
    assert written.json["tool_choice"] == {"type": "function", "name": "files_read"}
    assert written.json["reasoning"] == {"effort": "medium"}
    assert written.json["max_output_tokens"] == 16
    assert written.json["instructions"] == "be kind"
    calls = [item["call_id"] for item in written.json["input"] if "call_id" in item]
    assert calls[0] == calls[1] and len(calls[0]) <= 64
    (result,) = [item for item in written.json["input"] if item["type"] == "function_call_output"]
    assert [part["type"] for part in result["output"]] == ["input_text", "input_text", "input_image"]
    lost = {loss.what for loss in written.losses}
    assert {"messages.thinking", "messages.server_tool_use", "messages.name", "seed", "stop", "n", "top_k"} <= lost


def test_unsaid_strictness_is_no_strictness() -> None:
    """The API's default would change or refuse a schema; null says that it stays as it is."""
    prompt = Prompt(
        model="m",
        family="openai",
        messages=[Message(role="user", parts=[Text(text="x")])],
        tools=[Tool(name="f", schema={"type": "object"}), Tool(name="g", strict=True)],
    )
    tools = DIALECT.write(prompt, TARGET).json["tools"]
    assert [tool["strict"] for tool in tools] == [None, True]
    lax = DIALECT.write(prompt, Target(model="m", provider="p", accepts=Accepts(strict_tools=False)))
    assert [tool["strict"] for tool in lax.json["tools"]] == [None, False]
    assert [loss.what for loss in lax.losses] == ["tools.g.strict"]


def test_reasoning_comes_back_only_encrypted() -> None:
    """Where nothing is stored, thoughts are asked for encrypted, so that the next turn can have them."""
    reasoning = {"effort": "low"}
    assert DIALECT.write(DIALECT.read({"model": "m", "input": "x", "reasoning": reasoning}), TARGET).json[
        "include"
    ] == ["reasoning.encrypted_content"]
    for other in ({}, {"reasoning": {"effort": "none"}}, {"reasoning": reasoning, "store": True}):
        assert "include" not in DIALECT.write(DIALECT.read({"model": "m", "input": "x", **other}), TARGET).json


def test_targets_that_take_less() -> None:
    """Images, documents, schemas and top-level fields that a target refuses are listed, the rest goes up."""
    asked = {
        "model": "m",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "x"},
                    {"type": "input_image", "image_url": "https://a.example/i.png"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
                ],
            }
        ],
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
        "truncation": "auto",
    }
    accepts = Accepts(images=False, documents=False, json_schema=False, drop=frozenset(("truncation", "store")))
    written = DIALECT.write(DIALECT.read(asked), Target(model="m", provider="p", accepts=accepts))
    assert written.json == {
        "model": "m",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}],
        "text": {"format": {"type": "json_object"}},
    }
    assert {loss.what for loss in written.losses} == {
        "messages.content.image",
        "messages.content.document",
        "output.schema",
        "truncation",
        "store",
    }
