"""Google's answers -> events: what the SDK reads is what the fold says, slots point at their text."""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any

import pytest
from msgspec.structs import replace

from dialects.gemini_answers import answers, at, chunk, decoded, documents, feed, folded, judged, reading, streamed
from headgate.dialects.gemini import DIALECT
from headgate.dialects.render import Patched
from headgate.errors import UpstreamMalformed
from headgate.model.events import (
    Event,
    Failed,
    Finished,
    Frame,
    PartDelta,
    PartEnded,
    PartStarted,
    Repeat,
    Started,
    UsageSeen,
    placed,
)
from oracles import gemini as oracle

STOP = {"finishReason": "STOP"}
OPAQUE = ("thoughtSignature", "mimeType", "id", "role", "language", "outcome", "toolType", "name", "jsonPath")


@pytest.mark.corpus
def test_the_fold_says_what_the_sdk_reads() -> None:
    """Text, thoughts, calls with arguments, stop and usage of every recorded answer."""
    for row in answers():
        events = [event for _, frame in decoded(row) for event in frame.events]
        assert reading(folded(events)) == judged(row), row


@pytest.mark.corpus
def test_slots_point_at_their_text_and_all_text_has_a_place() -> None:
    """Of every recorded frame: a slot's value is the delta's text; a string of the content that is no word of the
    grammar stands in a slot or inside a json repeat; a json repeat's value is the call's arguments."""
    for row in answers():
        for data, frame in decoded(row):
            document = json.loads(data) if data else {}
            texts = [event for event in frame.events if isinstance(event, PartDelta)]
            places = {event.slot.path for event in texts if event.slot is not None}
            for event in texts:
                if event.slot is not None:
                    assert at(document, event.slot.path) == event.text, row
            objects = {repeat.path for repeat in frame.repeats if repeat.kind == "json"}
            for repeat in frame.repeats:
                if repeat.kind == "json":
                    said = "".join(x.text for x in texts if (x.choice, x.part) == (repeat.choice, repeat.part))
                    assert json.loads(said) == at(document, repeat.path), row
            for path in content_strings(document):
                assert path in places or any(path[: len(place)] == place for place in objects), (row, path)


def content_strings(document: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []

    def walk(value: Any, path: tuple[Any, ...]) -> None:
        if isinstance(value, str):
            if value and path[-1] not in OPAQUE:
                found.append(path)
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(item, (*path, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                walk(item, (*path, index))

    for index, candidate in enumerate(document.get("candidates", ())):
        walk(candidate.get("content", {}).get("parts", []), ("candidates", index, "content", "parts"))
    return found


@pytest.mark.corpus
def test_guards_can_rewrite_every_answer() -> None:
    """With every text replaced at its slot, the SDK reads the new texts, calls and thoughts; nothing of the old is left in
    text, and what repeated it (logprobs, segments of sources) is gone."""
    for row in answers():
        render = Patched(hide_usage=False)
        body = b""
        for data, frame in decoded(row):
            raw = b"data: " + data + b"\r\n\r\n" if streamed(row) and data else data
            span = (6, 6 + len(data)) if streamed(row) and data else (0, len(data))
            events = placed(frame.events, frame.repeats)
            told = Frame(raw=raw, data=data or None, span=span, events=events, repeats=frame.repeats)
            body += render.show(told, [rewritten(event) for event in told.events])
        read = (oracle.stream if streamed(row) else oracle.whole)(body)
        before = judged(row)
        for old, new in zip(before.choices, read.choices, strict=True):
            assert set(new.text) <= {"Ø"} and bool(new.text) == bool(old.text), row
            assert set(new.thinking) <= {"Ø"} and bool(new.thinking) == bool(old.thinking), row
            if b"partialArgs" not in row.reply:
                assert new.tools == [(name, {"Ø": 1}) for name, _ in old.tools], row
            assert (new.stop, read.usage) == (old.stop, before.usage), row
        assert b'"logProbability"' not in body
        for segment in re.findall(rb'"segment": ?{[^}]*"text": ?("[^"\\]{9,}")', row.reply):
            assert segment not in body, row


def rewritten(event: Event) -> Event:
    if isinstance(event, PartDelta) and event.text and event.kind != "media":
        return replace(event, text='{"Ø":1}' if event.kind == "tool_call" else "Ø")
    return event


@pytest.mark.corpus
def test_a_cut_stream_is_never_complete() -> None:
    """Without its last frames, no recorded stream counts as ended."""
    for row in answers():
        if streamed(row):
            decoder = DIALECT.decoder()
            for data in documents(row):
                assert not decoder.complete, row
                if b'"finishReason"' in data or b'"blockReason"' in data:
                    break
                decoder.feed("", data)
            decoder.end()
            assert not decoder.complete, row


@pytest.mark.corpus
def test_broken_answers_are_malformed_and_nothing_else() -> None:
    """Recorded frames with one value replaced by one of another type, or cut: understood, or UpstreamMalformed."""
    chance = random.Random(7)
    rows = answers()
    for row in [*rows[::4], *(row for row in rows if streamed(row))]:
        for data in documents(row)[:3] if streamed(row) else [row.reply]:
            for _ in range(3):
                broken = replaced(json.loads(data), chance)
                for text in (json.dumps(broken).encode(), data[: chance.randrange(len(data))]):
                    for decode in (DIALECT.decoder().whole, lambda body: DIALECT.decoder().feed("", body)):
                        try:
                            decode(text)
                        except UpstreamMalformed:
                            continue


def replaced(document: Any, chance: random.Random) -> Any:
    """`document` with one value, anywhere, replaced."""
    document = copy.deepcopy(document)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(document)
    container, key = chance.choice(places)
    container[key] = chance.choice([None, 1, -1, 1.5, True, "x", "", [], {}, [1], ["x"], [None], {"x": 1}, 10**30])
    return document


def test_chunks_of_a_kind_are_one_part() -> None:
    """Text goes on across frames until the kind changes; the thought before it is a part of its own."""
    events, decoder = feed(
        {**chunk({"text": "Hm", "thought": True}), "responseId": "r", "modelVersion": "gemini-2.5-pro"},
        chunk({"text": "m.", "thought": True}),
        chunk({"text": "He"}),
        chunk({"text": "llo"}, **STOP),
    )
    assert [event for event in events if not isinstance(event, PartDelta)] == [
        Started(id="r", model="gemini-2.5-pro"),
        PartStarted(part=0, kind="thinking"),
        PartEnded(part=0),
        PartStarted(part=1, kind="text"),
        PartEnded(part=1),
        Finished(stop="stop", native="STOP"),
    ]
    assert [(part.kind, part.text) for part in folded(events).choices[0].parts] == [
        ("thinking", "Hmm."),
        ("text", "Hello"),
    ]
    assert decoder.complete


def test_a_second_signature_begins_a_second_part() -> None:
    """A signature belongs to one part: merging two would lose one of them."""
    events, _ = feed(
        chunk({"text": "a", "thoughtSignature": "MQ=="}),
        chunk({"text": "b"}),
        chunk({"text": "c", "thoughtSignature": "Mg=="}, **STOP),
    )
    parts = folded(events).choices[0].parts
    assert [(part.text, part.extras["google"]["thoughtSignature"]) for part in parts] == [("ab", "MQ=="), ("c", "Mg==")]


def test_an_empty_last_part_brings_the_signature() -> None:
    events, _ = feed(chunk({"text": "a"}), chunk({"text": "", "thoughtSignature": "MQ=="}, **STOP))
    (part,) = folded(events).choices[0].parts
    assert (part.text, part.extras) == ("a", {"google": {"thoughtSignature": "MQ=="}})


def test_elements_of_a_whole_reply_are_parts() -> None:
    decoder = DIALECT.decoder()
    frame = decoder.whole(json.dumps(chunk({"text": "a"}, {"text": "b"}, **STOP)).encode())
    assert [part.text for part in folded(frame.events).choices[0].parts] == ["a", "b"]
    assert all(event.whole for event in frame.events if isinstance(event, PartDelta))


def test_calls_end_at_once_and_name_the_stop() -> None:
    """Google finishes with STOP although it called; two calls of the same function get two stable ids."""
    frame = chunk(
        {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "MQ=="},
        {"functionCall": {"name": "f"}},
        {"functionCall": {"id": "own", "name": "g", "args": {}}},
        **STOP,
    )
    events, _ = feed({**frame, "responseId": "r"})
    again, _ = feed({**frame, "responseId": "r"})
    assert events == again
    choice = folded(events).choices[0]
    assert (choice.stop, choice.native) == ("tool_use", "STOP")
    assert [(part.name, part.text) for part in choice.parts] == [("f", '{"a":1}'), ("f", "{}"), ("g", "{}")]
    one, two, three = (part.id for part in choice.parts)
    assert one.startswith("call_") and two.startswith("call_") and one != two and three == "own"
    assert choice.parts[0].extras == {"google": {"thoughtSignature": "MQ=="}}


def test_arguments_are_a_json_repeat() -> None:
    decoder = DIALECT.decoder()
    frame = decoder.feed("", json.dumps(chunk({"functionCall": {"name": "f", "args": {"a": "é"}}})).encode())
    path = ("candidates", 0, "content", "parts", 0, "functionCall", "args")
    assert frame.repeats == (Repeat(path=path, part=0, kind="json"),)


def test_arguments_in_pieces() -> None:
    """Vertex can stream arguments: the call is told when it is whole, its strings are shown as they come."""
    call = {"functionCall": {"name": "f", "willContinue": True}}
    pieces = [
        {"jsonPath": "$.city", "stringValue": "Bos", "willContinue": True},
        {"jsonPath": "$.city", "stringValue": "ton"},
        {"jsonPath": "$.days[0].n", "numberValue": 5},
        {"jsonPath": "$.days[1]['a b']", "boolValue": True},
        {"jsonPath": "$.none", "nullValue": "NULL_VALUE"},
    ]
    frames = [chunk({"functionCall": {"partialArgs": [piece], "willContinue": True}}) for piece in pieces]
    events, decoder = feed(chunk(call), *frames, chunk({"functionCall": {}}, **STOP))
    (part,) = folded(events).choices[0].parts
    assert json.loads(part.text) == {"city": "Boston", "days": [{"n": 5}, {"a b": True}], "none": None}
    shown = [(event.part, event.text) for event in events if isinstance(event, PartDelta) and event.part < 0]
    assert shown == [(-2, "Bos"), (-2, "ton")]
    assert decoder.complete


@pytest.mark.parametrize(
    "path", ["city", "$", "$.a[", "$[0]", "$.a[99999999]", "$." + "a." * 99 + "b", "$..a", None, 1]
)
def test_a_path_that_is_none_is_malformed(path: Any) -> None:
    piece = {"jsonPath": path, "stringValue": "x"}
    with pytest.raises(UpstreamMalformed):
        feed(chunk({"functionCall": {"name": "f", "partialArgs": [piece], "willContinue": True}}))


def test_items_only_google_knows_are_native_and_shown_string_by_string() -> None:
    part = {"executableCode": {"language": "PYTHON", "code": "print(1)"}, "thoughtSignature": "MQ=="}
    events, _ = feed(chunk(part, {"newThing": {"id": "x", "deep": [{"words": "hello"}]}}, **STOP))
    parts = folded(events).choices[0].parts
    assert [(item.kind, item.name) for item in parts] == [("native", "executableCode"), ("native", "newThing")]
    assert parts[0].extras == {"google": {"item": part}}
    assert [event.text for event in events if isinstance(event, PartDelta)] == ["print(1)", "hello"]


def test_strings_of_members_not_known_are_shown() -> None:
    """At every level; and the finish message, which may quote the call that was refused."""
    events, _ = feed(
        {
            **chunk({"text": "a"}, subtitle={"de": "b"}, finishMessage="Malformed: c", **STOP),
            "aside": ["d", {"id": "no"}],
        }
    )
    shown = [event for event in events if isinstance(event, PartDelta) and event.part == -1]
    assert sorted(event.text for event in shown) == ["Malformed: c", "b", "d"]
    assert all(event.whole and event.slot is not None for event in shown)


def test_the_empty_text_that_ends_a_stream_is_no_part() -> None:
    """The last chunk of many a stream is an empty text, also behind a call: others would show it as a message that says nothing.
    One that brings a signature does bring something."""
    call = chunk({"functionCall": {"id": "1", "name": "f", "args": {}}})
    events, _ = feed(call, chunk({"text": ""}, **STOP))
    assert [item.kind for item in folded(events).choices[0].parts] == ["tool_call"]
    events, _ = feed(call, chunk({"text": "", "thoughtSignature": "MQ=="}, **STOP))
    assert [item.kind for item in folded(events).choices[0].parts] == ["tool_call", "text"]


def test_what_stands_beside_a_parts_datum_stays_with_it_and_is_shown() -> None:
    """A sound's transcription is what the model said, so guards read it; and none of it is lost on the way to others."""
    sound = {"inlineData": {"mimeType": "audio/pcm", "data": "QUJD"}, "audioTranscription": {"text": "spoken"}}
    call = {"functionCall": {"id": "1", "name": "f", "args": {}, "why": "so"}, "partMetadata": {"id": "kept"}}
    events, _ = feed(chunk({"text": "a", "partMetadata": {"k": "v"}}, sound, call, **STOP))
    parts = folded(events).choices[0].parts
    assert [(item.kind, item.extras["google"]) for item in parts] == [
        ("text", {"partMetadata": {"k": "v"}}),
        ("media", {"audioTranscription": {"text": "spoken"}}),
        ("tool_call", {"partMetadata": {"id": "kept"}, "why": "so"}),
    ]
    shown = [event for event in events if isinstance(event, PartDelta) and event.part == -1]
    assert sorted(event.text for event in shown) == ["kept", "so", "spoken", "v"]
    assert all(event.whole and event.slot is not None for event in shown)


def test_images_are_media_but_thought_images_are_not_shown() -> None:
    blob = {"mimeType": "image/png", "data": "iVBORw0K"}
    events, _ = feed(chunk({"inlineData": blob, "thought": True}, {"inlineData": blob}, **STOP))
    native, media = folded(events).choices[0].parts
    assert (native.kind, native.name) == ("native", "inlineData")
    assert (media.kind, media.mime, media.text) == ("media", "image/png", "iVBORw0K")


def test_several_candidates_end_each_for_itself() -> None:
    """Index 0 may be left out (proto3); the answer is over when every candidate seen has finished."""
    both = {
        "candidates": [{"content": {"parts": [{"text": "a"}]}}, {"index": 1, "content": {"parts": [{"text": "b"}]}}]
    }
    events, decoder = feed(both, {"candidates": [{"finishReason": "STOP"}]})
    assert not decoder.complete
    events, decoder = feed(both, {"candidates": [{"finishReason": "STOP"}, {"index": 1, "finishReason": "MAX_TOKENS"}]})
    assert decoder.complete
    assert [(choice.parts[0].text, choice.stop) for choice in folded(events).choices] == [
        ("a", "stop"),
        ("b", "length"),
    ]


@pytest.mark.parametrize(
    ("reason", "vertex", "stop", "native"),
    [
        ("SAFETY", False, "content_filter", "SAFETY"),
        ("MALFORMED_FUNCTION_CALL", False, "malformed_call", "MALFORMED_FUNCTION_CALL"),
        ("SOMETHING_NEW", False, "other", "SOMETHING_NEW"),
        (1, False, "stop", "STOP"),
        (2, True, "length", "MAX_TOKENS"),
        (6, True, "content_filter", "BLOCKLIST"),
        (6, False, "other", "LANGUAGE"),
        (9, True, "malformed_call", "MALFORMED_FUNCTION_CALL"),
        (99, True, "other", "99"),
    ],
)
def test_finish_words_and_their_numbers(reason: Any, vertex: bool, stop: str, native: str) -> None:
    frame = chunk({"text": "a"}, finishReason=reason)
    events, decoder = feed({**frame, "createTime": "2025-08-19T14:55:25.379701Z"} if vertex else frame)
    (end,) = [event for event in events if isinstance(event, Finished)]
    assert (end.stop, end.native) == (stop, native)
    assert decoder.complete


def test_no_reason_yet_is_no_end() -> None:
    _, decoder = feed(chunk({"text": "a"}, finishReason="FINISH_REASON_UNSPECIFIED"))
    assert not decoder.complete


def test_a_blocked_prompt_is_an_answer() -> None:
    """Status 200, no candidates: it ends by the content filter, with Google's own words beside."""
    feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "no"}
    events, decoder = feed({"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}})
    (end,) = [event for event in events if isinstance(event, Finished)]
    assert (end.stop, end.native, end.extras["google"]["promptFeedback"]) == (
        "content_filter",
        "PROHIBITED_CONTENT",
        feedback,
    )
    assert decoder.complete


def test_an_error_inside_the_answer() -> None:
    error = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
    events, decoder = feed(chunk({"text": "a"}), {"error": error})
    assert (
        Failed(message="The model is overloaded.", code="unavailable", type="UNAVAILABLE", status=503, retryable=True)
        in events
    )
    assert decoder.complete


def test_usage_is_cumulative_and_inclusive() -> None:
    """Input includes what tools put into the prompt, output includes thoughts; audio is told apart."""
    fields = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "toolUsePromptTokenCount": 7,
        "totalTokenCount": 157,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 60}, {"modality": "AUDIO", "tokenCount": 40}],
        "cacheTokensDetails": [{"modality": 4, "tokenCount": 11}],
        "serviceTier": "priority",
    }
    first = {**chunk({"text": "a"}), "usageMetadata": {"promptTokenCount": 100, "totalTokenCount": 100}}
    events, _ = feed(first, {**chunk({"text": "b"}, **STOP), "usageMetadata": fields})
    usage = [event.usage for event in events if isinstance(event, UsageSeen)][-1]
    assert (usage.input, usage.output, usage.cache_read, usage.reasoning, usage.tool_input) == (107, 50, 40, 30, 7)
    assert (usage.input_audio, usage.cache_audio_read, usage.service_tier) == (40, 11, "priority")
    assert usage.native == fields


@pytest.mark.parametrize(("model", "billed"), [("gemini-2.5-flash", 1), ("gemini-3-flash-preview", 2)])
def test_searches_are_counted_as_they_are_billed(model: str, billed: int) -> None:
    grounding = {"webSearchQueries": ["a", "", "b"], "groundingChunks": [{"maps": {"uri": "https://maps.example"}}]}
    end = {**chunk({"text": "a"}, groundingMetadata=grounding, **STOP), "usageMetadata": {}, "modelVersion": model}
    events, _ = feed(end)
    assert [event.usage.requests for event in events if isinstance(event, UsageSeen)] == [
        {"web_search": billed, "maps": 1}
    ]


def test_sources_in_characters() -> None:
    """Segments are measured in bytes; a citation for each source; the repeated text is to be dropped after an edit."""
    text = "Füße sind groß. Ja."
    grounding = {
        "groundingChunks": [
            {"web": {"uri": "https://a.example", "title": "A"}},
            {"retrievedContext": {"title": "B", "text": "quoted"}},
            {"maps": {"uri": "https://maps.example"}},
        ],
        "groundingSupports": [
            {"segment": {"startIndex": 7, "endIndex": 18, "text": "sind groß."}, "groundingChunkIndices": [0, 1]}
        ],
    }
    decoder = DIALECT.decoder()
    frame = decoder.whole(json.dumps(chunk({"text": text}, groundingMetadata=grounding, **STOP)).encode())
    (part,) = folded(frame.events).choices[0].parts
    assert [(cited.url, cited.title, cited.quote) for cited in part.citations] == [
        ("https://a.example", "A", None),
        (None, "B", "quoted"),
        ("https://maps.example", None, None),
    ]
    start, end = part.citations[0].start, part.citations[0].end
    assert text[start:end] == "sind groß."
    place = ("candidates", 0, "groundingMetadata", "groundingSupports", 0, "segment", "text")
    assert frame.repeats == (Repeat(path=place, part=0, kind="drop"),)


def test_sources_told_again_count_once() -> None:
    grounding = {"groundingChunks": [{"web": {"uri": "https://a.example"}}]}
    events, _ = feed(
        chunk({"text": "a"}, groundingMetadata=grounding), chunk({"text": "b"}, groundingMetadata=grounding, **STOP)
    )
    answer = folded(events)
    assert len(answer.choices[0].parts[0].citations) == 1
    assert answer.choices[0].extras["google"]["groundingMetadata"] == grounding


def test_recited_and_fetched_sources() -> None:
    recited = {"citationSources": [{"startIndex": 0, "endIndex": 3, "uri": "https://a.example", "license": "mit"}]}
    fetched = {
        "urlMetadata": [
            {"retrievedUrl": "https://b.example", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"},
            {"retrievedUrl": "https://c.example", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_ERROR"},
        ]
    }
    events, _ = feed(chunk({"text": "abc"}, citationMetadata=recited, urlContextMetadata=fetched, **STOP))
    cited = folded(events).choices[0].parts[0].citations
    assert [(citation.url, citation.start, citation.end) for citation in cited] == [
        ("https://a.example", 0, 3),
        ("https://b.example", None, None),
    ]


def test_logprobs_in_neutral_form() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "tokenId": 5, "logProbability": -0.5}],
        "topCandidates": [
            {"candidates": [{"token": "é", "logProbability": -0.5}, {"token": "e", "logProbability": -2}]}
        ],
    }
    events, _ = feed(chunk({"text": "é"}, logprobsResult=result, **STOP))
    (token,) = folded(events).choices[0].parts[0].logprobs
    assert (token["token"], token["logprob"], token["bytes"]) == ("é", -0.5, [0xC3, 0xA9])
    assert [top["token"] for top in token["top_logprobs"]] == ["é", "e"]


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'"x"',
        b"{",
        b"\xff",
        b'{"candidates":{}}',
        b'{"candidates":[1]}',
        b'{"candidates":[{"content":{"parts":[{"text":1}]}}]}',
        b'{"candidates":[{"content":{"parts":[{"functionCall":{"args":{}}}]}}]}',
        b'{"candidates":[{"index":-1}]}',
        b'{"candidates":[{"finishReason":[]}]}',
        b'{"usageMetadata":{"promptTokenCount":"many"}}',
        b"[" * 100_000,
        b'{"candidates":[{"index":1e400}]}',
    ],
)
def test_malformed(body: bytes) -> None:
    for decode in (DIALECT.decoder().whole, lambda data: DIALECT.decoder().feed("", data)):
        with pytest.raises(UpstreamMalformed):
            decode(body)


def test_frames_without_a_document_mean_nothing() -> None:
    decoder = DIALECT.decoder()
    assert decoder.feed("", b"").events == decoder.feed("", b"[DONE]").events == ()
    assert not decoder.complete
