"""Transcripts of chat answers in the forms that some twenty providers give them: chunks in, events out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.dialects.openai_chat import DIALECT
from headgate.errors import UpstreamMalformed
from headgate.model.events import (
    Answer,
    AnswerPart,
    Decoded,
    Event,
    Failed,
    Finished,
    Fold,
    PartDelta,
    PartEnded,
    PartStarted,
    Repeat,
    Started,
    UsageSeen,
)
from headgate.model.usage import Usage


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "model": "m",
        "created": 7,
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
        **more,
    }


def stream(*documents: dict[str, Any], done: bool = True) -> tuple[list[Decoded], Any]:
    decoder = DIALECT.decoder()
    frames = [decoder.feed("", json.dumps(document).encode()) for document in documents]
    if done:
        frames.append(decoder.feed("", b"[DONE]"))
    return frames, decoder


def folded(frames: list[Decoded]) -> Answer:
    fold = Fold()
    for frame in frames:
        for event in frame.events:
            fold.feed(event)
    return fold.close()


def parts(*documents: dict[str, Any]) -> list[AnswerPart]:
    return folded(stream(*documents)[0]).choices[0].parts


def whole(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> Decoded:
    document = {"choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}
    return DIALECT.decoder().whole(json.dumps(document).encode())


def calls(found: list[AnswerPart]) -> list[tuple[str, str, str]]:
    return [(part.id, part.name, part.text) for part in found if part.kind in ("tool_call", "custom_call")]


def deltas(frame: Decoded) -> list[PartDelta]:
    return [event for event in frame.events if isinstance(event, PartDelta)]


# ------------------------------------------------------------------ the plain case


def test_a_plain_stream() -> None:
    frames, decoder = stream(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hi"}),
        chunk({"content": "!"}),
        chunk({}, "stop"),
    )
    events: list[Event] = [event for frame in frames for event in frame.events]
    assert [type(event) for event in events] == [Started, PartStarted, PartDelta, PartDelta, PartEnded, Finished]
    assert events[0] == Started(id="c1", model="m", created=7)
    assert deltas(frames[1])[0].slot.path == ("choices", 0, "delta", "content")  # type: ignore[union-attr]
    assert events[-1] == Finished(stop="stop", native="stop", extras={"openai": {"finish_reason": "stop"}})
    assert decoder.complete


def test_the_mark_of_the_end_is_done_not_the_finish_reason() -> None:
    """Usage may follow a finish_reason: a stream that was cut there is cut."""
    _, decoder = stream(chunk({"content": "x"}), chunk({}, "stop"), done=False)
    decoder.end()
    assert not decoder.complete


def test_what_a_cut_left_open_is_ended() -> None:
    _, decoder = stream(chunk({"content": "x"}), done=False)
    assert decoder.end() == (PartEnded(part=0),)


def test_two_choices_never_mix() -> None:
    def both(text: str, place: int) -> dict[str, Any]:
        return {"id": "c", "choices": [{"index": place, "delta": {"content": text}}]}

    frames, _ = stream(both("a", 1), both("x", 0), both("b", 1), both("y", 0))
    assert [choice.parts[0].text for choice in folded(frames).choices] == ["xy", "ab"]
    assert deltas(frames[0])[0].slot.path == ("choices", 0, "delta", "content")  # type: ignore[union-attr]


def test_azure_begins_without_choices() -> None:
    frames, _ = stream(
        {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
        chunk({"content": "x"}),
        {
            "id": "c1",
            "choices": [{"index": 0, "finish_reason": None, "content_filter_results": {"hate": {"severity": "safe"}}}],
        },
    )
    assert frames[0] == Decoded() and frames[2] == Decoded()
    assert folded(frames).id == "c1"


# ------------------------------------------------------------------ usage

USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def test_the_chunk_that_holds_usage_alone_is_told() -> None:
    alone = {"id": "c", "choices": [], "usage": USAGE}
    assert stream(chunk({"content": "x"}), alone)[0][1].usage_only
    for other in (chunk({}, "stop", usage=USAGE), {**alone, "moderation": {}}, {**alone, "usage": None}):
        assert not stream(chunk({"content": "x"}), other)[0][1].usage_only


@pytest.mark.parametrize(
    "document",
    [
        chunk({}, "stop", usage=USAGE),
        chunk({}, "stop", x_groq={"id": "r", "usage": USAGE}),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]},
        {"choices": [], "usage": USAGE},
    ],
    ids=["finish chunk", "x_groq", "in the choice", "alone"],
)
def test_usage_is_found_where_providers_put_it(document: dict[str, Any]) -> None:
    seen = [event for event in stream(document)[0][0].events if isinstance(event, UsageSeen)]
    assert [(event.usage.input, event.usage.output) for event in seen] == [(5, 3)]


@pytest.mark.parametrize(
    ("usage", "want"),
    [
        (
            {
                **USAGE,
                "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1},
                "completion_tokens_details": None,
            },
            Usage(input=5, output=3, cache_read=4, input_audio=1),
        ),
        (
            {**USAGE, "prompt_cache_hit_tokens": 2, "prompt_cache_miss_tokens": 3},
            Usage(input=5, output=3, cache_read=2),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 2,
                "total_tokens": 52,
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            Usage(input=10, output=42, reasoning=40),
        ),
        ({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}, Usage(input=35, output=74, reasoning=62)),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": 100}}, Usage(input=105, output=3, cache_read=100)),
        (
            {**USAGE, "server_tool_use_details": {"web_search_requests": 2}},
            Usage(input=5, output=3, requests={"web_search": 2}),
        ),
        ({"prompt_tokens": 5.0, "completion_tokens": None}, Usage(input=5)),
    ],
    ids=["openai", "deepseek", "xai", "gemini", "cache beside", "searches", "odd types"],
)
def test_usage_is_brought_to_one_form(usage: dict[str, Any], want: Usage) -> None:
    """Inputs include what was cached, outputs include reasoning, whatever the provider's own sums."""
    found = next(event for event in whole({"content": "x"}, usage=usage).events if isinstance(event, UsageSeen))
    assert found.usage.native == usage
    found.usage.native = {}
    assert found.usage == want


def test_a_count_of_a_wrong_type_is_malformed() -> None:
    for wrong in ("5", -1, True, 1.5, [1]):
        with pytest.raises(UpstreamMalformed):
            whole({"content": "x"}, usage={"prompt_tokens": wrong})


# ------------------------------------------------------------------ thoughts


def test_one_thought_said_twice_counts_once() -> None:
    """OpenRouter: `reasoning` and the same text in `reasoning_details`; the second is a repeat."""
    detail = {"type": "reasoning.text", "text": "hm", "format": "anthropic-claude-v1", "index": 0}
    seal = {"type": "reasoning.text", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}
    frames, _ = stream(
        chunk({"content": "", "reasoning": "hm", "reasoning_details": [detail]}),
        chunk({"content": "", "reasoning": None, "reasoning_details": [seal]}),
        chunk({"content": "hi"}),
    )
    found = folded(frames).choices[0].parts
    assert [(part.kind, part.text, part.extras) for part in found] == [
        ("thinking", "hm", {"anthropic": {"signature": "c2ln"}}),
        ("text", "hi", {}),
    ]
    assert deltas(frames[0])[0].slot.path == ("choices", 0, "delta", "reasoning")  # type: ignore[union-attr]
    assert frames[0].repeats == (
        Repeat(path=("choices", 0, "delta", "reasoning_details", 0, "text"), part=0, kind="drop"),
    )


def test_thoughts_in_details_alone_have_their_slot_there() -> None:
    detail = {"type": "reasoning.text", "text": "hm", "index": 0}
    frames, _ = stream(chunk({"content": "", "reasoning_details": [detail]}))
    assert deltas(frames[0])[0].slot.path[-3:] == ("reasoning_details", 0, "text")  # type: ignore[union-attr]


def test_several_thoughts_of_one_reply_keep_their_own_seals() -> None:
    frame = whole(
        {
            "content": "x",
            "reasoning": "ab",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "a", "signature": "s1", "format": "anthropic-claude-v1", "index": 0},
                {"type": "reasoning.text", "text": "b", "signature": "s2", "format": "anthropic-claude-v1", "index": 1},
                {"type": "reasoning.encrypted", "data": "zz", "format": "anthropic-claude-v1", "index": 2},
            ],
        }
    )
    found = folded([frame]).choices[0].parts
    assert [(part.text, part.extras) for part in found[:3]] == [
        ("a", {"anthropic": {"signature": "s1"}}),
        ("b", {"anthropic": {"signature": "s2"}}),
        ("", {"anthropic": {"redacted": "zz"}}),
    ]
    assert {(repeat.path[-1], repeat.part) for repeat in frame.repeats} == {("reasoning", 0), ("reasoning", 1)}


def test_an_encrypted_entry_seals_the_summary_before_it() -> None:
    """OpenAI by way of OpenRouter: the summary has no id, the encrypted entry has it."""
    found = parts(
        chunk(
            {
                "reasoning_details": [
                    {"type": "reasoning.summary", "summary": "s", "format": "openai-responses-v1", "index": 0}
                ]
            }
        ),
        chunk(
            {
                "reasoning_details": [
                    {
                        "type": "reasoning.encrypted",
                        "data": "d",
                        "id": "rs_1",
                        "format": "openai-responses-v1",
                        "index": 1,
                    }
                ]
            }
        ),
    )
    assert [(part.text, part.extras) for part in found] == [("s", {"openai": {"id": "rs_1", "encrypted_content": "d"}})]


def test_an_encrypted_entry_that_names_a_call_is_the_calls_own() -> None:
    detail = {"type": "reasoning.encrypted", "data": "sig", "id": "t1", "format": "google-gemini-v1", "index": 0}
    call = {"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for documents in (
        [chunk({"reasoning_details": [detail]}), chunk({"tool_calls": [call]})],
        [chunk({"tool_calls": [call]}), chunk({"reasoning_details": [detail]})],
        [chunk({"reasoning_details": [detail], "tool_calls": [call]})],
    ):
        found = parts(*documents)
        assert [(part.kind, part.extras) for part in found] == [("tool_call", {"google": {"thoughtSignature": "sig"}})]


def test_entries_of_unknown_formats_are_kept_whole() -> None:
    detail = {"type": "reasoning.encrypted", "data": "d", "id": "rs", "format": "xai-responses-v1", "index": 0}
    (part,) = parts(chunk({"reasoning_details": [detail]}))
    assert (
        part.extras["openai"]["detail"]["data"] == "d"
        and part.extras["openai"]["detail"]["format"] == "xai-responses-v1"
    )


def test_mistral_thinks_in_content() -> None:
    thinking = {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}
    frames, _ = stream(chunk(thinking), chunk({"content": [{"type": "text", "text": "hi"}]}), chunk({"content": "!"}))
    assert [(part.kind, part.text) for part in folded(frames).choices[0].parts] == [("thinking", "hm"), ("text", "hi!")]
    path = deltas(frames[0])[0].slot.path  # type: ignore[union-attr]
    assert path == ("choices", 0, "delta", "content", 0, "thinking", 0, "text")


def test_tags_of_thought_stay_text() -> None:
    assert [part.kind for part in parts(chunk({"content": "<think>hm</think>hi"}))] == ["text"]


# ------------------------------------------------------------------ calls


def call(index: int | None, id: str | None = None, name: str | None = None, arguments: Any = None) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    item = {"index": index, "id": id, "function": function}
    return {"tool_calls": [{key: value for key, value in item.items() if value is not None}]}


@pytest.mark.parametrize(
    ("said", "want"),
    [
        (
            [
                call(0, "a", "f", ""),
                call(1, "b", "g", ""),
                call(0, arguments='{"x"'),
                call(1, arguments="{}"),
                call(0, arguments=":1}"),
            ],
            [("a", "f", '{"x":1}'), ("b", "g", "{}")],
        ),
        ([call(None, "a", "f", "{}"), call(None, "b", "f", "{}")], [("a", "f", "{}"), ("b", "f", "{}")]),
        ([call(None, "a", "f", '{"x"'), call(None, None, None, ":1}")], [("a", "f", '{"x":1}')]),
        ([call(0, "a", "f", '{"x":1}'), call(0, "b", "g", "{}")], [("a", "f", '{"x":1}'), ("b", "g", "{}")]),
        ([call(0, "a", "f", ""), call(0, "a", "f", "{}")], [("a", "f", "{}")]),
        ([call(0, "a"), call(0, name="f"), call(0, arguments="{}")], [("a", "f", "{}")]),
        ([call(0, "a", "f", ""), call(0)], [("a", "f", "")]),
    ],
    ids=["interleaved", "no index", "no index, no id", "all numbered 0", "name repeated", "name late", "no arguments"],
)
def test_deltas_find_their_call(said: list[dict[str, Any]], want: list[tuple[str, str, str]]) -> None:
    assert calls(parts(*map(chunk, said))) == want


def test_a_call_without_an_id_gets_a_stable_one() -> None:
    once, twice = (calls(parts(chunk(call(0, "", "f", "{}"))))[0][0] for _ in range(2))
    assert once == twice and once.startswith("call_")
    reply = {"content": None, "tool_calls": [call(None, "", "f", "{}")["tool_calls"][0]] * 2}
    found = calls(folded([whole(reply)]).choices[0].parts)
    assert len({id for id, _, _ in found}) == 2


def test_text_and_a_call_in_one_delta_lose_neither() -> None:
    found = parts(chunk({"content": "so:", **call(0, "a", "f", "{}")}), chunk({"content": "done"}))
    assert [(part.kind, part.name, part.text) for part in found] == [
        ("text", "", "so:"),
        ("tool_call", "f", "{}"),
        ("text", "", "done"),
    ]


def test_arguments_may_be_the_object_itself() -> None:
    """Some servers parse what should be text: a guard's edit replaces the value."""
    frame = whole({"content": None, "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]})
    assert calls(folded([frame]).choices[0].parts) == [("a", "f", '{"x":1}')]
    assert frame.repeats[0].kind == "json" and frame.repeats[0].path[-1] == "arguments"


def test_custom_calls_hold_free_text() -> None:
    custom = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "4 "}}
    more = {"index": 0, "custom": {"input": "+ 4"}}
    (part,) = parts(chunk({"tool_calls": [custom]}), chunk({"tool_calls": [more]}))
    assert (part.kind, part.text) == ("custom_call", "4 + 4")


def test_function_call_of_old() -> None:
    found = parts(
        chunk({"function_call": {"name": "f", "arguments": ""}}), chunk({"function_call": {"arguments": "{}"}})
    )
    assert [(part.kind, part.name, part.text) for part in found] == [("tool_call", "f", "{}")] and found[0].id


def test_empty_members_say_nothing() -> None:
    """Snowflake sends every member with empty values, and no finish_reason."""
    frame = whole(
        {
            "content": "x",
            "refusal": "",
            "audio": {"id": "", "data": "", "transcript": "", "expires_at": 0},
            "function_call": {"name": "", "arguments": ""},
            "tool_calls": [
                {
                    "id": "t",
                    "type": "function",
                    "custom": {"name": "", "input": ""},
                    "function": {"name": "f", "arguments": "{}"},
                }
            ],
        },
        finish="",
    )
    answer = folded([frame])
    assert [part.kind for part in answer.choices[0].parts] == ["text", "tool_call"]
    assert answer.choices[0].stop == "tool_use"


# ------------------------------------------------------------------ ends


@pytest.mark.parametrize(
    ("word", "stop"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_use"),
        ("content_filter", "content_filter"),
        ("STOP", "stop"),
        ("insufficient_system_resource", "other"),
    ],
)
def test_words_of_ends(word: str, stop: str) -> None:
    end = stream(chunk({}, word))[0][0].events[-1]
    assert isinstance(end, Finished) and (end.stop, end.native) == (stop, word)


def test_stop_with_calls_is_tool_use() -> None:
    """A forced call ends with "stop": the client must still run it."""
    assert folded([whole({"tool_calls": [{"id": "a", "function": {"name": "f"}}]})]).choices[0].stop == "tool_use"


@pytest.mark.parametrize(
    ("document", "want"),
    [
        (
            {"error": {"message": "m", "type": "t", "code": "tool_use_failed", "status_code": 400}},
            Failed(message="m", code="tool_use_failed", type="t", status=400),
        ),
        ({"error": {"message": "m", "code": 502}}, Failed(message="m", code="502", status=502, retryable=True)),
        ({"error": "m"}, Failed(message="m")),
        (
            chunk({}, "error") | {"choices": [{"index": 0, "delta": {}, "error": {"message": "m", "code": 429}}]},
            Failed(message="m", code="429", status=429, retryable=True),
        ),
    ],
)
def test_an_error_ends_a_stream(document: dict[str, Any], want: Failed) -> None:
    frames, decoder = stream(chunk({"content": "half"}), document, done=False)
    assert frames[1].events[-1] == want and PartEnded(part=0) in frames[1].events
    assert decoder.complete


def test_nothing_feigns_a_finish_after_an_error() -> None:
    """OpenRouter ends a failed stream with [DONE], Groq and vLLM have errors of their own form."""
    for document in ({"error": {"message": "m"}}, {"x_groq": {"error": "m"}}, {"object": "error", "message": "m"}):
        frames, _ = stream(chunk({"content": "half"}), document)
        assert isinstance(frames[1].events[-1], Failed) and frames[1].events[-1].message == "m"
        assert frames[2].events == ()


def test_prose_keeps_its_logprobs_and_sources_where_calls_follow() -> None:
    token = {"token": "x", "logprob": -1.0, "bytes": None, "top_logprobs": []}
    one = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": "x", "annotations": [{"url_citation": {"url": "https://a"}}], "tool_calls": [one]}
    choice = {"index": 0, "message": message, "logprobs": {"content": [token]}, "finish_reason": "tool_calls"}
    document = {"choices": [choice], "citations": ["https://b"]}
    found = folded([DIALECT.decoder().whole(json.dumps(document).encode())]).choices[0].parts
    assert [part.kind for part in found] == ["text", "tool_call"]
    assert found[0].logprobs == [token] and {cited.url for cited in found[0].citations} == {"https://a", "https://b"}


def test_logprobs_of_other_forms_go_when_their_text_is_edited() -> None:
    for said in ({"tokens": ["x"], "token_logprobs": [-1]}, [{"token": "x"}]):
        frame = stream({"choices": [{"index": 0, "delta": {"content": "x"}, "logprobs": said}]})[0][0]
        assert frame.repeats == (Repeat(path=("choices", 0, "logprobs"), part=0, kind="drop"),)


def test_an_error_with_status_200_is_a_failure() -> None:
    decoder = DIALECT.decoder()
    (_, failed) = decoder.whole(b'{"error":{"message":"filtered","code":"content_filter","status":400}}').events
    assert failed == Failed(message="filtered", code="content_filter", status=400) and decoder.complete


def test_what_the_model_wrote_stands_in_an_error_too() -> None:
    document = {"error": {"message": "m", "failed_generation": "secret"}}
    (leaf,) = deltas(stream(document, done=False)[0][0])
    assert (leaf.text, leaf.part, leaf.slot.path) == ("secret", -1, ("error", "failed_generation"))  # type: ignore[union-attr]


# ------------------------------------------------------------------ sounds, images, sources, the unknown


def test_a_sound_with_its_transcript() -> None:
    found = parts(
        chunk({"audio": {"id": "au_1", "transcript": "hel"}}),
        chunk({"audio": {"data": "AAAA"}}),
        chunk({"audio": {"transcript": "lo"}}),
        chunk({"audio": {"data": "BBB="}}),
        chunk({"audio": {"data": "CCCC"}}),
        chunk({"audio": {"expires_at": 9}}),
    )
    assert [(part.kind, part.text) for part in found] == [("text", "hello"), ("media", "AAAABBB="), ("media", "CCCC")]
    assert found[0].extras == {"openai": {"transcript": True}}
    assert found[2].extras == {
        "openai": {"audio": {"id": "au_1", "expires_at": 9}}
    }  # said in its first chunk and in its last


def test_an_image_of_a_reply() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    (part,) = parts(chunk({"content": "", "images": [image]}))
    assert (part.kind, part.mime, part.text) == ("media", "image/png", "AAAA")


def test_sources_are_told_once_though_every_chunk_repeats_them() -> None:
    sources = {"citations": ["https://a", "https://b"]}
    frames, _ = stream(chunk({"content": "x[1]"}, **sources), chunk({"content": "y"}, **sources))
    (part,) = folded(frames).choices[0].parts
    assert [citation.url for citation in part.citations] == ["https://a", "https://b"]


def test_annotations_are_citations_and_their_texts_are_seen() -> None:
    cited = {"url": "https://a", "title": "T", "content": "C", "start_index": 1, "end_index": 2}
    frame = whole({"content": "xyz", "annotations": [{"type": "url_citation", "url_citation": cited}]})
    (part,) = folded([frame]).choices[0].parts
    (citation,) = part.citations
    assert (citation.url, citation.title, citation.quote, citation.start, citation.end) == ("https://a", "T", "C", 1, 2)
    assert {"T", "C"} <= {delta.text for delta in deltas(frame) if delta.part == -1}


def test_strings_of_unknown_members_are_seen() -> None:
    """At every level: beside the choices, in a choice, in a message, in a content block."""
    frame = DIALECT.decoder().whole(
        json.dumps(
            {
                "novelty": {"text": "a"},
                "choices": [
                    {
                        "index": 0,
                        "aside": ["b"],
                        "message": {
                            "content": [{"type": "new", "says": "c"}],
                            "executed_tools": [{"output": "d", "type": "x"}],
                        },
                    }
                ],
            }
        ).encode()
    )
    assert {delta.text: delta.whole for delta in deltas(frame)} == {"a": True, "b": True, "c": True, "d": True}
    assert all(delta.part == -1 for delta in deltas(frame))


def test_logprobs_ride_with_their_text_and_go_when_it_is_edited() -> None:
    token = {"token": "x", "logprob": -0.1, "bytes": [120], "top_logprobs": []}
    document = {"choices": [{"index": 0, "delta": {"content": "x"}, "logprobs": {"content": [token], "refusal": None}}]}
    frames, _ = stream(document)
    assert folded(frames).choices[0].parts[0].logprobs == [token]
    assert frames[0].repeats == (Repeat(path=("choices", 0, "logprobs", "content"), part=0, kind="drop"),)


# ------------------------------------------------------------------ the malformed


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b"[" * 100000,
        b'{"choices":{}}',
        b'{"choices":[1]}',
        b'{"choices":[{"index":-1}]}',
        b'{"choices":[{"index":"x","delta":{"content":"y"}}]}',
        b'{"choices":[{"delta":{"content":7}}]}',
        b'{"choices":[{"delta":{"tool_calls":{"a":1}}}]}',
        b'{"choices":[{"delta":{"tool_calls":[{"index":[]}]}}]}',
        b'{"choices":[{"delta":{},"finish_reason":7}]}',
        b'{"choices":[],"usage":[1]}',
    ],
)
def test_malformed_chunks(data: bytes) -> None:
    decoder = DIALECT.decoder()
    with pytest.raises(UpstreamMalformed):
        decoder.feed("", data)
    assert decoder.feed("", b'{"choices":[{"delta":{"content":"x"}}]}').events, "what failed left nothing behind"


def test_a_reply_without_choices_is_malformed() -> None:
    with pytest.raises(UpstreamMalformed):
        DIALECT.decoder().whole(b'{"id":"x"}')
