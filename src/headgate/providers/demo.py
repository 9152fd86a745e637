"""The demo provider: answers in this process, needs no account, speaks every dialect, and is the same every time.

Rules of this file:
- `demo/chat` streams, calls the offered tools with arguments valid under their schemas, fills a JSON schema, thinks when asked to.
- Each fault has a model of its own (`demo/fault-...`), so that a client or an operator can see what a bad day looks like.
- It answers through the same dialects that real providers are spoken to with; it knows nothing of the gateway around it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import msgspec

from headgate.dialects.base import Ask, Dialect, Framing
from headgate.errors import NotFound, Refused, UpstreamRefused, UpstreamTimeout, UpstreamTruncated
from headgate.model.events import Answer, AnswerPart, Choice, Event, PartDelta, unfold
from headgate.model.prompt import Media, Message, Prompt, Text, Tool, ToolResult
from headgate.model.usage import Usage
from headgate.net import Call, Headers, Origin, Response
from headgate.providers.base import Allow, Credential, Endpoint, Provider, Secret, Site
from headgate.providers.instance import instance

SCHEME = "demo"
MODELS: dict[str, str] = {
    "chat": "answers, streams, calls tools, fills schemas, thinks",
    "fault-429": "429 with Retry-After: 2",
    "fault-500": "500",
    "fault-stall-before": "accepts, then silence",
    "fault-stall-after": "begins to answer, then silence",
    "fault-cut": "begins to answer, then the connection breaks",
    "fault-malformed": "an event in the middle is not JSON",
    "fault-error-in-200": "status 200, then an error in place of the answer",
    "fault-trickle": "one byte at a time",
}
_DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini", "openai_completions")
_PACE = 0.01
"""Seconds between two words of a stream: a person sees it stream."""
_CREATED = 1767225600

PROVIDER = Provider(
    name="demo",
    title="Demo (built in)",
    docs=(),
    base_url="demo://local",
    endpoints=tuple(Endpoint(dialect=name, prefix=f"/{name}") for name in _DIALECTS),
    needs_key=False,
    opaque=(Allow(method="GET", pattern="/models"),),
)


def site() -> Site:
    return Site(
        name="demo",
        provider=PROVIDER,
        base_path="",
        origin=Origin(scheme=SCHEME, host="local", port=0),
        credential=Credential(name="demo", key=Secret("")),
    )


class _Reply(Response):
    """A `net.Response` made of pieces; an exception among them is raised where it stands."""

    def __init__(self, status: int, headers: Headers, pieces: AsyncIterator[bytes]) -> None:
        self.status = status
        self.headers = headers
        self._pieces = pieces
        self._limit: float | None = None
        self.idle: float | None = None
        self._closed = False

    async def read(self) -> bytes:
        if self._closed:
            return b""
        try:
            waits = [seconds for seconds in (self._limit, self.idle) if seconds is not None]
            async with asyncio.timeout(min(waits, default=None)):
                return await anext(self._pieces, b"")
        except TimeoutError as error:
            raise UpstreamTimeout("the upstream did not send the rest of its answer in time") from error

    def limit(self, seconds: float | None) -> None:
        self._limit = seconds

    def close(self) -> None:
        self._closed = True


class Demo:
    """Fulfils `net.Open` for calls to the demo site."""

    def __init__(self, dialects: Mapping[str, Dialect]) -> None:
        self._dialects = dialects

    async def __call__(self, call: Call) -> _Reply:
        assert isinstance(call.body, bytes)
        _, name, rest = call.path.split("/", 2)
        if name == "models":
            return _json(200, {"object": "list", "data": [{"id": m, "object": "model"} for m in MODELS]})
        dialect = self._dialects[name]
        try:
            reply = await self._answer(dialect, "/" + rest, call)
        except Refused as error:
            return _json(error.status, dialect.error_body(error, "demo"))
        reply.idle = call.deadlines.idle
        return reply

    async def _answer(self, dialect: Dialect, path: str, call: Call) -> _Reply:
        assert isinstance(call.body, bytes)
        prompt = dialect.read(msgspec.json.decode(call.body))
        stream = prompt.stream
        if dialect.name == "gemini":
            prompt.model = path.split("/models/", 1)[1].partition(":")[0]
            stream = ":stream" in path
        if "count" in path or "input_tokens" in path:
            return _json(200, dialect.count_body(_words(prompt)))
        if prompt.model not in MODELS:
            raise NotFound(f"the demo has no model {prompt.model!r}: {', '.join(MODELS)}")
        early = await _early(prompt.model, dialect, call)
        if early is not None:
            return early
        answer = _answered(prompt)
        framing: Framing = (
            "whole" if not stream else "json-array" if dialect.name == "gemini" and "alt=sse" not in path else "sse"
        )
        ask = Ask(id="demo", model=prompt.model, created=_CREATED, stream=stream, framing=framing, prompt=prompt)
        if not stream:
            json, _ = dialect.answer(answer, ask)
            return _Reply(
                200, [(b"content-type", b"application/json")], _faulty(prompt.model, [msgspec.json.encode(json)])
            )
        encoder = dialect.encoder(ask)
        frames = [data for event in _words_of(unfold(answer)) if (data := encoder.feed((event,)))]
        kind = b"text/event-stream" if framing == "sse" else b"application/json"
        return _Reply(200, [(b"content-type", kind)], _faulty(prompt.model, [*frames, encoder.end()]))


async def _early(model: str, dialect: Dialect, call: Call) -> _Reply | None:
    """Faults that come before or instead of an answer."""
    if model == "fault-429":
        reply = _json(429, dialect.error_body(_fault("rate limited (demo fault)", 429, "rate_limit_exceeded"), "demo"))
        reply.headers.append((b"retry-after", b"2"))
        return reply
    if model == "fault-500":
        return _json(500, dialect.error_body(_fault("internal error (demo fault)", 500, "server_error"), "demo"))
    if model == "fault-error-in-200":
        return _json(200, dialect.error_body(_fault("overloaded (demo fault)", 503, "overloaded"), "demo"))
    if model == "fault-stall-before":
        await asyncio.sleep(call.deadlines.headers)
        raise UpstreamTimeout("the upstream did not answer in time")
    return None


async def _faulty(model: str, pieces: list[bytes]) -> AsyncIterator[bytes]:
    """The pieces, paced, with the model's fault in their middle."""
    middle = len(pieces) // 2
    for number, piece in enumerate(pieces):
        if number == middle and model in ("fault-cut", "fault-stall-after", "fault-malformed"):
            if model == "fault-cut":
                yield piece[: len(piece) // 2]
                raise UpstreamTruncated("the upstream closed the connection in the middle of its answer")
            if model == "fault-stall-after":
                await asyncio.Event().wait()
            yield b"data: {this is not JSON\n\n"
        if model == "fault-trickle":
            for at in range(len(piece)):
                yield piece[at : at + 1]
                await asyncio.sleep(0.002)
            continue
        yield piece
        if len(pieces) > 1:
            await asyncio.sleep(_PACE)


def _fault(message: str, status: int, code: str) -> UpstreamRefused:
    """As a provider tells it: the error's type is the one that goes with its status."""
    return UpstreamRefused(message, status=status, code=code)


def _json(status: int, json: dict[str, Any]) -> _Reply:
    async def once() -> AsyncIterator[bytes]:
        yield msgspec.json.encode(json)

    return _Reply(status, [(b"content-type", b"application/json")], once())


# what it says


def _answered(prompt: Prompt) -> Answer:
    last = prompt.messages[-1] if prompt.messages else Message(role="user", parts=[])
    answers_result = any(isinstance(part, ToolResult) for part in last.parts)
    tools = [] if answers_result else _chosen(prompt)
    parts: list[AnswerPart] = []
    if prompt.reasoning is not None and prompt.reasoning.enabled is not False:
        thought = "The demo thinks: the question is short, so the answer may be short."
        signed = {"anthropic": {"signature": "ZGVtby1zaWduYXR1cmU="}}
        parts.append(AnswerPart(kind="thinking", text=thought, extras=signed if prompt.family == "anthropic" else {}))
    if tools:
        parts += [_called(tool, number) for number, tool in enumerate(tools)]
    else:
        parts.append(AnswerPart(kind="text", text=_said(prompt, last)))
    words = sum(len(part.text.split()) for part in parts) + 1
    thoughts = sum(len(part.text.split()) for part in parts if part.kind == "thinking")
    choice = Choice(parts=parts, stop="tool_use" if tools else "stop", native="")
    count = prompt.n or 1
    return Answer(
        id="demo-answer",
        model=prompt.model,
        created=_CREATED,
        choices=[msgspec.structs.replace(choice) for _ in range(count)],
        usage=Usage(input=_words(prompt), output=words * count, reasoning=thoughts * count),
    )


def _chosen(prompt: Prompt) -> list[Tool]:
    """The tools it calls: the forced one, those that the last message names, else the first."""
    choice = prompt.tool_choice
    offered = [tool for tool in prompt.tools if tool.kind != "native"]
    if not offered or (choice is not None and choice.mode == "none"):
        return []
    if choice is not None and choice.names:
        offered = [tool for tool in offered if tool.name in choice.names] or offered
    question = _question(prompt)
    named = [tool for tool in offered if tool.name in question]
    return named if named and prompt.parallel_tools is not False else (named or offered)[:1]


def _called(tool: Tool, number: int) -> AnswerPart:
    if tool.kind == "custom":
        return AnswerPart(kind="custom_call", id=f"call_demo_{number}", name=tool.name, text="demo")
    arguments = instance(tool.schema or {"type": "object"})
    text = msgspec.json.encode(arguments if isinstance(arguments, dict) else {}).decode()
    return AnswerPart(kind="tool_call", id=f"call_demo_{number}", name=tool.name, text=text)


def _said(prompt: Prompt, last: Message) -> str:
    if prompt.output is not None and prompt.output.kind != "text":
        value = instance(prompt.output.schema) if prompt.output.schema else {"answer": "demo"}
        return msgspec.json.encode(value).decode()
    for part in last.parts:
        if isinstance(part, ToolResult):
            told = " ".join(inner.text for inner in part.parts if isinstance(inner, Text))
            return f"The tool answered: {told}"
    media = sum(isinstance(part, Media) for message in prompt.messages for part in message.parts)
    seen = f" I was also given {media} attachment{'s' if media != 1 else ''}." if media else ""
    return f"This is the demo provider of Headgate. You said: {_question(prompt)}{seen}"


def _question(prompt: Prompt) -> str:
    for message in reversed(prompt.messages):
        if message.role == "user":
            return " ".join(part.text for part in message.parts if isinstance(part, Text))
    return ""


def _words(prompt: Prompt) -> int:
    return 3 + sum(
        len(part.text.split()) for message in prompt.messages for part in message.parts if isinstance(part, Text)
    )


def _words_of(events: list[Event]) -> Iterator[Event]:
    """The same events with every text told word by word."""
    for event in events:
        if not isinstance(event, PartDelta) or not event.text:
            yield event
            continue
        words = event.text.split(" ")
        for number, word in enumerate(words):
            yield PartDelta(
                choice=event.choice, part=event.part, kind=event.kind, text=word if number == 0 else " " + word
            )
