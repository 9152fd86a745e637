"""Anthropic Messages against every recorded exchange: what the official client reads, we read; what we write, it reads.

Joined streams (several messages one after the other, as some fixtures were made) are left out where the client itself
cannot tell the messages apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from dialects.carried import missing
from headgate.dialects import splice
from headgate.dialects.anthropic_messages import DIALECT
from headgate.dialects.base import Ask, Edit, Json, Target
from headgate.dialects.sse import Item, Parser
from headgate.errors import BadRequest, UpstreamMalformed
from headgate.model.events import Answer, Decoded, Event, Fold, PartDelta, Path, unfold
from headgate.model.prompt import flat
from oracles import Reading
from oracles import anthropic_messages as oracle
from recordings import Recording, recordings

pytestmark = pytest.mark.corpus

ASK = Ask(id="req_1", model="shown", created=1700000000)


@cache
def exchanges() -> tuple[Recording, ...]:
    """OpenAI's threads have a path that ends alike: they are not ours."""
    return tuple(row for row in recordings("anthropic_messages") if row.url.split("?")[0].endswith("/v1/messages"))


def answers() -> Iterator[Recording]:
    return (row for row in exchanges() if row.status < 300)


def requests() -> Iterator[tuple[Recording, dict[str, Any]]]:
    return ((row, row.request) for row in exchanges() if row.request is not None and row.status < 400)


def items(body: bytes) -> list[Item]:
    parser = Parser()
    return [item for item in parser.feed(body) + parser.end() if item.data is not None]


def joined(row: Recording) -> bool:
    return row.reply.count(b"event: message_start") > 1


def decoded(row: Recording) -> list[tuple[bytes, Decoded]]:
    """Each JSON document of the answer, and what it means."""
    decoder = DIALECT.decoder()
    if not row.sse:
        frames = [(row.reply, decoder.whole(row.reply))]
    else:
        frames = [(item.data or b"", decoder.feed(item.event, item.data or b"")) for item in items(row.reply)]
        frames.append((b"null", Decoded(events=decoder.end())))
    assert decoder.complete, row
    return frames


def events(row: Recording) -> list[Event]:
    return [event for _, frame in decoded(row) for event in frame.events]


def folded(told: list[Event]) -> Answer:
    fold = Fold()
    for event in told:
        fold.feed(event)
    return fold.close()


def reading(answer: Answer) -> Reading:
    """Our fold in the oracle's terms."""
    read = Reading()
    for choice in answer.choices:
        seen = oracle.ReadChoice(stop=choice.stop or "")
        for part in choice.parts:
            match part.kind:
                case "text":
                    seen.text += part.text
                case "thinking":
                    seen.thinking += part.text
                case "tool_call":
                    seen.tools.append((part.name, json.loads(part.text or "{}")))
        read.choices.append(seen)
    usage = answer.usage
    if usage is not None:
        names = ("input", "output", "cache_read", "cache_write", "reasoning")
        read.usage = {name: getattr(usage, name) for name in names}
    return read


def expected(row: Recording) -> Reading:
    return oracle.stream(row.reply) if row.sse else oracle.whole(row.reply)


def test_every_answer_reads_as_the_official_client_reads_it() -> None:
    compared = 0
    for row in answers():
        if joined(row):
            continue
        assert reading(folded(events(row))) == expected(row), row
        compared += 1
    assert compared > 900


def at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))


GRAMMAR = {
    "type", "id", "role", "model", "name", "tool_name", "server_name", "tool_use_id", "tool_id", "file_id", "signature",
    "data", "encrypted_content", "encrypted_index", "encrypted_stdout", "stop_reason", "stop_sequence", "service_tier",
    "inference_geo", "media_type", "expires_at", "retrieved_at", "page_age", "error_code", "category",
    "recommended_model", "explanation",
}  # fmt: skip
"""Strings that are no answer text (`explanation`: the provider's own words on a refusal)."""


def test_every_text_of_every_frame_has_its_place() -> None:
    """A slot's value is the delta's text exactly, no place is named twice, no string but the grammar is without one."""
    seen = 0
    for row in answers():
        if joined(row) and "spliced" in row.row["source_path"]:
            continue
        for data, frame in decoded(row):
            document = json.loads(data)
            slots = [event.slot.path for event in frame.events if isinstance(event, PartDelta) and event.slot]
            for event in frame.events:
                if isinstance(event, PartDelta) and event.slot is not None:
                    assert at(document, event.slot.path) == event.text, (row, event)
                elif isinstance(event, PartDelta) and event.text:
                    place = next(repeat for repeat in frame.repeats if repeat.part == event.part)
                    assert place.kind == "json" and at(document, place.path) == json.loads(event.text)
            covered = set(slots) | {repeat.path for repeat in frame.repeats}
            assert len(covered) == len(slots) + len(frame.repeats), row
            for path, text in leaves(document):
                named = any(path[: len(place)] == place for place in covered)
                assert named or not text or path[-1] in GRAMMAR or "container" in path, (row, path, text[:80])
            seen += len(slots)
    assert seen > 10_000


def test_a_cut_stream_is_never_complete() -> None:
    for row in answers():
        if not row.sse or joined(row):
            continue
        decoder = DIALECT.decoder()
        for item in items(row.reply):
            assert not decoder.complete
            if item.event == "message_stop":
                break
            decoder.feed(item.event, item.data or b"")
        assert not decoder.complete, row


def test_a_message_that_begins_inside_a_block_is_malformed() -> None:
    (row,) = (row for row in answers() if "spliced-message-start" in row.row["source_path"])
    with pytest.raises(UpstreamMalformed):
        decoded(row)


def test_every_request_survives_the_neutral_model() -> None:
    """read, write, read: the same conversation and parameters, valid to the client's types, nothing gone."""
    done = 0
    for row, request in requests():
        prompt = DIALECT.read(request)
        written = DIALECT.write(prompt, Target(model=prompt.model, provider="anthropic"))
        assert not written.losses, (row, written.losses)
        assert oracle.problems(written.json) == [], row
        assert missing(request, written.json) == [], row
        again = DIALECT.read(written.json)
        assert list(flat(again)) == list(flat(prompt)), row
        prompt.messages, again.messages = [], []
        assert again == prompt, row
        done += 1
    assert done > 800


def test_the_same_first_messages_are_written_the_same() -> None:
    """Provider prompt caches hit only if a longer conversation begins with the very bytes of the shorter one."""
    for row, request in requests():
        prompt = DIALECT.read(request)
        if len(prompt.messages) < 3:
            continue
        target = Target(model="m", provider="p")
        longer = DIALECT.write(prompt, target).json["messages"]
        shorter = DIALECT.write(DIALECT.read({**request, "messages": request["messages"][:1]}), target).json["messages"]
        assert longer[0]["content"][: len(shorter[0]["content"])] == shorter[0]["content"], row


def test_every_answer_is_shown_as_it_was_told() -> None:
    """Events through our encoder, folded as a whole reply, and a whole reply told as a stream: all read alike."""
    shown = 0
    for row in answers():
        if joined(row):
            continue
        told = events(row)
        answer = folded(told)
        whole, losses = DIALECT.answer(answer, ASK)
        assert not losses, row
        assert not oracle.valid(whole) or recorded_faults(row), row
        want = expected(row)
        assert oracle.whole(json.dumps(whole).encode()) == want, row
        for source in (told, unfold(answer)):
            encoder = DIALECT.encoder(ASK)
            body = b"".join(encoder.feed([event]) for event in source) + encoder.end()
            assert not encoder.losses, row
            assert not oracle.grammar(body) or recorded_faults(row), (row, oracle.grammar(body)[:2])
            assert oracle.stream(body) == want, row
        shown += 1
    assert shown > 900


def recorded_faults(row: Recording) -> list[str]:
    """What the client's types have against the recording itself: blocks of betas that have changed since."""
    return oracle.grammar(row.reply) if row.sse else oracle.valid(row.document)


def test_native_items_and_opaque_values_come_back_whole() -> None:
    """Blocks of an answer shown by us equal the recorded ones, but for texts without any character."""
    for row in answers():
        if row.sse:
            continue
        whole, _ = DIALECT.answer(folded(events(row)), ASK)
        given = [block for block in row.document["content"] if block.get("text") != ""]
        plain = [{name: value for name, value in block.items() if value is not None} for block in given]
        assert [{k: v for k, v in block.items() if v is not None} for block in whole["content"]] == plain, row
        assert whole["id"] == row.document["id"] and whole["stop_reason"] == row.document["stop_reason"]


def test_edits_change_nothing_but_the_model() -> None:
    for row, request in requests():
        body = json.dumps(request, ensure_ascii=False, indent=1).encode()
        head = DIALECT.head(body)
        assert (head.model, head.stream) == (request["model"], request.get("stream", False))
        assert head.max_output == request["max_tokens"] and head.tools == bool(request.get("tools"))
        edited = splice.apply(body, DIALECT.edits(head, Target(model="claude-other", provider="p")))
        old, new = (json.dumps(name).encode() for name in (request["model"], "claude-other"))
        assert edited == body.replace(b'"model": ' + old, b'"model": ' + new, 1), row
        assert splice.apply(body, DIALECT.edits(head, Target(model=head.model, provider="p"))) == body


def test_file_ids_and_containers_are_objects() -> None:
    held = [(row, DIALECT.head(json.dumps(request).encode()).objects) for row, request in requests()]
    found = {name for _, objects in held for name in objects}
    assert any(name.startswith("file_") for name in found) and any(name.startswith("container_") for name in found)


def test_each_slot_can_be_replaced() -> None:
    """All slots at once, by edits at their paths: the texts there change, and nothing else does."""
    for row, request in requests():
        body = json.dumps(request, ensure_ascii=False).encode()
        slots = list(DIALECT.slots(request))
        assert len({slot.path for slot in slots}) == len(slots), row
        marks = [f"mark {number}" for number in range(len(slots))]
        edits = [
            Edit(name="guard", path=slot.path, value=json.dumps(mark).encode())
            for slot, mark in zip(slots, marks, strict=True)
        ]
        changed = json.loads(splice.apply(body, edits))
        for slot, mark in zip(slots, marks, strict=True):
            value = json.loads(slot.text) if slot.kind == "object" else slot.text
            assert at(request, slot.path) == value and at(changed, slot.path) == mark, row
            at(changed, slot.path[:-1])[slot.path[-1]] = value
        assert changed == request, row


UNSEEN = GRAMMAR | {"title", "url", "ttl", "user_id", "effort", "context", "authorization_token", "source"}


def test_no_text_of_a_request_is_without_a_slot() -> None:
    """Every string of system and messages is a slot, or in the input of a call, which is one, or a word of the grammar."""
    for row, request in requests():
        slots = {slot.path for slot in DIALECT.slots(request)}
        for part in ("system", "messages"):
            for path, text in leaves(request.get(part), (part,)):
                told = path in slots or any(path[:depth] in slots for depth in range(len(path)))
                assert told or path[-1] in UNSEEN or "tool" in path, (row, path, text[:80])
        for index, tool in enumerate(request.get("tools", [])):
            if "description" in tool:
                assert ("tools", index, "description") in slots


WRONG: tuple[Any, ...] = (None, True, 7, -1.5, "x", [], {}, [1], {"type": "x"}, [{"type": "text"}])


def spoiled(value: Json, limit: int) -> Iterator[tuple[Path, Json]]:
    """`value` with one member replaced by something of a wrong type, for every member; only the first of long lists."""

    def paths(here: Any, path: Path) -> Iterator[Path]:
        if path:
            yield path
        if isinstance(here, dict):
            for key in here:
                yield from paths(here[key], (*path, key))
        elif isinstance(here, list):
            for index in range(min(len(here), 3)):
                yield from paths(here[index], (*path, index))

    for number, path in enumerate(paths(value, ())):
        if number > limit:
            return
        copy = json.loads(json.dumps(value))
        at(copy, path[:-1])[path[-1]] = WRONG[number % len(WRONG)]
        yield path, copy


def test_a_spoiled_request_is_refused_with_its_place_or_read() -> None:
    """Never another exception than BadRequest, and always with `param`; slots and head do not fall over either."""
    refused = 0
    for _, request in list(requests())[::7]:
        for path, body in spoiled(request, 60):
            list(DIALECT.slots(body))
            try:
                DIALECT.write(DIALECT.read(body), Target(model="m", provider="p"))
            except BadRequest as error:
                assert error.param, (path, error)
                refused += 1
    assert refused > 500


def test_a_spoiled_answer_is_malformed_or_read() -> None:
    malformed = 0
    for row in list(answers())[::5]:
        if not row.sse:
            for _, body in spoiled(row.document, 60):
                try:
                    DIALECT.decoder().whole(json.dumps(body).encode())
                except UpstreamMalformed:
                    malformed += 1
            continue
        decoder = DIALECT.decoder()
        for item in items(row.reply)[:40]:
            for _, body in spoiled(json.loads(item.data or b"{}"), 20):
                fresh = DIALECT.decoder()
                fresh._open, fresh._next = dict(decoder._open), decoder._next  # the state that this frame arrives in
                try:
                    fresh.feed(item.event, json.dumps(body).encode())
                except UpstreamMalformed:
                    malformed += 1
            try:
                decoder.feed(item.event, item.data or b"")
            except UpstreamMalformed:
                break
    assert malformed > 500


def test_recorded_refusals() -> None:
    for row in exchanges():
        if row.status < 400:
            continue
        error = DIALECT.refusal(row.status, row.reply)
        told = row.document["error"]
        assert (error.status, error.message, error.type) == (row.status, told["message"], told["type"]), row
        assert not error.retryable
        seen = oracle.failure(json.dumps(DIALECT.error_body(error, "req_1")).encode(), row.status)
        assert seen.status_code == row.status and isinstance(seen.body, dict)
        assert seen.body["error"]["message"] == told["message"] and seen.body["error"]["type"] == told["type"]
