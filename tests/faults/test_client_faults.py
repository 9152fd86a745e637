"""Callers that leave, dawdle, stop reading or stop sending: what the provider, the ledger and the gateway's memory see of it."""

from __future__ import annotations

import contextlib
import json
import resource
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from threaded import Laboratory

from headgate.faults import answers, caller
from raw import ask, begin_stream
from running import KEY, Running
from test_life import rows

PATH = "/lab-main-openai_chat/v1/chat/completions"


def body(model: str, stream: bool = True) -> dict[str, Any]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    got = b""
    while mark not in got:
        piece = connection.recv(65536)
        assert piece, got
        got += piece
    return got


def resident(gateway: Running) -> int:
    """kB"""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def tasks(gateway: Running) -> float:
    text = ask(gateway, "GET", "/metrics").body.decode()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith("headgate_tasks ")))


# ---------------------------------------------------------------------- leaving


@pytest.mark.parametrize(
    ("model", "content"),
    [("silent.left", False), ("silent-after-headers.left", False), ("stall-in-answer.left", True)],
    ids=["before the head", "before the first byte", "in mid-stream"],
)
def test_who_leaves_ends_the_upstream_within_a_second(
    model: str, content: bool, patient: Running, laboratory: Laboratory
) -> None:
    """One row, abandoned and estimated; no task is left."""
    with begin_stream(patient, PATH, body(model)) as connection:
        (seen,) = patient.wait_for(lambda: laboratory.seen(model))
        if content:
            read_until(connection, b"answers")
    left = time.monotonic()
    patient.wait_for(lambda: seen.closed is not None, 2)
    assert seen.left
    assert seen.closed - left < 1
    (row,) = patient.wait_for(lambda: [row for row in rows(patient) if row["target"] == model])
    assert (row["outcome"], row["estimated"], row["attempts"]) == ("abandoned", 1, 1)
    assert (row["status"], row["error"]) == (499, ""), "whatever was shown by then: it is no failure"
    (attempt,) = rows(patient, "attempts", request_id=row["id"])
    assert attempt["outcome"] == "abandoned"
    assert attempt["input"] > 0
    assert attempt["output"] > 0, "also what it may have produced and not yet sent"
    patient.wait_for(lambda: tasks(patient) == 0, 3)


def test_who_leaves_between_two_attempts_ends_the_second_one(patient: Running, laboratory: Laboratory) -> None:
    """The provider said to wait a second; the caller leaves meanwhile: nobody is asked again."""
    model = "429-seconds.left"
    with begin_stream(patient, PATH, body(model)) as connection:
        (seen,) = patient.wait_for(lambda: laboratory.seen(model))
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)  # no answer: the gateway waits to ask again
    (row,) = patient.wait_for(lambda: [row for row in rows(patient) if row["target"] == model])
    assert (row["outcome"], row["status"], row["error"]) == ("abandoned", 499, "")
    (attempt,) = rows(patient, "attempts", request_id=row["id"])
    assert (attempt["outcome"], attempt["error"]) == ("failed", "rate_limit_exceeded")
    time.sleep(max(0.0, seen.at + 2.5 - time.monotonic()))  # the time of a second request, had there been one
    assert len(laboratory.seen(model)) == 1
    assert tasks(patient) == 0


# ---------------------------------------------------------------------- half-closed


@pytest.mark.parametrize(
    ("model", "stream"),
    [("trickle.half", True), ("trickle.half-whole", False), ("burst-503.half", True), ("burst-503.half-whole", False)],
)
def test_who_stops_sending_gets_the_whole_answer(
    model: str, stream: bool, patient: Running, laboratory: Laboratory
) -> None:
    """In mid-stream, and while the gateway asks again. What is written to see whether anybody listens is read over."""
    with begin_stream(patient, PATH, body(model, stream)) as connection:
        connection.shutdown(socket.SHUT_WR)
        got = b""
        while piece := connection.recv(65536):
            got += piece
    told = caller.parse(got)
    assert not told.problem
    caller.read(told, "openai_chat", stream)
    assert (told.status, told.text, told.success, told.problem) == (200, answers.text(model), True, "")
    assert laboratory.seen(model)[-1].left is False


@pytest.mark.parametrize("fault", ["silent", "stall-in-answer"])
def test_who_stops_sending_and_leaves_later_ends_the_upstream(
    fault: str, patient: Running, laboratory: Laboratory
) -> None:
    model = f"{fault}.half-left"
    with begin_stream(patient, PATH, body(model)) as connection:
        (seen,) = patient.wait_for(lambda: laboratory.seen(model))
        connection.shutdown(socket.SHUT_WR)
        time.sleep(0.3)
        assert seen.closed is None, "it may wait for its answer still"
    patient.wait_for(lambda: seen.closed is not None, 3)
    assert seen.left


# ---------------------------------------------------------------------- slow callers


def test_a_slow_reader_slows_the_provider_and_costs_no_memory(patient: Running, laboratory: Laboratory) -> None:
    """Back-pressure end to end: what the gateway took and the caller did not fits into buffers."""
    model = "flood.slow"
    with begin_stream(patient, PATH, body(model)) as connection:
        read_until(connection, b"answers")
        before = resident(patient)
        (seen,) = laboratory.seen(model)

        def settled() -> bool:
            sent = seen.sent
            time.sleep(0.3)
            return seen.sent == sent

        patient.wait_for(settled, 10)
        taken = seen.sent
        assert taken < 24 << 20, "the provider is slowed down"
        assert resident(patient) - before < 32_000, "kB"
        assert ask(patient, "GET", "/health/live").status == 200
        got = 0
        while got < taken // 2:
            got += len(connection.recv(1 << 20))
        patient.wait_for(lambda: seen.sent > taken, 5)
    patient.wait_for(lambda: seen.closed is not None, 2)
    assert seen.left


def head(length: int) -> bytes:
    return (
        f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
        f"content-length: {length}\r\n\r\n"
    ).encode()


def test_a_body_that_comes_slowly_is_answered_and_one_that_stops_is_not(
    gateways: Callable[..., Running], laboratory: Laboratory
) -> None:
    """The bound is on silence within the body, not on its pace; nothing goes upstream before it is whole."""
    gateway = gateways(server={"port": 0, "body_timeout": "800ms"})
    data = json.dumps(body("healthy.slow-body", stream=False)).encode()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(head(len(data)))
        for at in range(0, len(data), 16):
            connection.sendall(data[at : at + 16])
            time.sleep(0.2)
        assert answers.text("healthy.slow-body").encode() in read_until(connection, b'"stop"')
    began = time.monotonic()
    data = json.dumps(body("healthy.stopped-body")).encode()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(head(len(data)) + data[:-10])
        assert read_until(connection, b"request_timeout").startswith(b"HTTP/1.1 408")
    assert time.monotonic() - began < 4
    assert laboratory.seen("healthy.stopped-body") == []


@pytest.fixture(scope="module")
def hasty(gateways: Callable[..., Running]) -> Running:
    return gateways(server={"port": 0, "body_timeout": "300ms"})


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/chat/completions", '"type":"timeout_error"'),
        ("/v1/messages", '"type":"timeout_error"'),
        ("/v1/responses", '"type":"timeout_error"'),
        ("/v1beta/models/m:generateContent", '"status":"DEADLINE_EXCEEDED"'),
    ],
)
@pytest.mark.parametrize("begun", [b"", b'{"model":'])
def test_a_body_that_stops_is_a_408_in_the_callers_dialect(path: str, kind: str, begun: bytes, hasty: Running) -> None:
    """Whether nothing came behind the head or a part; the connection is over, as the rest of the body would be read as a request."""
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=10) as connection:
        connection.sendall(head(100).replace(PATH.encode(), path.encode()) + begun)
        answer = read_until(connection, b'"request_timeout"' if "beta" not in path else b"DEADLINE")
        assert answer.startswith(b"HTTP/1.1 408"), answer
        assert b"connection: close" in answer.lower()
        assert kind.encode() in answer.replace(b": ", b":")
        while connection.recv(65536):
            pass


def test_slow_headers_are_cut_off(gateways: Callable[..., Running]) -> None:
    gateway = gateways(server={"port": 0, "header_timeout": "1s"})
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nx-slow: ")
        for _ in range(2):
            time.sleep(0.3)
            connection.sendall(b"a")  # signs of life are no head
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")
    assert 0.8 < time.monotonic() - began < 3


# ---------------------------------------------------------------------- many at once

STREAMS = 2000


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Room for the sockets of both ends, here and in the gateway started after it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * STREAMS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_two_thousand_idle_streams(descriptors: None, gateways: Callable[..., Running], laboratory: Laboratory) -> None:
    """All have begun and say nothing: the gateway stays responsive, small, and lets go of all of them when they leave."""
    gateway = gateways()
    assert ask(gateway, "GET", "/health/live").status == 200
    before = resident(gateway)
    model = "stall-in-answer.idle"
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as waiting:
        for number in range(STREAMS):
            connection = stack.enter_context(begin_stream(gateway, PATH, body(f"{model}-{number}")))
            waiting.register(connection, selectors.EVENT_READ)
        began = 0
        while began < STREAMS:
            for key, _ in waiting.select(20):
                connection = key.fileobj  # type: ignore[assignment]
                read_until(connection, b"answers")
                waiting.unregister(connection)
                began += 1
        started = time.monotonic()
        assert ask(gateway, "GET", "/health/live").status == 200
        assert time.monotonic() - started < 1
        each = (resident(gateway) - before) / STREAMS
        assert each < 100, f"{each:.0f} kB a stream"
    gateway.wait_for(lambda: laboratory.provider.connections == 0, 10)
    gateway.wait_for(lambda: tasks(gateway) == 0, 10)
    found = gateway.wait_for(lambda: len(found := rows(gateway)) == STREAMS and found, 20)
    assert {row["outcome"] for row in found} == {"abandoned"}
