"""Anthropic Messages: what is read of a client, and what its own bytes go through."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.anthropic_messages_judged import PNG, TARGET, lost
from headgate.dialects import carrier, splice
from headgate.dialects.anthropic_messages import DIALECT
from headgate.dialects.base import Accepts, Json, Target
from headgate.errors import BadRequest
from headgate.model.prompt import (
    Media,
    Reasoning,
)

ASKED: Json = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def with_block(**block: Any) -> Json:
    return {"messages": [{"role": "user", "content": [block]}]}


FORMAT = {"type": "json_schema", "schema": {}}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": 5}, "model"),
        ({"model": None}, "model"),
        ({"messages": {}}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        (with_block(type="text"), "messages[0].content[0].text"),
        (with_block(text="x"), "messages[0].content[0].type"),
        (with_block(type="image", source={"type": "x"}), "messages[0].content[0].source.type"),
        (with_block(type="tool_use", id="a", name="f", input="x"), "messages[0].content[0].input"),
        (with_block(type="tool_result", tool_use_id="a"), "messages[0].content[0].tool_use_id"),
        ({"system": 5}, "system"),
        ({"system": [{"type": "text", "text": 5}]}, "system[0].text"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream": "yes"}, "stream"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"stop_sequences": [5]}, "stop_sequences[0]"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"output_config": {"format": FORMAT}, "output_format": FORMAT}, "output_format"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_refused_with_its_path(change: Json, param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        DIALECT.read(ASKED | change)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[1]", None),
        (b"{}", "model"),
        (b'{"model":5}', "model"),
        (b'{"model":""}', "model"),
        (b'{"model":"m","stream":"yes"}', "stream"),
        (b'{"model":"m","max_tokens":1.5}', "max_tokens"),
        (b'{"model":"m","tools":{}}', "tools"),
        (b'{"model":"m","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
        (b'{"model":"\xff"}', None),
    ],
)
def test_a_body_that_cannot_be_routed_is_refused(body: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        DIALECT.head(body)
    assert refused.value.param == param


def test_what_is_held_upstream_is_named() -> None:
    """Files, containers in both forms, and threads: a started one is held from then on, a continued one before, too."""

    def head(**more: Any) -> Any:
        return DIALECT.head(json.dumps(ASKED | more).encode())

    assert head(container="c_1").objects == head(container={"id": "c_1", "skills": []}).objects == ("c_1",)
    image = {"type": "image", "source": {"type": "file", "file_id": "f_1"}}
    assert head(messages=[{"role": "user", "content": [image, image]}]).objects == ("f_1",)
    started, plain = head(thread={"type": "create"}), head()
    assert started.stores and started.state and not plain.stores and not plain.state
    going_on = head(thread={"type": "continue", "previous_message_id": "msg_1"})
    assert going_on.stores and going_on.objects == ("msg_1",)


def test_numbers_without_end_do_not_harm() -> None:
    body = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"temperature":' + b"9" * 400 + b"}"
    assert DIALECT.head(body).model == "m"
    assert DIALECT.write(DIALECT.read(json.loads(body)), TARGET).json["temperature"] == int("9" * 400)


def test_a_target_that_refuses_a_field_says_so() -> None:
    body = json.dumps(ASKED | {"context_management": {"edits": []}, "speed": None}).encode()
    target = Target(model="m", provider="p", accepts=Accepts(drop=frozenset(("context_management", "speed"))))
    with pytest.raises(BadRequest) as refused:
        DIALECT.edits(DIALECT.head(body), target)
    assert refused.value.param == "context_management"
    written = DIALECT.write(DIALECT.read(json.loads(body)), target)
    assert lost(written) == {"context_management": {"edits": []}} and "context_management" not in written.json


def test_the_model_is_spliced() -> None:
    body = b'{ "messages" : [ {"role":"user","content":"model"} ],"model" :"a", "unknown": 1.00 }'
    edited = splice.apply(body, DIALECT.edits(DIALECT.head(body), Target(model='b"', provider="p")))
    assert edited == body.replace(b'"a"', b'"b\\""')


def test_thinking_is_read_in_all_its_forms() -> None:
    def read(thinking: Json, **more: Any) -> Reasoning | None:
        return DIALECT.read(ASKED | {"thinking": thinking, **more}).reasoning

    assert read({"type": "enabled", "budget_tokens": 2000}) == Reasoning(enabled=True, budget=2000, show="auto")
    assert read({"type": "disabled"}) == Reasoning(enabled=False)
    adaptive = read({"type": "adaptive", "display": "omitted"}, output_config={"effort": "low"})
    assert adaptive is not None
    assert (adaptive.enabled, adaptive.effort, adaptive.budget, adaptive.show) == (True, "low", -1, "none")
    only = DIALECT.read(ASKED | {"output_config": {"effort": "max", "task_budget": {"type": "tokens", "total": 5}}})
    assert only.reasoning == Reasoning(effort="max")
    assert only.extras == {"anthropic": {"output_config": {"task_budget": {"type": "tokens", "total": 5}}}}


def test_documents_are_what_they_hold() -> None:
    sources: list[tuple[Json, dict[str, Any]]] = [
        ({"type": "text", "media_type": "text/plain", "data": "words"}, {"text": "words"}),
        ({"type": "url", "url": "https://e.org/a.pdf"}, {"url": "https://e.org/a.pdf"}),
        ({"type": "file", "file_id": "file_1"}, {"file_id": "file_1"}),
        ({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, {"data": "JVBERi0="}),
        ({"type": "content", "content": [{"type": "text", "text": t} for t in "ab"]}, {"text": "a\n\nb"}),
        ({"type": "content", "content": "c"}, {"text": "c"}),
    ]  # fmt: skip
    for source, held in sources:
        block = {"type": "document", "source": source, "title": "T", "context": "C", "citations": {"enabled": True}}
        given = ASKED | {"messages": [{"role": "user", "content": [block]}]}
        (part,) = DIALECT.read(given).messages[0].parts
        assert isinstance(part, Media) and part.name == "T" and part.kind == "document"
        assert {name: getattr(part, name) for name in held} == held
        written = DIALECT.write(DIALECT.read(given), TARGET)
        assert written.json["messages"][0]["content"] == [block] and not written.losses


def test_a_search_result_is_a_document_to_others_and_itself_here() -> None:
    block = {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]}
    given = ASKED | {"messages": [{"role": "user", "content": [block]}]}
    (part,) = DIALECT.read(given).messages[0].parts
    assert isinstance(part, Media) and (part.text, part.name) == ("x", "t")
    assert DIALECT.write(DIALECT.read(given), TARGET).json["messages"][0]["content"] == [block]


def test_slots_are_all_texts_and_no_grammar() -> None:
    request = {
        "model": "m",
        "system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": "U"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "T", "signature": "x"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"id": "I", "type": ["J"], "n": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "R"}]},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "D"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                ],
            },
        ],
        "tools": [
            {
                "name": "f",
                "description": "F",
                "input_schema": {"type": "object", "properties": {"p": {"description": "P"}}},
                "input_examples": [{"p": "E"}],
            }
        ],
    }
    slots = list(DIALECT.slots(request))
    assert "".join(slot.text for slot in slots) == 'SUT{"id":"I","type":["J"],"n":1}RDFPE'
    roles = ["system", "user", *["assistant"] * 2, "tool", "user", *["system"] * 3]
    assert [slot.role for slot in slots] == roles


LONG = "x" * 3000


@pytest.mark.parametrize(
    ("blocks", "prose"),
    [
        ("text", True),
        ([{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "a", "signature": "c2lnbmVk"}], True),
        ([{"type": "tool_use", "id": "1", "name": "f", "input": {"a": [1]}}], True),
        ([{"type": "tool_result", "tool_use_id": "1", "content": "a"}], True),
        ([{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "image"}]}], False),
        ([{"type": "text", "text": "a"}, {"type": "image"}], False),
        ([{"type": "thinking", "thinking": "a", "signature": carrier.wrap({})}], False),
        ([{"type": "redacted_thinking", "data": carrier.wrap({})}], False),
        ([{"type": "text", "text": "a", "citations": None}, {"type": "text", "text": "b", "citations": []}], True),
        ([{"type": "text", "text": "a", "citations": [{"encrypted_index": carrier.wrap({})}]}], False),
        ([{"type": "tool_use", "id": "1", "name": "f", "input": {"file_id": "f_1"}}], False),
        ([{"type": "tool_result", "tool_use_id": "1", "content": {"file_id": "f_1"}}], False),
        ([{"type": "tool_result", "input": {}, "content": [{"type": "document"}]}], False),
        ([{"type": "text", "text": "a", "source": {"file_id": "f_1"}}], False),
        ([{"type": "text", "text": "a", "file_id": "f_1"}], False),
        ([7], False),
        (None, False),
    ],
)
def test_texts_and_calls_alone_are_prose(blocks: Any, prose: bool) -> None:
    """Only they go up without a look for files and for what we gave the client to carry."""
    for before in ("", LONG):
        messages = [{"role": "user", "content": before}, {"role": "user", "content": blocks}]
        assert DIALECT.head(json.dumps({"model": "m", "max_tokens": 1, "messages": messages}).encode()).prose is prose


@pytest.mark.parametrize("key", ["file_id", "file\\u005fid", "fil\\u0065_id"])
@pytest.mark.parametrize("before", ["", LONG])
def test_a_file_is_told_of_however_it_is_spelled(key: str, before: str) -> None:
    """It may be another tenant's."""
    held = {"type": "document", "source": {"type": "file", "KEY": "f_1"}}
    for place in (
        {"messages": [{"role": "user", "content": before}, {"role": "user", "content": [held]}]},
        {"messages": [{"role": "user", "content": before}], "system": [held]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [held]}]}], "system": before},
    ):
        body = json.dumps({"model": "m", "max_tokens": 1, **place}).replace("KEY", key).encode()
        assert DIALECT.head(body).objects == ("f_1",)


def test_the_model_beside_long_messages_is_replaced_there() -> None:
    messages = [{"role": "user", "content": [{"type": "tool_use", "input": {"model": "inside"}}, LONG]}]
    for body in ({"model": "a", "messages": messages}, {"messages": messages, "model": "a"}):
        head = DIALECT.head(json.dumps(body).encode())
        edited = splice.apply(head.body, DIALECT.edits(head, Target(model="b", provider="p")), head.bulk)
        assert json.loads(edited) == {"model": "b", "messages": messages} and head.bulk is not None
