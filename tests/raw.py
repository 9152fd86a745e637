"""HTTP by hand, for tests that care about bytes and sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import Any

from running import KEY, Running

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    gateway: Running,
    method: str,
    path: str,
    body: bytes | dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    key: str | None = KEY,
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    try:
        named = {"authorization": f"Bearer {key}"} if key is not None else {}
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        if data is not None:
            named["content-type"] = "application/json"
        connection.request(method, path, data, named | (headers or {}))
        return Answer(connection.getresponse())
    finally:
        connection.close()


def raw(gateway: Running, data: bytes, seconds: float = 15.0) -> bytes:
    """Send bytes, read until the other side closes (or nothing comes any more)."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=seconds) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(data)
        got = b""
        try:
            while piece := connection.recv(65536):
                got += piece
        except (TimeoutError, ConnectionResetError):
            pass
        return got


def begin_stream(gateway: Running, path: str, body: dict[str, Any]) -> socket.socket:
    """A request whose answer is read by the caller, from the open socket."""
    data = json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=15)
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(data)}\r\n\r\n".encode()
        + data
    )
    return connection


def sse(*payloads: Any) -> list[bytes]:
    """Chat-style events, one piece each; strings stand for themselves."""
    return [b"data: " + (p.encode() if isinstance(p, str) else json.dumps(p).encode()) + b"\n\n" for p in payloads]


def chunk(text: str | None = None, finish: str | None = None, usage: dict[str, int] | None = None) -> dict[str, Any]:
    """A chat completion chunk."""
    value: dict[str, Any] = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
    if usage is not None:
        return value | {"usage": usage}
    return value | {
        "choices": [{"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}]
    }


def completion(text: str = "hello", prompt: int = 5, out: int = 7) -> bytes:
    return json.dumps(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": out, "total_tokens": prompt + out},
        }
    ).encode()
