"""Events -> the frames of a stream, and the whole response that its last frame carries.

Rules of this file:
- One grammar for all: the response is created and in progress; each item is added, its parts are added, grow, and are
  done, the item is done; the last frame holds the full output. Whole replies are the same walk with the frames left
  out.
- Parts may interleave: each item has its own output_index, and an item that a later one has overtaken ends with its
  last part. Texts that follow one another are the contents of one message.
- `encrypted_content` is this dialect's opaque slot. A thought of another family carries its own extras there, even
  none, so that it never looks like one the API could look up. An opaque value of a call or a text travels in an empty
  reasoning item right after it, whose carrier names the call ("of"; "previous" for a text).
- The client knows one answer: other choices are listed as losses, with their texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from headgate.dialects import finish
from headgate.dialects.base import Ask, Json
from headgate.dialects.naming import call_id, tool_id
from headgate.model.events import (
    Answer,
    Event,
    Failed,
    Finished,
    Fold,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
    UsageSeen,
    merged,
    unfold,
)
from headgate.model.prompt import Extras, Loss, foreign
from headgate.model.usage import Usage

from . import tell
from .echo import Names, settings
from .errors import error_event, failed_code
from .frames import Frames
from .items import Growing, Item
from .opaque import beside, opaque
from .shapes import annotation, write_usage
from .tables import ANSWER_EXTRAS, ANSWER_TIERS, ENDS, FAMILY, SERVICE_TIERS, STATUSES, TOLD


def answer(given: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
    encoder = Encoder(ask, streams=False)
    encoder.feed(unfold(given))
    encoder.end()
    return encoder.response, encoder.losses


class Encoder:
    """One answer. See `headgate.dialects.base.Encoder`. After `end`, `response` is the whole reply."""

    def __init__(self, ask: Ask, streams: bool = True, number: int = 0) -> None:
        self.losses: list[Loss] = []
        self.response: Json = {}
        self._ask = ask
        self._frames = Frames(streams, number)
        self._say = self._frames.say
        self._items: list[Item] = []
        self._growing: dict[int, Growing] = {}
        self._names = Names(ask.prompt)
        self._calls: set[str] = set()
        self._others = Fold()
        self._finished: Finished | None = None
        self._usage: Usage | None = None
        self._failed: Failed | None = None

    def feed(self, events: Iterable[Event]) -> bytes:
        for event in events:
            if self._failed is not None:
                break
            if isinstance(event, PartDelta):
                if event.choice:
                    self._others.feed(event)
                elif event.part >= 0:
                    self._delta(event)
            elif isinstance(event, Started):
                self._start(event)
            elif isinstance(event, UsageSeen):
                self._usage = event.usage
            elif isinstance(event, Failed):
                self._fail(event)
            elif event.choice:
                self._others.feed(event)
            elif isinstance(event, PartStarted):
                self._part(event)
            elif isinstance(event, PartEnded):
                self._ended(event.part, event.extras)
            else:
                self._finished = event
        return self._frames.take()

    def end(self) -> bytes:
        if self._failed is not None:
            return b""
        self._start(Started())
        status, reason = self._stop()
        self._close_all("completed" if status == "completed" else "incomplete")
        self._list_others()
        self.response |= {
            "status": status,
            "incomplete_details": {"reason": reason} if reason is not None else None,
            "output": [item.json for item in self._items],
            "usage": write_usage(self._usage) if self._usage is not None else None,
        }
        tier = self._usage.service_tier if self._usage is not None else None
        if tier is not None:
            self.response["service_tier"] = ANSWER_TIERS.get(tier, tier if tier in SERVICE_TIERS else "default")
        self._finish_extras()
        kind = "response.completed" if status == "completed" else "response.incomplete"
        self._say(kind, response=self.response)
        return self._frames.take()

    # -- the response

    def begin(self, id: str) -> None:
        """Takes up an answer that was begun, so that only its end is told. `id`: the response's own, if known."""
        self.response = self._response(Started(id=id))

    def _start(self, event: Started) -> None:
        if self.response:
            return
        self.response = self._response(event)
        self.losses += finish.beside(event.extras, FAMILY)
        self._say("response.created", response=self.response)
        self._say("response.in_progress", response=self.response)

    def _response(self, event: Started) -> Json:
        own = event.id if event.id.startswith("resp_") else f"resp_{self._ask.id.removeprefix('req_')}"
        return {
            "id": own,
            "object": "response",
            "created_at": event.created if event.created is not None else self._ask.created,
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": event.model or self._ask.model,
            "output": [],
            "previous_response_id": None,
            "store": False,
            "usage": None,
            **settings(self._ask.prompt),
        }

    def _stop(self) -> tuple[str, str | None]:
        finished = self._finished
        if finished is None:
            return "completed", None
        own = finished.extras.get(FAMILY, {})
        if own.get("status") in STATUSES:
            return own["status"], None
        refused = any(part.kind == "refusal" for item in self._items for part in item.parts)
        if finished.stop == "refusal" and refused:
            return "completed", None
        if finished.stop not in ENDS:
            if "incomplete_details" not in own:
                self.losses.append(Loss("stop", "this API has no word for it", finished.native or finished.stop))
            return "incomplete", None
        return ENDS[finished.stop]

    def _finish_extras(self) -> None:
        if self._finished is None:
            return
        own = self._finished.extras.get(FAMILY, {})
        shown = ("incomplete_details", *ANSWER_EXTRAS)
        self.response |= {name: own[name] for name in shown if name in own}
        rest = {name: value for name, value in own.items() if name not in (*shown, *TOLD)}
        self.losses += [Loss(name, "a response has no such member", value) for name, value in rest.items()]
        self.losses += foreign(self._finished.extras, FAMILY, "")

    def _fail(self, failed: Failed) -> None:
        self._start(Started())
        self._close_all("incomplete")
        self._list_others()
        self._failed = failed
        self.response |= {
            "status": "failed",
            "error": {"code": failed_code(failed), "message": failed.message},
            "output": [item.json for item in self._items],
            "usage": write_usage(self._usage) if self._usage is not None else None,
        }
        event = error_event(failed)
        self._say(event.pop("type"), **event)
        self._say("response.failed", response=self.response)

    def _list_others(self) -> None:
        for number, choice in enumerate(self._others.close().choices[1:], 1):
            said = [{"kind": part.kind, "name": part.name, "text": part.text} for part in choice.parts]
            self.losses.append(Loss(f"choices[{number}]", "a response has one answer", said))

    # -- parts

    def _part(self, event: PartStarted) -> None:
        self._start(Started())
        part = Growing(number=event.part, kind=event.kind, extras=merged({}, event.extras), mime=event.mime)
        self._growing[event.part] = part
        match event.kind:
            case "text" | "refusal":
                part.join(self._message(event))
                self._say("response.content_part.added", **part.at, part=part.json())
            case "thinking":
                part.join(self._thought(part))
            case "tool_call" | "custom_call":
                part.join(self._call(event))
            case _:
                pass  # Images and native items are added when they are there: an item may not change what it was.

    def _message(self, event: PartStarted) -> Item:
        own = event.extras.get(FAMILY, {})
        phase, id = own.get("phase"), own.get("id")
        last = self._items[-1] if self._items else None
        if (
            last is not None
            and last.type == "message"
            and not last.done
            and last.json.get("phase") == phase
            and id in (None, last.json["id"])
        ):
            return last
        json: Json = {"id": id or self._id("msg"), "type": "message", "status": "in_progress", "role": "assistant"}
        if phase is not None:
            json["phase"] = phase
        return self._add(json | {"content": []})

    def _thought(self, part: Growing) -> Item:
        own = part.extras.get(FAMILY, {})
        id = own.get("id")
        part.place = "content" if own.get("content") else "summary"
        last = self._items[-1] if self._items else None
        if last is not None and not last.done and last.type == "reasoning" and id and last.json["id"] == id:
            return last
        return self._add({"id": id or self._id("rs"), "type": "reasoning", "summary": []})

    def _call(self, event: PartStarted) -> Item:
        id = event.id if len(event.id) <= 64 else tool_id(event.id, "openai")
        if not id or id in self._calls:
            id = call_id(f"{self._ask.id}:{event.name}", event.part)
        self._calls.add(id)
        custom = event.kind == "custom_call"
        own = {key: value for key, value in event.extras.get(FAMILY, {}).items() if key in ("caller", "namespace")}
        return self._add(
            {
                "id": self._id("ctc" if custom else "fc"),
                "type": "custom_tool_call" if custom else "function_call",
                "status": "in_progress",
                "call_id": id,
                **self._names.shown(event.name),
                ("input" if custom else "arguments"): "",
                **own,
            }
        )

    def _delta(self, event: PartDelta) -> None:
        part = self._growing.get(event.part)
        if part is None or part.ended:
            return
        if event.extras:
            merged(part.extras, event.extras)
        if event.logprobs and part.kind != "text":
            self.losses.append(Loss("logprobs", "only a text has them here", list(event.logprobs)))
        elif event.logprobs:
            part.logprobs += event.logprobs
        if event.text or event.logprobs:
            part.pieces.append(event.text)
            tell.piece(self._say, part, event.text, list(event.logprobs))
        for cited in event.citations:
            if cited.start is None or cited.end is None:
                part.waiting.append(cited)
            else:
                self._cite(part, annotation(cited, cited.end), cited)

    def _cite(self, part: Growing, shown: dict[str, Any] | None, cited: Any) -> None:
        if shown is None or part.kind != "text":
            self.losses.append(Loss("citations", "it names no URL", msgspec.to_builtins(cited)))
            return
        part.annotations.append(shown)
        self._say(
            "response.output_text.annotation.added",
            **part.at,
            annotation_index=len(part.annotations) - 1,
            annotation=shown,
        )

    # -- ends

    def _ended(self, number: int, extras: Extras) -> None:
        part = self._growing.get(number)
        if part is None or part.ended:
            return
        merged(part.extras, extras)
        part.ended = True
        text = part.text = "".join(part.pieces)
        match part.kind:
            case "text" | "refusal":
                self._end_content(part)
            case "thinking":
                self._end_thought(part)
            case "tool_call" | "custom_call":
                self._end_call(part)
            case "media":
                self._image(part, text)
            case _:
                self._end_native(part)
        item = part.item
        if item is not None and item is not self._items[-1]:
            self._done(item, "completed")

    def _end_content(self, part: Growing) -> None:
        for cited in part.waiting:
            self._cite(part, annotation(cited, len(part.text)), cited)
        tell.content(self._say, part)
        self._beside(part, "previous")

    def _end_thought(self, part: Growing) -> None:
        item = part.item
        assert item is not None
        if part.pieces:
            tell.thought(self._say, part)
        shown, losses = opaque(part.extras)
        item.json |= shown
        self.losses += losses

    def _end_call(self, part: Growing) -> None:
        item = part.item
        assert item is not None
        tell.call(self._say, part)
        self._beside(part, item.json["call_id"])

    def _image(self, part: Growing, data: str) -> None:
        own = part.extras.get(FAMILY, {}).get("item")
        self.losses += foreign(part.extras, FAMILY, "output.media")
        if not part.mime.startswith("image/"):
            value = {"mime": part.mime, "data": data}
            self.losses.append(Loss("output.media", "a response holds no media but images", value))
            return
        shape = dict(own) if isinstance(own, dict) else {"output_format": part.mime.removeprefix("image/")}
        json: Json = {"id": self._id("ig"), "type": "image_generation_call", **shape}
        part.join(self._add(json | {"status": "in_progress", "result": None}))
        assert part.item is not None
        self._say("response.image_generation_call.in_progress", **part.item.at)
        self._say("response.image_generation_call.completed", **part.item.at)
        part.item.json |= {"result": data, "status": "completed"}

    def _end_native(self, part: Growing) -> None:
        item = part.extras.get(FAMILY, {}).get("item")
        if isinstance(item, dict):
            part.join(self._add(item))
        else:
            self.losses += foreign(part.extras, FAMILY, "output")

    def _beside(self, part: Growing, of: str) -> None:
        """The empty reasoning item that carries a part's opaque values."""
        carried, losses = beside(part.extras, of)
        self.losses += losses
        if carried is not None:
            self._add({"id": self._id("rs"), "type": "reasoning", "summary": [], "encrypted_content": carried})

    # -- items and frames

    def _add(self, json: Json) -> Item:
        if self._items:
            self._done(self._items[-1], "completed")
        item = Item(len(self._items), json)
        self._items.append(item)
        self._say("response.output_item.added", output_index=item.index, item=json)
        return item

    def _done(self, item: Item, status: str) -> None:
        """Ends an item all of whose parts have ended."""
        if item.done or not all(part.ended for part in item.parts):
            return
        item.done = True
        if item.json.get("status") == "in_progress" and not item.native:
            item.json["status"] = status
        self._say("response.output_item.done", output_index=item.index, item=item.json)

    def _close_all(self, status: str) -> None:
        for number in list(self._growing):
            self._ended(number, {})
        for item in self._items:
            self._done(item, status)
            item.parts.clear()  # they hold their item: a cycle, of which the collector would hear late

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._ask.id.removeprefix('req_')}_{len(self._items)}"
