"""Answers of the Responses API: every recorded one is read as the official client reads it, and written so that it
reads the same again."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from openai_responses_answers import ASK, FOREIGN, NOT_JSON, answers, at, decoded, fold, frames, leaves, reading

from headgate.dialects.openai_responses import DIALECT
from headgate.errors import UpstreamMalformed
from headgate.model.events import Finished, PartDelta, PartEnded, PartStarted, Started, UsageSeen
from oracles import openai_responses as oracle
from recordings import Recording, by_id

pytestmark = pytest.mark.corpus


TORN = {"500fda93da2cbd24"}
"""Streams whose whole texts say more than their pieces did (cut by hand when they were recorded)."""


CONTRADICTED = {"9d0008ff282d3b03"}
"""Streams whose whole texts are others than their pieces were (rewritten by hand). The pieces are what a client saw."""


def heard(row: Recording) -> Any:
    """The official client's reading. Some recordings hold several responses, or changing ids: its accumulator refuses
    those, and the terminal events speak for themselves."""
    if not row.sse:
        return oracle.whole(row.reply)
    try:
        return oracle.stream(row.reply)
    except RuntimeError:
        first, *more = oracle.heard(row.reply)
        for one in more:
            first.choices[0].text += one.choices[0].text
            first.choices[0].thinking += one.choices[0].thinking
            first.choices[0].tools += one.choices[0].tools
            first.choices[0].stop, first.usage = one.choices[0].stop, one.usage
        return first


def test_every_answer_reads_as_the_official_client_reads_it() -> None:
    """Text, thoughts, refusals, calls, stop and usage, whole and streamed."""
    count = 0
    for row in answers():
        _, events, complete = decoded(row)
        assert complete, row
        assert row.id in CONTRADICTED or reading(fold(events)) == heard(row), row
        count += 1
    assert count > 1000


def test_events_are_in_order() -> None:
    """Started first; parts numbered as they start, deltas only in open parts, all ended before the finish."""
    for row in answers():
        _, events, _ = decoded(row)
        open_parts: set[int] = set()
        started = 0
        finished = False
        for event in events:
            if isinstance(event, PartStarted):
                assert event.part == started, row
                started += 1
                open_parts.add(event.part)
            elif isinstance(event, PartDelta):
                assert event.part == -1 or event.part in open_parts, (row, event)
            elif isinstance(event, PartEnded):
                open_parts.remove(event.part)
            elif isinstance(event, Finished):
                finished = not open_parts
        assert not open_parts, row
        if fold(events).failed is None:
            assert isinstance(events[0], Started) and finished, row


def test_slots_hold_their_texts_and_no_place_is_forgotten() -> None:
    """Each delta's slot is where its text stands; where a frame says a part's whole text or a piece of it, that place
    is a slot or a repeat. (What a response repeats of its request is not the answer's.)"""
    echoes = {"instructions", "tools", "text", "metadata", "prompt", "model", "input"}
    for row in answers():
        told, events, _ = decoded(row)
        texts = {
            part.text
            for choice in fold(events).choices
            for part in choice.parts
            if part.kind != "media" and len(part.text) > 12
        }
        for data, frame in told:
            if data == b"[DONE]":
                continue
            document = json.loads(data)
            places = {repeat.path for repeat in frame.repeats}
            for event in frame.events:
                if isinstance(event, PartDelta) and event.slot is not None:
                    assert at(document, event.slot.path) == event.text, (row, event)
                    places.add(event.slot.path)
                elif isinstance(event, PartDelta) and event.text:
                    assert row.id in TORN, (row, event)
            for repeat in frame.repeats:
                at(document, repeat.path)
            for path, text in leaves(document):
                if text in texts and path not in places and not echoes & {path[0], *path[1:2]}:
                    pytest.fail(f"{row}: {path} repeats a text: {text[:60]!r}")


def test_strings_of_native_items_are_shown() -> None:
    """A guard sees what a server tool said: the output of an MCP call, the code of an interpreter, what was
    searched."""
    said = {"mcp_call": "output", "code_interpreter_call": "code", "program": "code", "program_output": "result"}
    count = 0
    for row in answers():
        if row.sse:
            continue
        _, events, _ = decoded(row)
        strings = [event.text for event in events if isinstance(event, PartDelta) and event.part == -1]
        for item in row.document["output"]:
            text = item.get(said.get(item["type"], ""))
            assert not text or text in strings, row
            count += bool(text)
    assert count > 10


def test_a_cut_stream_is_never_complete() -> None:
    """Without its terminal event an answer is truncated, wherever it was cut; its open parts still end."""
    for row in answers():
        if not row.sse:
            continue
        given = frames(row)
        ends = [index for index, (_, data) in enumerate(given) if b'"response.completed"' in data[:400]]
        for cut in {0, len(given) // 2, ends[0] if ends else 0}:
            if any(end < cut for end in ends) or b'"error"' in given[max(0, cut - 1)][1][:30]:
                continue
            decoder = DIALECT.decoder()
            events = [event for name, data in given[:cut] for event in decoder.feed(name, data).events]
            events += decoder.end()
            assert not decoder.complete, (row, cut)
            starts = sum(isinstance(event, PartStarted) for event in events)
            assert starts == sum(isinstance(event, PartEnded) for event in events)


def test_what_is_not_json_is_malformed() -> None:
    name, data = frames(by_id(NOT_JSON))[0]
    with pytest.raises(UpstreamMalformed):
        DIALECT.decoder().feed(name, data)


def test_a_document_of_another_kind_is_malformed() -> None:
    """A proxy answered with a chat completion: to a crossing that is no answer. In the same dialect its bytes pass."""
    for body in (by_id(FOREIGN).reply, b"{}", b'{"object": "response", "status": {}}'):
        with pytest.raises(UpstreamMalformed):
            DIALECT.decoder().whole(body)


WRONG = (None, True, -1, 1.5, 10**18, "", "x", [], [1], {}, {"a": 1}, [[]], [{}])


def _mutated(value: Any, chance: random.Random) -> Any:
    """`value` with one place changed to a value of another type, or removed."""
    paths = [path for path in _paths(value, ()) if path]
    if not paths:
        return chance.choice(WRONG)
    path = chance.choice(paths)
    holder = at(value, path[:-1])
    if chance.random() < 0.2:
        del holder[path[-1]]
    else:
        holder[path[-1]] = chance.choice(WRONG)
    return value


def _paths(value: Any, path: tuple[Any, ...]) -> Any:
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, (*path, index))


def test_wrong_types_are_malformed_and_nothing_else() -> None:
    """Recorded frames with one value changed or gone: the decoder goes on or says that the answer is malformed."""
    chance = random.Random(7)
    refused = tried = 0
    for row in answers():
        given = frames(row) if row.sse else [("", row.reply)]
        for _ in range(6):
            decoder = DIALECT.decoder()
            spoiled = chance.randrange(len(given))
            tried += 1
            try:
                for index, (name, data) in enumerate(given):
                    if index == spoiled and data != b"[DONE]":
                        data = json.dumps(_mutated(json.loads(data), chance)).encode()
                    if row.sse:
                        decoder.feed(name, data)
                    else:
                        decoder.whole(data)
                decoder.end()
            except UpstreamMalformed:
                refused += 1
    assert 0 < refused < tried


@pytest.mark.parametrize("body", [b"{", b"[]", b"3", b'"x"', b"\xff", b'{"a":' * 100_000, b"[" * 100_000])
def test_no_document_crashes_the_decoder(body: bytes) -> None:
    with pytest.raises(UpstreamMalformed):
        DIALECT.decoder().whole(body)
    with pytest.raises(UpstreamMalformed):
        DIALECT.decoder().feed("response.created", body)


def test_every_answer_is_written_in_this_dialects_own_grammar() -> None:
    """Decoded and encoded again, streamed and whole: the frames keep the grammar, and the official client reads the
    same."""
    for row in answers():
        _, events, _ = decoded(row)
        want = reading(fold(events))
        if sum(isinstance(event, Started) for event in events) > 1:
            want.choices[0].stop = "tool_use"  # Several responses told as one, calls and their follow-up.
        encoder = DIALECT.encoder(ASK)
        body = b"".join(encoder.feed((event,)) for event in events) + encoder.end()
        assert oracle.grammar(body) == [], row
        assert oracle.stream(body) == want, row
        whole, losses = DIALECT.answer(fold(events), ASK)
        assert oracle.whole(json.dumps(whole).encode()) == want, row
        assert encoder.losses == losses, row
        assert not losses or want.choices[0].stop == "other", row


def test_items_come_back_as_they_were() -> None:
    """What the model made survives the neutral form: native items, encrypted thoughts, images, annotations,
    logprobs."""
    ours = ("id", "status", "call_id", "logprobs", "annotations", "summary", "content")
    for row in answers():
        if row.sse or fold(decoded(row)[1]).failed is not None:
            continue
        _, events, _ = decoded(row)
        whole, _ = DIALECT.answer(fold(events), ASK)
        assert [item["type"] for item in whole["output"]] == [item["type"] for item in row.document["output"]], row
        for made, item in zip(whole["output"], row.document["output"], strict=True):
            for member, value in item.items():
                if member in ("id", "status") and item["type"] in ("message", "function_call", "image_generation_call"):
                    continue
                if member in ("id", "status") and item["type"] == "custom_tool_call":
                    continue
                if member == "content" and item["type"] == "message":
                    assert _bare(made[member]) == _bare(value), row
                elif (
                    value is not None
                    and not (member in ours and not value)
                    and (member, value) != ("status", "completed")
                ):
                    assert made[member] == value, (row, member)


def _bare(contents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what says nothing, and without the members that a provider left out of its annotations."""
    urls = [
        [one.get("url", one.get("file_id")) for one in content.get("annotations", ()) or ()] for content in contents
    ]
    bare = [{key: value for key, value in content.items() if value and key != "annotations"} for content in contents]
    return [content | {"cited": cited} for content, cited in zip(bare, urls, strict=True)]


def test_usage_keeps_what_the_provider_said() -> None:
    for row in answers():
        _, events, _ = decoded(row)
        for event in events:
            if isinstance(event, UsageSeen):
                assert event.usage.native and event.usage.input >= event.usage.cache_read + event.usage.cache_write
                assert event.usage.output >= event.usage.reasoning
