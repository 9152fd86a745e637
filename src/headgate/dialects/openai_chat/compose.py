"""Neutral messages as chat messages.

Rules of this file:
- One text is a string; several, or one with marks, are a list of parts (no text is joined: what was two stays two).
- An assistant turn is thoughts, content, calls. Thoughts that follow a text begin another message, so that their
  order is kept; after a call nothing may stand between it and its results, so the turn stays one message.
- A tool message holds text alone. Images and files of a result follow in a user message after the run of tool
  messages, each after a line that names its call. A failed result begins with "Error: ".
- Thoughts go where `Accepts.reasoning_field` says. A field of one string cannot hold signatures: they are listed as
  lost.
"""

from __future__ import annotations

import msgspec

from headgate.dialects.base import Accepts, Json
from headgate.dialects.naming import tool_id
from headgate.dialects.openai_chat import reasoning
from headgate.dialects.openai_chat.tables import (
    AUDIO_FORMATS,
    EXTRA_MESSAGE_FIELDS,
    EXTRA_PART_FIELDS,
    FILENAMES,
)
from headgate.model.events import merged
from headgate.model.prompt import (
    Extras,
    Loss,
    Media,
    Message,
    Native,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    foreign,
)

ERROR_MARK = "Error: "


class Composer:
    def __init__(self, accepts: Accepts, names: dict[str, str], losses: list[Loss]) -> None:
        self._accepts = accepts
        self._names = names
        self._losses = losses

    def messages(self, messages: list[Message]) -> list[Json]:
        out: list[Json] = []
        waiting: list[Json] = []
        """Parts of tool results that a tool message cannot hold."""
        for message in messages:
            results = [part for part in message.parts if isinstance(part, ToolResult)]
            others: list[Part] = [part for part in message.parts if not isinstance(part, ToolResult)]
            out.extend(self._result(result, waiting) for result in results)
            if waiting and (others or message.role != "tool"):
                out.append({"role": "user", "content": [*waiting]})
                waiting.clear()
            if others or not results:
                out += self._message(message, others)
        if waiting:
            out.append({"role": "user", "content": [*waiting]})
        return out

    def _message(self, message: Message, parts: list[Part]) -> list[Json]:
        base = self._owned(message.extras, EXTRA_MESSAGE_FIELDS, f"messages.{message.role}")
        if message.name is not None:
            base["name"] = message.name
        if message.role == "assistant":
            found = [self._assistant(run) for run in _runs(parts)]
            found[-1].update(base)
            return found
        role = message.role if message.role != "developer" or self._accepts.developer_role else "system"
        role = "user" if role == "tool" else role
        blocks = [block for part in parts for block in self._blocks(part, message.role)]
        return [{"role": role, "content": _content(blocks), **base}]

    # ------------------------------------------------------------------ assistant turns

    def _assistant(self, parts: list[Part]) -> Json:
        blocks: list[Json] = []
        calls: list[Json] = []
        thoughts: list[Thinking] = []
        refusals: list[str] = []
        attached: list[Json] = []
        for part in parts:
            if isinstance(part, Thinking):
                thoughts.append(part)
            elif isinstance(part, ToolCall):
                calls.append(self._call(part, attached))
            elif isinstance(part, Refusal):
                refusals.append(part.text)
                self._losses.extend(foreign(part.extras, "openai", "messages.refusal"))
            elif isinstance(part, Media):
                self._lose(f"messages.assistant.{part.kind}", "an assistant message holds text alone", part)
            else:
                blocks += self._blocks(part, "assistant", attached)
        message: Json = {
            "role": "assistant",
            "content": _content(blocks) if blocks or not (calls or refusals) else None,
        }
        if refusals:
            message["refusal"] = "".join(refusals)
        if calls:
            message["tool_calls"] = calls
        self._thoughts(thoughts, attached, message)
        return message

    def _thoughts(self, thoughts: list[Thinking], attached: list[Json], message: Json) -> None:
        where = self._accepts.reasoning_field
        if where == "reasoning_details":
            details: list[Json] = []
            for part in thoughts:
                details += reasoning.entries(part, len(details))
            details += [{**detail, "index": len(details) + place} for place, detail in enumerate(attached)]
            if details:
                message["reasoning_details"] = details
            return
        for part in thoughts:
            if where == "none":
                self._lose(
                    "messages.thinking", "this target takes no thoughts back", {"text": part.text, **part.extras}
                )
            else:
                self._opaque(part.extras, "messages.thinking")
        text = "".join(part.text for part in thoughts)
        if text and where != "none":
            message[where] = text
        for detail in attached:
            self._lose("messages.extras", "this target has no place for it", detail)

    def _opaque(self, extras: Extras, where: str) -> None:
        for family, fields in extras.items():
            for key, value in fields.items():
                self._lose(f"{where}.{key}", f"{family}'s, and this target takes only the text back", value)

    def _call(self, part: ToolCall, attached: list[Json]) -> Json:
        id = tool_id(part.id, self._accepts.tool_id)
        custom = part.kind == "custom"
        name = self._names.get(part.name, part.name)
        if custom and self._accepts.custom_tools:
            call: Json = {"id": id, "type": "custom", "custom": {"name": name, "input": part.arguments}}
        else:
            arguments = _wrapped(part.arguments) if custom else part.arguments
            call = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        signature = part.extras.get("google", {}).get("thoughtSignature")
        if signature:
            call["extra_content"] = {"google": {"thought_signature": signature}}
        rest: Extras = {}
        for family, fields in part.extras.items():
            kept = {key: value for key, value in fields.items() if key not in ("thoughtSignature", "cache_control")}
            if kept:
                merged(rest, {family: kept})
            if "cache_control" in fields:
                self._lose("messages.tool_call.cache_control", "a call here has no cache mark", fields["cache_control"])
        detail = reasoning.attached(rest, id)
        if detail is not None:
            attached.append(detail)
        return call

    # ------------------------------------------------------------------ tool results

    def _result(self, result: ToolResult, waiting: list[Json]) -> Json:
        id = tool_id(result.call_id, self._accepts.tool_id)
        blocks: list[Json] = []
        others: list[Json] = []
        for part in result.parts:
            for block in self._blocks(part, "tool"):
                (blocks if block["type"] == "text" else others).append(block)
        if others:
            waiting.append({"type": "text", "text": f"From the result of tool call {id}:"})
            waiting += others
        if result.error:
            if not blocks:
                blocks.append({"type": "text", "text": ""})
            blocks[0] = {**blocks[0], "text": ERROR_MARK + blocks[0]["text"]}
        extras = dict(result.extras)
        marks = self._marks(extras)
        if marks and blocks:
            blocks[-1] = {**blocks[-1], **marks}
        own = self._owned(extras, EXTRA_MESSAGE_FIELDS, "messages.tool")
        return {"role": "tool", "tool_call_id": id, "content": _content(blocks), **own}

    # ------------------------------------------------------------------ parts

    def _blocks(self, part: Part, role: str, attached: list[Json] | None = None) -> list[Json]:
        """The content parts that this part becomes: one, or none with a loss."""
        match part:
            case Text():
                return [self._text(part, role, attached)]
            case Media():
                return self._media(part, role)
            case Native():
                if part.family == "openai" and part.name.startswith("content."):
                    return [part.json]
                self._lose(f"messages.{part.name}", f"only {part.family} has it", part.json)
            case Thinking() | Refusal():
                self._lose(f"messages.{role}.{type(part).__name__.lower()}", "only an assistant message has it", part)
            case _:
                self._lose(f"messages.{role}.{type(part).__name__.lower()}", "it has no place in this message", part)
        return []

    def _text(self, part: Text, role: str, attached: list[Json] | None) -> Json:
        extras = dict(part.extras)
        marks = self._marks(extras)
        if attached is not None:
            own = extras.pop("openai", {})
            detail = reasoning.attached(extras, reasoning.CONTENT)
            if detail is not None:
                attached.append(detail)
            extras = {"openai": own} if own else {}
        for citation in part.citations:
            self._lose(f"messages.{role}.citation", "a request has no citations", citation)
        return {
            "type": "text",
            "text": part.text,
            **marks,
            **self._owned(extras, EXTRA_PART_FIELDS, f"messages.{role}"),
        }

    def _media(self, part: Media, role: str) -> list[Json]:
        block, why = None, "it has no place in this message"
        if role in ("user", "tool"):
            block, why = self._media_block(part)
        if block is None:
            self._lose(f"messages.{role}.{part.kind}", why, part)
            return []
        if part.name is not None and block["type"] not in ("file", "text"):
            self._lose(f"messages.{part.kind}.name", "only a file has a name here", part.name)
        extras = dict(part.extras)
        marks = self._marks(extras)
        return [{**block, **marks, **self._owned(extras, EXTRA_PART_FIELDS, f"messages.{part.kind}")}]

    def _media_block(self, part: Media) -> tuple[Json | None, str]:
        """The part for it, or why there is none."""
        accepts = self._accepts
        url = part.url if part.data is None else f"data:{part.mime or _SNIFFED[part.kind]};base64,{part.data}"
        taken = {"image": accepts.images, "audio": accepts.audio, "document": accepts.documents, "video": accepts.video}
        if part.text is not None:
            title = f'<document title="{part.name}">\n' if part.name else "<document>\n"
            return {"type": "text", "text": f"{title}{part.text}\n</document>"}, ""
        if not taken[part.kind]:
            return None, f"this target takes no {part.kind}"
        if part.kind == "image" and url is not None:
            image: Json = {"url": url}
            if part.detail is not None:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}, ""
        if part.kind == "video" and url is not None:
            return {"type": "video_url", "video_url": {"url": url}}, ""
        if part.kind == "audio":
            style = AUDIO_FORMATS.get(part.mime or "")
            if style is None or part.data is None:
                return None, "sound goes as wav or mp3 data alone"
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": style}}, ""
        if part.file_id is not None:
            return {"type": "file", "file": {"file_id": part.file_id}}, ""
        file: Json = {"file_data": url}
        if part.name is not None or part.data is not None:
            file["filename"] = part.name or FILENAMES.get(part.mime or "", "document")
        return {"type": "file", "file": file}, ""

    # ------------------------------------------------------------------ extras

    def _lose(self, what: str, why: str, value: object) -> None:
        self._losses.append(Loss(what, why, value))

    def _marks(self, extras: Extras) -> Json:
        """Takes Anthropic's cache mark out of `extras`, where this target knows it."""
        own = extras.get("anthropic", {})
        if not self._accepts.cache_marks or "cache_control" not in own:
            return {}
        extras["anthropic"] = {key: value for key, value in own.items() if key != "cache_control"}
        return {"cache_control": own["cache_control"]}

    def _owned(self, extras: Extras, known: frozenset[str], where: str) -> Json:
        self._losses.extend(foreign(extras, "openai", where))
        kept: Json = {}
        for key, value in extras.get("openai", {}).items():
            if key in known:
                kept[key] = value
            else:
                self._lose(f"{where}.{key}", "this API has no such member", value)
        return kept


_SNIFFED = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4", "document": "application/pdf"}
"""The type said of data that came without one."""


def _content(blocks: list[Json]) -> str | list[Json]:
    """A string where one plain text is all there is."""
    if not blocks:
        return ""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks


def _runs(parts: list[Part]) -> list[list[Part]]:
    """An assistant turn cut before thoughts that follow a text."""
    runs: list[list[Part]] = [[]]
    for part in parts:
        run = runs[-1]
        spoken = any(isinstance(held, Text | Refusal) for held in run)
        called = any(isinstance(held, ToolCall) for held in run)
        if isinstance(part, Thinking) and spoken and not called:
            runs.append([])
        runs[-1].append(part)
    return runs


def _wrapped(text: str) -> str:
    return msgspec.json.encode({"input": text}).decode()
