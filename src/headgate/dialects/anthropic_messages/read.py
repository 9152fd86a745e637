"""A client's request -> Prompt: the messages. What the parameters mean is in `read_params`.

Rules of this file:
- Every wrong type is a BadRequest whose `param` is the path; nothing is guessed.
- A user message with tool results becomes runs of role "tool" and "user", in their order.
- Members that the neutral part has no place for ride in its `extras["anthropic"]`, null ones are as good as absent.
- Blocks that only this API knows are Native, whole.
- Carriers (`headgate.dialects.carrier`) are unwrapped: those of thoughts into the thought's extras, those that name a
  call or the text before them into that part's extras.
- A result with no call at all before it is refused. Which call it answers is not judged here: recordings show
  answers to requests whose ids do not match.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headgate.dialects import carrier
from headgate.dialects.base import Json
from headgate.errors import BadRequest
from headgate.model.prompt import (
    Extras,
    Media,
    Message,
    Native,
    Part,
    Prompt,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

from .citations import read_citation
from .read_params import parameters
from .tables import FAMILY, OURS
from .typed import Place

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


def read(json: Json) -> Prompt:
    place = Place(json)
    prompt = parameters(place)
    system = place.get("system")
    if system is not None:
        parts = _parts(system)
        if parts:
            prompt.messages.append(Message(role="system", parts=parts))
    messages = place.need("messages").items()
    called = False
    for message in messages:
        said = _message(message, called)
        called = called or any(isinstance(part, ToolCall) for one in said for part in one.parts)
        prompt.messages += said
    _lay_back(prompt)
    return prompt


def _message(place: Place, called: bool) -> list[Message]:
    word = place.need("role").text()
    role = _ROLES.get(word)
    if role is None:
        raise BadRequest(f"role {word!r} is not one of user, assistant, system", param=place.at("role"))
    content = place.need("content") if role != "system" else place.get("content")
    parts = _parts(content) if content is not None else []
    extras = place.rest(("role", "content"))
    out: list[Message] = []
    for number, part in enumerate(parts):
        speaker: Role = "tool" if isinstance(part, ToolResult) else role
        if isinstance(part, ToolResult) and not called:
            where = f"{place.path}.content[{number}].tool_use_id"
            raise BadRequest(f"tool_use_id {part.call_id!r} answers no tool_use before it", param=where)
        if not out or out[-1].role != speaker:
            out.append(Message(role=speaker, parts=[], extras=extras if speaker == role else {}))
        out[-1].parts.append(part)
    if not out and extras:
        out.append(Message(role=role, parts=[], extras=extras))
    return out


def _lay_back(prompt: Prompt) -> None:
    """Takes out the thoughts that only carried something of a neighbour, and gives it back to that part."""
    said = [message for message in prompt.messages if message.role == "assistant"]
    calls = {part.id: part for message in said for part in message.parts if isinstance(part, ToolCall)}
    previous: Part | None = None
    for message in said:
        kept: list[Part] = []
        for part in message.parts:
            if isinstance(part, Text):
                previous = part
            if isinstance(part, Thinking) and OURS in part.extras:
                of = part.extras.pop(OURS).get("of", "previous")
                owner = previous if of == "previous" else calls.get(str(of))
                if isinstance(owner, Text | ToolCall):
                    owner.extras = owner.extras | part.extras
                    continue
            kept.append(part)
        message.parts = kept


def _parts(place: Place) -> list[Part]:
    """String or blocks; an empty string says nothing."""
    if isinstance(place.value, str):
        return [Text(text=place.value)] if place.value else []
    return [_block(block) for block in place.items()]


def _block(place: Place) -> Part:
    word = place.need("type").text()
    reader = _BLOCKS.get(word)
    if reader is None:
        return Native(family=FAMILY, name=word, json=place.object())
    return reader(place)


def _text(place: Place) -> Part:
    cited = place.get("citations")
    return Text(
        text=place.need("text").text(),
        citations=[read_citation(item.object()) for item in cited.items()] if cited is not None else [],
        extras=place.rest(("type", "text", "citations")),
    )


def _besides(place: Place, known: tuple[str, ...]) -> Extras:
    """What of a block and of its source is not read."""
    extras = place.rest(known)
    within = place.need("source").rest(("type", "media_type", "data", "url", "file_id", "content")).get(FAMILY, {})
    for name, value in within.items():
        extras.setdefault(FAMILY, {})[f"source.{name}"] = value
    return extras


def _image(place: Place) -> Part:
    extras = _besides(place, ("type", "source"))
    source = place.need("source")
    match source.need("type").text():
        case "base64":
            return Media(
                kind="image",
                mime=source.need("media_type").text(),
                data=source.need("data").text(),
                extras=extras,
            )
        case "url":
            return Media(kind="image", url=source.need("url").text(), extras=extras)
        case "file":
            return Media(kind="image", file_id=source.need("file_id").text(), extras=extras)
        case word:
            raise BadRequest(f"an image source of type {word!r} is not known", param=source.at("type"))


def _document(place: Place) -> Part:
    extras = _besides(place, ("type", "source", "title"))
    title = place.get("title")
    name = title.text() if title is not None else None
    source = place.need("source")
    match source.need("type").text():
        case "base64":
            mime, data = source.need("media_type").text(), source.need("data").text()
            return Media(kind="document", mime=mime, data=data, name=name, extras=extras)
        case "text":
            text = source.need("data").text()
            return Media(kind="document", mime="text/plain", text=text, name=name, extras=extras)
        case "url":
            return Media(kind="document", url=source.need("url").text(), name=name, extras=extras)
        case "file":
            return Media(kind="document", file_id=source.need("file_id").text(), name=name, extras=extras)
        case "content":
            parts = _parts(source.need("content"))
            text = "\n\n".join(part.text for part in parts if isinstance(part, Text))
            own = extras.setdefault(FAMILY, {})
            own["source"] = source.object()
            return Media(kind="document", mime="text/plain", text=text, name=name, extras=extras)
        case word:
            raise BadRequest(f"a document source of type {word!r} is not known", param=source.at("type"))


def _search_result(place: Place) -> Part:
    """A text document to everybody else; its source and options stay with the block, which comes back whole."""
    text = "\n\n".join(item.need("text").text() for item in place.need("content").items())
    return Media(
        kind="document",
        mime="text/plain",
        text=text,
        name=place.need("title").text(),
        extras={FAMILY: {"search_result": place.object()}},
    )


def _thinking(place: Place) -> Part:
    text = place.need("thinking").text()
    signed = place.get("signature")
    return Thinking(text=text, extras=_opaque("signature", signed.text() if signed is not None else ""))


def _redacted(place: Place) -> Part:
    return Thinking(text="", extras=_opaque("redacted", place.need("data").text()))


def _opaque(name: str, value: str) -> Extras:
    carried = carrier.unwrap(value)
    if carried is not None:
        return carried
    return {FAMILY: {name: value}} if value else {}


def _tool_use(place: Place) -> Part:
    given = place.get("input")
    arguments = msgspec.json.encode(given.object()).decode() if given is not None else "{}"
    return ToolCall(
        id=place.need("id").text(),
        name=place.need("name").text(),
        arguments=arguments,
        extras=place.rest(("type", "id", "name", "input")),
    )


def _tool_result(place: Place) -> Part:
    content = place.get("content")
    failed = place.get("is_error")
    return ToolResult(
        call_id=place.need("tool_use_id").text(),
        parts=_parts(content) if content is not None else [],
        error=failed is not None and failed.flag(),
        extras=place.rest(("type", "tool_use_id", "content", "is_error")),
    )


_BLOCKS: dict[str, Callable[[Place], Part]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
