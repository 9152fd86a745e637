"""Conditions: what their words mean in every dialect, what is refused before it serves, and that breaking never allows."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import BadRequest, ConfigError
from headgate.model.exchange import Exchange
from headgate.routing.conditions import Condition, Unjudged, compile, context
from headgate.routing.facts import CREDENTIALS, WORDS, Facts
from headgate.routing.language import guess
from routing.requests import request

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "description": "d", "parameters": SCHEMA}

ASKED: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "model": "auto",
        "stream": True,
        "max_completion_tokens": 500,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "three"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                ],
            },
        ],
        "tools": [{"type": "function", "function": TOOL}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "o", "schema": SCHEMA}},
        "metadata": {"batch": "1"},
    },
    "openai_responses": {
        "model": "auto",
        "stream": True,
        "max_output_tokens": 500,
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "three"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
                ],
            },
        ],
        "tools": [{"type": "function", **TOOL}],
        "text": {"format": {"type": "json_schema", "name": "o", "schema": SCHEMA}},
        "metadata": {"batch": "1"},
    },
    "anthropic_messages": {
        "model": "auto",
        "stream": True,
        "max_tokens": 500,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "three"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                ],
            },
        ],
        "tools": [{"name": "weather", "description": "d", "input_schema": SCHEMA}],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
        "metadata": {"batch": "1"},
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "one"}]},
            {"role": "model", "parts": [{"text": "two"}]},
            {"role": "user", "parts": [{"text": "three"}, {"inlineData": {"mimeType": "image/png", "data": PIXEL}}]},
        ],
        "tools": [{"functionDeclarations": [TOOL]}],
        "generationConfig": {
            "maxOutputTokens": 500,
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
        },
        "metadata": {"batch": "1"},
    },
}
"""One request in each dialect: two turns, a picture, a tool, a schema, a tag."""


def holds(text: str, x: Exchange) -> bool:
    condition = compile(text)
    return condition.holds(context(Facts(x), condition.words))


@pytest.mark.parametrize("dialect", ASKED)
def test_words_mean_the_same_in_every_dialect(dialect: str) -> None:
    x = request(ASKED[dialect], dialect=dialect)
    for text in (
        "request.max_output == 500",
        "request.tools",
        'request.tool_names == ["weather"]',
        'request.modalities == ["image", "text"]',
        "request.schema",
        "request.turns == 2",
        "request.chars == 9 + 3 + 3 + 5",
        "request.tokens > 5 && request.tokens < 60",
        f'request.dialect == "{dialect}"',
        '"batch" in tags',
    ):
        assert holds(text, x), text


def test_a_plain_question_has_none_of_it() -> None:
    for text in (
        "request.max_output == 0 && !request.tools && !request.schema && !request.stream",
        "size(request.tool_names) == 0 && size(tags) == 0",
        'request.modalities == ["text"]',
        'request.model == "auto" && request.operation == "generate"',
    ):
        assert holds(text, request("hello")), text


def test_images_do_not_count_as_tokens() -> None:
    body = ASKED["anthropic_messages"]
    image = {"type": "base64", "media_type": "image/png", "data": PIXEL * 1000}
    messages = [{"role": "user", "content": [{"type": "image", "source": image}]}]
    assert holds("request.tokens < 100", request(body | {"messages": messages}, dialect="anthropic_messages"))


def test_key_headers_tags_and_time() -> None:
    headers = {"x-team": "search", "x-headgate-tags": "nightly, eval", "x-twice": "a"}
    x = request(headers=headers)
    x.request.headers.append((b"x-twice", b"b"))
    for text in (
        'key.name == "ci-nightly" && key.tenant == "research" && "trail" in key.scopes',
        '"x-team" in headers && headers["x-team"] == "search"',
        'has(headers.host) == false && !("x-other" in headers)',
        '"x-twice" in headers && headers["x-twice"] == "a, b"',
        '"x-team" in headers && headers.exists(name, name == "x-headgate-tags")',
        '["x-other", "x-team"].exists(name, name in headers && headers[name] == "search")',
        'tags == ["eval", "nightly"]',
        'time.hour == 22 && time.minute == 45 && time.weekday == 5 && time.date == "2026-11-21"',
        'key.name.matches("^ci-[a-z]+$")',
    ):
        assert holds(text, x), text


def test_credentials_are_absent() -> None:
    x = request(headers=dict.fromkeys(CREDENTIALS, "secret") | {"x-other": "seen"})
    assert Facts(x).headers == {"x-other": "seen"}


def test_every_word_has_an_example_that_compiles_and_a_value_of_its_type() -> None:
    facts = Facts(request(ASKED["openai_chat"], headers={"x-team": "search"}))
    kinds = {"bool": bool, "int": int, "string": str, "list": list, "map": dict}
    for name, word in WORDS.items():
        assert any(used == name or used.startswith(f"{name}.") for used in compile(word.example).words)
        assert type(word.value(facts)) is kinds[word.type], name


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("request.tokens >", "mismatched input '<EOF>' at character 17", ""),
        ("a b", "extraneous input 'b' at character 3", ""),
        ('request.modl == "x"', "no word `request.modl` at character 1", "request.model"),
        ('model == "x"', "no word `model` at character 1", "request.model"),
        ("true &&\n  request.token > 1", "no word `request.token` at line 2, character 3", "request.tokens"),
        ("request == 1", "no word `request`", "request."),
        ('request["model"] == "a"', "no word `request`", "request."),
        ("request.model.size == 1", "nothing is called `.size` here at character 15", ""),
        ("tags.exists(key, key == 'a')", "no word `key`", ""),
        ("tags.exist(t, t == 'a')", "no function `exist`", "exists"),
        ("lower(request.model) == 'a'", "no function `lower`", ""),
        ("request.tokens", "a value of type int, not true or false", ""),
        ("request.tokens > 'many'", "the types do not fit", ""),
        ("request.model.matches('^gpt[')", "no regular expression at character 23", ""),
        ("false && request.model.matches('(')", "no regular expression", ""),
        ('headers["x-team"] == "a"', 'nothing asks whether the header "x-team" was sent', '"x-team" in headers && ...'),
        ('"X-Team" in headers', "lower-case", '"x-team"'),
        ('"authorization" in headers', "may hold a credential", ""),
        ('has(headers.cookie) && headers.cookie == "a"', "may hold a credential", ""),
        ("true || " * 600 + "true", "at most 4,000 characters", ""),
    ],
)
def test_what_cannot_serve_is_refused_with_its_place(text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        compile(text)
    assert message in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "tags.exists(t, t.startsWith('a')) && !tags.all(u, u == 'b')",
        'request.model == "request.nope" // and request.nope either',
        "request.model == 'it\\'s' || request.model == r'\\d'",
        '"x-a" in headers ? headers["x-a"] == "1" : false',
        "size(headers) > 3 || headers.exists(name, name == 'x-a')",
        "time.hour in [1, 2] && request.tokens > 1.5",
        "double(request.tokens) / 2.0 > 1.5",
        "[1, 2].map(n, n * 2).exists(n, n > request.turns)",
    ],
)
def test_what_is_fine_compiles(text: str) -> None:
    compile(text)


def test_what_breaks_is_not_judged() -> None:
    """Nothing sent is neither true nor false, and the message holds no value of the request."""
    for text in ('tags[3] == "secret"', "request.tokens / (request.turns - 1) > 1"):
        with pytest.raises(Unjudged) as broke:
            holds(text, request(headers={"x-headgate-tags": "secret"}))
        assert "secret" not in str(broke.value)


def test_a_body_that_its_dialect_forbids_is_the_callers_fault() -> None:
    x = request({"model": "auto", "messages": "none"})
    with pytest.raises(BadRequest):
        holds("request.turns > 1", x)
    assert holds('request.model == "auto"', x), "a word that does not look into the body does not read it"


@given(st.text(max_size=60))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    try:
        assert isinstance(compile(text), Condition)
    except ConfigError as refused:
        assert refused.message


@given(st.lists(st.sampled_from([*WORDS, "&&", "||", "!", "(", ")", "==", '"a"', "1", "in", "[", "]", "?", ":"])))
def test_any_words_compile_or_are_refused(parts: list[str]) -> None:
    try:
        words = compile(" ".join(parts)).words
    except ConfigError as refused:
        assert refused.message
    else:
        assert {word for word in words if not word.startswith("headers.")} <= set(WORDS)


def test_a_gateway_without_conditions_loads_no_engine() -> None:
    """Nor the command line that its package would bring."""
    code = (
        "import sys, headgate.app, headgate.routing.switch; before = set(sys.modules);"
        "from headgate.routing.conditions import compile, _engine;"
        "assert _engine.cache_info().currsize == 0; compile('request.turns > 1');"
        "assert not {'prompt_toolkit', 'rich'} & (set(sys.modules) - before), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the capital of France, and how do I get there?", "en"),
        ("Wie komme ich am besten von Berlin nach München, und was kostet das?", "de"),
        ("Quelle est la capitale de la France et comment y aller ?", "fr"),
        ("¿Cuál es la capital de Francia y cómo se llega?", "es"),
        ("Qual é a capital da França e como se chega lá?", "pt"),
        ("Qual è la capitale della Francia e come ci si arriva?", "it"),
        ("Wat is de hoofdstad van Frankrijk en hoe kom ik daar?", "nl"),
        ("Jaka jest stolica Francji i jak się do niej dostać?", "pl"),
        ("Fransa'nın başkenti ne ve oraya nasıl gidilir, bana bir yol söyle", "tr"),
        ("Какая столица Франции?", "ru"),
        ("Яка столиця Франції?", "uk"),
        ("法国的首都是什么?", "zh"),
        ("フランスの首都はどこですか", "ja"),
        ("프랑스의 수도는 어디인가요?", "ko"),
        ("ما هي عاصمة فرنسا؟", "ar"),
        ("פריז היא בירת צרפת", "he"),
        ("फ्रांस की राजधानी क्या है?", "hi"),
        ("What does 你好 mean, and how is it written?", "en"),
        ("ok", ""),
        ("x = 1; y = 2", ""),
        ("1234 🙂", ""),
        ("", ""),
    ],
)
def test_languages_are_guessed_by_script_and_stop_words(text: str, language: str) -> None:
    assert guess(text) == language
