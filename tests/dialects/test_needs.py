"""What a request asks of a model, read from its bytes, in every dialect: media where they stand, never a key in somebody's text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects import anthropic_messages, gemini, openai_chat, openai_completions, openai_responses
from headgate.dialects.base import Dialect, Head
from headgate.dialects.needs import ASCII, ESCAPED, SMALL, SPELLED, least_tokens, needs_of
from headgate.errors import BadRequest
from headgate.model.ability import Need, Needs

CHAT, MESSAGES, RESPONSES, GEMINI = (
    openai_chat.DIALECT,
    anthropic_messages.DIALECT,
    openai_responses.DIALECT,
    gemini.DIALECT,
)
PIXEL = "iVBORw0KGgo="


def found(dialect: Dialect, body: Any) -> set[Need]:
    return dialect.needs(dialect.head(json.dumps(body).encode()))


def chat(*parts: Any, role: str = "user", **more: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "messages": [{"role": "system", "content": "be"}, {"role": role, "content": list(parts)}],
        **more,
    }


def message(*blocks: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": list(blocks)}], **more}


def response(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "input": [{"role": "user", "content": list(parts)}], **more}


def content(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(parts)}], **more}


def source(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more}


IMAGE = {"type": "image", "source": source("base64", media_type="image/png", data=PIXEL)}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}

ASKED: list[tuple[Dialect, dict[str, Any], set[Need]]] = [
    (CHAT, chat({"type": "text", "text": "hi"}), set()),
    (CHAT, chat({"type": "image_url", "image_url": {"url": "https://x/y.png"}}), {"images"}),
    (CHAT, chat({"type": "image_url", "image_url": f"data:image/png;base64,{PIXEL}"}), {"images"}),
    (CHAT, chat({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}), {"audio"}),
    (CHAT, chat({"type": "input_audio", "input_audio": "AA=="}), {"audio"}),
    (CHAT, chat({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBER"}}), {"documents"}),
    (CHAT, chat({"type": "file", "file": {"file_data": f"data:image/png;base64,{PIXEL}"}}), {"images"}),
    (CHAT, chat({"type": "file", "file": {"file_id": "file-1"}}), {"documents"}),
    (CHAT, chat({"type": "document_url", "document_url": "https://x/y.pdf"}), {"documents"}),
    (CHAT, chat({"type": "video_url", "video_url": {"url": "https://x/y.mp4"}}), {"video"}),
    (CHAT, chat(IMAGE, role="tool"), {"images"}),
    (CHAT, chat("text", {"type": "image_url", "image_url": {"url": "https://x"}}), {"images"}),
    (CHAT, chat({"type": "document", "source": source("text", data="plain")}), set()),
    (CHAT, chat({"type": "text", "text": "hi"}, tools=[TOOL]), {"tools"}),
    (CHAT, chat({"type": "text", "text": "hi"}, tools=[TOOL], tool_choice="none"), {"tools"}),
    (CHAT, chat({"type": "text", "text": "hi"}, tools=[]), set()),
    (CHAT, chat({"type": "text", "text": "hi"}, functions=[{"name": "f"}]), {"tools"}),
    (CHAT, chat({"type": "text", "text": "hi"}, response_format=SCHEMA), {"schema"}),
    (CHAT, chat({"type": "text", "text": "hi"}, response_format={"type": "json_object"}), set()),
    (CHAT, chat({"type": "text", "text": "hi"}, reasoning_effort="high"), {"reasoning"}),
    (CHAT, chat({"type": "text", "text": "hi"}, reasoning_effort="none"), set()),
    (MESSAGES, message({"type": "text", "text": "hi"}), set()),
    (MESSAGES, message(IMAGE), {"images"}),
    (MESSAGES, message({"type": "document", "source": source("base64", data="JVBER")}), {"documents"}),
    (MESSAGES, message({"type": "document", "source": source("file", file_id="f")}), {"documents"}),
    (MESSAGES, message({"type": "document", "source": source("text", data="plain")}), set()),
    (MESSAGES, message({"type": "document", "source": source("content", content="plain")}), set()),
    (MESSAGES, message({"type": "document", "source": source("content", content=[IMAGE])}), {"images"}),
    (MESSAGES, message({"type": "search_result", "source": "https://x", "title": "t", "content": []}), set()),
    (MESSAGES, message({"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}), {"images"}),
    (MESSAGES, message({"type": "tool_result", "tool_use_id": "t", "content": "image"}), set()),
    (MESSAGES, message({"type": "text", "text": "hi"}, tools=[{"name": "f", "input_schema": {}}]), {"tools"}),
    (MESSAGES, message({"type": "text", "text": "hi"}, output_config={"format": {"type": "json_schema"}}), {"schema"}),
    (MESSAGES, message({"type": "text", "text": "hi"}, output_format={"type": "json_schema"}), {"schema"}),
    (MESSAGES, message({"type": "text", "text": "hi"}, output_config={"effort": "low"}), set()),
    (MESSAGES, message({"type": "text", "text": "hi"}, thinking={"type": "adaptive"}), {"reasoning"}),
    (MESSAGES, message({"type": "text", "text": "hi"}, thinking={"type": "disabled"}), set()),
    (RESPONSES, {"model": "m", "input": "hi"}, set()),
    (RESPONSES, response({"type": "input_text", "text": "hi"}), set()),
    (RESPONSES, response({"type": "input_image", "image_url": "https://x"}), {"images"}),
    (RESPONSES, response({"type": "input_file", "file_id": "file-1"}), {"documents"}),
    (RESPONSES, response({"type": "input_file", "file_data": f"data:image/png;base64,{PIXEL}"}), {"images"}),
    (RESPONSES, response({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}), {"audio"}),
    (
        RESPONSES,
        {
            "model": "m",
            "input": [
                {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": "x"}]},
                {"type": "function_call_output", "call_id": "d", "output": "input_file"},
            ],
        },
        {"images"},
    ),
    (
        RESPONSES,
        {
            "model": "m",
            "input": [{"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}}],
        },
        {"images"},
    ),
    (RESPONSES, {"model": "m", "input": "hi", "tools": [{"type": "function", "name": "f"}]}, {"tools"}),
    (RESPONSES, {"model": "m", "input": "hi", "tools": [{"type": "web_search"}, {"type": "mcp"}]}, set()),
    (RESPONSES, {"model": "m", "input": "hi", "text": {"format": {"type": "json_schema"}}}, {"schema"}),
    (RESPONSES, {"model": "m", "input": "hi", "reasoning": {"effort": "low"}}, {"reasoning"}),
    (RESPONSES, {"model": "m", "input": "hi", "reasoning": {"effort": "none"}}, set()),
    (GEMINI, content({"text": "hi"}), set()),
    (GEMINI, content({"inlineData": {"mimeType": "image/png", "data": PIXEL}}), {"images"}),
    (GEMINI, content({"inline_data": {"mime_type": "audio/mp3", "data": "AA=="}}), {"audio"}),
    (GEMINI, content({"fileData": {"mimeType": "application/pdf", "fileUri": "https://x"}}), {"documents"}),
    (GEMINI, content({"fileData": {"fileUri": "https://youtu.be/x"}}), {"video"}),
    (GEMINI, content({"inlineData": {"mimeType": "text/plain", "data": "aGk="}}), set()),
    (GEMINI, {"contents": {"parts": {"inlineData": {"mimeType": "video/mp4", "data": ""}}}}, {"video"}),
    (
        GEMINI,
        content(
            {"functionResponse": {"name": "f", "response": {}, "parts": [{"inlineData": {"mimeType": "image/png"}}]}}
        ),
        {"images"},
    ),
    (GEMINI, content({"text": "hi"}, tools=[{"functionDeclarations": [{"name": "f"}]}]), {"tools"}),
    (GEMINI, content({"text": "hi"}, tools={"function_declarations": [{"name": "f"}]}), {"tools"}),
    (GEMINI, content({"text": "hi"}, tools=[{"googleSearch": {}}]), set()),
    (GEMINI, content({"text": "hi"}, generationConfig={"responseSchema": {"type": "OBJECT"}}), {"schema"}),
    (GEMINI, content({"text": "hi"}, generation_config={"response_json_schema": {}}), {"schema"}),
    (GEMINI, content({"text": "hi"}, generationConfig={"thinkingConfig": {"thinkingBudget": -1}}), {"reasoning"}),
    (GEMINI, content({"text": "hi"}, generationConfig={"thinkingConfig": {"thinkingBudget": 0}}), set()),
    (openai_completions.DIALECT, {"model": "m", "prompt": '{"type": "image_url"}'}, set()),
]


@pytest.mark.parametrize(("dialect", "body", "needs"), ASKED)
def test_what_a_request_asks(dialect: Dialect, body: dict[str, Any], needs: set[Need]) -> None:
    assert found(dialect, body) == needs


@pytest.mark.parametrize(("dialect", "body", "needs"), ASKED)
def test_a_whole_request_inside_a_text_asks_nothing(dialect: Dialect, body: dict[str, Any], needs: set[Need]) -> None:
    """A user who quotes JSON, as a string and as the arguments of an earlier call."""
    quoted = json.dumps(body)
    assert found(CHAT, chat({"type": "text", "text": quoted})) == set()
    assert found(MESSAGES, message({"type": "text", "text": quoted}, {"type": "tool_use", "input": body})) == set()
    assert found(RESPONSES, response({"type": "input_text", "text": quoted})) == set()
    assert found(GEMINI, content({"text": quoted}, {"functionCall": {"name": "f", "args": body}})) == set()


WORDS = """type text content source file input output tools messages contents parts inlineData mimeType format
response_format output_config thinking generationConfig reasoning file_data functionResponse"""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(WORDS.split()),
            inner | st.sampled_from(["image", "document", "tool_result", "input_file", "json_schema", "content"]),
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(VALUES, VALUES, VALUES)
def test_any_shape_is_read_without_an_error(one: Any, two: Any, three: Any) -> None:
    """What has another shape is for the upstream to judge."""
    for dialect in (CHAT, MESSAGES, RESPONSES, GEMINI, openai_completions.DIALECT):
        for body in ({"messages": one, "input": two, "tools": three}, {"contents": one, "text": two}, one):
            encoded = json.dumps(body).encode()
            try:
                head = dialect.head(encoded)
            except BadRequest:
                head = Head(model="m", body=encoded)
            assert dialect.needs(head) <= {"images", "audio", "documents", "video", "tools", "schema", "reasoning"}


def test_all_of_it_in_one_value() -> None:
    body = chat({"type": "text", "text": "hello " * 2000}, tools=[TOOL], max_tokens=77)
    needs = needs_of(CHAT, CHAT.head(json.dumps(body).encode()))
    assert needs == Needs(tools=True, tokens=needs.tokens, output=77) and 2000 <= needs.tokens < 2200
    assert needs_of(CHAT, CHAT.head(b'{"model":"m","messages":[]}')) == Needs()


def test_media_are_not_reckoned_by_their_bytes() -> None:
    body = message({"type": "image", "source": source("base64", data="A" * 1_000_000)})
    needs = needs_of(MESSAGES, MESSAGES.head(json.dumps(body).encode()))
    assert needs == Needs(images=True, output=9)


PROSE = {
    "English": ("The quick brown fox jumps over the lazy dog, and nobody minds. ", 14),
    "Russian": ("Съешь же ещё этих мягких французских булок, да выпей чаю. ", 18),
    "Hindi": ("सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता है। ", 20),
    "Chinese": ("人人生而自由,在尊严和权利上一律平等。", 14),
    "code": ("    for index, item in enumerate(items):\n        print(index, item)\n", 16),
}
"""A text and how many tokens it has at least by the tokenizers of current models (o200k counts; cl100k and Claude's more)."""


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize(("text", "tokens"), PROSE.values(), ids=PROSE)
def test_the_estimate_is_never_too_high(text: str, tokens: int, escaped: bool) -> None:
    """In every script, also where the client escapes letters; and not uselessly low for plain English."""
    body = json.dumps(chat(text * 500), ensure_ascii=escaped).encode()
    assert len(body) // ESCAPED <= least_tokens(body) <= tokens * 500
    if text.isascii():
        assert least_tokens(body) > tokens * 500 // 2


def test_a_small_body_fits_everywhere() -> None:
    assert least_tokens(b"x" * (SMALL - 1)) == 0
    assert least_tokens(b"x" * 60_000) == 60_000 // ASCII
    assert least_tokens("я".encode() * 30_000) == 60_000 // SPELLED


@given(st.integers(0, 90_000), st.integers(10_000, 40_000))
def test_escapes_are_found_wherever_they_stand(before: int, letters: int) -> None:
    """A run of escaped letters that is a notable part of the body is never taken for plain text."""
    body = b"a" * before + rb"\u0431" * letters + b"a" * (90_000 - before)
    assert least_tokens(body) == len(body) // ESCAPED
