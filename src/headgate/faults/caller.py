"""The laboratory's caller: one request to a gateway, and what an unforgiving client makes of the answer.

Rules of this file:
- The answer's bytes are read to the end of the connection, so that an answer that was cut cannot pass for a whole one.
- Read by hand, dialect by dialect, and strictly: an event that is no JSON, text behind the terminal event, or a success that is told
  beside an error is a `problem`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import Struct, field

from headgate import clock
from headgate.faults.answers import ANTHROPIC, CHAT, GEMINI, RESPONSES

PROMPT = "Say it."


class Gateway(Struct, frozen=True, kw_only=True):
    """The gateway to be called. `key` is one of its own."""

    host: str
    port: int
    key: str


class Told(Struct, kw_only=True):
    """What a caller was told. `seconds` until the last byte; status 0 where no answer came at all."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    ended: float = 0.0
    """When the last byte had come (`clock.mono`)."""
    text: str = ""
    success: bool = False
    """The answer says that it is complete."""
    error: str = ""
    """The error's code, else its type; "" where no error is told."""
    problem: str = ""
    """What is wrong with the answer as such, in any reading."""

    @property
    def request_id(self) -> str:
        return self.headers.get("x-request-id", "")


def request(gateway: Gateway, dialect: str, model: str, stream: bool) -> bytes:
    """The request's bytes, head and body."""
    message = {"role": "user", "content": PROMPT}
    body: dict[str, Any]
    path = {CHAT: "/v1/chat/completions", RESPONSES: "/v1/responses", ANTHROPIC: "/v1/messages"}.get(dialect, "")
    if dialect == GEMINI:
        path = f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")
        body = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
    elif dialect == RESPONSES:
        body = {"model": model, "input": PROMPT, "stream": stream}
    else:
        body = {"model": model, "messages": [message], "max_tokens": 100, "stream": stream}
    return post(gateway, path, msgspec.json.encode(body))


def post(gateway: Gateway, path: str, body: bytes) -> bytes:
    head = [
        f"POST {path} HTTP/1.1",
        f"host: {gateway.host}",
        f"authorization: Bearer {gateway.key}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


async def ask(gateway: Gateway, dialect: str, model: str, stream: bool, within: float) -> Told:
    """One request. An answer that is not over `within` seconds is a problem."""
    told = await exchange(gateway, request(gateway, dialect, model, stream), within)
    if not told.problem:
        read(told, dialect, stream)
    return told


async def look_up(gateway: Gateway, path: str, within: float = 5.0) -> Told:
    """GET a path of the gateway's own."""
    head = f"GET {path} HTTP/1.1\r\nhost: {gateway.host}\r\nauthorization: Bearer {gateway.key}\r\nconnection: close\r\n\r\n"
    return await exchange(gateway, head.encode(), within)


async def exchange(gateway: Gateway, data: bytes, within: float) -> Told:
    """Send these bytes, read the answer to its end."""
    began = clock.mono()
    got: list[bytes] = []
    problem = ""
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
            try:
                writer.write(data)
                await writer.drain()
                while piece := await reader.read(65536):
                    got.append(piece)
            finally:
                writer.close()
    except TimeoutError:
        problem = f"no end within {within:.0f} s"
    except OSError as error:
        problem = f"the connection broke: {error}"
    ended = clock.mono()
    told = parse(b"".join(got))
    told.seconds, told.ended, told.problem = ended - began, ended, problem or told.problem
    return told


def parse(data: bytes) -> Told:
    """An HTTP/1.1 response as its bytes say it; interim ones before it are read over."""
    while data.startswith(b"HTTP/1.1 1"):
        data = data.partition(b"\r\n\r\n")[2]
    head, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        return Told(problem="no complete response head")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    told = Told(status=int(first.split(" ")[1]), headers=headers)
    if headers.get("transfer-encoding") == "chunked":
        told.body, whole = _unchunked(rest)
    else:
        told.body, whole = rest, len(rest) == int(headers.get("content-length", len(rest)))
    told.problem = "" if whole else "the body ended before its end"
    return told


def _unchunked(data: bytes) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    while True:
        line, end, data = data.partition(b"\r\n")
        if not end:
            return b"".join(parts), False
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            return b"".join(parts), True
        parts.append(data[:size])
        if len(data) < size + 2:
            return b"".join(parts), False
        data = data[size + 2 :]


# ---------------------------------------------------------------------- reading


def read(told: Told, dialect: str, stream: bool) -> None:
    """Fill in what the body says."""
    streamed = told.headers.get("content-type", "").startswith("text/event-stream")
    if told.status == 200 and stream != streamed:
        told.problem = f"asked for {'a stream' if stream else 'a document'}, got the other"
        return
    try:
        documents = _events(told.body) if streamed else [msgspec.json.decode(told.body)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        told.problem = "not valid JSON"
        return
    over = False
    for document in documents:
        if over and document != "[DONE]":
            told.problem = "something follows the end of the answer"
        text, error, success = _READERS[dialect](document)
        told.text += text
        told.error = told.error or error
        told.success = told.success or success
        over = over or (success and dialect != CHAT) or document == "[DONE]"
    if streamed and dialect == CHAT:
        told.success = told.success and documents[-1:] == ["[DONE]"]
        if told.error and documents[-1:] == ["[DONE]"]:
            told.problem = "[DONE] behind an error"
    if told.error and told.success:
        told.problem = "an error and a success in one answer"


def _events(body: bytes) -> list[Any]:
    """The documents of a stream as a browser's EventSource reads them; "[DONE]" stands for itself."""
    text = body.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found = []
    for block in text.split("\n\n"):
        data = "\n".join(line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:"))
        if data:
            found.append(data if data == "[DONE]" else msgspec.json.decode(data))
    return found


_Reading = tuple[str, str, bool]
"""(text, error's code or type, whether it ends the answer well)"""


def _named(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error or "")
    return str(error.get("code") or error.get("type") or error.get("status") or "untyped")


def _chat(document: Any) -> _Reading:
    if document == "[DONE]":
        return "", "", False
    text, success = "", False
    for choice in document.get("choices") or ():
        said = choice.get("delta") or choice.get("message") or {}
        text += said.get("content") or ""
        success = success or choice.get("finish_reason") == "stop"
    return text, _named(document.get("error")), success


def _responses(document: Any) -> _Reading:
    kind = document.get("type", "")
    if kind == "response.output_text.delta":
        return document["delta"], "", False
    if kind == "error" or ("error" in document and not kind and document.get("object") != "response"):
        return "", _named(document.get("error") or document), False
    response = document.get("response", {}) if kind else document
    if response.get("status") == "failed":
        return "", _named(response.get("error")), False
    success = kind == "response.completed" or (not kind and response.get("status") == "completed")
    parts = [part for item in response.get("output", ()) for part in item.get("content", ())] if not kind else []
    return "".join(part.get("text", "") for part in parts), "", success


def _anthropic(document: Any) -> _Reading:
    kind = document.get("type", "")
    if kind == "error":
        return "", str(document["error"].get("type", "untyped")), False
    if kind == "content_block_delta":
        return document["delta"].get("text", ""), "", False
    if kind == "message":
        text = "".join(block.get("text", "") for block in document["content"])
        return text, "", document.get("stop_reason") == "end_turn"
    return "", "", kind == "message_stop"


def _gemini(document: Any) -> _Reading:
    if document.get("error"):
        error = document["error"]
        return "", str(error.get("status") or error.get("code") or "untyped"), False
    text, success = "", False
    for candidate in document.get("candidates") or ():
        text += "".join(part.get("text", "") for part in candidate.get("content", {}).get("parts", ()))
        success = success or candidate.get("finishReason") == "STOP"
    return text, "", success


_READERS = {CHAT: _chat, RESPONSES: _responses, ANTHROPIC: _anthropic, GEMINI: _gemini}
