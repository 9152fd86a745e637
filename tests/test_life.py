"""One request's life end to end: what the upstream sees, the ledger keeps, and the client is told, on every way out."""

from __future__ import annotations

import http.client
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from fakes import Reply, Upstream
from headgate.meter import Meter
from raw import CHAT, ask, begin_stream, chunk, completion, sse
from running import KEY, Running, sites

PATH = "/up_chat/v1/chat/completions"
STREAM = CHAT | {"stream": True}
SSE = {"content-type": "text/event-stream"}


def rows(gateway: Running, table: str = "requests", **where: Any) -> list[dict[str, Any]]:
    with sqlite3.connect(f"file:{gateway.data / 'headgate.db'}?mode=ro", uri=True) as database:
        database.row_factory = sqlite3.Row
        text = " AND ".join(f"{name} = ?" for name in where) or "1"
        found = [dict(row) for row in database.execute(f"SELECT * FROM {table} WHERE {text}", tuple(where.values()))]
    database.close()
    return found


def row_of(gateway: Running, identity: str) -> dict[str, Any]:
    """The request's row, which follows its answer within a second."""
    found = gateway.wait_for(lambda: rows(gateway, id=identity), 3)
    assert len(found) == 1
    return dict(found[0])


def test_a_whole_answer_is_recorded(gateway: Running, script: Upstream) -> None:
    script.script(Reply(pieces=[completion(prompt=5, out=7)]))
    answer = ask(gateway, "POST", PATH, CHAT)
    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "hello")
    row = row_of(gateway, answer.headers["x-request-id"])
    assert (row["outcome"], row["status"], row["tenant"], row["model"], row["attempts"]) == (
        "done",
        200,
        "suite",
        "m",
        1,
    )
    (attempt,) = rows(gateway, "attempts", request_id=row["id"])
    assert (attempt["outcome"], attempt["input"], attempt["output"], attempt["estimated"]) == ("done", 5, 7, 0)
    assert attempt["cost"] is None, "an unknown price is unknown, never 0"


def test_usage_is_asked_of_the_upstream_and_shown_only_when_asked_for(gateway: Running, script: Upstream) -> None:
    pieces = sse(
        chunk("hel"),
        chunk("lo"),
        chunk(finish="stop"),
        chunk(usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}),
        "[DONE]",
    )
    script.script(Reply(headers=SSE, pieces=pieces, chunked=True))
    answer = ask(gateway, "POST", PATH, STREAM)
    assert b'"include_usage":true' in script.requests[0].body
    assert answer.body == b"".join(pieces[:3] + pieces[4:])
    assert rows(gateway, "attempts", request_id=row_of(gateway, answer.headers["x-request-id"])["id"])[0]["output"] == 2
    script.script(Reply(headers=SSE, pieces=pieces, chunked=True))
    asked = ask(gateway, "POST", PATH, STREAM | {"stream_options": {"include_usage": True}})
    assert asked.body == b"".join(pieces)


def test_a_client_that_does_not_read_slows_the_provider_down(gateway: Running, script: Upstream) -> None:
    """What waits for it is bounded; nothing is lost, and nothing comes twice, when it reads on."""
    count = 2000
    text = "word " * 2000
    pieces = sse(*[chunk(f"{number} {text}") for number in range(count)], chunk(finish="stop"), "[DONE]")
    script.script(Reply(headers=SSE, pieces=pieces, chunked=True))
    before = script.sent
    with begin_stream(gateway, PATH, STREAM) as connection:
        sent = -1
        while sent != script.sent:  # until nothing moves any more
            sent = script.sent
            time.sleep(0.3)
        assert 0 < sent - before < count
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.read() == b"".join(pieces)
    assert script.sent - before == len(pieces)


def test_no_task_is_left_after_requests_of_every_kind(gateway: Running, script: Upstream) -> None:
    for _ in range(5):
        script.script(Reply(headers=SSE, pieces=sse(chunk("x")), chunked=True, after="hang"))
        connection = begin_stream(gateway, PATH, STREAM)
        connection.recv(100)
        connection.close()
    gateway.wait_for(lambda: b"headgate_tasks 0.0" in ask(gateway, "GET", "/metrics").body, 3)


def test_a_cut_stream_is_an_error_not_a_success(gateway: Running, script: Upstream) -> None:
    script.script(Reply(headers=SSE, pieces=sse(chunk("half")), chunked=True, after="close"))
    answer = ask(gateway, "POST", PATH, STREAM)
    assert b"half" in answer.body
    assert b"upstream_truncated" in answer.body
    assert b"[DONE]" not in answer.body
    row = row_of(gateway, answer.headers["x-request-id"])
    assert (row["outcome"], row["error"], row["estimated"]) == ("failed", "upstream_truncated", 1)


def test_a_streams_end_without_its_mark_is_a_cut(gateway: Running, script: Upstream) -> None:
    """The body ends properly, the dialect's end is missing: an Anthropic stream without message_stop."""
    usage = {"input_tokens": 9, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "stop_reason": None}
    events = [
        {"type": "message_start", "message": message | {"stop_sequence": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    ]
    pieces = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    script.script(Reply(headers=SSE, pieces=pieces, chunked=True))
    body = {"model": "c", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "x"}]}
    answer = ask(gateway, "POST", "/up_anthropic/v1/messages", body)
    assert b"event: error" in answer.body
    row = row_of(gateway, answer.headers["x-request-id"])
    (attempt,) = rows(gateway, "attempts", request_id=row["id"])
    assert (row["outcome"], attempt["input"], attempt["estimated"]) == ("failed", 9, 1)


def test_an_upstreams_error_goes_as_it_is_to_its_own_dialect_and_translated_to_others(
    gateway: Running, script: Upstream
) -> None:
    error = b'{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}'
    reply = Reply(429, {"content-type": "application/json", "retry-after": "7", "x-request-id": "up-1"}, [error])
    script.script(reply, reply)
    answer = ask(gateway, "POST", PATH, CHAT | {"model": "busy"})
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (429, error, "7")
    assert answer.headers["x-upstream-request-id"] == "up-1"
    crossed = ask(gateway, "POST", "/up_chat/v1/messages", CHAT | {"model": "as-busy", "max_tokens": 5})
    assert crossed.status == 429
    assert crossed.json["error"]["type"] == "rate_limit_error"
    assert crossed.json["error"]["message"] == "slow down"
    attempts = rows(gateway, "attempts", request_id=row_of(gateway, answer.headers["x-request-id"])["id"])
    assert [(a["status"], a["cost"]) for a in attempts] == [(429, 0)], "a refusal costs nothing"


@pytest.mark.parametrize("path", ["/up_chat/v1/chat/completions", "/up_anthropic/v1/messages"])
@pytest.mark.parametrize("page", [b"<html>origin 10.1.2.3 unreachable</html>", b'"10.1.2.3"', b'{"error": "10.1.2.3'])
def test_what_is_no_error_of_a_dialect_is_told_in_the_callers(
    gateway: Running, script: Upstream, path: str, page: bytes
) -> None:
    """A proxy's page stands between: a client could not read it, and it says what stands behind."""
    script.script(Reply(503, {"content-type": "text/html", "x-should-retry": "false"}, [page]))
    answer = ask(gateway, "POST", path, CHAT | {"model": "behind", "max_tokens": 5})
    assert (answer.status, answer.headers["content-type"]) == (503, "application/json")
    assert answer.json["error"]["code"] == "upstream_error"
    assert answer.body != page


@pytest.mark.parametrize(("status", "error"), [(307, "upstream_redirect"), (600, "odd"), (999, "odd")])
def test_a_status_that_no_caller_is_told_is_on_record(
    gateway: Running, script: Upstream, status: int, error: str
) -> None:
    """A redirect is not followed; a status of no class is to be taken for a 5xx (RFC 9110 §15), the provider's words with it."""
    body = b'{"error": {"message": "odd", "code": "odd"}}'
    headers = {"content-type": "application/json", "x-should-retry": "false", "location": "/elsewhere"}
    script.script(Reply(status, headers, [body]))
    answer = ask(gateway, "POST", PATH, CHAT | {"model": f"odd-{status}"})
    assert (answer.status, answer.json["error"]["code"]) == (502, error)
    assert (answer.body == body) is (status >= 600)
    (attempt,) = rows(gateway, "attempts", request_id=row_of(gateway, answer.headers["x-request-id"])["id"])
    assert (attempt["status"], attempt["error"]) == (status, error)


def test_the_trace_is_carried_on(gateway: Running, script: Upstream) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    script.script(Reply(pieces=[completion()]))
    ask(gateway, "POST", PATH, CHAT, {"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    sent = script.requests[0].header("traceparent")
    assert sent is not None
    assert sent.split("-")[1] == trace
    assert sent.split("-")[2] != "b7ad6b7169203331"


def test_only_listed_headers_go_up(gateway: Running, script: Upstream) -> None:
    script.script(Reply(pieces=[completion()]))
    ask(
        gateway,
        "POST",
        PATH,
        CHAT,
        {"cookie": "c=1", "x-forwarded-for": "1.2.3.4", "x-custom": "y", "origin": "http://z"},
    )
    names = {name for name, _ in script.requests[0].headers}
    assert names == {"host", "authorization", "content-type", "accept", "accept-encoding", "content-length"}


def test_websocket_upgrades_are_answered_426(gateway: Running) -> None:
    answer = ask(
        gateway,
        "GET",
        "/v1/responses",
        headers={
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-key": "x",
            "sec-websocket-version": "13",
        },
    )
    assert answer.status == 426


def test_a_record_can_be_read_by_its_tenant(gateway: Running, script: Upstream) -> None:
    script.script(Reply(pieces=[completion()]))
    identity = ask(gateway, "POST", PATH, CHAT).headers["x-request-id"]
    record = gateway.wait_for(lambda: (a := ask(gateway, "GET", f"/v1/requests/{identity}")).status == 200 and a).json
    assert record["outcome"] == "done"
    assert record["attempts"][0]["target"] == "m"
    assert ask(gateway, "GET", "/v1/requests/req_unknown").status == 404


def test_one_log_line_a_request_and_no_secret_in_it(gateway: Running, script: Upstream) -> None:
    script.script(Reply(pieces=[completion("the answer's secret words")]))
    body = CHAT | {"messages": [{"role": "user", "content": "the prompt's secret words"}]}
    identity = ask(gateway, "POST", PATH, body).headers["x-request-id"]
    lines = gateway.wait_for(lambda: [line for line in gateway.lines() if line.get("request") == identity])
    assert len(lines) == 1
    assert (lines[0]["outcome"], lines[0]["key_name"], lines[0]["usage"]["input"]) == ("done", "suite", 5)
    assert lines[0]["client"] == "127.0.0.1"
    everything = gateway.errors()
    for secret in (KEY, "provider-key", "secret words"):
        assert secret not in everything


def test_metrics_add_up(gateway: Running, script: Upstream) -> None:
    script.script(Reply(pieces=[completion()]))
    ask(gateway, "POST", PATH, CHAT)
    text = ask(gateway, "GET", "/metrics").body.decode()
    assert (
        'headgate_requests_total{dialect="openai_chat",model="m",outcome="done",provider="up_chat",status="200"}'
        in text
    )
    assert 'headgate_tokens_total{kind="output",model="m",provider="up_chat"}' in text
    assert 'headgate_log_lines_dropped_total{reason="backlog"} 0.0' in text
    assert 'headgate_price_unknown_total{model="m",provider="up_chat"}' in text


def test_metrics_need_a_key_with_the_scope(gateway: Running) -> None:
    assert ask(gateway, "GET", "/metrics", key=None).status == 401


@pytest.fixture
def own(upstream: Upstream, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Starts gateways with a config of the test's; stops them."""
    started: list[Running] = []

    def start(**config: Any) -> Running:
        started.append(
            Running(
                tmp_path / f"g{len(started)}", {"providers": sites(upstream.url), "retry": {"attempts": 1}} | config
            )
        )
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.stop()


def test_a_server_of_ones_own_is_not_taken_for_the_provider_whose_api_it_speaks(
    own: Any, script: Upstream, upstream: Upstream
) -> None:
    """It need not have its models: none is listed, and a bare name goes to who has it, to the server if nobody does."""
    mine = {"type": "openai_compatible", "base_url": f"{upstream.url}/mine"}
    openai = {"type": "openai", "base_url": f"{upstream.url}/openai", "api_key": "k", "dialects": ["openai_chat"]}
    prices = [{"model": "a-mine/own", "input": 1, "output": 1}]
    gateway = own(providers={"a-mine": mine, "b-openai": openai}, prices=prices)
    listed = [model["id"] for model in ask(gateway, "GET", "/v1/models").json["data"]]
    assert "b-openai/gpt-4o" in listed and not any(name.startswith("a-mine/") for name in listed)
    for model, path in (("gpt-4o", "/openai"), ("own", "/mine")):
        script.reset()
        script.script(Reply(pieces=[completion()]))
        assert ask(gateway, "POST", "/v1/chat/completions", CHAT | {"model": model}).status == 200
        assert script.requests[0].path == f"{path}/chat/completions"


def test_fallback_before_the_first_content_and_never_after(own: Any, script: Upstream) -> None:
    targets = ["up_chat/first", "up_chat/second"]
    gateway = own(models={"fast": {"targets": targets}})
    script.script(Reply(503, pieces=[b'{"error":{"message":"busy"}}']), Reply(pieces=[completion()]))
    answer = ask(gateway, "POST", "/v1/chat/completions", CHAT | {"model": "fast"})
    assert (answer.status, answer.headers["x-headgate-attempts"], answer.headers["x-headgate-model"]) == (
        200,
        "2",
        "second",
    )
    attempts = rows(gateway, "attempts", request_id=row_of(gateway, answer.headers["x-request-id"])["id"])
    assert [(a["target"], a["outcome"]) for a in attempts] == [("first", "failed"), ("second", "done")]
    script.reset()
    script.script(
        Reply(headers=SSE, pieces=sse(chunk("half")), chunked=True, after="close"), Reply(pieces=[completion()])
    )
    cut = ask(gateway, "POST", "/v1/chat/completions", STREAM | {"model": "fast"})
    assert b"upstream_truncated" in cut.body
    assert len(script.requests) == 1


def test_a_fault_told_in_an_answer_before_any_content_falls_back(own: Any, script: Upstream) -> None:
    """The answer starts, then fails for quota: a Responses stream as recorded providers send it."""
    gateway = own(models={"r": {"targets": ["up_responses/a", "up_responses/b"]}})
    head = '{"id":"resp_1","object":"response","created_at":1,"status":"in_progress","model":"a","output":[]}'
    failed = head.replace("in_progress", "failed")[:-1] + ',"error":{"code":"insufficient_quota","message":"no quota"}}'
    script.script(
        Reply(
            headers=SSE,
            pieces=[
                f'event: response.created\ndata: {{"type":"response.created","sequence_number":0,"response":{head}}}\n\n'.encode(),
                f'event: response.failed\ndata: {{"type":"response.failed","sequence_number":1,"response":{failed}}}\n\n'.encode(),
            ],
            chunked=True,
        ),
        Reply(500, pieces=[b'{"error":{"message":"second"}}']),
    )
    answer = ask(gateway, "POST", "/v1/responses", {"model": "r", "input": "x", "stream": True})
    assert len(script.requests) == 2
    assert answer.status == 500


def test_kill_9_loses_no_delivered_answer(own: Any, script: Upstream) -> None:
    """Every answer that a client has whole is in the ledger after the next start; one that was under way too, as failed, and what it was
    sent is not held for less than of one that was cut."""
    gateway = own()
    delivered = []
    for _ in range(30):
        script.script(Reply(pieces=[completion()]))
        delivered.append(ask(gateway, "POST", PATH, CHAT).headers["x-request-id"])
    script.script(Reply(headers=SSE, pieces=sse(chunk("under way")), chunked=True, after="hang"))
    connection = begin_stream(gateway, PATH, STREAM)
    while b"under way" not in connection.recv(65536):
        pass
    gateway.kill()
    connection.close()
    again = own(data=str(gateway.data))
    again.data = gateway.data
    found = again.wait_for(lambda: (r := {row["id"]: row for row in rows(again)}) and len(r) >= 31 and r, 8)
    assert all(found[identity]["outcome"] == "done" for identity in delivered)
    (crashed,) = [row for identity, row in found.items() if identity not in delivered]
    assert (crashed["outcome"], crashed["error"], crashed["estimated"]) == ("failed", "gateway_crash", 1)
    cut = Meter(script.requests[-1].body).result(False)
    assert cut is not None and crashed["input"] == cut.input


def test_a_revocation_on_the_command_line_acts_within_a_second(own: Any, script: Upstream) -> None:
    import subprocess
    import sys

    gateway = own()

    def headgate(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "headgate", *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={"HEADGATE_DATA": str(gateway.data), "PATH": ""},
        )
        return done.stdout

    import re

    found = re.search(r"sk-hg-\w+", headgate("keys", "create", "--name", "temporary"))
    assert found is not None
    key = found[0]
    gateway.wait_for(lambda: ask(gateway, "GET", "/v1/models", key=key).status == 200, 1.5)
    headgate("keys", "revoke", "temporary")
    began = time.monotonic()
    gateway.wait_for(lambda: ask(gateway, "GET", "/v1/models", key=key).status == 401, 1.5)
    assert time.monotonic() - began < 1.0
    assert key not in headgate("keys", "list")


def test_what_a_key_may_use_is_all_it_sees(own: Any, script: Upstream) -> None:
    keys = [{"name": "narrow", "key": "sk-hg-narrow-key", "models": ["fast", "demo/chat"]}]
    gateway = own(keys=keys, models={"fast": {"targets": ["up_chat/a"]}, "slow": {"targets": ["up_chat/b"]}})
    listed = ask(gateway, "GET", "/v1/models", key="sk-hg-narrow-key").json["data"]
    assert {model["id"] for model in listed} == {"fast", "demo/chat"}
    assert "anthropic" not in str(listed)
    shaped = ask(gateway, "GET", "/v1/models", headers={"anthropic-version": "2023-06-01"}, key="sk-hg-narrow-key").json
    assert shaped["data"][0]["type"] == "model"
    assert ask(gateway, "GET", "/v1beta/models", key="sk-hg-narrow-key").json["models"][0]["name"].startswith("models/")
    refused = ask(gateway, "POST", "/v1/chat/completions", CHAT | {"model": "slow"}, key="sk-hg-narrow-key")
    assert refused.status == 403
    unknown = ask(gateway, "POST", "/v1/chat/completions", CHAT | {"model": "fasd"}, key="sk-hg-narrow-key")
    assert unknown.status == 404
    assert "fast" in unknown.json["error"]["message"]
    assert "slow" not in unknown.json["error"]["message"]
    script.script(Reply(pieces=[completion()]))
    assert ask(gateway, "POST", "/v1/chat/completions", CHAT | {"model": "fast"}, key="sk-hg-narrow-key").status == 200


def test_strict_refuses_what_would_be_lost(own: Any, script: Upstream) -> None:
    gateway = own(
        models={"s": {"targets": ["up_anthropic/claude"], "strict": True}, "l": {"targets": ["up_anthropic/claude"]}}
    )
    body = CHAT | {"logit_bias": {"1": 5}}
    refused = ask(gateway, "POST", "/v1/chat/completions", body | {"model": "s"})
    assert (refused.status, refused.json["error"]["code"]) == (400, "lossy_crossing")
    assert "logit_bias" in refused.json["error"]["message"]
    assert script.requests == []
    said = {"content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn", "stop_sequence": None}
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    reply = json.dumps(message | said).encode()
    script.script(Reply(pieces=[reply]))
    lossy = ask(gateway, "POST", "/v1/chat/completions", body | {"model": "l"})
    assert (lossy.status, "logit_bias" in lossy.headers["x-headgate-losses"]) == (200, True)
    assert (
        ask(gateway, "POST", "/v1/chat/completions", body | {"model": "l"}, {"x-headgate-strict": "true"}).status == 400
    )


@pytest.mark.parametrize("path", ["/up_chat/v1/chat/completions", "/up_chat/v1/messages"])
def test_an_error_that_repeats_the_providers_key_does_not_show_it(path: str, own: Any, script: Upstream) -> None:
    gateway = own()
    script.script(
        Reply(401, pieces=[b'{"error": {"message": "no such key: provider-key", "code": "invalid_api_key"}}'])
    )
    answer = ask(gateway, "POST", path, CHAT | {"max_tokens": 5})
    assert answer.status == 401
    assert answer.json["error"]["message"] == "no such key: ***"


def test_guards_of_tool_arguments_read_the_turns_that_a_request_repeats(own: Any, script: Upstream) -> None:
    """In every dialect alike: strings, names and numbers, as JSON text or as JSON itself."""
    guards = [{"name": "id", "pattern": r"EMP-\d{6}|4111\d{12}", "replacement": "[x]", "places": ["tool_arguments"]}]
    gateway = own(guards=guards)
    given = {"who": "EMP-123456", "card": 4111111111111111, "EMP-123456": [True, 1.5]}
    told = {"who": "[x]", "card": "[x]", "[x]": [True, 1.5]}

    def chat(arguments: Any) -> dict[str, Any]:
        call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": json.dumps(arguments)}}
        return {"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]}

    def anthropic(arguments: Any) -> dict[str, Any]:
        call = {"type": "tool_use", "id": "t", "name": "f", "input": arguments}
        return {"model": "m", "max_tokens": 5, "messages": [{"role": "assistant", "content": [call]}]}

    def gemini(arguments: Any) -> dict[str, Any]:
        return {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": arguments}}]}]}

    for path, turns in (
        ("/up_chat/v1/chat/completions", chat),
        ("/up_anthropic/v1/messages", anthropic),
        ("/up_gemini/v1beta/models/m:generateContent", gemini),
    ):
        script.reset()
        answer = ask(gateway, "POST", path, turns(given))
        assert json.loads(script.requests[0].body) == turns(told)
        assert "id" in row_of(gateway, answer.headers["x-request-id"])["findings"]


def test_guards_act_on_requests_answers_and_streams(own: Any, script: Upstream) -> None:
    guards = [
        {"name": "employee", "pattern": r"EMP-\d{6}", "replacement": "[employee]"},
        {"name": "bomb", "pattern": "detonator", "action": "block"},
        {"name": "watch", "pattern": "curious", "mode": "observe"},
    ]
    gateway = own(guards=guards)
    script.script(Reply(pieces=[completion("you are EMP-654321, curious")]))
    body = CHAT | {"messages": [{"role": "user", "content": "I am EMP-123456"}]}
    answer = ask(gateway, "POST", PATH, body)
    assert b"I am [employee]" in script.requests[0].body
    assert answer.json["choices"][0]["message"]["content"] == "you are [employee], curious"
    row = row_of(gateway, answer.headers["x-request-id"])
    assert "employee" in row["findings"]
    assert "watch" in row["findings"]
    script.reset()
    pieces = sse(chunk("you are EM"), chunk("P-6543"), chunk("21!"), chunk(finish="stop"), "[DONE]")
    script.script(Reply(headers=SSE, pieces=pieces, chunked=True))
    stream = ask(gateway, "POST", PATH, STREAM).body
    assert b"EM" not in stream.replace(b"[employee]", b"")
    assert stream.count(b"data: ") == len(pieces)
    script.reset()
    blocked = ask(gateway, "POST", PATH, CHAT | {"messages": [{"role": "user", "content": "a detonator"}]})
    assert (blocked.status, blocked.json["error"]["code"]) == (400, "blocked_by_guard")
    assert script.requests == []
    script.script(
        Reply(headers=SSE, pieces=sse(chunk("a deto"), chunk("nator"), chunk(finish="stop"), "[DONE]"), chunked=True)
    )
    stopped = ask(gateway, "POST", PATH, STREAM)
    assert b"nator" not in stopped.body
    assert b"answer_blocked" in stopped.body


def test_explain_decides_and_calls_nobody(gateway: Running, script: Upstream) -> None:
    body = {"path": "/up_gemini/v1/chat/completions", "body": CHAT | {"logit_bias": {"1": 1}}}
    told = ask(gateway, "POST", "/v1/explain", body).json
    assert script.requests == []
    (target,) = told["targets"]
    assert (told["verdict"], target["provider"], target["dialect"], target["crossing"]) == (
        "allowed",
        "up_gemini",
        "gemini",
        True,
    )
    assert target["body"]["contents"][0]["parts"][0]["text"] == "hi"
    assert "logit_bias" in [loss["what"] for loss in target["losses"]]
    assert [note["stage"] for note in told["trail"]][:3] == ["authenticate", "admit", "resolve"]


def test_a_stopped_gateway_lets_streams_end(own: Any, script: Upstream) -> None:
    gateway = own()
    script.script(
        Reply(headers=SSE, pieces=sse(*[chunk("x")] * 10, chunk(finish="stop"), "[DONE]"), chunked=True, pause=0.1)
    )
    connection = begin_stream(gateway, PATH, STREAM)
    connection.recv(100)
    gateway.process.terminate()
    got = b""
    while piece := connection.recv(65536):
        got += piece
    connection.close()
    assert b"[DONE]" in got
    gateway.stop()
    assert gateway.process.returncode == 0
    assert [row["outcome"] for row in rows(gateway)] == ["done"]
    assert list((gateway.data / "spool").glob("s*")) == [], "everything is in the ledger"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/up_chat/v1beta/models/m:streamGenerateContent", {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}),
        ("/up_chat/v1/responses", {"model": "m", "input": "x", "stream": True}),
    ],
    ids=["json array", "responses"],
)
def test_a_crossing_that_breaks_in_mid_stream_ends_in_its_own_grammar(
    path: str, body: dict[str, Any], gateway: Running, script: Upstream
) -> None:
    """The array stays one array; the sequence numbers go on."""
    script.script(Reply(headers=SSE, pieces=sse(chunk("half"), chunk("way")), chunked=True, after="close"))
    answer = ask(gateway, "POST", path, body).body
    if path.endswith("streamGenerateContent"):
        items = json.loads(answer)
        assert items[0]["candidates"][0]["content"]["parts"][0]["text"] == "half"
        assert items[-1]["error"]["code"] == 502
    else:
        events = [json.loads(line[6:]) for line in answer.splitlines() if line.startswith(b"data: {")]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert events[-1]["type"] == "response.failed"


def test_the_answer_shows_the_alias_where_the_config_says_so(own: Any, script: Upstream) -> None:
    """Whole and streamed, same dialect and crossing: the model's name is the client's own, every other byte stays."""
    models = {
        "mine": {"targets": ["up_chat/theirs"], "answer_model": "alias"},
        "theirs": {"targets": ["up_chat/theirs"]},
    }
    gateway = own(models=models)
    reply = completion().replace(b'"model": "m"', b'"model" : "theirs-2026"')
    for model, shown in (("mine", b'"model" : "mine"'), ("theirs", b'"model" : "theirs-2026"')):
        script.script(Reply(pieces=[reply]))
        answer = ask(gateway, "POST", "/v1/chat/completions", CHAT | {"model": model})
        assert answer.body == reply.replace(b'"model" : "theirs-2026"', shown)
    pieces = sse(chunk("hi"), chunk(finish="stop"), "[DONE]")
    script.script(*[Reply(headers=SSE, pieces=pieces, chunked=True)] * 2)
    stream = ask(gateway, "POST", "/v1/chat/completions", STREAM | {"model": "mine"}).body
    assert stream == b"".join(pieces).replace(b'"model": "m"', b'"model": "mine"')
    crossed = ask(gateway, "POST", "/v1/messages", STREAM | {"model": "mine", "max_tokens": 5}).body
    assert json.loads(crossed.split(b"data: ")[1].splitlines()[0])["message"]["model"] == "mine"


def test_a_known_cost_is_told_with_a_whole_answer(own: Any, script: Upstream) -> None:
    gateway = own(prices=[{"model": "up_chat/*", "input": "1.50", "output": "6"}])
    script.script(Reply(pieces=[completion(prompt=1000, out=100)]))
    answer = ask(gateway, "POST", PATH, CHAT)
    assert answer.headers["x-headgate-cost"] == "0.002100000"
    assert row_of(gateway, answer.headers["x-request-id"])["charge"] == 2_100_000
