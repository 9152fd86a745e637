"""Chat Completions against every recorded exchange of some twenty providers: what the official client reads, we read;
what we write, it reads."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from dialects.carried import missing
from headgate.dialects import splice
from headgate.dialects.base import Accepts, Ask, Edit, Json, Target
from headgate.dialects.openai_chat import DIALECT
from headgate.dialects.openai_chat.tables import FILENAMES
from headgate.dialects.render import Patched
from headgate.dialects.sse import Item, Parser
from headgate.errors import BadRequest, UpstreamMalformed
from headgate.model.events import Answer, Decoded, Event, Fold, Frame, PartDelta, Path, placed
from headgate.model.prompt import Media, Prompt, flat
from oracles import ReadChoice, Reading
from oracles import openai_chat as oracle
from recordings import Recording, recordings

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
]

ASK = Ask(id="req_1", model="shown", created=1700000000)
ALL = Accepts(custom_tools=True, video=True, cache_marks=True)
NOT_CHAT = frozenset(("9a6d9f9159dd8897", "6b8dfff3615f9f73"))
"""Filed among chat answers, but a greeting in plain text and a transcription."""
PECULIAR = {
    "6fe9ad2e9e402af1": [("llm_version", {})],  # the name came twice: the client joins "llm_versionllm_version"
}


def answers() -> Iterator[Recording]:
    return (row for row in recordings("openai_chat") if row.status < 300 and row.id not in NOT_CHAT)


def requests() -> Iterator[tuple[Recording, Json]]:
    for row in recordings("openai_chat"):
        if row.request is not None and row.status < 300 and row.request.get("model"):
            yield row, row.request


def items(body: bytes) -> list[Item]:
    parser = Parser()
    return [item for item in parser.feed(body) + parser.end() if item.data is not None]


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
    if answer.failed is not None:
        return Reading(error=answer.failed.message)
    read = Reading()
    for choice in answer.choices:
        seen = ReadChoice(stop=choice.stop or "")
        for part in choice.parts:
            match part.kind:
                case "text":
                    seen.text += part.text
                case "thinking":
                    seen.thinking += part.text
                case "refusal":
                    seen.refusal += part.text
                case "tool_call":
                    seen.tools.append((part.name, oracle._parsed(part.text)))
                case "custom_call":
                    seen.tools.append((part.name, part.text))
        read.choices.append(seen)
    usage = answer.usage
    if usage is not None:
        names = ("input", "output", "cache_read", "cache_write", "reasoning")
        read.usage = {name: getattr(usage, name) for name in names}
    return read


def expected(row: Recording) -> Reading:
    read = oracle.recorded(row.reply) if row.sse else oracle.whole(row.reply)
    if row.id in PECULIAR:
        read.choices[0].tools = PECULIAR[row.id]
    return read


def same(ours: Reading, theirs: Reading) -> bool:
    """Equal; of a failed answer the message counts."""
    if theirs.error or ours.error:
        return theirs.error in ours.error and bool(theirs.error)
    return ours == theirs


# ------------------------------------------------------------------ answers


def test_every_answer_reads_as_the_official_client_reads_it() -> None:
    compared = 0
    for row in answers():
        assert same(reading(folded(events(row))), expected(row)), row
        compared += 1
    assert compared > 1400


def at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def strings(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from strings(item, (*path, index))


def test_slots_and_repeats_name_every_place_of_answer_text() -> None:
    """A slot's place holds exactly the delta's text. Every string of a message is a slot, a repeat, or a word."""
    words = (
        "role",
        "type",
        "id",
        "format",
        "name",
        "index",
        "signature",
        "thought_signature",
        "channel",
        "hash",
        "data",
        "provider",
    )
    for row in answers():
        for data, frame in decoded(row):
            document = json.loads(data) if data != b"[DONE]" else None
            held = {event.slot.path: event for event in frame.events if isinstance(event, PartDelta) and event.slot}
            for path, event in held.items():
                assert at(document, path) == event.text, (row, path)
            for event in frame.events:
                if isinstance(event, PartDelta) and event.text and event.kind != "media":
                    assert event.slot is not None, (row, event)
            repeated = [repeat.path for repeat in frame.repeats]
            for path in repeated:
                at(document, path)
            for path, text in strings(document):
                if not text or "choices" not in path or not {"message", "delta", "logprobs"} & set(path):
                    continue
                if path[-1] in words:
                    continue
                covered = path in held or any(path[: len(repeat)] == repeat for repeat in repeated)
                assert covered or text.startswith("data:"), (row, path, text)


def test_a_cut_stream_is_never_complete() -> None:
    """Cut before each of its last events; and, as `end` closes what is open, the fold still holds what was said."""
    for row in answers():
        if not row.sse or folded(events(row)).failed is not None:
            continue
        told = items(row.reply)
        for keep in sorted({0, 1, len(told) // 2, len(told) - 2, len(told) - 1}):
            decoder = DIALECT.decoder()
            for item in told[: max(0, keep)]:
                decoder.feed(item.event, item.data or b"")
            decoder.end()
            assert not decoder.complete, (row, keep)


def mutated(document: Any) -> Iterator[Any]:
    """The document with one place at a time made another type, or gone."""
    places = [path for path in paths(document) if path]
    for path in places[:: max(1, len(places) // 12)]:
        for wrong in (None, 7, "x", [], {}, [None], {"x": 1}, True, -1, 1e99):
            copy = json.loads(json.dumps(document))
            at(copy, path[:-1])[path[-1]] = wrong
            yield copy


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield from paths(item, (*path, key))


def test_malformed_answers_are_told_as_malformed() -> None:
    """Wrong types anywhere raise UpstreamMalformed or are passed over, never anything else."""
    shapes: set[str] = set()
    for row in answers():
        documents = [item.data or b"" for item in items(row.reply)] if row.sse else [row.reply]
        for data in documents:
            if data[:1] != b"{":
                continue
            document = json.loads(data)
            shape = str(sorted({str([key for key in path if isinstance(key, str)]) for path in paths(document)}))
            if shape in shapes:
                continue
            shapes.add(shape)
            for wrong in mutated(document):
                try:
                    body = json.dumps(wrong).encode()
                    decoder = DIALECT.decoder()
                    decoder.feed("", body) if row.sse else decoder.whole(body)
                    decoder.end()
                except UpstreamMalformed:
                    pass


def loud(event: Event) -> Event:
    """A guard that changes every word."""
    prose = isinstance(event, PartDelta) and event.kind in ("text", "thinking", "refusal") and event.part >= 0
    return replace(event, text=event.text.upper()) if prose else event


def frames_of(row: Recording) -> Iterator[Frame]:
    decoder = DIALECT.decoder()
    if not row.sse:
        found = decoder.whole(row.reply)
        span = (0, len(row.reply))
        yield Frame(raw=row.reply, data=row.reply, span=span, events=found.events, repeats=found.repeats)
        return
    for item in items(row.reply):
        found = decoder.feed(item.event, item.data or b"")
        yield Frame(
            raw=item.raw,
            data=item.data,
            event=item.event,
            span=item.span,
            events=placed(found.events, found.repeats),
            repeats=found.repeats,
        )


def test_an_edit_lands_in_every_place_of_a_text() -> None:
    """What a guard changed is changed in the client's bytes, also where the text is repeated, and the rest is as it was."""
    for row in answers():
        render = Patched(hide_usage=False)
        body = b""
        told: list[str] = []
        beside: list[str] = []
        for frame in frames_of(row):
            changed = [loud(event) for event in frame.events]
            told += [old.text for old, new in zip(frame.events, changed, strict=True) if old != new]  # type: ignore[union-attr]
            beside += [event.text for event in changed if isinstance(event, PartDelta) and event.part < 0]
            body += render.show(frame, changed)
        body += render.end(())
        want = expected(row)
        if want.error or row.id in PECULIAR:
            continue
        for choice in want.choices:
            choice.text, choice.thinking = choice.text.upper(), choice.thinking.upper()
            choice.refusal = choice.refusal.upper()
        assert (oracle.recorded(body) if row.sse else oracle.whole(body)) == want, row
        for text in told:
            if len(text) > 12 and not any(text in other for other in beside):
                assert json.dumps(text, ensure_ascii=False)[1:-1].encode() not in body, (row, text)


# ------------------------------------------------------------------ answers, shown again


def test_every_answer_shown_again_reads_the_same() -> None:
    """events -> stream, and events -> fold -> document: the official client reads what it read of the original."""
    for row in answers():
        told = events(row)
        want = reading(folded(told))
        encoder = DIALECT.encoder(ASK)
        body = encoder.feed(told) + encoder.end()
        assert same(oracle.stream(body), want), row
        document, _ = DIALECT.answer(folded(told), ASK)
        assert same(oracle.whole(json.dumps(document).encode()), want), row


# ------------------------------------------------------------------ requests


def bare(prompt: Prompt) -> Prompt:
    """Without what a request has no place for (citations, listed as losses) and names that a file was given."""
    for _, part in flat(prompt):
        if hasattr(part, "citations"):
            part.citations = []
        if isinstance(part, Media) and part.name in FILENAMES.values():
            part.name = None
    return prompt


def neutral(prompt: Prompt) -> Any:
    parts = [(role, part) for role, part in flat(bare(prompt))]
    fields = {name: getattr(prompt, name) for name in prompt.__struct_fields__ if name not in ("messages", "extras")}
    fields.pop("legacy_functions")
    return parts, fields


def test_every_request_survives_the_neutral_model() -> None:
    done = 0
    for row, request in requests():
        prompt = DIALECT.read(json.loads(json.dumps(request)))
        written = DIALECT.write(prompt, Target(model=request["model"], provider="p", accepts=ALL))
        gone = missing(request, written.json, written.losses, written.renamed)
        assert not gone, (row, gone)
        again = DIALECT.read(written.json)
        assert neutral(again) == neutral(DIALECT.read(request)), row
        done += 1
    assert done > 1300


DE_FACTO = ("unknown member", "openrouter:", "'on_demand'", "'default' is not", "video_url")
"""In complaints about what a client said in words of other providers, which go on as they came."""


def test_what_is_written_is_valid() -> None:
    """By the published description, whatever form of other providers it came in: their own words apart."""
    for row, request in requests():
        allowed = DE_FACTO if oracle.problems(request) else ()
        for accepts in (
            ALL,
            Accepts(),
            Accepts(max_tokens_field="max_tokens", developer_role=False, tool_id="mistral"),
        ):
            written = DIALECT.write(DIALECT.read(request), Target(model="m", provider="p", accepts=accepts))
            for problem in oracle.problems(written.json):
                assert any(word in problem for word in allowed), (row, problem)


def test_same_dialect_edits_keep_every_other_byte() -> None:
    for row, request in requests():
        body = json.dumps(request, ensure_ascii=False, indent=1).encode()
        head = DIALECT.head(body)
        assert head.model == request["model"] and head.stream == bool(request.get("stream")), row
        edits = DIALECT.edits(head, Target(model="other", provider="p"))
        want = dict(request, model="other")
        options = request.get("stream_options") or {}
        if want.get("stream") and not options.get("include_usage"):
            want["stream_options"] = {**options, "include_usage": True}
        edited = splice.apply(body, edits)
        assert json.loads(edited) == want, row
        undone = json.dumps(request["model"], ensure_ascii=False).encode()
        if not want.get("stream"):
            assert edited.replace(b'"other"', undone, 1) == body, row


def test_every_text_slot_can_be_replaced() -> None:
    for row, request in requests():
        body = json.dumps(request).encode()
        found = list(DIALECT.slots(request))
        assert len({slot.path for slot in found}) == len(found), row
        marks = {slot.path: f"<{number}>" for number, slot in enumerate(found)}
        edited = splice.apply(
            body, [Edit(name="guard", path=path, value=json.dumps(mark).encode()) for path, mark in marks.items()]
        )
        document = json.loads(edited)
        for slot in found:
            assert at(request, slot.path) == slot.text, row
            assert at(document, slot.path) == marks[slot.path], row
        for path, text in strings(request.get("messages")):
            if path[-1] in ("content", "text", "arguments", "reasoning_content", "thinking") and text:
                assert ("messages", *path) in marks, (row, path)


def test_every_error_is_read() -> None:
    for row in recordings("openai_chat"):
        if row.status < 400:
            continue
        error = DIALECT.refusal(row.status, row.reply)
        assert error.status == row.status and error.message
        body = json.loads(row.reply)
        inner = body["error"]
        assert error.message.startswith(inner["message"]), row
        assert error.code == (str(inner["code"]) if inner.get("code") else "upstream_error"), row
        assert error.retryable == (row.status == 429), row


def test_mutated_requests_are_refused_with_their_place() -> None:
    """Each place made another type: BadRequest with `param`, or read; never anything else."""
    shapes: set[str] = set()
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _, request in requests():
            shape = str(sorted({str([key for key in path if isinstance(key, str)]) for path in paths(request)}))
            if shape in shapes:
                continue
            shapes.add(shape)
            for wrong in mutated(request):
                try:
                    written = DIALECT.write(DIALECT.read(wrong), Target(model="m", provider="p"))
                    assert not missing(wrong, written.json, written.losses, written.renamed)
                except BadRequest as error:
                    refused += 1
                    assert error.param, error
                list(DIALECT.slots(wrong))
    assert refused > 100
