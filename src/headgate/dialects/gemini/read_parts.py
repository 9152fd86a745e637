"""Parts of a content -> neutral parts.

Rules of this file:
- A part holds one datum (proto `oneof data`): text, functionCall, functionResponse, inlineData or fileData; what else
  it may be (executableCode, toolCall, ...) is a Native item, carried whole. Members beside the datum ride in extras.
- Of a function's response, {"output": x} and {"error": x} are x, as Google's guide says; any other object is its JSON
  text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from headgate.dialects.carrier import MAGIC, unwrap
from headgate.errors import BadRequest
from headgate.model.prompt import Extras, Media, Native, Part, Text, Thinking, ToolCall, ToolResult

from .place import Place, member
from .tables import FAMILY, FILES, camel

if TYPE_CHECKING:
    from .read import Calls

MediaKind: TypeAlias = Literal["image", "audio", "video", "document"]

_DATA = ("text", "functionCall", "functionResponse", "inlineData", "fileData")
_BESIDE = frozenset(("thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"))
_MAGIC = MAGIC.decode()
_STANDARD = str.maketrans("-_", "+/")


def media_kind(mime: str | None, uri: str = "") -> MediaKind:
    word = (mime or "").partition("/")[0].lower()
    if word in ("image", "audio", "video"):
        return word  # type: ignore[return-value]
    if not mime and ("youtube.com/" in uri or "youtu.be/" in uri):
        return "video"
    return "document"


class PartReader:
    """Reads the parts of one conversation in order. `closes`: the last one held a carrier (see `read`)."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.closes = False

    def part(self, place: Place) -> Part:
        self.closes = False
        fields = place.object()
        found = [name for name in _DATA if member(fields, name)[0]]
        if len(found) > 1:
            raise BadRequest(f"{place.path} holds {found[0]} and {found[1]}: a part is one of them", param=place.path)
        if not found:
            return self._native(place)
        extras = self._extras(place, (found[0],))
        datum = place.need(found[0])
        match found[0]:
            case "text":
                thought = place.get("thought")
                if thought is not None:
                    _without(extras, "thought")
                    if thought.flag():
                        return Thinking(text=datum.text(), extras=extras)
                return Text(text=datum.text(), extras=extras)
            case "functionCall":
                return self._call(datum, extras)
            case "functionResponse":
                return self._result(datum, extras)
            case "inlineData":
                return _inline(datum, extras)
            case _:
                return _file(datum, extras)

    def _extras(self, place: Place, known: tuple[str, ...]) -> Extras:
        extras = place.rest(known)
        signature = extras.get(FAMILY, {}).get("thoughtSignature")
        if signature is None:
            return extras
        if not isinstance(signature, str):
            raise BadRequest(f"{place.path}.thoughtSignature must be a string", param=f"{place.path}.thoughtSignature")
        if signature.startswith(_MAGIC):
            carried = unwrap(standard(signature))  # SDKs write bytes in the alphabet for URLs
            if carried is not None:
                self.closes = True
                _without(extras, "thoughtSignature")
                return {**extras, **carried}
        return extras

    def _native(self, place: Place) -> Native:
        names = [camel(name) for name, value in place.object().items() if value is not None]
        data = [name for name in names if name not in _BESIDE] or names
        if not data:
            raise BadRequest(f"{place.path} is empty", param=place.path)
        return Native(family=FAMILY, name=data[0], json=place.object())

    def _call(self, call: Place, extras: Extras) -> ToolCall:
        name = call.need("name").text()
        identity = call.get("id")
        args = call.get("args")
        return ToolCall(
            id=self._calls.called(name, identity.text() if identity is not None else None),
            name=name,
            arguments=msgspec.json.encode(args.object()).decode() if args is not None else "{}",
            extras=_joined(extras, call.rest(("id", "name", "args"))),
        )

    def _result(self, response: Place, extras: Extras) -> ToolResult:
        name = response.need("name").text()
        identity = response.get("id")
        call = self._calls.answered(name, identity.text() if identity is not None else None, response)
        body = response.get("response")
        text, error = _output(body.object() if body is not None else {})
        parts: list[Part] = [Text(text=text)] if text else []
        nested = response.get("parts")
        for place in nested.items() if nested is not None else ():
            part = self.part(place)
            if not isinstance(part, Media):
                raise BadRequest(f"{place.path} must hold inlineData or fileData", param=place.path)
            parts.append(part)
        extras = _joined(extras, response.rest(("id", "name", "response", "parts")))
        return ToolResult(call_id=call, name=name, parts=parts, error=error, extras=extras)


def _output(body: dict[str, Any]) -> tuple[str, bool]:
    """(text, whether it is an error) of a response's object."""
    if len(body) == 1:
        name, value = next(iter(body.items()))
        if name in ("output", "error"):
            return value if isinstance(value, str) else msgspec.json.encode(value).decode(), name == "error"
    return (msgspec.json.encode(body).decode() if body else ""), False


def _inline(blob: Place, extras: Extras) -> Media:
    mime, name = blob.get("mimeType"), blob.get("displayName")
    said = mime.text() if mime is not None else None
    return Media(
        kind=media_kind(said),
        mime=said,
        data=standard(blob.need("data").text()),
        name=name.text() if name is not None else None,
        extras=_joined(extras, blob.rest(("mimeType", "data", "displayName"))),
    )


def _file(file: Place, extras: Extras) -> Media:
    mime, name = file.get("mimeType"), file.get("displayName")
    said = mime.text() if mime is not None else None
    uri = file.need("fileUri").text()
    held = uri.startswith(FILES)
    return Media(
        kind=media_kind(said, uri),
        mime=said,
        url=None if held else uri,
        file_id=uri if held else None,
        name=name.text() if name is not None else None,
        extras=_joined(extras, file.rest(("mimeType", "fileUri", "displayName"))),
    )


def standard(text: str) -> str:
    """Base64 in the standard alphabet: the API takes that for URLs as well."""
    return text.translate(_STANDARD) if "-" in text or "_" in text else text


def _without(extras: Extras, name: str) -> None:
    own = extras[FAMILY]
    del own[name]
    if not own:
        del extras[FAMILY]


def _joined(one: Extras, other: Extras) -> Extras:
    if not other:
        return one
    return {**one, FAMILY: {**one.get(FAMILY, {}), **other[FAMILY]}}
