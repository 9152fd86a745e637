"""Every recorded stream under a pattern guard that redacts, through the pipeline that serves: the official SDK still accumulates it
and reads what one pass over each whole text gives; no frame is added, lost or reordered; outside of what a dialect names as texts of
the answer every frame is what it was, to the byte where none of them was edited.

What is redacted is taken from the stream itself: a word of each of EACH frames spread over it, and in a second run a text that begins
in one frame and ends in the next. Requests ask for usage, so that no frame is hidden.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
import yaml

import exceptions
import readings
from dry import Dry, Scripted
from exchanges import SITE_OF, path_of, request_of
from headgate.app import DIALECTS, SPLITTERS
from headgate.guards.base import Guard
from headgate.guards.pattern import compile
from headgate.model.events import Decoded, Fold, PartDelta
from headgate.stages.guard_output import GuardOutput
from oracles import Reading, gemini
from readings import CROSSING
from recordings import Recording
from running import KEY, sites
from scramble import cut

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
]

EACH = 8
MARK = "[gone]"
_WORD = re.compile("[A-Za-z]{3,}")
_JSON_WORDS = {"true", "false", "null"}
_BLANK = re.compile(rb"(?<=\n)\r?\n")


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dry]:
    folder = tmp_path_factory.mktemp("guarded")
    config = {"discover": False, "keys": [{"name": "suite", "key": KEY}], "providers": sites("http://127.0.0.1:9")}
    (folder / "headgate.yaml").write_text(yaml.safe_dump(config))
    made = Dry(folder / "headgate.yaml", folder / "data")
    yield made
    made.close()


class Original:
    """A recorded stream: its frames and documents, what each means to its dialect, and its parts' texts."""

    def __init__(self, row: Recording) -> None:
        self.row = row
        self.array = row.dialect == "gemini" and not row.sse
        self.frames = frames(row.reply, self.array)
        splitter = SPLITTERS["json-array" if self.array else "sse"]()
        decoder = DIALECTS[row.dialect].decoder()
        self.decoded: list[Decoded] = []
        for item in [*splitter.feed(row.reply), *splitter.end()]:
            if item.data is not None:
                self.decoded.append(decoder.feed(item.event, item.data))
        fold = Fold()
        for event in [*(event for one in self.decoded for event in one.events), *decoder.end()]:
            fold.feed(event)
        self.answer = fold.close()

    def pieces(self) -> list[PartDelta]:
        """The deltas of the answer's parts that a guard looks at."""
        kinds = ("media", "native")
        events = [event for one in self.decoded for event in one.events]
        return [e for e in events if isinstance(e, PartDelta) and e.part >= 0 and e.text and e.kind not in kinds]

    def words(self) -> list[str]:
        """A word of each of EACH pieces, spread over the stream."""
        pieces = self.pieces()
        step = max(1, len(pieces) // EACH)
        found = {word[0] for piece in pieces[step // 2 :: step] if (word := _WORD.search(piece.text))}
        return sorted(found - _JSON_WORDS, key=lambda word: (-len(word), word))

    def bridge(self) -> list[str]:
        """The end of one piece and the begin of the next one of its part, from the middle of the stream; prose only: JSON text is
        read string by string."""
        pieces = [piece for piece in self.pieces() if piece.kind not in ("tool_call", "custom_call")]
        pairs = [
            one.text[-4:] + other.text[:4]
            for one, other in pairwise(pieces)
            if (one.choice, one.part) == (other.choice, other.part)
        ]
        return pairs[len(pairs) // 2 :][:1]


def frames(body: bytes, array: bool) -> list[bytes]:
    """The frames of a stream, each with its own bytes; of an array, its documents written anew."""
    if array:
        return [json.dumps(document).encode() for document in json.loads(body)]
    return _BLANK.split(body)


def document(frame: bytes) -> Any:
    """The JSON of a frame; what is no JSON as it is."""
    lines = [line.removeprefix(b"data:") for line in frame.splitlines() if line.startswith(b"data:")]
    try:
        return json.loads(b"\n".join(lines) if lines else frame)
    except ValueError:
        return frame


def differing(one: Any, other: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths at which two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from differing(one[key], other[key], (*path, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from differing(a, b, (*path, index))
    elif one != other:
        yield path


def edited_where_allowed(original: Original, body: bytes) -> Iterator[str]:
    """What of a guarded stream is otherwise than it may be."""
    got = frames(body, original.array)
    if len(got) != len(original.frames):
        yield f"{len(got)} frames of {len(original.frames)}"
        return
    decoded = iter(original.decoded)
    for number, (before, after) in enumerate(zip(original.frames, got, strict=True)):
        has_data = original.array or any(line.startswith(b"data") for line in before.splitlines())
        meaning = next(decoded, None) if has_data else None
        if before == after:
            continue
        if meaning is None:
            yield f"frame {number} has no texts, and is {after[:100]!r}"
            continue
        slots = [e.slot.path for e in meaning.events if isinstance(e, PartDelta) and e.slot is not None]
        allowed = [*slots, *(repeat.path for repeat in meaning.repeats)]
        paths = list(differing(document(before), document(after)))
        yield from (f"frame {number}: {p}" for p in paths if not any(p[: len(place)] == place for place in allowed))
        if not paths:
            yield f"frame {number} is the same JSON in other bytes"


def expected(original: Original, wanted: re.Pattern[str]) -> Reading:
    """The SDK's reading of the recording, each of its texts gone over once."""
    read = readings.recorded(original.row)
    choices = []
    for choice, answered in zip(read.choices, original.answer.choices, strict=True):
        texts = dict.fromkeys(("text", "thinking", "refusal"), "")
        plain = dict(texts)
        for part in answered.parts:
            if part.kind in texts:
                texts[part.kind] += wanted.sub(MARK, part.text)
                plain[part.kind] += part.text
        assert plain == {name: getattr(choice, name) for name in plain}
        choices.append(replace(choice, **texts, tools=[(name, _gone(value, wanted)) for name, value in choice.tools]))
    return Reading(choices=choices, usage=read.usage)


def _gone(value: Any, wanted: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return wanted.sub(MARK, value)
    if isinstance(value, dict):
        return {wanted.sub(MARK, key): _gone(item, wanted) for key, item in value.items()}
    return [_gone(item, wanted) for item in value] if isinstance(value, list) else value


def guarded(inside: Dry, original: Original, found: list[str]) -> str:
    """What is wrong with the stream when these texts are redacted; "" if nothing."""
    pattern = "|".join(re.escape(text) for text in found)
    row, wanted = original.row, re.compile(pattern)
    rng = Random(zlib.crc32(row.id.encode()))
    body = request_of(row) | ({"stream": True} if row.dialect != "gemini" else {})
    if row.dialect == "openai_chat":
        body["stream_options"] = {"include_usage": True}
    kind = b"application/json" if original.array else b"text/event-stream"
    reply = Scripted(kind, cut(row.reply, rng, most=40))
    stage = GuardOutput(compile([Guard(name="it", pattern=pattern, replacement=MARK)]))
    answer = inside.answer(path_of(row, SITE_OF[row.dialect]), json.dumps(body).encode(), reply, [stage])
    wrong = list(edited_where_allowed(original, answer))
    if not wrong:
        got, want = readings.source(row, answer), expected(original, wanted)
        wrong = [] if got == want else [readings.difference(got, want)]
    if not wrong and MARK.encode() not in answer:
        wrong = ["nothing was redacted"]
    return "; ".join(wrong[:3])


@pytest.mark.parametrize("dialect", CROSSING)
def test_every_stream(dialect: str, inside: Dry) -> None:
    wrong: list[str] = []
    excused: dict[str, str] = {}
    seen = 0
    for row in readings.answers(dialect):
        if not readings.streamed(row) or readings.recorded(row).error:
            continue
        original = Original(row)
        for name, found in (("words", original.words()), ("bridge", original.bridge())):
            if not found:
                continue
            seen += 1
            try:
                told = guarded(inside, original, found)
            except Exception as error:
                told = f"{type(error).__name__}: {str(error)[:200]}"
            if told and row.id in exceptions.GUARDED:
                excused[row.id] = told
            elif told:
                wrong.append(f"{row.id} {name} {found}: {told}")
    assert seen > 150
    assert set(excused) == set(exceptions.GUARDED) & {row.id for row in readings.answers(dialect)}
    assert wrong == [], f"{len(wrong)} of {seen}:\n" + "\n".join(wrong[:100])


def test_a_string_of_streamed_arguments_is_one_text(inside: Dry) -> None:
    """Vertex streams arguments string by string, each in pieces: a match over two of them is found, over two strings it is not."""
    pieces = [("$.note", "my se", True), ("$.note", "cret and", True), ("$.note", " more", False), ("$.to", "se", True)]
    pieces += [("$.also", "cret", False)]
    calls: list[dict[str, Any]] = [{"name": "write", "willContinue": True}]
    for path, text, goes_on in pieces:
        piece = {"jsonPath": path, "stringValue": text, "willContinue": goes_on}
        calls.append({"partialArgs": [piece], "willContinue": True})
    parts: list[Any] = [{"functionCall": call} for call in [*calls, {}]]
    chunks = [{"candidates": [{"content": {"role": "model", "parts": [part]}}]} for part in parts]
    chunks.append({"candidates": [{"finishReason": "STOP"}]})
    stream = b"".join(b"data: %s\r\n\r\n" % json.dumps(chunk).encode() for chunk in chunks)
    stage = GuardOutput(
        compile([Guard(name="it", pattern="secret", replacement=MARK, places=frozenset({"tool_arguments"}))])
    )
    path = "/up_gemini/v1beta/models/m:streamGenerateContent?alt=sse"
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}).encode()
    answer = inside.answer(path, body, Scripted(b"text/event-stream", [stream]), [stage])
    (choice,) = gemini.stream(answer).choices
    assert choice.tools == [("write", {"note": f"my {MARK} and more", "to": "se", "also": "cret"})]
    assert len(frames(answer, False)) == len(frames(stream, False))
