"""What conditions may know of a request: a closed list of words, each found only when a condition names it, and once a request.

Rules of this file:
- No word shows a prompt's text. No header that may hold a credential has a word.
- A word always has a value of its type: what a request does not say is "", 0, false or an empty list.
- Headers are the exception, as their names are the operator's: one that was not sent is absent (`"x-team" in headers` is false).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from msgspec import Struct

from headgate.model.exchange import Exchange
from headgate.model.identity import Identity
from headgate.routing.language import guess
from headgate.routing.reading import Reading, read
from headgate.routing.tags import tags_of

CREDENTIALS = frozenset(
    (
        "authorization",
        "proxy-authorization",
        "x-api-key",
        "x-goog-api-key",
        "api-key",
        "cookie",
        "x-amz-security-token",
    )
)


class Facts:
    """What is known of one request. Raises BadRequest, from the words that look into the body, for one its dialect forbids."""

    def __init__(self, x: Exchange) -> None:
        self._x = x

    @cached_property
    def reading(self) -> Reading:
        return read(self._x.dialect.read(self._x.request_json()))

    @cached_property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self._x.at, UTC)

    @property
    def x(self) -> Exchange:
        return self._x

    @property
    def identity(self) -> Identity:
        assert self._x.identity is not None
        return self._x.identity

    @cached_property
    def language(self) -> str:
        return guess(self.reading.last)

    @cached_property
    def headers(self) -> dict[str, str]:
        """What was sent more than once is joined (RFC 9110 §5.3)."""
        found: dict[str, str] = {}
        for raw, value in self._x.request.headers:
            name = raw.decode("latin-1")
            if name not in CREDENTIALS:
                text = value.decode("latin-1")
                found[name] = f"{found[name]}, {text}" if name in found else text
        return found

    @cached_property
    def tags(self) -> list[str]:
        return sorted(tags_of(self._x))

    def values(self, words: Iterable[str]) -> dict[str, Any]:
        """The variables of conditions that use these words: `request.model` becomes {"request": {"model": ...}}. Of `headers.x-team`
        that header alone, if it was sent; of `headers` all."""
        return variables(words, lambda name: WORDS[name].value(self), self.headers)


def variables(words: Iterable[str], value: Callable[[str], Any], headers: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in words:
        root, dot, member = name.partition(".")
        if root == "headers":
            sent = {member: headers[member]} if member in headers else {}
            found[root] = found.get(root, {}) | (sent if dot else headers)
        elif dot:
            found.setdefault(root, {})[member] = value(name)
        else:
            found[root] = value(name)
    return found


class Word(Struct, frozen=True):
    type: str
    """bool, int, string, list (of strings) or map (of strings)."""
    about: str
    example: str
    value: Callable[[Facts], Any]


def _head(facts: Facts) -> Any:
    assert facts.x.head is not None
    return facts.x.head


WORDS: dict[str, Word] = {
    "key.name": Word("string", "The key's name.", 'key.name.startsWith("ci-")', lambda f: f.identity.key_name),
    "key.tenant": Word(
        "string", "Whose key it is.", 'key.tenant in ["research", "legal"]', lambda f: f.identity.tenant
    ),
    "key.scopes": Word("list", "The key's scopes.", '"admin" in key.scopes', lambda f: sorted(f.identity.scopes)),
    "request.model": Word(
        "string", "The model's name as the caller wrote it.", 'request.model == "auto"', lambda f: _head(f).model
    ),
    "request.dialect": Word(
        "string",
        "`openai_chat`, `openai_responses`, `anthropic_messages`, `gemini` or `openai_completions`.",
        'request.dialect == "gemini"',
        lambda f: f.x.dialect.name,
    ),
    "request.operation": Word(
        "string", "`generate`, or `count` (tokens).", 'request.operation == "count"', lambda f: f.x.request.operation
    ),
    "request.stream": Word("bool", "The answer is to be streamed.", "request.stream", lambda f: bool(_head(f).stream)),
    "request.tokens": Word(
        "int",
        "Estimated input tokens: four bytes of text or tool description each; images and other media are not counted.",
        "request.tokens > 100000",
        lambda f: f.reading.tokens,
    ),
    "request.max_output": Word(
        "int",
        "The most output tokens it asks for; 0 where it sets no bound.",
        "request.max_output > 8000",
        lambda f: _head(f).max_output or 0,
    ),
    "request.tools": Word("bool", "It offers tools.", "request.tools", lambda f: bool(f.reading.tools)),
    "request.tool_names": Word(
        "list", "Names of the tools it offers.", '"web_search" in request.tool_names', lambda f: f.reading.tools
    ),
    "request.modalities": Word(
        "list",
        "What it holds: `text`, `image`, `audio`, `document`, `video`.",
        '"image" in request.modalities',
        lambda f: sorted(f.reading.media | ({"text"} if any(f.reading.texts) else set())),
    ),
    "request.schema": Word(
        "bool", "The answer must fit a JSON schema.", "request.schema", lambda f: f.reading.schema is not None
    ),
    "request.turns": Word(
        "int", "The user's messages; results of tools are none.", "request.turns > 20", lambda f: f.reading.turns
    ),
    "request.language": Word(
        "string",
        'A guess (ISO 639-1) from script and stop words of the user\'s last message; "" where it does not show.',
        'request.language == "de"',
        lambda f: f.language,
    ),
    "request.chars": Word("int", "Characters of all its texts.", "request.chars < 2000", lambda f: f.reading.chars),
    "headers": Word(
        "map",
        "Request headers by lower-case name. Those that may hold a credential are absent.",
        '"x-team" in headers && headers["x-team"] == "search"',
        lambda f: f.headers,
    ),
    "tags": Word(
        "list",
        "From the header `x-headgate-tags: a,b`, and the names in the body's `metadata`.",
        '"batch" in tags',
        lambda f: f.tags,
    ),
    "gateway.load": Word(
        "int",
        "Requests under way and waiting, in percent of those that the gateway lets in at once now; above 100 some wait.",
        "gateway.load > 80",
        lambda f: f.x.load(),
    ),
    "time.hour": Word("int", "0 to 23, UTC.", "time.hour >= 22 || time.hour < 6", lambda f: f.at.hour),
    "time.minute": Word("int", "0 to 59.", "time.minute < 30", lambda f: f.at.minute),
    "time.weekday": Word("int", "0 is Monday, 6 is Sunday, UTC.", "time.weekday >= 5", lambda f: f.at.weekday()),
    "time.date": Word(
        "string",
        "YYYY-MM-DD, UTC; texts of this form compare by time.",
        'time.date >= "2027-01-01"',
        lambda f: f.at.date().isoformat(),
    ),
}
"""Word -> what it is. docs/routing.md is made of this table."""
SAMPLES: dict[str, Any] = {"bool": True, "int": 1, "string": "a", "list": ["a"], "map": {}}
"""A value of each type, to try a condition with before any request."""
