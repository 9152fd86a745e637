"""A client's generateContent JSON -> the neutral Prompt.

Rules of this file:
- Every member goes somewhere: into a neutral field, or into `extras["google"]` of the element it stands on.
- Function responses are messages with role "tool"; all else of a user's content is a user message. Boundaries carry no
  meaning.
- Calls without an id get one from name and order (`naming.call_id`); a response belongs to the call of its id, else to
  the first unanswered call of its name, also where one function was called twice. A response without a call is
  refused, as Google does; only what a cached content holds cannot be seen here.
- Carriers (values of another family in `thoughtSignature`) are unwrapped. A streamed thought comes back in pieces, the
  signature in an empty last one: pieces before it are joined again, for the signature covers all of them.
"""

from __future__ import annotations

from headgate.dialects.base import Json
from headgate.dialects.naming import call_id
from headgate.errors import BadRequest
from headgate.model.prompt import Message, Part, Prompt, Role, Text, Thinking, ToolResult

from .place import Place
from .read_params import read_params
from .read_parts import PartReader
from .tables import FAMILY

_ROLES: dict[str, Role] = {"user": "user", "model": "assistant", "function": "tool", "tool": "tool", "system": "system"}


class Calls:
    """The function calls of a conversation, in order, and which of them are answered."""

    def __init__(self, cached: bool) -> None:
        self._count = 0
        self._open: list[tuple[str, str]] = []
        self._names: dict[str, str] = {}
        self._cached = cached

    def called(self, name: str, identity: str | None) -> str:
        known = identity or call_id(name, self._count)
        self._count += 1
        self._open.append((known, name))
        self._names[known] = name
        return known

    def answered(self, name: str, identity: str | None, place: Place) -> str:
        """The id of the call that this response answers."""
        found = next((one for one in self._open if one[0] == identity), None) if identity else None
        if found is None and identity and identity in self._names:
            return identity  # answered again: a response in several pieces
        if found is None:
            found = next((one for one in self._open if one[1] == name), None)
        if found is not None:
            self._open.remove(found)
            return found[0]
        if self._cached:
            return self.called(name, identity)
        raise BadRequest(f"the response of function {name!r} answers no call before it", param=place.path)


def read(json: Json) -> Prompt:
    try:
        return _prompt(Place(json))
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None


def _prompt(body: Place) -> Prompt:
    counted = body.get("generateContentRequest")  # a request to count tokens wraps the request that would be made
    body = counted or body
    prompt = Prompt(model="", messages=[], family=FAMILY)
    model = body.get("model")
    if model is not None:
        prompt.model = model.text().removeprefix("models/")
    reader = PartReader(Calls(cached=body.get("cachedContent") is not None))
    instruction = body.get("systemInstruction")
    if instruction is not None:
        prompt.messages += _content(instruction, reader, "system")
    contents = body.get("contents")
    for content in contents.items() if contents is not None else ():
        prompt.messages += _content(content, reader)
    read_params(body, prompt)
    return prompt


def _content(content: Place, reader: PartReader, role: Role | None = None) -> list[Message]:
    """One content as messages: its parts in runs of function responses and of others."""
    if role is None:
        said = content.get("role")
        word = said.text() if said is not None else ""
        if word and word not in _ROLES:
            raise BadRequest(f"role {word!r} is not one of user, model", param=content.at("role"))
        role = _ROLES[word or "user"]
    messages: list[Message] = []
    closed = 0  # parts of the last message that no piece belongs to any more
    parts = content.get("parts")
    for place in parts.items() if parts is not None else ():
        part = reader.part(place)
        mine = _role(role, part)
        if not messages or messages[-1].role != mine:
            messages.append(Message(role=mine, parts=[]))
            closed = 0
        messages[-1].parts.append(part)
        if reader.closes:
            closed = _join(messages[-1].parts, closed)
    extras = content.rest(("role", "parts"))
    if extras and messages:
        messages[0].extras = extras
    return messages


def _role(role: Role, part: Part) -> Role:
    if isinstance(part, ToolResult):
        return "tool"
    return "user" if role == "tool" else role


def _join(parts: list[Part], closed: int) -> int:
    """If the last part is empty but for its carrier, it closes the pieces of its kind before it. How many are closed."""
    last = parts[-1]
    if isinstance(last, Thinking | Text) and not last.text:
        begin = len(parts) - 1
        while begin > closed and type(piece := parts[begin - 1]) is type(last) and not piece.extras:
            begin -= 1
        last.text = "".join(piece.text for piece in parts[begin:] if isinstance(piece, Thinking | Text))
        del parts[begin:-1]
    return len(parts)
