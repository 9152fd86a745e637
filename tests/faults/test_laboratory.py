"""The laboratory itself: its faults are what they say, and its judges find what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate import clock
from headgate.faults import answers, caller, laboratory
from headgate.faults.answers import ANTHROPIC, CHAT, DIALECTS, GEMINI, RESPONSES
from headgate.faults.caller import Gateway, Told
from headgate.faults.certificates import Authority
from headgate.faults.provider import FAULTS, Provider
from headgate.faults.scenarios import EXPECTED, SCENARIOS, Terms
from headgate.faults.wire import Seen
from headgate.net import Deadlines

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[Provider]:
    started = Provider(tmp_path)
    await started.start()
    yield started
    await started.close()


def at(provider: Provider, place: str = "main") -> Gateway:
    """The provider in a gateway's place: its answers as they are."""
    return Gateway(host="127.0.0.1", port=int(provider.urls[place].rsplit(":", 1)[1]), key="k")


# ---------------------------------------------------------------------- faults

FOR_CALLERS = {"flood"}
"""Faults of callers need a provider too; they are in test_client_faults.py."""


def test_each_fault_is_told_expected_and_played() -> None:
    assert {name for name, fault in FAULTS.items() if not (fault.does and fault.must)} == set()
    assert set(EXPECTED) == set(FAULTS) - FOR_CALLERS
    assert {scenario.fault for scenario in SCENARIOS.values()} == set(EXPECTED)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_healthy_answer_is_whole_and_read_as_such(dialect: str, stream: bool, provider: Provider) -> None:
    told = await caller.ask(at(provider), dialect, "healthy.x", stream, 5)
    assert (told.status, told.text, told.success, told.error, told.problem) == (
        200,
        answers.text("healthy.x"),
        True,
        "",
        "",
    )
    (seen,) = provider.seen("healthy.x")
    assert (seen.dialect, seen.stream, seen.number, seen.left) == (dialect, stream, 1, False)


@pytest.mark.parametrize(
    "fault", ["crlf", "cr-only", "mixed-line-ends", "multi-line-data", "byte-order-mark", "comments-between", "trickle"]
)
async def test_an_odd_answer_is_a_valid_one(fault: str, provider: Provider) -> None:
    """What the gateway is to understand, the caller of the laboratory understands."""
    plain = await caller.ask(at(provider), CHAT, "healthy.x", True, 5)
    told = await caller.ask(at(provider), CHAT, f"{fault}.x", True, 5)
    assert (told.text, told.success, told.problem) == (answers.text(f"{fault}.x"), True, "")
    assert told.body != plain.body.replace(b"healthy.x", f"{fault}.x".encode()) or fault == "trickle"


@pytest.mark.parametrize("fault", ["cut", "cut-length", "cut-chunked", "missing-done", "malformed-later"])
async def test_a_broken_stream_is_no_success(fault: str, provider: Provider) -> None:
    told = await caller.ask(at(provider), CHAT, fault, True, 5)
    assert not told.success or told.problem


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_error_behind_content_is_read_in_every_dialect(dialect: str, provider: Provider) -> None:
    told = await caller.ask(at(provider), dialect, "error-later", True, 5)
    assert told.error
    assert not told.success
    assert told.text
    assert answers.text("error-later").startswith(told.text)


async def test_a_reset_is_a_reset(provider: Provider) -> None:
    gateway = at(provider)
    reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
    writer.write(caller.request(gateway, CHAT, "reset-before-headers", True))
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)
    writer.close()
    reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
    writer.write(caller.request(gateway, CHAT, "close-before-headers", True))
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_who_leaves_early_is_seen_to_leave(provider: Provider) -> None:
    gateway = at(provider)
    reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
    writer.write(caller.request(gateway, CHAT, "stall-in-answer", True))
    await reader.readuntil(b"\r\n\r\n")
    (seen,) = provider.seen("stall-in-answer")
    assert seen.closed is None
    left = clock.mono()
    writer.close()
    await provider.let_go(["stall-in-answer"], 5)
    assert seen.left
    assert seen.closed is not None
    assert seen.closed - left < 1
    assert provider.connections == 0


async def test_a_burst_ends_and_counts_each_model_for_itself(provider: Provider) -> None:
    statuses = [(await caller.ask(at(provider), CHAT, "burst-503.a", False, 5)).status for _ in range(4)]
    assert statuses == [503, 503, 200, 200]
    assert (await caller.ask(at(provider), CHAT, "burst-503.b", False, 5)).status == 503
    flapping = [(await caller.ask(at(provider), CHAT, "flapping", False, 5)).status for _ in range(4)]
    assert flapping == [503, 200, 503, 200]


async def test_nobody_listens_where_it_is_refused(provider: Provider) -> None:
    told = await caller.ask(at(provider, "refused"), CHAT, "refused", True, 5)
    assert "Connect call failed" in told.problem or "refused" in told.problem


async def test_a_redirect_that_is_followed_is_seen(provider: Provider) -> None:
    await caller.look_up(at(provider), "/followed/redirect.x")
    (seen,) = provider.seen("redirect.x")
    assert seen.method == "GET"


# ---------------------------------------------------------------------- certificates


def shaken(authority: Authority, certificate: str, host: str, folder: Path) -> str:
    """A TLS handshake in memory, as strict as OpenSSL can be: "" if the client accepts, else why not."""
    (folder / "pair.pem").write_text(certificate)
    serving, asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cadata=authority.certificate)
    serving.load_cert_chain(folder / "pair.pem")
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = asking.wrap_bio(down, up, server_hostname=host), serving.wrap_bio(up, down, server_side=True)
    for _ in range(3):
        try:
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        with contextlib.suppress(ssl.SSLWantReadError):
            server.do_handshake()
    return ""


def test_certificates_are_valid_and_fail_for_the_reason_they_are_made_for(tmp_path: Path) -> None:
    now = clock.wall()
    authority = Authority(now)
    assert shaken(authority, authority.issue("127.0.0.1", now + 600), "127.0.0.1", tmp_path) == ""
    assert shaken(authority, authority.issue("a.invalid", now + 600), "a.invalid", tmp_path) == ""
    assert "expired" in shaken(authority, authority.issue("127.0.0.1", now - 600), "127.0.0.1", tmp_path)
    wrong = shaken(authority, authority.issue("a.invalid", now + 600), "127.0.0.1", tmp_path)
    assert "mismatch" in wrong
    stranger = shaken(authority, Authority(now).issue("127.0.0.1", now + 600), "127.0.0.1", tmp_path)
    assert stranger != ""


# ---------------------------------------------------------------------- callers


@pytest.mark.parametrize(
    ("dialect", "body", "problem"),
    [
        (CHAT, b"data: {nonsense\n\n", "not valid JSON"),
        (CHAT, b'data: {"error": {"code": "x"}}\n\ndata: [DONE]\n\n', "[DONE] behind an error"),
        (CHAT, b'data: [DONE]\n\ndata: {"choices": []}\n\n', "something follows the end of the answer"),
        (
            ANTHROPIC,
            b'data: {"type": "message_stop"}\n\ndata: {"type": "error", "error": {"type": "api_error"}}\n\n',
            "an error and a success in one answer",
        ),
    ],
)
def test_a_caller_is_not_easily_content(dialect: str, body: bytes, problem: str) -> None:
    told = Told(status=200, headers={"content-type": "text/event-stream"}, body=body)
    caller.read(told, dialect, True)
    assert problem in told.problem


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab",
    ],
)
def test_a_cut_body_is_a_problem(data: bytes) -> None:
    assert caller.parse(data).problem


# ---------------------------------------------------------------------- judges

TERMS = Terms(deadlines=Deadlines())
CUT = SCENARIOS["cut.failover-stream"]
SILENT = SCENARIOS["silent.failover-stream"]
LIMITED = SCENARIOS["429-seconds.alone-whole"]
WELL = {"x-request-id": "req_1"}


def answered(model: str, **more: Any) -> Told:
    return Told(status=200, headers=WELL, text=answers.text(model), success=True, ended=10.0, **more)


@pytest.mark.parametrize(
    ("scenario", "told", "words"),
    [
        (SILENT, answered(SILENT.healthy), ""),
        (SILENT, answered(SILENT.faulty), "not the right answer"),
        (
            SILENT,
            Told(status=200, headers=WELL, text="x" + answers.text(SILENT.healthy), success=True),
            "not the right",
        ),
        (SILENT, Told(status=504, headers=WELL, error="upstream_timeout"), "an answer was to be had"),
        (SILENT, Told(problem="no end within 9 s"), "no end"),
        (SILENT, Told(status=200, headers=WELL, text="The"), "neither"),
        (CUT, Told(status=200, headers=WELL, text="The model", error="upstream_truncated"), ""),
        (CUT, Told(status=200, headers=WELL, text="The model", success=True), "a success"),
        (CUT, Told(status=200, headers=WELL, text="Another", error="upstream_truncated"), "is not the provider's"),
        (CUT, Told(status=200, headers=WELL, text="The model", error="internal_error"), "error 'internal_error'"),
        (CUT, Told(status=502, headers=WELL, error="upstream_truncated"), "content was to be had"),
        (LIMITED, Told(status=429, headers=WELL, error="rate_limit_exceeded"), ""),
        (LIMITED, Told(status=500, headers=WELL, error="rate_limit_exceeded"), "status 500"),
        (LIMITED, Told(status=200, headers=WELL, error="rate_limit_exceeded"), "an error with status 200"),
        (LIMITED, Told(status=429, error="rate_limit_exceeded"), "no x-request-id"),
    ],
)
def test_the_callers_judge(scenario: Any, told: Told, words: str) -> None:
    found = laboratory.of_caller(scenario, told)
    assert (words in found[0]) if words else (found == [])


def seen(model: str, at: float = 9.0, closed: float | None = 10.0, method: str = "POST") -> Seen:
    return Seen(
        model=model,
        request_id="lab-1",
        method=method,
        path="/",
        at=at,
        number=1,
        dialect=CHAT,
        stream=True,
        closed=closed,
    )


@pytest.mark.parametrize(
    ("scenario", "faulty", "healthy", "words"),
    [
        (SILENT, [seen("f")], [seen("h")], ""),
        (SILENT, [], [seen("h")], "saw 0 requests"),
        (SILENT, [seen("f")] * 4, [seen("h")], "saw 4 requests"),
        (SILENT, [seen("f")], [seen("h")] * 2, "saw 2 requests, not 1"),
        (SILENT, [seen("f", closed=None)], [seen("h")], "not closed"),
        (SILENT, [seen("f", closed=11.5)], [seen("h")], "not closed"),
        (SILENT, [seen("f", method="GET")], [seen("h")], "a GET"),
        (LIMITED, [seen("f", at=1.0), seen("f", at=2.1)], [], ""),
        (LIMITED, [seen("f", at=1.0), seen("f", at=1.2)], [], "asked again after 0.20 s"),
    ],
)
def test_the_providers_judge(scenario: Any, faulty: list[Seen], healthy: list[Seen], words: str) -> None:
    told = answered(scenario.healthy) if healthy else Told(status=429, headers=WELL, error="x", ended=10.0)
    found = laboratory.of_provider(scenario, TERMS, told, faulty, healthy)
    assert (words in found[0]) if words else (found == [])


def attempt(target: str, outcome: str, error: str = "", estimated: bool = False, output: int = 12) -> dict[str, Any]:
    usage = {"input": 11, "output": output}
    return {"target": target, "outcome": outcome, "error": error, "estimated": estimated, "usage": usage}


@pytest.mark.parametrize(
    ("attempts", "words"),
    [
        ([attempt(SILENT.faulty, "failed", "upstream_timeout"), attempt(SILENT.healthy, "done")], ""),
        ([], "no attempt"),
        ([attempt(SILENT.faulty, "done"), attempt(SILENT.healthy, "done")], "the ledger has done at"),
        ([attempt(SILENT.faulty, "failed", "wrong"), attempt(SILENT.healthy, "done")], "the error 'wrong'"),
        ([attempt(SILENT.healthy, "done")], "0 attempts at the faulty target"),
        (
            [attempt(SILENT.faulty, "failed", "upstream_timeout"), attempt(SILENT.healthy, "done", output=3)],
            "('done', 'healthy.silent.failover-stream', 11, 3, False)",
        ),
    ],
)
def test_the_ledgers_judge(attempts: list[dict[str, Any]], words: str) -> None:
    found = laboratory.of_ledger(SILENT, TERMS, answered(SILENT.healthy), attempts)
    assert (words in found[0]) if words else (found == [])


def test_documents_are_written_with_a_place_to_break_a_line() -> None:
    """The multi-line fault breaks each document between two of its members: it must still be the same document."""
    for dialect in (CHAT, RESPONSES, ANTHROPIC, GEMINI):
        for frame in answers.stream(dialect, "m").all:
            data = frame.rpartition(b"data: ")[2].strip()
            if data not in (b"[DONE]", b'{"type": "message_stop"}'):
                broken = data.replace(b", ", b",\n", 1)
                assert broken != data
                assert msgspec.json.decode(broken) == msgspec.json.decode(data)
