"""An answer's JSON -> events, whole or streamed. What becomes of items and their texts is told in `track`.

Rules of this file:
- Everything said twice (`*.done`, `output_item.done`, the response that ends the stream) goes the same way as what was
  said first; the track knows which it is. A whole reply is a response that ends at once.
- An answer is complete with a terminal event, also with a bare `error`: nothing can follow that would be an answer. The
  `response.failed` that says the same error again is not a second failure.
- A second response in the same stream (some gateways splice them) goes on where the first ended.
"""

from __future__ import annotations

from typing import Any

from headgate.model.events import Decoded, Event, Failed, Finished, PartDelta, Path, Repeat, Started, Stop, UsageSeen

from .checks import a_list, a_string, an_index, an_object, json_of, logprobs_of, malformed
from .errors import failure
from .shapes import citation, read_usage
from .tables import (
    ANSWER_EXTRAS,
    CLIENT_CALLS,
    CONTENTS,
    DELTAS,
    DONES,
    FAMILY,
    LIFE,
    PART_FRAMES,
    REASONS,
    TERMINAL,
    WITHOUT_OUTPUT,
)
from .track import THOUGHTS, Item, Track


class Decoder:
    """One answer. See `headgate.dialects.base.Decoder`."""

    __slots__ = ("_failed", "_track", "complete")

    def __init__(self) -> None:
        self.complete = False
        self._track = Track()
        self._failed = False

    def feed(self, event: str, data: bytes) -> Decoded:
        if not data or data == b"[DONE]":
            return Decoded()
        frame = an_object(json_of(data), "an event")
        kind = frame.get("type", event)
        if not isinstance(kind, str):
            malformed("type", "a string")
        if kind in DELTAS:
            self._delta(kind, frame)
        elif kind in DONES:
            self._text_done(kind, frame)
        elif kind in PART_FRAMES:
            self._part_frame(kind, frame)
        elif kind == "response.output_item.added":
            if frame.get("item") is not None:
                self._item(frame, final=False)
        elif kind == "response.output_item.done":
            self._item(frame, final=True)
        elif kind == "response.output_text.annotation.added":
            self._annotated(frame)
        elif kind in LIFE:
            self._life(an_object(frame.get("response"), "response"), kind == "response.created")
        elif kind in TERMINAL:
            self._end_response(an_object(frame.get("response"), "response"), ("response",))
        elif kind == "error":
            self._fail(failure(frame))
        else:
            self._track.unknown(frame, ())
        return self._track.take()

    def whole(self, data: bytes) -> Decoded:
        response = an_object(json_of(data), "an answer")
        self._track.whole = True
        if response.get("output") is None and response.get("error") is not None:
            self._fail(failure(response))
        else:
            self._end_response(response, ())
        self.complete = True
        return self._track.take()

    def end(self) -> tuple[Event, ...]:
        self._track.close_all()
        return self._track.take().events

    # -- the response

    def _life(self, response: dict[str, Any], created: bool) -> None:
        track = self._track
        if created and track.started:
            track.close_all()
            track.items = {}
            track.started = False
            self.complete = False
        if not track.started:
            self._start(response)
        output = response.get("output")
        if output:
            self._output(a_list(output, "response.output"), ("response", "output"), final=False)

    def _start(self, response: dict[str, Any]) -> None:
        created = response.get("created_at")
        self._track.id = a_string(response.get("id"), "response.id")
        self._track.started = True
        self._track.events.append(
            Started(
                id=self._track.id,
                model=a_string(response.get("model"), "response.model"),
                created=int(created) if isinstance(created, int | float) and abs(created) < 1e15 else None,
            )
        )

    def _end_response(self, response: dict[str, Any], path: Path) -> None:
        if not self._track.started:
            self._start(response)
        output = response.get("output")
        if output is None and not path and str(response.get("status")) not in WITHOUT_OUTPUT:
            malformed("output", "a list")
        self._output(a_list(output or [], "output"), (*path, "output"), final=True)
        self._track.close_all()
        self._output_text(response, path)
        self._finish(response)
        native = response.get("usage")
        if native is not None:
            self._track.events.append(UsageSeen(usage=read_usage(an_object(native, "usage"), response)))
        self.complete = True

    def _output(self, output: list[Any], path: Path, final: bool) -> None:
        taken: set[int] = set()
        for place, value in enumerate(output):
            item = an_object(value, "an output item")
            index = self._track.find(item, place, taken)
            taken.add(index)
            self._track.item(index, item, (*path, place), final=final)

    def _output_text(self, response: dict[str, Any], path: Path) -> None:
        """A convenience of some providers: all text of the answer joined, beside the output."""
        if not isinstance(response.get("output_text"), str):
            return
        texts = [part for item in self._track.items.values() for part in item.parts.values() if part.kind == "text"]
        place = (*path, "output_text")
        if len(texts) == 1:
            self._track.repeats.append(Repeat(path=place, part=texts[0].number))
        else:
            self._track.repeats += [Repeat(path=place, part=part.number, kind="drop") for part in texts]

    def _finish(self, response: dict[str, Any]) -> None:
        native = a_string(response.get("status"), "status") or "completed"
        if native == "failed":
            self._fail(failure(response))
            return
        extras = {name: response[name] for name in ANSWER_EXTRAS if response.get(name) is not None}
        stop: Stop = "other"
        if native == "completed":
            calls = any(item.type in CLIENT_CALLS for item in self._track.items.values())
            stop = "tool_use" if calls else "stop"
        elif native == "incomplete":
            details = an_object(response.get("incomplete_details") or {}, "incomplete_details")
            reason = a_string(details.get("reason"), "incomplete_details.reason")
            stop = REASONS.get(reason, "other")
            native = reason or native
            if stop == "other":
                extras["incomplete_details"] = details or None
        else:
            extras["status"] = native
        self._track.events.append(Finished(stop=stop, native=native, extras={FAMILY: extras} if extras else {}))

    def _fail(self, failed: Failed) -> None:
        if not self._failed:
            self._track.events.append(failed)
        self._failed = True
        self.complete = True

    # -- items and texts

    def _item(self, frame: dict[str, Any], final: bool) -> None:
        item = an_object(frame.get("item"), "item")
        self._track.item(an_index(frame, "output_index"), item, ("item",), final=final)

    def _delta(self, kind: str, frame: dict[str, Any]) -> None:
        shape, place, member = DELTAS[kind]
        number = an_index(frame, member) if member else 0
        id = a_string(frame.get("item_id"), "item_id")
        part = self._track.addressed(shape, place, number, an_index(frame, "output_index"), id)
        if part is None:
            self._track.unknown(frame, ())
            return
        text = frame.get("delta")
        if not isinstance(text, str):
            malformed("delta", "a string")
        self._track.piece(part, text, logprobs_of(frame))

    def _text_done(self, kind: str, frame: dict[str, Any]) -> None:
        shape, place, member, text = DONES[kind]
        number = an_index(frame, member) if member else 0
        id = a_string(frame.get("item_id"), "item_id")
        part = self._track.addressed(shape, place, number, an_index(frame, "output_index"), id)
        if part is None:
            self._track.unknown(frame, ())
        else:
            self._track.text(part, frame, text, ())

    def _part_frame(self, kind: str, frame: dict[str, Any]) -> None:
        place, member = PART_FRAMES[kind]
        index, number = an_index(frame, "output_index"), an_index(frame, member)
        content = an_object(frame.get("part"), "part")
        native = content.get("type")
        track = self._track
        known = track.items.get(index)
        if known is None:
            if not isinstance(native, str):
                malformed("part.type", "a string")
            id = a_string(frame.get("item_id"), "item_id")
            known = track.items[index] = Item("message" if native in CONTENTS else "reasoning", id)
        if known.type == "message":
            track.content(known, content, number, ("part",))
        elif known.type == "reasoning" and (place, native) in THOUGHTS:
            track.text(track.part(known, "thinking", place, number), content, "text", ("part",))
        else:
            track.unknown(frame, ())

    def _annotated(self, frame: dict[str, Any]) -> None:
        number, index = an_index(frame, "content_index"), an_index(frame, "output_index")
        part = self._track.addressed("text", "content", number, index, a_string(frame.get("item_id"), "item_id"))
        if part is None:
            self._track.unknown(frame, ())
            return
        given = citation(an_object(frame.get("annotation"), "annotation"))
        part.cited += 1
        self._track.events.append(PartDelta(part=part.number, kind="text", citations=(given,)))
