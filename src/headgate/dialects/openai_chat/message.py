"""What stands in a `message` or a `delta`: text, thoughts, refusals, calls, sounds, images, citations.

Rules of this file:
- Every text gets the path of its place, relative to the document's root, so that a guard's edit lands there and
  nowhere else.
- Members we do not know are not skipped: `leaves` shows their strings to guards.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headgate.dialects.openai_chat.places import strings
from headgate.dialects.openai_chat.reasoning import CONTENT, extras_of, owner, text_key, text_of
from headgate.dialects.openai_chat.tables import MESSAGE_KEYS, QUIET, REASONING_FIELDS
from headgate.dialects.openai_chat.turn import Turn
from headgate.errors import UpstreamMalformed
from headgate.model.events import Event, PartDelta, PartKind, Path, Repeat, Slot
from headgate.model.prompt import Citation, Extras

Member = dict[str, Any]
_LOGPROB_KEYS = frozenset(("content", "refusal"))
_LOGPROBS: tuple[tuple[str, PartKind], ...] = (("content", "text"), ("refusal", "refusal"))


def mapping(value: Any, what: str) -> Member:
    if not isinstance(value, dict):
        raise UpstreamMalformed(f"the upstream's {what} is not an object")
    return value


def listing(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise UpstreamMalformed(f"the upstream's {what} is not a list")
    return value


def string(value: Any, what: str) -> str:
    """A string; null counts as empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UpstreamMalformed(f"the upstream's {what} is not a string")
    return value


def leaves(value: Any, path: Path, choice: int, out: list[Event]) -> None:
    """The strings of something unknown, each complete in itself, in order. Documents nest as deep as they like."""
    for place, text in strings(value, path, QUIET):
        out.append(PartDelta(choice=choice, part=-1, kind="text", text=text, whole=True, slot=Slot(place)))


class Message:
    """Reads messages of one answer; events and repeats go to the decoder's lists."""

    __slots__ = ("_cited", "_out", "_repeats")

    def __init__(self, out: list[Event], repeats: list[Repeat]) -> None:
        self._out = out
        self._repeats = repeats
        self._cited = 0

    def read(self, turn: Turn, choice: Member, key: str, path: Path, document: Member) -> None:
        """What a choice says under `key`. Prose comes first, with its logprobs and sources: a call would end it."""
        said = mapping(choice.get(key) or {}, key)
        here = (*path, key)
        if "reasoning_details" in said or "reasoning" in said or "reasoning_content" in said:
            self._thoughts(turn, said, here)
        content = said.get("content")
        if content:
            if type(content) is str:
                turn.say("text", content, (*here, "content"))
            else:
                self._blocks(turn, listing(content, "content"), (*here, "content"))
        if document.get("citations") or document.get("search_results"):
            self._sources(turn, document)
        rarer = len(said) > ("content" in said) + ("role" in said)
        if rarer:
            self._prose(turn, said, here)
        logprobs = choice.get("logprobs")
        if logprobs:
            self._logprobs(turn, logprobs, (*path, "logprobs"))
        if rarer:
            self._rarer(turn, said, here)

    def _prose(self, turn: Turn, said: Member, path: Path) -> None:
        refusal = string(said.get("refusal"), "refusal")
        if refusal:
            turn.say("refusal", refusal, (*path, "refusal"))
        if said.get("annotations"):
            self._annotations(turn, listing(said["annotations"], "annotations"), (*path, "annotations"))

    def _rarer(self, turn: Turn, said: Member, path: Path) -> None:
        if said.get("audio"):
            self._audio(turn, mapping(said["audio"], "audio"), (*path, "audio"))
        for image in listing(said.get("images") or [], "images"):
            self._image(turn, mapping(image, "image"))
        calls = said.get("tool_calls")
        for index, item in enumerate(listing(calls, "tool_calls") if calls else ()):
            self._call(turn, mapping(item, "tool call"), (*path, "tool_calls", index))
        legacy = said.get("function_call")
        if legacy and any(mapping(legacy, "function_call").values()):
            call = turn.call({"index": -1}, "tool_call", string(legacy.get("name"), "function name"))
            self._arguments(turn, call, legacy, "arguments", (*path, "function_call"), {})
        signature = _signature(said) or said.get("thought_signature")
        if isinstance(signature, str) and signature:
            self._signed(turn, signature)
        if said.keys() - MESSAGE_KEYS:
            for name in said:
                if name not in MESSAGE_KEYS:
                    turn.beside[name] = said[name]
                    leaves(said[name], (*path, name), turn.index, self._out)

    # ------------------------------------------------------------------ thoughts

    def _thoughts(self, turn: Turn, said: Member, path: Path) -> None:
        strings = [(name, string(said.get(name), name)) for name in REASONING_FIELDS if said.get(name)]
        details = [
            mapping(item, "reasoning detail")
            for item in listing(said.get("reasoning_details") or [], "reasoning_details")
        ]
        told = [detail for detail in details if text_of(detail)]
        if not told or (len(told) == 1 and strings and text_of(told[0]) == strings[0][1]):
            self._thought_strings(turn, strings, path)
            self._details(turn, details, (*path, "reasoning_details"), bool(strings), bool(strings))
            return
        parts = self._details(turn, details, (*path, "reasoning_details"), False, False)
        for name, text in strings:
            if all(text_of(detail) in text for detail in told):
                self._repeats += [
                    Repeat(path=(*path, name), choice=turn.index, part=part, kind="drop") for part in sorted(parts)
                ]
            else:
                leaves(text, (*path, name), turn.index, self._out)

    def _thought_strings(self, turn: Turn, strings: list[tuple[str, str]], path: Path) -> None:
        for name, text in strings[:1]:
            turn.say("thinking", text, (*path, name))
        for name, text in strings[1:]:
            if text == strings[0][1]:
                self._repeats.append(Repeat(path=(*path, name), choice=turn.index, part=turn.part, kind="drop"))
            else:
                leaves(text, (*path, name), turn.index, self._out)

    def _details(self, turn: Turn, details: list[Member], path: Path, told: bool, repeated: bool) -> set[int]:
        """The entries in order. `told`: their one text stood in a string beside them, and is only repeated here."""
        parts: set[int] = set()
        for index, detail in enumerate(details):
            text, key = text_of(detail), text_key(detail)
            holder = owner(detail)
            if holder is not None:
                self._owned(turn, holder, extras_of(detail))
                continue
            if text and repeated:
                self._repeats.append(Repeat(path=(*path, index, key), choice=turn.index, part=turn.part, kind="drop"))
            extras = extras_of(detail)
            if told and turn.kind == "thinking":
                turn.grouping.goes_on(detail)
                if extras:
                    turn.say("thinking", "", None, extras)
            elif text or extras:
                part = turn.think(detail, text, (*path, index, key) if text else None)
                if text:
                    parts.add(part)
            if not key and detail.get("type") != "reasoning.encrypted":
                leaves(detail, (*path, index), turn.index, self._out)
        return parts

    def _owned(self, turn: Turn, holder: str, extras: Extras) -> None:
        if holder == CONTENT:
            turn.say("text", "", None, extras)
        else:
            turn.sign(holder, extras)

    def _signed(self, turn: Turn, signature: str) -> None:
        """Gemini's endpoint signs the message: the signature belongs to its first call, else to its text."""
        extras: Extras = {"google": {"thoughtSignature": signature}}
        first = turn.calls[0] if turn.calls else None
        if first is None:
            turn.say("text", "", None, extras)
        elif "google" not in first.extras:
            turn.sign(first.id, extras)

    # ------------------------------------------------------------------ content blocks

    def _blocks(self, turn: Turn, blocks: list[Any], path: Path) -> None:
        """Content as a list: Mistral's thinking and text, others' typed parts."""
        for index, block in enumerate(blocks):
            here = (*path, index)
            kind = mapping(block, "content block").get("type")
            if kind in ("text", "output_text"):
                text = string(block.get("text"), "text")
                if text:
                    turn.say("text", text, (*here, "text"))
            elif kind == "thinking":
                self._thinking_block(turn, block, here)
            elif kind == "image_url":
                self._image(turn, block)
            else:
                leaves(block, here, turn.index, self._out)

    def _thinking_block(self, turn: Turn, block: Member, path: Path) -> None:
        thinking = block.get("thinking")
        if isinstance(thinking, str):
            turn.say("thinking", thinking, (*path, "thinking"))
            return
        for index, piece in enumerate(listing(thinking or [], "thinking")):
            text = string(mapping(piece, "thinking piece").get("text"), "thought")
            if text:
                turn.say("thinking", text, (*path, "thinking", index, "text"))
            else:
                leaves(piece, (*path, "thinking", index), turn.index, self._out)

    def _image(self, turn: Turn, image: Member) -> None:
        held = image.get("image_url")
        if isinstance(held, dict):
            held = held.get("url")
        url = string(held, "image")
        if url.startswith("data:") and ";base64," in url:
            mime, data = url[5:].split(";base64,", 1)
            turn.image(mime, data, {})
        elif url:
            turn.image("image/*", "", {"openai": {"url": url}})

    def _audio(self, turn: Turn, audio: Member, path: Path) -> None:
        transcript = string(audio.get("transcript"), "transcript")
        if transcript:
            turn.say("text", transcript, (*path, "transcript"), {"openai": {"transcript": True}})
        data = string(audio.get("data"), "audio")
        kept = {key: audio[key] for key in ("id", "expires_at") if audio.get(key)}
        if data or kept:
            turn.sound(data, (*path, "data"), {"openai": {"audio": kept}} if kept else {})

    # ------------------------------------------------------------------ citations

    def _annotations(self, turn: Turn, annotations: list[Any], path: Path) -> None:
        cited = []
        for index, item in enumerate(annotations):
            leaves(item, (*path, index), turn.index, self._out)
            found = mapping(item, "annotation").get("url_citation")
            if isinstance(found, dict):
                cited.append(_citation(found))
        self._cite(turn, cited)

    def _sources(self, turn: Turn, document: Member) -> None:
        """Perplexity's and xAI's lists at the root, which every chunk repeats: each source is told once."""
        found = document.get("search_results")
        sources = listing(found or document.get("citations"), "citations")
        fresh = sources[self._cited :]
        self._cited += len(fresh)
        cited = [
            Citation(url=string(item, "citation")) if not isinstance(item, dict) else _citation(item) for item in fresh
        ]
        self._cite(turn, cited)

    def _cite(self, turn: Turn, cited: list[Citation]) -> None:
        if cited:
            part = turn.prose("text")
            self._out.append(
                PartDelta(choice=turn.index, part=part, kind="text", citations=tuple(cited), whole=turn.whole)
            )

    # ------------------------------------------------------------------ calls

    def _call(self, turn: Turn, item: Member, path: Path) -> None:
        kind: PartKind = "tool_call"
        key, field = "function", "arguments"
        custom = item.get("custom")
        if item.get("type") == "custom" or (isinstance(custom, dict) and (custom.get("name") or custom.get("input"))):
            kind, key, field = "custom_call", "custom", "input"
        function = mapping(item.get(key) or {}, "function")
        call = turn.call(item, kind, string(function.get("name"), "function name"))
        signature = _signature(item)
        extras: Extras = {"google": {"thoughtSignature": signature}} if signature else {}
        self._arguments(turn, call, function, field, (*path, key), extras)

    def _arguments(self, turn: Turn, call: Any, function: Member, field: str, path: Path, extras: Extras) -> None:
        arguments = function.get(field)
        if isinstance(arguments, dict | list):  # some servers send the object itself
            turn.argue(call, msgspec.json.encode(arguments).decode(), None, extras)
            self._repeats.append(Repeat(path=(*path, field), choice=turn.index, part=call.part, kind="json"))
            return
        turn.argue(call, string(arguments, "arguments"), (*path, field), extras)

    # ------------------------------------------------------------------ logprobs

    def _logprobs(self, turn: Turn, logprobs: Any, path: Path) -> None:
        """Tokens in OpenAI's form ride with their text; in another form (Together's lists) they only repeat it."""
        if not isinstance(logprobs, dict) or not logprobs.keys() <= _LOGPROB_KEYS:
            self._repeats.append(Repeat(path=path, choice=turn.index, part=turn.prose("text"), kind="drop"))
            return
        for key, kind in _LOGPROBS:
            tokens = logprobs.get(key)
            if not tokens:
                continue
            told = tuple(mapping(token, "logprob") for token in listing(tokens, "logprobs"))
            part = turn.prose(kind)
            self._out.append(PartDelta(choice=turn.index, part=part, kind=kind, logprobs=told, whole=turn.whole))
            self._repeats.append(Repeat(path=(*path, key), choice=turn.index, part=part, kind="drop"))


def _signature(item: Member) -> str | None:
    """Gemini's thought signature, as its OpenAI endpoint carries it."""
    held = item.get("extra_content")
    google = held.get("google") if isinstance(held, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) and signature else None


def _citation(found: Member) -> Citation:
    def number(name: str) -> int | None:
        value = found.get(name)
        return value if isinstance(value, int) else None

    def text(*names: str) -> str | None:
        for name in names:
            value = found.get(name)
            if isinstance(value, str) and value:
                return value
        return None

    return Citation(
        url=text("url"),
        title=text("title"),
        quote=text("content", "snippet"),
        start=number("start_index"),
        end=number("end_index"),
    )
