"""Calls that the gateway makes for a request, on real sockets: shadows, and the judges of a cascade's drafts. Nothing of them is ever in
the caller's answer; all of them are on the record."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes import Reply, Upstream
from headgate.stores.base import UsageLine
from headgate.stores.sqlite import open_stores
from raw import Answer, ask, begin_stream, chunk, completion, sse
from running import KEY, Running
from test_drain import metric, until
from test_life import SSE, row_of, rows

CHATS = "/v1/chat/completions"
EU_KEY, NARROW_KEY = "sk-hg-key-of-europe-1", "sk-hg-key-of-one-model"
Start = Callable[..., Running]


@pytest.fixture
def aside(script: Upstream) -> Iterator[Upstream]:
    """Where shadows and judges go."""
    made = Upstream()
    yield made
    made.close()


@pytest.fixture
def start(script: Upstream, aside: Upstream, tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def make(models: dict[str, Any], **config: Any) -> Running:
        def provider(upstream: Upstream, dialect: str = "openai_chat", **more: Any) -> dict[str, Any]:
            kind = "anthropic_compatible" if dialect == "anthropic_messages" else "openai_compatible"
            return {"type": kind, "base_url": upstream.url + "/base", "api_key": "k", "dialects": [dialect], **more}

        keys = [
            {"name": "suite", "key": KEY, "tenant": "suite", "scopes": ["trail", "admin", "explain"]},
            {"name": "eu", "key": EU_KEY, "tenant": "suite", "regions": ["eu"], "scopes": ["trail", "explain"]},
            {"name": "narrow", "key": NARROW_KEY, "tenant": "suite", "models": ["m"], "scopes": ["trail"]},
        ]
        providers = {
            "main": provider(script, region="eu"),
            "side": provider(aside, region="eu"),
            "far": provider(aside, region="us"),
            "claude": provider(aside, "anthropic_messages", region="eu"),
        }
        prices = [{"model": "main/*", "input": 1, "output": 1}, {"model": "side/*", "input": 2, "output": 2}]
        config = {"providers": providers, "keys": keys, "models": models, "prices": prices} | config
        started.append(Running(tmp_path / f"g{len(started)}", config))
        return started[-1]

    yield make
    for running in started:
        if running.process.poll() is None:
            running.stop()


def chat(gateway: Running, name: str = "m", text: str = "hi", **more: Any) -> Answer:
    body = {"model": name, "messages": [{"role": "user", "content": text}], **more.pop("body", {})}
    return ask(gateway, "POST", CHATS, body, **more)


def said(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return str(answer.json["choices"][0]["message"]["content"])


def fine(upstream: Upstream, text: str = "hello", times: int = 1) -> None:
    upstream.script(*[Reply(pieces=[completion(text)]) for _ in range(times)])


def child_of(gateway: Running, answer: Answer, suffix: str) -> dict[str, Any]:
    return row_of(gateway, f"{answer.headers['x-request-id']}-{suffix}")


def explained(gateway: Running, body: dict[str, Any], key: str = KEY, stage: str = "mirror") -> dict[str, Any]:
    """What a stage notes of a dry run."""
    answer = ask(gateway, "POST", "/v1/explain", {"path": CHATS, "body": body}, key=key)
    (note,) = [note for note in answer.json["trail"] if note["stage"] == stage]
    return dict(note)


def usage(gateway: Running, group: str = "tenant") -> list[UsageLine]:
    stores = open_stores(gateway.data / "headgate.db")
    try:
        return stores.ledger.usage(since=0, until=time.time() + 1, group=group)
    finally:
        stores.close()


# ---------------------------------------------------------------------- shadows


def shadowed(use: str = "side/s", percent: float = 100, **more: Any) -> dict[str, Any]:
    return {"targets": ["main/m"], "shadow": {"use": use, "percent": percent}, **more}


def test_a_shadow_is_asked_and_recorded_and_never_shown(start: Start, script: Upstream, aside: Upstream) -> None:
    """The same request but for the model; its row names its parent and why; its money is the tenant's, it is no request of theirs. A key
    that may use one model alone is mirrored all the same: where to is the operator's decision."""
    gateway = start({"m": shadowed()})
    fine(script, "the answer")
    fine(aside, "the shadow's")
    answer = chat(gateway, key=NARROW_KEY)
    assert said(answer) == "the answer"
    assert "mirror=mirrored" in answer.headers["x-headgate-trail"]
    row = child_of(gateway, answer, "shadow")
    identity = answer.headers["x-request-id"]
    assert (row["parent"], row["cause"], row["outcome"]) == (identity, "shadow", "done")
    assert (row["tenant"], row["key_name"], row["model"], row["target"]) == ("suite", "narrow", "side/s", "s")
    (sent,), (copied,) = script.requests, aside.requests
    assert json.loads(copied.body) == json.loads(sent.body) | {"model": "s"}
    (line,) = gateway.wait_for(lambda: (lines := usage(gateway)) and lines[0].children and lines)
    assert (line.requests, line.children) == (1, 1)
    own = row_of(gateway, identity)["charge"]
    assert line.charge == own + row["charge"] == 3 * own > 0
    assert {line.group: line.requests for line in usage(gateway, "model")} == {"m": 1, "side/s": 0}
    told = ask(gateway, "GET", f"/v1/requests/{identity}-shadow").json
    assert (told["parent"], told["attempts"][0]["provider"]) == (identity, "side")
    logged = gateway.wait_for(lambda: [line for line in gateway.lines() if line.get("cause") == "shadow"])
    assert [line["parent"] for line in logged] == [identity]
    assert metric(gateway, 'headgate_children_total{cause="shadow",outcome="done"}') == 1


def test_what_a_guard_took_out_is_not_in_the_shadow_either(start: Start, script: Upstream, aside: Upstream) -> None:
    """In the same dialect, and where the shadow speaks another one."""
    guards = [{"name": "ssn", "pattern": r"\b\d{3}-\d{2}-\d{4}\b", "action": "redact", "replacement": "[SSN]"}]
    gateway = start({"m": shadowed(), "crossing": shadowed("claude/c")}, guards=guards)
    for name in ("m", "crossing"):
        fine(script)
        fine(aside)
        child_of(gateway, chat(gateway, name, "mine is 078-05-1120."), "shadow")
    for request in (*script.requests, *aside.requests):
        assert b"[SSN]" in request.body
        assert b"078-05-1120" not in request.body
    assert [request.path for request in aside.requests] == ["/base/chat/completions", "/base/messages"]


def test_a_shadow_that_stalls_keeps_nobody_waiting_and_is_on_the_record_when_the_gateway_stops(
    start: Start, script: Upstream, aside: Upstream
) -> None:
    """Its provider says nothing. The caller has his whole stream meanwhile; the gateway that stops waits as long as it may, ends it and
    writes its row."""
    gateway = start({"m": shadowed()}, server={"port": 0, "drain": "300ms"})
    aside.script(Reply(raw=b"", after="hang"))
    script.script(Reply(headers=SSE, pieces=sse(chunk("all"), chunk(finish="stop"), "[DONE]"), chunked=True))
    connection = begin_stream(gateway, CHATS, {"model": "m", "stream": True, "messages": []})
    began = time.monotonic()
    assert until(connection, b"[DONE]")
    assert time.monotonic() - began < 1
    connection.close()
    gateway.wait_for(lambda: aside.requests)
    gateway.stop()
    found = {row["cause"]: (row["outcome"], row["error"]) for row in rows(gateway)}
    assert found == {"": ("done", ""), "shadow": ("failed", "gateway_draining")}
    assert list((gateway.data / "spool").glob("s*")) == []


def test_a_shadow_that_fails_is_asked_once_and_fails_alone(start: Start, script: Upstream, aside: Upstream) -> None:
    gateway = start({"m": shadowed()}, retry={"attempts": 3, "base": "1ms"})
    aside.script(*[Reply(500, pieces=[b"{}"])] * 3)
    fine(script)
    answer = chat(gateway)
    assert said(answer) == "hello"
    row = child_of(gateway, answer, "shadow")
    assert (row["outcome"], row["status"], row["attempts"], row["charge"]) == ("failed", 500, 1, 0)
    assert row_of(gateway, answer.headers["x-request-id"])["outcome"] == "done"


def test_the_share_is_of_sessions_and_steady(start: Start, script: Upstream, aside: Upstream) -> None:
    """None at 0, all at 100; in between a session is always in or always out, and raising the percentage moves nobody out."""
    gateway = start({f"p{share}": shadowed(percent=share) for share in (0, 30, 60, 100)})

    def mirrored(name: str, session: str) -> bool:
        return explained(gateway, {"model": name, "messages": [], "user": session})["verdict"] == "mirrored"

    sessions = [f"user {number}" for number in range(40)]
    inside = {share: [s for s in sessions if mirrored(f"p{share}", s)] for share in (0, 30, 60, 100)}
    assert (inside[0], inside[100]) == ([], sessions)
    assert 0 < len(inside[30]) < len(sessions) and 0 < len(inside[60]) < len(sessions)
    assert [s for s in sessions if mirrored("p30", s)] == inside[30]
    assert aside.requests == script.requests == [], "explain calls nobody"


def test_the_regions_of_a_request_bind_its_shadow(start: Start, script: Upstream, aside: Upstream) -> None:
    """Those of its key, and those of the model that serves it. The request itself is served."""
    gateway = start({"m": shadowed("far/f"), "home": shadowed("far/f", regions=["eu"]), "near": shadowed()})
    for name, key in (("m", EU_KEY), ("home", KEY)):
        fine(script)
        answer = chat(gateway, name, key=key)
        assert said(answer) == "hello"
        assert "mirror=not mirrored" in answer.headers["x-headgate-trail"]
        note = explained(gateway, {"model": name, "messages": []}, key)
        assert "must stay in eu" in note["why"]
    fine(script)
    fine(aside)
    child_of(gateway, chat(gateway, "near", key=EU_KEY), "shadow")
    assert [json.loads(request.body)["model"] for request in aside.requests] == ["s"]


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/v1/responses", {"input": "x"}, "its answer is held by its provider"),
        ("/v1/responses", {"input": "x", "store": False, "previous_response_id": "resp_1"}, "its provider holds"),
        ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "x"}]}, "it generates nothing"),
    ],
)
def test_what_another_provider_could_not_answer_is_not_mirrored(
    path: str, body: dict[str, Any], why: str, start: Start
) -> None:
    gateway = start({"m": shadowed()})
    told = ask(gateway, "POST", "/v1/explain", {"path": path, "body": body | {"model": "m"}}).json
    (note,) = [note for note in told["trail"] if note["stage"] == "mirror"]
    assert note["verdict"] == "not mirrored"
    assert why in note["why"]


def test_a_shadow_gets_no_place_that_a_request_could_have(start: Start, script: Upstream, aside: Upstream) -> None:
    """The gateway takes one at once, which is the caller's own."""
    gateway = start({"m": shadowed()}, server={"port": 0, "max_concurrent": 1})
    fine(script)
    answer = chat(gateway)
    assert said(answer) == "hello"
    assert "mirror=dropped" in answer.headers["x-headgate-trail"]
    assert metric(gateway, 'headgate_children_dropped_total{cause="shadow"}') == 1
    assert aside.requests == []
