"""Events of any dialect -> Google's frames and whole replies, as its SDK reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from dialects.event_sequences import sequences, told
from dialects.gemini_answers import (
    answers,
    arguments,
    ask,
    chunk,
    decoded,
    documents,
    feed,
    folded,
    judged,
    reading,
    shown,
    streamed,
)
from headgate.dialects import carrier, json_array, sse
from headgate.dialects.base import Target
from headgate.dialects.gemini import DIALECT
from headgate.errors import UpstreamMalformed
from headgate.model.events import (
    Answer,
    Event,
    Failed,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
    UsageSeen,
    unfold,
)
from headgate.model.prompt import Citation, Thinking, ToolCall, flat
from headgate.model.usage import Usage
from oracles import ReadChoice, Reading
from oracles import gemini as oracle
from recordings import recordings

FRAMINGS = ("sse", "json-array", "whole")


def frames(events: list[Event], framing: str = "sse") -> list[Any]:
    """The documents that a stream of these events, one by one, becomes."""
    encoder = DIALECT.encoder(ask(framing))
    body = b"".join(encoder.feed([event]) for event in events) + encoder.end()
    parser = json_array.Parser() if framing == "json-array" else sse.Parser()
    return [json.loads(item.data) for item in [*parser.feed(body), *parser.end()] if item.data is not None]


def part(number: int, kind: Any, *texts: str, **head: Any) -> list[Event]:
    deltas = [PartDelta(part=number, kind=kind, text=text) for text in texts]
    return [PartStarted(part=number, kind=kind, **head), *deltas, PartEnded(part=number)]


def parts(documents: list[Any]) -> list[Any]:
    return [
        part
        for document in documents
        for candidate in document.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
    ]


@pytest.mark.corpus
@pytest.mark.parametrize("framing", FRAMINGS)
def test_recorded_answers_told_again(framing: str) -> None:
    """The SDK reads the same text, thoughts, calls, stop and usage of what we make of them."""
    rows = answers()
    for row in rows if framing == "sse" else [*rows[::3], *(row for row in rows if streamed(row))]:
        events = [event for _, frame in decoded(row) for event in frame.events]
        again, losses = shown(events, framing)
        assert again == judged(row), row
        assert losses == [], row


@pytest.mark.corpus
def test_recorded_answers_keep_what_google_alone_knows() -> None:
    """Sources, signatures, native items, safety ratings: a client of this dialect gets them after a crossing too."""
    for row in answers():
        events = [event for _, frame in decoded(row) for event in frame.events]
        document, _ = DIALECT.answer(folded(events), ask("whole"))
        text = json.dumps(document)
        for source in [json.loads(data) for data in documents(row)] if streamed(row) else [json.loads(row.reply)]:
            for candidate in source.get("candidates", ()):
                for name in ("groundingMetadata", "urlContextMetadata", "safetyRatings", "citationMetadata"):
                    assert json.dumps(candidate.get(name, {}))[1:-1] in text, row
                for item in candidate.get("content", {}).get("parts", ()):
                    assert item.get("thoughtSignature", "") in text, row
                    assert json.dumps(item.get("executableCode", item.get("toolCall", {})))[1:-1] in text, row


@pytest.mark.parametrize("framing", FRAMINGS)
@settings(max_examples=60, deadline=None)
@given(events=sequences())
def test_any_answer_is_told(framing: str, events: list[Event]) -> None:
    """Whatever another dialect's decoder may emit: every text, thought and call is read back, or listed."""
    answer = told(events)
    read, losses = shown(events, framing)
    names = [loss.value["name"] for loss in losses if loss.what == "answer.tool_call"]
    assert names == []
    expected = reading(answer)
    natives = [item for choice in answer.choices for item in choice.parts if item.kind == "native"]
    assert len(losses) >= sum(1 for item in natives if "google" not in item.extras)
    for index, choice in enumerate(expected.choices):
        got = read.choices[index] if index < len(read.choices) else ReadChoice()
        assert (got.text, got.thinking, got.tools) == (choice.text, choice.thinking, choice.tools)
    if answer.usage is not None:
        assert read.usage == {**(expected.usage or {}), "cache_write": 0}  # the API has no count of what was written


@settings(max_examples=250, deadline=None)
@given(events=sequences(("thinking", "thinking", "text", "tool_call"), max_choices=1))
def test_thoughts_and_calls_come_back_with_their_opaque_values(events: list[Event]) -> None:
    """What a client sends back of a streamed or a whole answer gives the thoughts and calls that were told, each with the
    values that their own family needs."""
    answer = told(events)
    if not answer.choices:
        return
    document, _ = DIALECT.answer(answer, ask("whole"))
    streams = [{"role": "model", "parts": parts(frames(events))}]
    wholes = [{"role": "model", "parts": parts([document])}]
    kept = [x for x in answer.choices[0].parts if x.kind in ("thinking", "tool_call", "custom_call") and x.extras]
    for contents in (streams, wholes):
        read = [part for _, part in flat(DIALECT.read({"contents": contents if contents[0]["parts"] else []}))]
        carried = [part.extras for part in read if isinstance(part, Thinking | ToolCall)]
        thoughts = [(part.text, part.extras) for part in read if isinstance(part, Thinking)]
        for item in kept:
            assert item.extras in carried
            if item.kind == "thinking" and "google" not in item.extras:
                assert (item.text, item.extras) in thoughts  # a signature covers its own text, and no other


def test_an_empty_text_keeps_no_thoughts_apart() -> None:
    """An unsigned thought, a text that says nothing, a signed thought: the signature covers the second alone."""
    events: list[Event] = [
        *part(0, "thinking", "one"),
        PartStarted(part=1, kind="text"),
        PartEnded(part=1),
        PartStarted(part=2, kind="thinking"),
        PartDelta(part=2, kind="thinking", text="two", extras={"anthropic": {"signature": "AA=="}}),
        PartEnded(part=2),
        Finished(stop="stop"),
    ]
    contents = [{"role": "model", "parts": parts(frames(events))}]
    thoughts = [item for _, item in flat(DIALECT.read({"contents": contents})) if isinstance(item, Thinking)]
    assert [(thought.text, bool(thought.extras)) for thought in thoughts] == [("one", False), ("two", True)]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_foreign_answer(framing: str) -> None:
    """Several candidates, foreign stop words, usage with all its counts."""
    usage = Usage(
        input=100, output=50, cache_read=30, cache_write=20, reasoning=10, tool_input=5, input_audio=8, output_audio=4
    )
    events: list[Event] = [
        Started(id="msg_1", model="claude"),
        *part(0, "text", "Hel", "lo"),
        PartStarted(choice=1, part=0, kind="text"),
        PartDelta(choice=1, part=0, kind="text", text="Bye"),
        PartEnded(choice=1, part=0),
        Finished(choice=0, stop="stop", native="end_turn"),
        Finished(choice=1, stop="length", native="max_tokens"),
        UsageSeen(usage=usage),
    ]
    read, losses = shown(events, framing)
    assert losses == []
    assert read == Reading(
        choices=[ReadChoice(text="Hello", stop="stop"), ReadChoice(text="Bye", stop="length")],
        usage={"input": 100, "output": 50, "cache_read": 30, "cache_write": 0, "reasoning": 10},
    )
    document, _ = DIALECT.answer(folded(events), ask("whole"))
    assert document["usageMetadata"] == {
        "promptTokenCount": 95,
        "candidatesTokenCount": 40,
        "totalTokenCount": 150,
        "cachedContentTokenCount": 30,
        "thoughtsTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 87}, {"modality": "AUDIO", "tokenCount": 8}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 36}, {"modality": "AUDIO", "tokenCount": 4}],
    }
    assert (document["modelVersion"], document["responseId"]) == ("claude", "msg_1")


def test_tokens_of_other_modalities_are_no_text() -> None:
    usage = Usage(input=100, output=50, input_image=10, input_video=5, input_audio=4, output_image=20)
    document, _ = DIALECT.answer(Answer(usage=usage), ask("whole"))
    told = document["usageMetadata"]
    assert {item["modality"]: item["tokenCount"] for item in told["promptTokensDetails"]} == {
        "TEXT": 81,
        "IMAGE": 10,
        "VIDEO": 5,
        "AUDIO": 4,
    }
    assert {item["modality"]: item["tokenCount"] for item in told["candidatesTokensDetails"]} == {
        "TEXT": 30,
        "IMAGE": 20,
    }


def test_frames_as_google_writes_them() -> None:
    """Lines end in CRLF; each frame names model and answer; the last brings the finish word and the usage."""
    events: list[Event] = [
        Started(),
        *part(0, "text", "Hi"),
        Finished(stop="stop"),
        UsageSeen(usage=Usage(input=1, output=1)),
    ]
    encoder = DIALECT.encoder(ask("sse"))
    first = encoder.feed(events[:3])
    assert first == (
        b'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"index":0}],'
        b'"modelVersion":"alias","responseId":"req_1"}\r\n\r\n'
    )
    assert encoder.feed(events[3:]) == b""
    assert json.loads(encoder.end().removeprefix(b"data: ")) == {
        "candidates": [{"finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
        "modelVersion": "alias",
        "responseId": "req_1",
    }


def test_an_array_is_one_json_value() -> None:
    events: list[Event] = [Started(), *part(0, "text", "a", "b"), Finished(stop="stop")]
    encoder = DIALECT.encoder(ask("json-array"))
    body = b"".join(encoder.feed([event]) for event in events) + encoder.end()
    assert len(json.loads(body)) == 3
    empty = DIALECT.encoder(ask("json-array"))
    assert json.loads(empty.end())[0]["responseId"] == "req_1"


def test_text_is_told_as_it_comes_and_calls_when_they_are_whole() -> None:
    encoder = DIALECT.encoder(ask("sse"))
    assert b"Hel" in encoder.feed(
        [Started(), PartStarted(part=0, kind="text"), PartDelta(part=0, kind="text", text="Hel")]
    )
    assert encoder.feed([PartEnded(part=0), PartStarted(part=1, kind="tool_call", id="c", name="f")]) == b""
    assert encoder.feed([PartDelta(part=1, kind="tool_call", text='{"a":')]) == b""
    assert encoder.feed([PartDelta(part=1, kind="tool_call", text="1}")]) == b""
    assert b'"functionCall":{"id":"c","name":"f","args":{"a":1}}' in encoder.feed([PartEnded(part=1)])


def test_what_interleaves_is_told_one_after_the_other() -> None:
    """A later text waits for the earlier one: Google's parts have no numbers to tell them apart."""
    events: list[Event] = [
        Started(),
        PartStarted(part=0, kind="text"),
        PartStarted(part=1, kind="text"),
        PartDelta(part=1, kind="text", text="b1"),
        PartDelta(part=0, kind="text", text="a1"),
        PartDelta(part=1, kind="text", text="b2"),
        PartDelta(part=0, kind="text", text="a2"),
        PartEnded(part=1),
        PartEnded(part=0),
        Finished(stop="stop"),
    ]
    assert [item["text"] for item in parts(frames(events))] == ["a1", "a2", "b1b2"]


def test_parts_that_nothing_ends_are_told_at_the_end() -> None:
    events: list[Event] = [
        Started(),
        PartStarted(part=0, kind="text"),
        PartDelta(part=0, kind="text", text="a"),
        PartStarted(part=1, kind="tool_call", id="c", name="f"),
        Finished(stop="tool_use"),
    ]
    assert parts(frames(events)) == [{"text": "a"}, {"functionCall": {"id": "c", "name": "f", "args": {}}}]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("text", ["[1]", '"x"', '{"a":', "nul"])
def test_arguments_that_are_no_object_end_as_googles_own_do(framing: str, text: str) -> None:
    events: list[Event] = [
        Started(),
        *part(0, "text", "a"),
        *part(1, "tool_call", text, name="f"),
        Finished(stop="tool_use"),
    ]
    read, losses = shown(events, framing)
    assert read.choices == [ReadChoice(text="a", stop="malformed_call")]
    assert [loss.value for loss in losses] == [{"name": "f", "arguments": text}]
    document, _ = DIALECT.answer(folded(events), ask("whole"))
    assert document["candidates"][0]["finishMessage"] == f"Malformed function call: f({text})"


def test_cut_arguments_stay_a_matter_of_length() -> None:
    events: list[Event] = [Started(), *part(0, "tool_call", '{"a":', name="f"), Finished(stop="length")]
    read, _ = shown(events, "sse")
    assert read.choices == [ReadChoice(stop="length")]


@pytest.mark.parametrize(
    ("end", "word"),
    [
        (Finished(stop="stop", native="end_turn"), "STOP"),
        (Finished(stop="tool_use", native="tool_calls"), "STOP"),
        (Finished(stop="stop_sequence", sequence="x"), "STOP"),
        (Finished(stop="content_filter", native="content_filter"), "SAFETY"),
        (Finished(stop="content_filter", native="RECITATION"), "RECITATION"),
        (Finished(stop="refusal"), "SAFETY"),
        (Finished(stop="context_window"), "MAX_TOKENS"),
        (Finished(stop="malformed_call", native="UNEXPECTED_TOOL_CALL"), "UNEXPECTED_TOOL_CALL"),
        (Finished(stop="pause"), "OTHER"),
        (Finished(stop="other", native="eos"), "OTHER"),
        (Finished(stop="other", native="BRAND_NEW", extras={"google": {"finishReason": "BRAND_NEW"}}), "BRAND_NEW"),
    ],
)
def test_stop_words(end: Finished, word: str) -> None:
    (last,) = frames([Started(), end])
    assert last["candidates"][0]["finishReason"] == word


def test_a_blocked_prompt_is_told_as_google_does() -> None:
    feedback = {"blockReason": "SAFETY"}
    events, _ = feed({"promptFeedback": feedback})
    for document in (*frames(events), DIALECT.answer(folded(events), ask("whole"))[0]):
        assert document["promptFeedback"] == feedback
        assert "candidates" not in document


def test_thoughts_with_foreign_signatures_come_back_whole() -> None:
    """Anthropic's signed thought, streamed in pieces, and a redacted one: the client's echo gives both again."""
    events: list[Event] = [
        Started(),
        PartStarted(part=0, kind="thinking"),
        PartDelta(part=0, kind="thinking", text="let me "),
        PartDelta(part=0, kind="thinking", text="see"),
        PartDelta(part=0, kind="thinking", extras={"anthropic": {"signature": "s1"}}),
        PartEnded(part=0),
        *part(1, "thinking", extras={"anthropic": {"redacted": "r"}}),
        *part(2, "tool_call", "{}", id="c", name="f", extras={"openai": {"id": "fc_1"}}),
        Finished(stop="tool_use"),
    ]
    echo = {"contents": [{"role": "model", "parts": parts(frames(events))}]}
    assert carrier.MAGIC in json.dumps(echo).encode()
    assert [item for _, item in flat(DIALECT.read(echo))] == [
        Thinking(text="let me see", extras={"anthropic": {"signature": "s1"}}),
        Thinking(text="", extras={"anthropic": {"redacted": "r"}}),
        ToolCall(id="c", name="f", arguments="{}", extras={"openai": {"id": "fc_1"}}),
    ]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_sources_are_told_in_bytes(framing: str) -> None:
    """And our own decoder finds the same characters again."""
    text = "Füße. Groß."
    cited = (
        Citation(url="https://a.example", title="A", start=6, end=11),
        Citation(title="Doc", quote="said", start=0, end=5),
        Citation(url="https://b.example"),
    )
    events: list[Event] = [
        Started(),
        PartStarted(part=0, kind="text"),
        PartDelta(part=0, kind="text", text=text),
        PartDelta(part=0, kind="text", citations=cited),
        PartEnded(part=0),
        Finished(stop="stop"),
    ]
    if framing == "whole":
        document, _ = DIALECT.answer(folded(events), ask(framing))
        again = folded(DIALECT.decoder().whole(json.dumps(document).encode()).events)
    else:
        made = frames(events, framing)
        document = made[-1]
        again = folded(feed(*made)[0])
    grounding = document["candidates"][0]["groundingMetadata"]
    assert grounding["groundingSupports"][0]["segment"] == {"startIndex": 8, "endIndex": 14, "text": "Groß."}
    chunks = grounding["groundingChunks"]
    assert chunks[:2] == [
        {"web": {"uri": "https://a.example", "title": "A"}},
        {"retrievedContext": {"title": "Doc", "text": "said"}},
    ]
    if framing == "whole":  # in a stream the text's frame is gone when the sources come
        found = again.choices[0].parts[0].citations
        assert [(x.url, x.title, x.quote, x.start, x.end) for x in found] == [
            (x.url, x.title, x.quote, x.start, x.end) for x in cited
        ]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_logprobs_are_told(framing: str) -> None:
    token = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1.0}]}
    events: list[Event] = [
        Started(),
        PartStarted(part=0, kind="text"),
        PartDelta(part=0, kind="text", text="a", logprobs=(token,)),
        PartEnded(part=0),
        Finished(stop="stop"),
    ]
    if framing == "whole":
        made = [DIALECT.answer(folded(events), ask(framing))[0]]
    else:
        made = frames(events, framing)
    (result,) = [c["logprobsResult"] for d in made for c in d.get("candidates", ()) if "logprobsResult" in c]
    assert result == {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.0}]}],
    }


@pytest.mark.parametrize("framing", FRAMINGS)
def test_items_of_another_family_are_listed(framing: str) -> None:
    item = {"type": "web_search_call", "id": "ws_1"}
    events: list[Event] = [
        Started(),
        *part(0, "native", name="web_search_call", extras={"openai": {"item": item}}),
        *part(1, "media", "AA==", mime="image/png"),
        *part(2, "refusal", "I won't."),
        *part(3, "custom_call", "ls", id="c", name="sh"),
        Finished(stop="refusal"),
    ]
    read, losses = shown(events, framing)
    assert [(loss.what, loss.value) for loss in losses] == [("answer.web_search_call", {"item": item})]
    assert read.choices == [ReadChoice(text="I won't.", tools=[("sh", {"input": "ls"})], stop="content_filter")]


@pytest.mark.parametrize("framing", ["sse", "json-array"])
def test_a_failure_in_the_answer_is_the_last_that_is_told(framing: str) -> None:
    events: list[Event] = [
        Started(),
        *part(0, "text", "a"),
        Failed(message="overloaded", code="overloaded_error", status=529, retryable=True),
        Finished(stop="stop"),
    ]
    *_, text, error = frames(events, framing)
    assert parts([text]) == [{"text": "a"}]
    assert (error["error"]["code"], error["error"]["status"]) == (529, "UNAVAILABLE")
    encoder = DIALECT.encoder(ask("sse"))
    body = b"".join(encoder.feed([event]) for event in events) + encoder.end()
    assert oracle.error(200, body, stream=True).message == "overloaded"


def test_strings_of_unknown_frames_are_not_told() -> None:
    encoder = DIALECT.encoder(ask("sse"))
    assert encoder.feed([Started(), PartDelta(part=-1, kind="text", text="x", whole=True)]) == b""


@settings(max_examples=30, deadline=None)
@given(events=sequences(max_choices=2))
def test_unfolded_answers_stream_too(events: list[Event]) -> None:
    """A whole reply told to a client that streams says the same."""
    answer = told(events)
    read, _ = shown(unfold(answer), "sse")
    for index, choice in enumerate(reading(answer).choices):
        got = read.choices[index] if index < len(read.choices) else ReadChoice()
        assert (got.text, got.thinking, got.tools) == (choice.text, choice.thinking, choice.tools)


def test_the_same_conversation_goes_on_with_google() -> None:
    """A Google client of a Google model behind a crossing: its signature stands where it stood."""
    frame = chunk({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "MQ=="}, finishReason="STOP")
    events, _ = feed(frame)
    echo = {"contents": [{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": parts(frames(events))}]}
    made = DIALECT.write(DIALECT.read(echo), Target(model="gemini-3-pro-preview", provider="p"))
    call = made.json["contents"][1]["parts"][0]
    assert (call["functionCall"]["args"], call["thoughtSignature"]) == (arguments('{"a":1}'), "MQ==")


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["openai_chat", "anthropic_messages", "openai_responses"])
def test_other_dialects_recorded_answers(name: str) -> None:
    """Told to Google's clients, in every framing: the SDK reads the texts, thoughts, calls and counts that were told."""
    module = pytest.importorskip(f"headgate.dialects.{name}")
    seen = 0
    for row in [*recordings(name)][::7]:
        if row.status >= 300 or not (row.sse or isinstance(row.document, dict)):
            continue
        decoder = module.DIALECT.decoder()
        parser = sse.Parser()
        try:
            if row.sse:
                items = [*parser.feed(row.reply), *parser.end()]
                batches = [decoder.feed(item.event, item.data).events for item in items if item.data is not None]
                events = [event for batch in (*batches, decoder.end()) for event in batch]
            else:
                events = list(decoder.whole(row.reply).events)
        except UpstreamMalformed:
            continue  # that dialect's own matter
        answer = told(events)
        media = [part.text for choice in answer.choices for part in choice.parts if part.kind == "media"]
        if answer.failed is not None or any("..." in text for text in media):
            continue  # (a medium whose middle was cut out of the recording is no base64)
        seen += 1
        for framing in FRAMINGS:
            read, losses = shown(events, framing)
            unsaid = [loss.value["name"] for loss in losses if loss.what == "answer.tool_call"]
            for index, choice in enumerate(answer.choices):
                got = read.choices[index] if index < len(read.choices) else ReadChoice()
                calls = [part for part in choice.parts if part.kind in ("tool_call", "custom_call")]
                assert [name for name, _ in got.tools] == [part.name for part in calls if part.name not in unsaid], row
                assert got.text == "".join(x.text for x in choice.parts if x.kind in ("text", "refusal")), row
                assert got.thinking == "".join(x.text for x in choice.parts if x.kind == "thinking"), row
            if answer.usage is not None and read.usage is not None:
                assert read.usage["input"] == answer.usage.input, row
                assert read.usage["output"] == answer.usage.output, row
    assert seen > 50
