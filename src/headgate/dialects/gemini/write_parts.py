"""Neutral parts -> parts of a content.

Rules of this file:
- Nothing is dropped in silence: what has no place here is listed.
- Thoughts of another family are not sent (Google would refuse their signature, or take them for answers); the client's
  own go back as they were.
- A tool result is {"output": text} or {"error": text}, and the object itself where the text is one. Its images stand
  in `functionResponse.parts`, which models before Gemini 3 do not take: there they follow as the user's.
- Documents given as text become text under their title. A URL becomes fileData: the API fetches https and gs:// itself
  (https://ai.google.dev/gemini-api/docs/file-input-methods); it wants a MIME type, guessed where nobody told one.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from headgate.dialects.base import Json
from headgate.dialects.naming import tool_id
from headgate.model.prompt import Media, Native, Part, Refusal, Text, Thinking, ToolCall, ToolResult

from .crossing import Crossing
from .tables import FAMILY, FILES, KIND_MIMES, MIMES, PART_EXTRAS, RESULT_EXTRAS

_SCHEMES = ("https://", "http://", "gs://")


class PartWriter:
    """`beside`: parts that belong to a tool result but must follow it as the user's; whoever takes them empties it."""

    def __init__(self, crossing: Crossing) -> None:
        self._crossing = crossing
        self.own = crossing.own
        self._called: dict[str, str] = {}
        self.beside: list[Json] = []

    def parts(self, part: Part) -> list[Json]:
        """The parts that one neutral part becomes: none or one."""
        match part:
            case Text():
                return self._text(part)
            case ToolCall():
                return [self._call(part)]
            case ToolResult():
                return [self._result(part)]
            case Media():
                return self._media(part)
            case Thinking():
                return self._thinking(part)
            case Refusal():
                self._crossing.extras(part.extras, (), "messages.refusal")
                return [{"text": part.text}] if part.text else []
            case Native():
                if part.family == FAMILY:
                    return [part.json]
                self._crossing.lose(f"messages.{part.name}", f"only {part.family} has it", part.json)
                return []

    def _text(self, part: Text) -> list[Json]:
        own = self._crossing.extras(part.extras, PART_EXTRAS, "messages.text")
        if part.citations:
            self._crossing.lose("messages.citations", "requests have no place for them", part.citations)
        return [{"text": part.text, **own}] if part.text or own else []

    def _thinking(self, part: Thinking) -> list[Json]:
        own = self._crossing.extras(part.extras, PART_EXTRAS, "messages.thinking")
        if self._crossing.own or "thoughtSignature" in own:
            return [{"text": part.text, "thought": True, **own}]
        if part.text:
            self._crossing.lose("messages.thinking", "the thoughts of another model are not sent", part.text)
        return []

    def _call(self, part: ToolCall) -> Json:
        own = self._crossing.extras(part.extras, PART_EXTRAS, "messages.tool_call")
        self._called[part.id] = part.name
        call = {
            "id": tool_id(part.id, "google"),
            "name": self._crossing.names[part.name],
            "args": self._arguments(part),
        }
        return {"functionCall": call, **own}

    def _arguments(self, part: ToolCall) -> dict[str, Any]:
        if part.kind == "custom":
            return {"input": part.arguments}
        if not part.arguments.strip():
            return {}
        try:
            found = msgspec.json.decode(part.arguments)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        self._crossing.lose("messages.arguments", "arguments must be a JSON object: sent as `input`", part.arguments)
        return {"input": part.arguments}

    def _result(self, part: ToolResult) -> Json:
        own = self._crossing.extras(part.extras, RESULT_EXTRAS, "messages.tool_result")
        name = part.name or self._called.get(part.call_id)
        if name is None:
            self._crossing.lose("messages.tool_result.name", "the call that it answers is not in the request")
        texts: list[str] = []
        media: list[Json] = []
        for item in part.parts:
            for written in self.parts(item):
                if set(written) == {"text"}:
                    texts.append(written["text"])
                else:
                    media.append(written)
        response: Json = {
            "id": tool_id(part.call_id, "google"),
            "name": self._crossing.names.get(name, name) if name is not None else tool_id(part.call_id, "google"),
            "response": _output("\n".join(texts), part.error) if texts else {},
        }
        signed: Json = {key: own.pop(key) for key in ("thoughtSignature", "partMetadata") if key in own}
        if media and (self._crossing.generation or 3) >= 3:
            response["parts"] = media
        else:
            self.beside += media
        return {"functionResponse": {**response, **own}, **signed}

    def _media(self, part: Media) -> list[Json]:
        accepts = self._crossing.target.accepts
        taken = {"image": accepts.images, "document": accepts.documents, "audio": accepts.audio, "video": True}
        if not taken[part.kind]:
            self._crossing.lose(f"messages.{part.kind}", "the target does not take it", part)
            return []
        own = self._crossing.extras(part.extras, PART_EXTRAS, f"messages.{part.kind}")
        if part.detail not in (None, "auto"):
            self._crossing.lose("messages.image.detail", "the API has no such setting", part.detail)
        if part.text is not None:
            text = f"{part.name}\n\n{part.text}" if part.name else part.text
            return [{"text": text, **own}] if text else []
        datum = self._datum(part)
        if datum is None:
            self._crossing.lose(f"messages.{part.kind}", "the API cannot fetch it from there", part)
            return []
        return [{**datum, **own}]

    def _datum(self, part: Media) -> Json | None:
        name: Json = {}
        if part.name is not None:
            if self._crossing.own:
                name = {"displayName": part.name}  # Vertex has it; a client of this dialect knows its target
            else:
                self._crossing.lose("messages.file.name", "the API has no names of files", part.name)
        if part.data is not None:
            return {"inlineData": {"mimeType": part.mime or KIND_MIMES[part.kind], "data": part.data, **name}}
        if part.url is not None and part.url.startswith("data:"):
            head, _, data = part.url.partition(",")
            told = part.mime or head.removeprefix("data:").partition(";")[0]
            return {"inlineData": {"mimeType": told or KIND_MIMES[part.kind], "data": data, **name}}
        if part.url is not None and part.url.startswith(_SCHEMES):
            mime = part.mime or (None if self._crossing.own else _guessed(part.url, part.kind))
            return {"fileData": {**({"mimeType": mime} if mime else {}), "fileUri": part.url, **name}}
        if part.file_id is not None and part.file_id.startswith(FILES):
            return {"fileData": {**({"mimeType": part.mime} if part.mime else {}), "fileUri": part.file_id, **name}}
        return None


def _guessed(url: str, kind: str) -> str:
    """The MIME type that a URL's path or the kind of the medium suggests; YouTube's is always a film."""
    parts = urlsplit(url)
    if (parts.hostname or "").removeprefix("www.") in ("youtube.com", "youtu.be"):
        return "video/mp4"
    return MIMES.get(parts.path.rpartition(".")[2].lower(), KIND_MIMES[kind])


def _output(text: str, error: bool) -> dict[str, Any]:
    found: Any = None
    if text[:1] == "{":
        try:
            found = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            found = None
    if error:
        return {"error": found if isinstance(found, dict) else text}
    return found if isinstance(found, dict) else {"output": text}
