"""The gateway is told to stop: what is under way ends well or says that it does not, newcomers are told, no record is lost."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dry import Dry
from fakes import Reply, Upstream
from headgate.errors import Draining, UpstreamUnreachable
from headgate.model.exchange import Exchange
from raw import CHAT, begin_stream, chunk, completion, sse
from running import KEY, Running, sites
from test_life import PATH, SSE, STREAM, rows

Start = Callable[..., Running]


@pytest.fixture
def start(upstream: Upstream, tmp_path: Path) -> Iterator[Start]:
    """Starts gateways whose drain takes so many seconds."""
    started: list[Running] = []

    def make(drain: float, **config: Any) -> Running:
        server = {"port": 0, "drain": f"{drain}s"}
        made = Running(tmp_path / f"g{len(started)}", {"providers": sites(upstream.url), "server": server} | config)
        started.append(made)
        return made

    yield make
    for running in started:
        if running.process.poll() is None:
            running.stop()


def hanging(*texts: str) -> Reply:
    """A stream that begins and does not end."""
    return Reply(headers=SSE, pieces=sse(*map(chunk, texts)), chunked=True, after="hang")


def until(connection: socket.socket, mark: bytes) -> bytes:
    got = b""
    while mark not in got:
        piece = connection.recv(65536)
        assert piece, got
        got += piece
    return got


def rest(connection: socket.socket) -> bytes:
    got = b""
    while piece := connection.recv(65536):
        got += piece
    connection.close()
    return got


def stopped(gateway: Running) -> float:
    """Seconds until a gateway that was told to stop is gone; it says that all is well and leaves nothing in the spool."""
    began = time.monotonic()
    gateway.process.wait(15)
    gateway.stop()
    assert gateway.process.returncode == 0
    assert list((gateway.data / "spool").glob("s*")) == [], "everything is in the ledger"
    return time.monotonic() - began


class Kept:
    """A client's connection that is kept open."""

    def __init__(self, gateway: Running) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        self._connection.connect()

    def ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, str], Any]:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body)
        self._connection.request("GET" if body is None else "POST", path, data, headers)
        answer = self._connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(answer.read())

    def close(self) -> None:
        self._connection.close()


def test_a_stream_that_takes_too_long_ends_with_an_error_that_says_why(start: Start, script: Upstream) -> None:
    """The client sees what came and a typed error, never the end of an answer; what was used so far is on the record."""
    gateway = start(0.3)
    script.script(hanging("some ", "words"))
    connection = begin_stream(gateway, PATH, STREAM)
    head = until(connection, b"words")
    gateway.process.terminate()
    last = rest(connection)
    assert stopped(gateway) < 3
    assert b"gateway_draining" in last
    assert b"[DONE]" not in head + last
    assert last.endswith(b"0\r\n\r\n"), "the HTTP message is whole: it is the answer that is not"
    (row,) = rows(gateway)
    assert (row["outcome"], row["error"], row["estimated"]) == ("failed", "gateway_draining", 1)
    (attempt,) = rows(gateway, "attempts")
    assert attempt["output"] > 0, "what was shown was used"
    assert script.requests[0].closed.wait(1.0), "the provider does not go on for nobody"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (
            "/up_chat/v1/messages",
            STREAM | {"max_tokens": 9},
            {"type": "error", "error": {"type": "overloaded_error"}},
        ),
        ("/up_chat/v1/responses", {"model": "m", "input": "x", "stream": True}, {"type": "response.failed"}),
        (
            "/up_chat/v1beta/models/m:streamGenerateContent",
            {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
            {"error": {"code": 503, "status": "UNAVAILABLE"}},
        ),
    ],
    ids=["messages", "responses", "gemini"],
)
def test_every_dialect_says_it_in_its_own_words(
    path: str, body: dict[str, Any], said: dict[str, Any], start: Start, script: Upstream
) -> None:
    gateway = start(0)
    script.script(hanging("half", "way"))
    connection = begin_stream(gateway, path, body)
    answer = until(connection, b"way")
    gateway.process.terminate()
    answer += rest(connection)
    stopped(gateway)
    text = unchunked(answer)
    last = json.loads(text)[-1] if text.startswith(b"[") else json.loads(text.strip().rsplit(b"data: ", 1)[1])
    assert part_of(said, last), last
    assert [row["error"] for row in rows(gateway)] == ["gateway_draining"]


def unchunked(answer: bytes) -> bytes:
    """The body of a response that comes in chunks."""
    _, _, left = answer.partition(b"\r\n\r\n")
    body = b""
    while left:
        size, _, left = left.partition(b"\r\n")
        body, left = body + left[: int(size, 16)], left[int(size, 16) + 2 :]
    return body


def part_of(some: Any, whole: Any) -> bool:
    if isinstance(some, dict):
        return isinstance(whole, dict) and all(part_of(value, whole.get(name)) for name, value in some.items())
    return bool(some == whole)


def test_a_request_that_was_shown_nothing_is_refused_in_its_dialect(start: Start, script: Upstream) -> None:
    """While the provider is silent, and while the client still sends its body."""
    gateway = start(0)
    script.script(Reply(raw=b"", after="hang"))
    silent = begin_stream(gateway, "/up_chat/v1/messages", CHAT | {"max_tokens": 9})
    gateway.wait_for(lambda: script.requests)
    sending = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    sending.sendall(
        f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 999\r\n\r\n{{".encode()
    )
    gateway.wait_for(lambda: metric(gateway, "headgate_requests_under_way") >= 3)  # those two, and the look itself
    gateway.process.terminate()
    for connection in (silent, sending):
        answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1\r\n" in answer
        assert b"connection: close\r\n" in answer
    assert stopped(gateway) < 3
    found = {row["path"]: (row["outcome"], row["status"], row["error"]) for row in rows(gateway)}
    assert found == dict.fromkeys([PATH, "/up_chat/v1/messages"], ("failed", 503, "gateway_draining"))
    attempts = [(row["outcome"], row["error"]) for row in rows(gateway, "attempts")]
    assert attempts == [("failed", "gateway_draining")], "what was under way at the provider ended as the request did"


def metric(gateway: Running, name: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request("GET", "/metrics", headers={"authorization": f"Bearer {KEY}"})
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def test_newcomers_are_refused_while_the_last_one_ends(start: Start, script: Upstream) -> None:
    """On a connection that was open, and on a new one: not ready, alive, a typed 503, and please close. The stream ends well."""
    gateway = start(20)
    kept, probe = Kept(gateway), Kept(gateway)
    assert kept.ask("/health/ready")[0] == probe.ask("/health/ready")[0] == 200
    script.script(
        Reply(headers=SSE, pieces=sse(*[chunk("x")] * 8, chunk(finish="stop"), "[DONE]"), chunked=True, pause=0.2)
    )
    connection = begin_stream(gateway, PATH, STREAM)
    until(connection, b"x")
    gateway.process.terminate()
    gateway.wait_for(lambda: probe.ask("/health/ready")[0] == 503, 1)
    assert probe.ask("/health/live")[0] == 200
    late = Kept(gateway)
    for newcomer in (kept, late):
        status, headers, body = newcomer.ask(PATH, CHAT)
        assert (status, body["error"]["code"]) == (503, "gateway_draining")
        assert (headers["connection"], headers["retry-after"]) == ("close", "1")
    assert b"[DONE]" in rest(connection)
    assert stopped(gateway) < 2, "an idle connection keeps nobody"
    for one in (kept, probe, late):
        one.close()
    assert [row["outcome"] for row in rows(gateway)] == ["done"], "who was refused before a key was known has no row"
    assert len(script.requests) == 1


def test_a_second_signal_ends_at_once_and_keeps_the_record(start: Start, script: Upstream) -> None:
    gateway = start(60)
    script.script(hanging("words"))
    connection = begin_stream(gateway, PATH, STREAM)
    until(connection, b"words")
    gateway.process.terminate()
    gateway.wait_for(lambda: readiness(gateway) == 503)
    gateway.process.send_signal(signal.SIGINT)
    assert b"gateway_draining" in rest(connection)
    assert stopped(gateway) < 2
    assert [row["error"] for row in rows(gateway)] == ["gateway_draining"]


def readiness(gateway: Running) -> int:
    probe = Kept(gateway)
    try:
        return probe.ask("/health/ready")[0]
    finally:
        probe.close()


def test_a_client_that_does_not_read_keeps_nobody(start: Start, script: Upstream) -> None:
    """Its buffers are full: the gateway leaves after a grace all the same, and the row is written."""
    gateway = start(0)
    script.script(hanging(*["x" * 60_000] * 400))
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", gateway.port))
    data = json.dumps(STREAM).encode()
    connection.sendall(
        f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        f"content-length: {len(data)}\r\n\r\n".encode()
        + data
    )
    until(connection, b"xxx")
    gateway.process.terminate()
    assert stopped(gateway) < 8
    connection.close()
    assert [(row["outcome"], row["error"]) for row in rows(gateway)] == [("failed", "gateway_draining")]


def test_a_client_that_leaves_meanwhile_has_left(start: Start, script: Upstream) -> None:
    gateway = start(20)
    script.script(hanging("words"))
    connection = begin_stream(gateway, PATH, STREAM)
    until(connection, b"words")
    gateway.process.terminate()
    gateway.wait_for(lambda: readiness(gateway) == 503)
    connection.close()
    assert stopped(gateway) < 3
    assert [row["outcome"] for row in rows(gateway)] == ["abandoned"]


def test_what_passes_through_is_cut_or_refused(start: Start, script: Upstream) -> None:
    """A file that is half shown ends short of its length; one that nothing is known of yet is a 503."""
    gateway = start(0.5, providers={"openai": {"base_url": script.url + "/v1", "api_key": "k"}})
    head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 1000\r\n\r\n"
    body = {"model": "tts-1", "input": "x", "voice": "alloy"}
    script.script(Reply(raw=head + b"half", after="hang"))
    shown = begin_stream(gateway, "/openai/v1/audio/speech", body)
    until(shown, b"half")
    script.script(Reply(raw=b"", after="hang"))
    waiting = begin_stream(gateway, "/openai/v1/audio/speech", body)
    gateway.wait_for(lambda: len(script.requests) == 2)
    gateway.process.terminate()
    assert rest(shown) == b""
    assert rest(waiting).startswith(b"HTTP/1.1 503")
    assert stopped(gateway) < 4
    assert [(row["outcome"], row["error"]) for row in rows(gateway)] == [("failed", "gateway_draining")] * 2


def test_a_provider_that_fails_as_the_gateway_stops_has_failed(tmp_path: Path) -> None:
    """Its row and its breaker hold what it did, not what the gateway was about to do."""
    config = {"discover": False, "keys": [{"name": "suite", "key": KEY}], "providers": sites("http://127.0.0.1:9")}
    (tmp_path / "headgate.yaml").write_text(yaml.safe_dump(config))
    dry = Dry(tmp_path / "headgate.yaml", tmp_path / "data")

    def fault(x: Exchange) -> Exception:
        x.interrupted = Draining("the gateway stops")
        return UpstreamUnreachable("refused", code="connection_refused")

    row, seen = dry.attempt(PATH, json.dumps(CHAT).encode(), fault)
    dry.close()
    assert (row.outcome, row.error, seen.errors) == ("failed", "connection_refused", 1)


def test_whole_answers_under_way_are_delivered(start: Start, script: Upstream) -> None:
    gateway = start(20)
    script.script(*[Reply(pieces=[completion()], delay=0.5)] * 8)
    connections = [begin_stream(gateway, PATH, CHAT) for _ in range(8)]
    gateway.wait_for(lambda: len(script.requests) == 8)
    gateway.process.terminate()
    answers = [rest(connection) for connection in connections]
    stopped(gateway)
    assert all(answer.startswith(b"HTTP/1.1 200") and b"hello" in answer for answer in answers)
    assert all(b"connection: close" in answer for answer in answers), "nobody asks again on a connection that ends"
    assert [row["outcome"] for row in rows(gateway)] == ["done"] * 8
