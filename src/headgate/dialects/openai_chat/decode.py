"""Answers of Chat Completions, whole or streamed, read into events.

Rules of this file:
- A document is read as a plain object: its unknown members must stay visible to guards (strings of unknown members
  become deltas of part -1), and a wrong type must be told as UpstreamMalformed, whichever server made it.
- The terminal mark is [DONE], or an error. `finish_reason` is not: usage may still follow, and a stream cut after
  it is cut.
- A delta may say the same thoughts twice (`reasoning` and `reasoning_details`): the text counts once, the other
  place repeats it.
- `finish_reason` "stop" with calls means tool use; an empty or missing one in a complete answer is read from what
  was said.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headgate.dialects.openai_chat import plain
from headgate.dialects.openai_chat.errors import failed
from headgate.dialects.openai_chat.message import Message, leaves, mapping
from headgate.dialects.openai_chat.tables import ANSWER_EXTRAS, CHOICE_KEYS, CHUNK_KEYS, STOPS, USAGE_CHUNK_KEYS
from headgate.dialects.openai_chat.turn import Turn
from headgate.dialects.openai_chat.usage import read_usage
from headgate.errors import UpstreamMalformed
from headgate.model.events import Decoded, Event, PartDelta, Path, Repeat, Slot, Started, UsageSeen
from headgate.model.prompt import Extras

_EMPTY = Decoded()
_DONE = b"[DONE]"
_decode = msgspec.json.Decoder().decode


_MISSES = 4
"""Chunks that do not fit after which a server's are all read the long way."""


class Decoder:
    """See dialects.base.Decoder."""

    choice_keys = CHOICE_KEYS
    plain_answers = True
    """What plain.py reads whole is an answer of this dialect."""
    __slots__ = (
        "_failed",
        "_id",
        "_message",
        "_misses",
        "_out",
        "_repeats",
        "_started",
        "_turns",
        "_whole",
        "complete",
    )

    def __init__(self) -> None:
        self.complete = False
        self._whole = self._failed = False
        self._started = False
        self._id = ""
        self._turns: dict[int, Turn] = {}
        self._out: list[Event] = []
        self._repeats: list[Repeat] = []
        self._message = Message(self._out, self._repeats)
        self._misses = 0

    def feed(self, event: str, data: bytes) -> Decoded:
        if self._started and not event and self._misses < _MISSES and (more := self._on(data)) is not None:
            return more
        if not data or data.isspace():
            return _EMPTY
        if data.lstrip().startswith(_DONE):
            return self._done()
        document = self._parse(data)
        choices = document.get("choices")
        usage_only = not choices and bool(document.get("usage")) and document.keys() <= USAGE_CHUNK_KEYS
        try:
            self._read(document, choices, event)
        except UpstreamMalformed:  # a caller that goes on must not find these events, and their slots, in a later frame
            self._taken(False)
            raise
        return self._taken(usage_only)

    def _on(self, data: bytes) -> Decoded | None:
        """A plain chunk that goes on with the text that is open; None for all others."""
        choice = plain.chunk(data)
        if choice is None:
            self._misses += 1
            return None
        turn = self._turns.get(choice.index)
        if turn is None or turn.kind != "text" or not choice.delta.content:
            return None
        self._misses = 0
        slot = Slot(path=plain.DELTA)
        delta = PartDelta(choice=choice.index, part=turn.part, kind="text", text=choice.delta.content, slot=slot)
        return Decoded(events=(delta,), alike=True)

    def whole(self, data: bytes) -> Decoded:
        if self.plain_answers and (events := plain.whole(data)) is not None:
            self.complete = True
            return Decoded(events=events)
        self._whole = True
        document = self._parse(data)
        choices = document.get("choices")
        if choices is None and not _error(document):
            raise UpstreamMalformed("the upstream's answer has no choices")
        self._read(document, choices, "")
        self._finish()
        self.complete = True
        return self._taken(False)

    def end(self) -> tuple[Event, ...]:
        """What is owed: the ends of parts that a cut left open."""
        for turn in self._turns.values():
            turn.close()
        return self._taken(False).events

    # ------------------------------------------------------------------ documents

    def _parse(self, data: bytes) -> dict[str, Any]:
        try:
            document = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamMalformed("the upstream's answer is not JSON") from error
        if type(document) is not dict:
            if isinstance(document, list) and document and isinstance(document[0], dict) and "error" in document[0]:
                return document[0]
            raise UpstreamMalformed("the upstream's answer is not a JSON object")
        return document

    def _taken(self, usage_only: bool) -> Decoded:
        decoded = Decoded(events=tuple(self._out), repeats=tuple(self._repeats), usage_only=usage_only)
        self._out.clear()
        self._repeats.clear()
        return decoded

    def _done(self) -> Decoded:
        self.complete = True
        self._finish()
        return self._taken(False)

    def _finish(self) -> None:
        """Choices that no finish_reason ended, in an answer that is complete (Snowflake never says one)."""
        for turn in () if self._failed else self._turns.values():
            turn.finish("stop", "", {})

    def _read(self, document: dict[str, Any], choices: Any, event: str) -> None:
        if choices is not None and not isinstance(choices, list):
            raise UpstreamMalformed("the upstream's choices are not a list")
        error = _error(document)
        wrong = error or (event == "error" and not choices)
        if not self._started and (choices or wrong or document.get("usage")):
            self._start(document)
        for place, choice in enumerate(choices or ()):
            self._choice(mapping(choice, "choice"), place, document)
        if document.keys() - CHUNK_KEYS:
            for key in document:
                if key not in CHUNK_KEYS:
                    leaves(document[key], (key,), 0, self._out)
        usage = document.get("usage") or _elsewhere(document)
        if usage:
            self._usage(usage, document)
        if wrong:
            self._fail({"error": error} if error else document, error)

    def _start(self, document: dict[str, Any]) -> None:
        self._started = True
        id, model, created = document.get("id"), document.get("model"), document.get("created")
        self._id = id if isinstance(id, str) else ""
        kept = {key: document[key] for key in ANSWER_EXTRAS if document.get(key)}
        kept |= {f"answer.{key}": value for key, value in document.items() if key not in CHUNK_KEYS}
        self._out.append(
            Started(
                id=self._id,
                model=model if isinstance(model, str) else "",
                created=created if isinstance(created, int) and created else None,
                extras={"openai": kept} if kept else {},
            )
        )

    def _usage(self, usage: Any, document: dict[str, Any]) -> None:
        self._out.append(UsageSeen(usage=read_usage(mapping(usage, "usage"), document.get("service_tier"))))

    def _fail(self, document: dict[str, Any], error: Any) -> None:
        self.complete = self._failed = True
        for turn in self._turns.values():
            turn.close()
        if isinstance(error, dict) and isinstance(error.get("failed_generation"), str):  # Groq: what the model wrote
            leaves(error["failed_generation"], ("error", "failed_generation"), 0, self._out)
        self._out.append(failed(document))

    # ------------------------------------------------------------------ choices

    def _choice(self, choice: dict[str, Any], place: int, document: dict[str, Any]) -> None:
        index = choice.get("index", place)
        if index is None:
            index = place
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < 1024:
            raise UpstreamMalformed("a choice of the upstream has no usable index")
        turn = self._turns.get(index)
        if turn is None:
            if not any(value for name, value in choice.items() if name != "index"):
                return  # all of it null or empty: nothing has begun that [DONE] could finish
            turn = self._turns[index] = Turn(index, self._id, self._whole, self._out)
        path: Path = ("choices", place)
        self.said(turn, choice, path, document)
        if choice.keys() - self.choice_keys:
            for name in choice:
                if name not in self.choice_keys:
                    turn.beside[name] = choice[name]
                    leaves(choice[name], (*path, name), index, self._out)
        if choice.get("error"):
            self._fail({"error": choice["error"]}, choice["error"])
            return
        finish = choice.get("finish_reason")
        if finish:
            if document.get("moderation"):
                turn.beside["moderation"] = document["moderation"]
            if not isinstance(finish, str):
                raise UpstreamMalformed("the upstream's finish_reason is not a string")
            turn.finish(STOPS.get(finish.lower(), "other"), finish, _finish_extras(choice, finish, turn.beside))

    def said(self, turn: Turn, choice: dict[str, Any], path: Path, document: dict[str, Any]) -> None:
        """What a choice says: its delta or message, and the logprobs of that."""
        self._message.read(turn, choice, "delta" if choice.get("delta") else "message", path, document)


def _finish_extras(choice: dict[str, Any], finish: str, beside: dict[str, Any]) -> Extras:
    """The word goes back verbatim to this dialect. `beside`: what is not known, which no dialect can be shown."""
    kept: dict[str, Any] = {"finish_reason": finish, **{f"answer.{name}": value for name, value in beside.items()}}
    for key in ("native_finish_reason", "stop_reason"):
        if choice.get(key) is not None:
            kept[key] = choice[key]
    return {"openai": kept}


def _error(document: dict[str, Any]) -> Any:
    """What a document says of an error: `error`, Groq's `x_groq.error`, or itself where it calls itself one (vLLM)."""
    error = document.get("error")
    if error:
        return error
    own = document.get("x_groq")
    if isinstance(own, dict) and own.get("error"):
        return own["error"]
    return document if document.get("object") == "error" else None


def _elsewhere(document: dict[str, Any]) -> Any:
    """Usage in other places: Groq's `x_groq.usage`, Moonshot's `choices[].usage`."""
    own = document.get("x_groq")
    if isinstance(own, dict) and own.get("usage"):
        return own["usage"]
    for choice in document.get("choices") or ():
        if isinstance(choice, dict) and choice.get("usage"):
            return choice["usage"]
    return None
