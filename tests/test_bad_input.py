"""Bad input: a clear error in the caller's dialect, fast, in bounded memory, and the gateway goes on."""

from __future__ import annotations

import gzip
import json
import socket
import time
from pathlib import Path

import pytest

from fakes import Reply, Upstream
from raw import CHAT, ask, completion, raw
from running import KEY, Running

CHAT_PATH = "/up_chat/v1/chat/completions"
PATHS = {
    "openai_chat": CHAT_PATH,
    "openai_completions": "/up_completions/v1/completions",
    "openai_responses": "/up_responses/v1/responses",
    "anthropic_messages": "/up_anthropic/v1/messages",
    "gemini": "/up_gemini/v1beta/models/m:generateContent",
}


def message_of(dialect: str, body: bytes) -> str:
    """The error's message, where the dialect's SDK looks for it; fails if the shape is not the dialect's."""
    error = json.loads(body)
    if dialect == "anthropic_messages":
        assert error["type"] == "error"
        assert isinstance(error["error"]["type"], str)
    if dialect == "gemini":
        assert isinstance(error["error"]["code"], int)
        assert isinstance(error["error"]["status"], str)
    message = error["error"]["message"]
    assert isinstance(message, str)
    return message


BODIES = {
    "empty": b"",
    "cut": b'{"model": "m", "messages": [{"role"',
    "an array": b"[]",
    "a number": b"1",
    "bad UTF-8": b'{"model": "m\xff\xfe"}',
    "a lone surrogate": b'{"model": "m", "messages": "\\ud800", "input": "\\ud800", "prompt": "\\ud800", "contents": "\\ud800"}',
    "depth bomb": b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "object bomb": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "wrong types": b'{"model": {"a": 1}, "messages": [], "max_tokens": 5, "contents": {"a": 1}, "generationConfig": [], "tools": 4}',
}


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("name", BODIES)
def test_a_bad_body_is_a_400_in_the_callers_dialect(
    dialect: str, name: str, gateway: Running, script: Upstream
) -> None:
    began = time.monotonic()
    answer = ask(gateway, "POST", PATHS[dialect], BODIES[name])
    assert answer.status == 400, answer.body
    assert message_of(dialect, answer.body)
    assert time.monotonic() - began < 2
    assert script.requests == []


def test_a_number_bomb_does_not_stop_the_gateway(gateway: Running, script: Upstream) -> None:
    answer = ask(gateway, "POST", CHAT_PATH, b'{"model":"m","messages":[],"max_tokens":' + b"9" * 1_000_000 + b"}")
    assert answer.status == 400
    assert ask(gateway, "GET", "/health/live").status == 200


def test_a_body_over_the_bound_is_refused_before_it_is_read(gateway: Running, script: Upstream) -> None:
    """100 MB are announced: the answer comes at once, and the connection is not needed to carry them."""
    head = f"POST {CHAT_PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 104857600\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_an_endless_chunked_body_is_refused_in_bounded_memory(gateway: Running) -> None:
    def resident() -> int:
        status = Path(f"/proc/{gateway.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))

    before = resident()
    head = f"POST {CHAT_PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ntransfer-encoding: chunked\r\n\r\n"
    piece = b"100000\r\n" + b"a" * 0x100000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(head.encode())
        connection.settimeout(0.01)
        got = b""
        for _ in range(200):
            connection.settimeout(10)
            try:
                connection.sendall(piece)
                connection.settimeout(0.001)
                got += connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            if got:
                break
        assert got.startswith(b"HTTP/1.1 413"), got[:200]
    assert resident() - before < 250_000, "kB"


def test_nothing_of_a_body_is_read_before_the_key_is_known(gateway: Running) -> None:
    head = f"POST {CHAT_PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x: " + b"a" * 100_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"".join(b"x%d: y\r\n" % n for n in range(1000)) + b"\r\n", b"431"),
    ],
    ids=["not HTTP", "two lengths", "a huge header", "too many headers"],
)
def test_a_bad_head_is_refused_as_json(data: bytes, status: bytes, gateway: Running) -> None:
    got = raw(gateway, data)
    assert got.startswith(b"HTTP/1.1 " + status), got[:300]
    assert "message" in json.loads(got.partition(b"\r\n\r\n")[2])["error"]


def test_endless_headers_are_cut_off(gateway: Running) -> None:
    """200 MB of header bytes without an end: refused at the bound."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx: ")
        sent = 0
        with pytest.raises(OSError):
            while sent < 200_000_000:
                sent += connection.send(b"a" * 65536)
        assert sent < 20_000_000


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_credential_given_twice_is_refused(header: str, gateway: Running) -> None:
    value = f"Bearer {KEY}" if header == "authorization" else KEY
    body = json.dumps(CHAT).encode()
    got = raw(
        gateway,
        f"POST {CHAT_PATH} HTTP/1.1\r\nhost: x\r\n{header}: {value}\r\n{header}: {value}\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n\r\n".encode()
        + body,
    )
    assert got.startswith(b"HTTP/1.1 400")


def test_two_different_keys_in_one_request_are_refused(gateway: Running) -> None:
    assert ask(gateway, "POST", CHAT_PATH, CHAT, {"x-api-key": "another"}).status == 400
    assert ask(gateway, "POST", f"{PATHS['gemini']}?key=another", {"contents": []}).status == 400


def test_an_empty_field_is_no_key(gateway: Running) -> None:
    """SDKs whose variable is set to nothing send it beside the token that they use."""
    assert ask(gateway, "GET", "/v1/models", headers={"x-api-key": ""}).status == 200
    assert ask(gateway, "GET", "/v1/models", headers={"x-api-key": ""}, key=None).status == 401
    assert ask(gateway, "GET", "/v1/models", headers={"authorization": "Bearer ", "x-api-key": KEY}).status == 200
    assert ask(gateway, "GET", "/v1/models", headers={"authorization": "", "x-goog-api-key": KEY}).status == 200


def test_a_request_that_refers_to_very_many_objects_is_refused(gateway: Running, script: Upstream) -> None:
    """Each is looked up: three hundred thousand took a minute of a worker's time."""
    stores = [{"type": "file_search", "vector_store_ids": [f"vs_{number}" for number in range(300_000)]}]
    began = time.monotonic()
    answer = ask(gateway, "POST", PATHS["openai_responses"], {"model": "m", "input": "x", "tools": stores})
    assert (answer.status, answer.json["error"]["code"]) == (400, "too_many_objects")
    assert time.monotonic() - began < 5
    assert script.requests == []


@pytest.mark.parametrize(
    ("encoding", "cut", "status"), [("gzip", 0, 200), ("x-gzip", 0, 200), ("gzip", 8, 400), ("gzip", 40, 400)]
)
def test_a_compressed_body_is_read_whole_or_refused(
    encoding: str, cut: int, status: int, gateway: Running, script: Upstream
) -> None:
    """Without its checksum nobody knows whether it is what was sent."""
    packed = gzip.compress(json.dumps(CHAT).encode())
    script.script(Reply(pieces=[completion()]))
    answer = ask(gateway, "POST", CHAT_PATH, packed[: len(packed) - cut], {"content-encoding": encoding})
    assert answer.status == status, answer.body
    assert status == 200 or "compressed" in message_of("openai_chat", answer.body)


@pytest.mark.parametrize(
    "parent",
    [f"00-{'é' * 32}-b7ad6b7169203331-01", f"00-{'g' * 32}-b7ad6b7169203331-01", f"00-{'0' * 32}-b7ad6b7169203331-01"],
)
def test_a_trace_that_is_none_is_not_carried_on(parent: str, gateway: Running, script: Upstream) -> None:
    script.script(Reply(pieces=[completion()]))
    assert ask(gateway, "POST", CHAT_PATH, CHAT, {"traceparent": parent}).status == 200
    assert script.requests[0].header("traceparent") is None


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/"])
def test_who_watches_may_ask_by_head(path: str, gateway: Running) -> None:
    answer = ask(gateway, "HEAD", path, key=None)
    assert (answer.status, answer.body) == (200, b"")


def test_a_duplicate_model_key_is_refused_where_it_would_be_edited(gateway: Running, script: Upstream) -> None:
    """{"model": allowed, "model": other}: two readers might take different ones."""
    answer = ask(gateway, "POST", "/v1/chat/completions", b'{"model":"up_chat/a","messages":[],"model":"up_chat/b"}')
    assert answer.status == 400
    assert script.requests == []


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "gemini"])
def test_an_unknown_model_is_a_404_with_the_nearest_names(dialect: str, gateway: Running) -> None:
    path = {"openai_chat": "/v1/chat/completions", "anthropic_messages": "/v1/messages"}.get(
        dialect, "/v1beta/models/chet:generateContent"
    )
    body = {"model": "chet", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    gemini = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    answer = ask(gateway, "POST", path, gemini if dialect == "gemini" else body)
    assert answer.status == 404
    assert "demo/chat" in message_of(dialect, answer.body)


@pytest.mark.parametrize("key", [None, "sk-proj-provider-key", "sk-hg-unknown", "x" * 5000])
def test_without_a_valid_key_the_answer_is_401(key: str | None, gateway: Running, script: Upstream) -> None:
    for dialect, path in PATHS.items():
        answer = ask(gateway, "POST", path, CHAT, key=key)
        assert answer.status == 401
        assert message_of(dialect, answer.body)
        assert key is None or key not in answer.body.decode()
    assert script.requests == []


def test_a_client_cannot_choose_where_we_connect(gateway: Running, script: Upstream) -> None:
    """Neither headers nor the body nor the request line name an upstream."""
    sent = {
        "x-portkey-custom-host": "http://127.0.0.1:1",
        "x-base-url": "http://127.0.0.1:1",
        "forwarded": "host=evil",
        "x-forwarded-host": "evil",
    }
    answer = ask(gateway, "POST", CHAT_PATH, CHAT | {"api_base": "http://127.0.0.1:1", "base_url": "http://x"}, sent)
    assert answer.status == 500  # the scripted upstream has nothing to say: it was asked
    assert len(script.requests) == 1
    received = dict(script.requests[0].headers)
    assert received["authorization"] == "Bearer provider-key"
    assert not set(sent) & set(received)
    assert KEY not in str(received)
