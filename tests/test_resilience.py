"""What a caller sees of a provider's bad day: retries, hedges, drafts, and an answer that breaks off and goes on. Real sockets."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes import Reply, Upstream
from raw import ask, completion
from running import Running, sites

PATH = "/v1/chat/completions"
SSE = {"content-type": "text/event-stream"}


def rows(gateway: Running, table: str, **where: Any) -> list[dict[str, Any]]:
    database = sqlite3.connect(f"file:{gateway.data / 'headgate.db'}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    try:
        ((name, value),) = where.items()
        return [dict(row) for row in database.execute(f"SELECT * FROM {table} WHERE {name} = ?", (value,))]
    finally:
        database.close()


def question(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "x"}], **more}


def delta(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


def stream(*texts: str, cut: bool = False) -> Reply:
    """A stream of these texts; `cut`: the connection breaks after them."""
    pieces = [delta(text) for text in texts]
    if not cut:
        pieces += [delta("", "stop"), b"data: [DONE]\n\n"]
    return Reply(headers=SSE, pieces=pieces, chunked=not cut, after="close" if cut else "keep")


def shown(body: bytes) -> str:
    documents = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    return "".join(choice["delta"].get("content") or "" for doc in documents for choice in doc.get("choices", ()))


@pytest.fixture
def script() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


@pytest.fixture
def gateway(tmp_path: Path, script: Upstream) -> Iterator[Running]:
    providers = sites(script.url)
    providers["watched"] = providers["up_chat"] | {"breaker": {"slow_after": "400ms", "minimum": 2}}
    providers["going"] = providers["up_chat"] | {"accepts": {"prefill": "message"}}
    targets = ["up_chat/a", "up_chat/b"]
    models = {
        "plain": {"targets": targets},
        "joined": {"targets": ["up_chat/a", "going/b"], "midstream": "continue"},
        "raced": {"targets": targets, "hedge": {"after": "200ms", "share": 1.0}},
        "learnt": {"targets": ["watched/a", "up_chat/b"], "hedge": {"after": "100ms", "share": 1.0}},
        "drafted": {"targets": targets, "cascade": {"min_length": 10}},
        "floored": {
            "targets": ["up_chat/a", "going/b"],
            "midstream": "continue",
            "min_rate": {"tokens": 1000, "window": "200ms"},
        },
        "careful": {"targets": targets, "cascade": {}, "min_rate": {"tokens": 1000, "window": "200ms"}},
        "fleet": {
            "targets": [*targets, "demo/fault-500"],
            "strategy": "round_robin",
            "eject": {"minimum": 2},
        },
    }
    prices = [{"model": "up_chat/*", "input": 1, "output": 2}]
    running = Running(
        tmp_path / "g", {"providers": providers, "models": models, "retry": {"base": "10ms"}, "prices": prices}
    )
    yield running
    running.stop()


MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
STOPPED = {"role": "assistant", "content": None}
PATHS = {
    "up_chat": (PATH, question("up_chat/m")),
    "up_anthropic": ("/v1/messages", question("up_anthropic/m", max_tokens=9)),
    "up_gemini": ("/v1beta/models/up_gemini/m:generateContent", {"contents": [{"parts": [{"text": "x"}]}]}),
    "up_responses": ("/v1/responses", {"model": "up_responses/m", "input": "x", "background": True}),
}


def outcomes(gateway: Running, identity: str) -> list[tuple[str, str, str]]:
    found = gateway.wait_for(lambda: rows(gateway, "attempts", request_id=identity))
    return [(row["target"], row["outcome"], row["error"]) for row in sorted(found, key=lambda row: row["number"])]


def test_a_failure_that_may_pass_is_tried_again_after_the_others(gateway: Running, script: Upstream) -> None:
    """A status of no class (600) is one."""
    script.script(Reply(500, pieces=[b"{}"]), Reply(600, pieces=[b"{}"]), Reply(pieces=[completion("well again")]))
    answer = ask(gateway, "POST", PATH, question("plain"))
    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "well again")
    tried = outcomes(gateway, answer.headers["x-request-id"])
    assert [(target, outcome) for target, outcome, _ in tried[:2]] == [("a", "failed"), ("b", "failed")]
    assert tried[2][1] == "done"
    trail = answer.headers["x-headgate-trail"]
    assert "dispatch=chosen (up_chat/a: next in order); dispatch=failed (up_chat/a: upstream_error 500)" in trail
    assert "dispatch=chosen (up_chat/b: the only one left)" in trail
    assert trail.endswith("dispatch=committed")


def limited(seconds: int) -> Reply:
    headers = {"content-type": "application/json", "retry-after": str(seconds)}
    return Reply(429, headers, [b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'])


BAD_KEY = Reply(401, pieces=[b'{"error": {"message": "no such key", "code": "invalid_api_key"}}'])


@pytest.mark.parametrize(
    ("replies", "status", "wait"),
    [
        pytest.param([limited(60), BAD_KEY], 429, "60", id="what may pass, before what will not"),
        pytest.param([limited(10), limited(60)], 429, "10", id="the least of the waits"),
        pytest.param([limited(60), limited(10)], 429, "10", id="the least of the waits, the other way round"),
        pytest.param([Reply(403, pieces=[b"{}"]), BAD_KEY], 401, None, id="nothing passes: the last"),
        pytest.param([limited(60), Reply(400, pieces=[b"{}"])], 400, None, id="the request's own fault, before all"),
    ],
)
def test_of_several_failures_the_caller_is_told_the_one_to_act_on(
    gateway: Running, script: Upstream, replies: list[Reply], status: int, wait: str | None
) -> None:
    script.script(*replies)
    answer = ask(gateway, "POST", PATH, question("plain"))
    assert (answer.status, answer.headers.get("retry-after")) == (status, wait)
    assert [target for target, _, _ in outcomes(gateway, answer.headers["x-request-id"])] == ["a", "b"]


def test_who_was_passed_over_for_a_while_is_what_the_caller_waits_for(gateway: Running, script: Upstream) -> None:
    """The one that was asked has failed for good: a caller that believed it would never come back."""
    script.script(limited(60), BAD_KEY, BAD_KEY)
    ask(gateway, "POST", PATH, question("plain"))
    answer = ask(gateway, "POST", PATH, question("plain"))
    assert (answer.status, answer.json["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 50 < int(answer.headers["retry-after"]) <= 60
    assert outcomes(gateway, answer.headers["x-request-id"]) == [("b", "failed", "invalid_api_key")]


def test_an_answer_that_breaks_off_is_gone_on_with_behind_its_text(gateway: Running, script: Upstream) -> None:
    script.script(stream("one two ", cut=True), stream(" three", " four"))
    answer = ask(gateway, "POST", PATH, question("joined", stream=True))
    assert shown(answer.body) == "one two three four"
    assert answer.body.rstrip().endswith(b"data: [DONE]")
    sent = json.loads(script.requests[1].body)
    assert sent["messages"][-1] == {"role": "assistant", "content": "one two"}
    identity = answer.headers["x-request-id"]
    assert outcomes(gateway, identity) == [("a", "failed", "upstream_truncated"), ("b", "done", "")]
    (first, _) = sorted(rows(gateway, "attempts", request_id=identity), key=lambda row: row["number"])
    assert first["estimated"] == 1, "what was shown of the first is billed, by estimate"


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_what_breaks_off_behind_its_finish_reason_is_not_gone_on_with(
    gateway: Running, script: Upstream, finish: str
) -> None:
    """Another target would say the whole answer once more. The caller is told, as without `continue`."""
    script.script(
        Reply(headers=SSE, pieces=[delta("one"), delta(" two"), delta("", finish)], after="close"), stream("three")
    )
    answer = ask(gateway, "POST", PATH, question("joined", stream=True))
    assert shown(answer.body) == "one two"
    assert answer.body.count(b"upstream_truncated") == 1
    assert b"[DONE]" not in answer.body
    assert len(script.requests) == 1


def test_without_that_it_ends_with_an_error_and_never_with_success(gateway: Running, script: Upstream) -> None:
    script.script(stream("one two ", cut=True))
    answer = ask(gateway, "POST", PATH, question("plain", stream=True))
    assert shown(answer.body) == "one two "
    assert b"upstream_truncated" in answer.body
    assert b"[DONE]" not in answer.body
    assert len(script.requests) == 1


def test_a_second_target_starts_beside_a_slow_one_and_the_first_answer_wins(gateway: Running, script: Upstream) -> None:
    script.script(Reply(raw=b"", after="hang"), Reply(pieces=[completion("soon")]))
    answer = ask(gateway, "POST", PATH, question("raced"))
    assert answer.json["choices"][0]["message"]["content"] == "soon"
    identity = answer.headers["x-request-id"]
    assert outcomes(gateway, identity) == [("a", "abandoned", ""), ("b", "done", "")]
    (row,) = rows(gateway, "requests", id=identity)
    assert (row["target"], row["attempts"]) == ("b", 2)
    assert script.requests[0].closed.wait(1.0), "the slow one is let go at once"
    (lost,) = [row["cost"] for row in rows(gateway, "attempts", request_id=identity) if row["target"] == "a"]
    assert lost > 0, "what its provider may bill for it is counted"
    told = ask(gateway, "GET", "/metrics").body.decode().splitlines()
    assert 'headgate_hedges_total{model="raced"} 1.0' in told
    assert f'headgate_hedge_cost_dollars_total{{model="raced"}} {lost / 1e9}' in told
    assert 'headgate_target_state{target="up_chat/b"} 0.0' in told


def test_a_silent_target_is_learnt_to_be_silent_from_attempts_that_lost(gateway: Running, script: Upstream) -> None:
    """Beaten after 100 ms it is as it was; twice beaten when it had been silent for longer than a call may take, it is asked no more."""
    silent = Reply(raw=b"", after="hang")
    for delay in (0.0, 0.35, 0.35):
        script.script(silent, Reply(pieces=[completion()], delay=delay))
        answer = ask(gateway, "POST", PATH, question("learnt"))
        outcome = [(target, outcome) for target, outcome, _ in outcomes(gateway, answer.headers["x-request-id"])]
        assert outcome == [("a", "abandoned"), ("b", "done")]
    script.script(Reply(pieces=[completion()]))
    answer = ask(gateway, "POST", PATH, question("learnt"))
    assert outcomes(gateway, answer.headers["x-request-id"]) == [("b", "done", "")]
    (turned,) = [line for line in gateway.lines() if line["event"] == "target changed"]
    assert turned["why"] == "0 errors and 2 slow of 2 calls in 30 s"


def test_a_draft_that_will_not_do_is_not_shown_and_the_next_target_is_asked(gateway: Running, script: Upstream) -> None:
    script.script(stream("short"), stream("this is long enough"))
    answer = ask(gateway, "POST", PATH, question("drafted", stream=True))
    assert shown(answer.body) == "this is long enough"
    assert [(target, outcome) for target, outcome, _ in outcomes(gateway, answer.headers["x-request-id"])] == [
        ("a", "done"),
        ("b", "done"),
    ]


@pytest.mark.parametrize(
    ("site", "empty"),
    [
        ("up_chat", {"id": "c", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0}}),
        ("up_chat", {}),
        ("up_gemini", {"candidates": [], "usageMetadata": {"promptTokenCount": 9}}),
        ("up_gemini", {"usageMetadata": {"promptTokenCount": 9}}),
        ("up_chat", {"id": "c", "choices": [{"index": 0, "message": None, "finish_reason": None}]}),
        ("up_chat", {"detail": [{"loc": ["body"], "msg": "wrong"}]}),
        ("up_chat", {"errors": [{"message": "wrong"}]}),
        ("up_anthropic", {**MESSAGE, "stop_reason": None}),
        *[(site, {"detail": "try again later"}) for site in PATHS],
        *[(site, {"code": 429, "msg": "too many", "data": None}) for site in PATHS],
    ],
)
def test_an_answer_that_says_nothing_is_none(
    gateway: Running, script: Upstream, site: str, empty: dict[str, Any]
) -> None:
    """It is asked for again, and where nobody has a better one the caller is told so. A document in which no answer has begun is one,
    whatever its strings say, and so is one that tells a fault in another way than its dialect's."""
    path, body = PATHS[site]
    script.script(*[Reply(pieces=[json.dumps(empty).encode()])] * 3)
    answer = ask(gateway, "POST", path, body)
    assert answer.status == 502
    assert b"says nothing" in answer.body
    assert [(outcome, error) for _, outcome, error in outcomes(gateway, answer.headers["x-request-id"])] == [
        ("failed", "upstream_empty")
    ] * 3


@pytest.mark.parametrize(
    ("site", "little"),
    [
        ("up_chat", {"id": "c", "choices": [{"index": 0, "message": STOPPED, "finish_reason": "content_filter"}]}),
        ("up_chat", {"id": "c", "choices": [{"index": 0, "message": STOPPED, "finish_reason": None}]}),
        ("up_chat", {"object": "of a kind that nobody knows"}),
        ("up_chat", {"message": {"role": "assistant", "content": "of an API that is another"}}),
        ("up_chat", {"choices": [{"index": "first", "message": {"content": "of a form that nobody knows"}}]}),
        ("up_anthropic", {**MESSAGE, "stop_reason": "end_turn", "usage": {"input_tokens": 9, "output_tokens": 1}}),
        ("up_gemini", {"promptFeedback": {"blockReason": "SAFETY"}}),
        ("up_gemini", {"candidates": [{"finishReason": "MAX_TOKENS", "index": 0}]}),
        ("up_responses", {"id": "resp_1", "object": "response", "status": "queued", "output": []}),
    ],
)
def test_an_answer_without_text_is_an_answer(
    gateway: Running, script: Upstream, site: str, little: dict[str, Any]
) -> None:
    path, body = PATHS[site]
    sent = json.dumps(little).encode()
    script.script(Reply(pieces=[sent]))
    answer = ask(gateway, "POST", path, body)
    assert (answer.status, answer.body) == (200, sent)


def test_a_stream_in_which_no_answer_begins_is_none(gateway: Running, script: Upstream) -> None:
    nothing = Reply(headers=SSE, pieces=[b'data: {"detail":"try again later"}\n\n', b"data: [DONE]\n\n"], chunked=True)
    script.script(nothing, stream("well"))
    answer = ask(gateway, "POST", PATH, question("plain", stream=True))
    assert shown(answer.body) == "well"
    told = outcomes(gateway, answer.headers["x-request-id"])
    assert told == [("a", "failed", "upstream_empty"), ("b", "done", "")]


BEGUN = b'data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[]}}\n\n'
BLOCK = b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"so"}}\n\n'
SAID = b'{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"so"}]}%s}]}'
BUSY = b'{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}'
STREAMED = "/v1beta/models/up_gemini/m:streamGenerateContent"


@pytest.mark.parametrize(
    ("path", "body", "kind", "sent", "code"),
    [
        (
            "/v1/messages",
            PATHS["up_anthropic"][1] | {"stream": True},
            SSE,
            BEGUN
            + BLOCK
            + b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n',
            "overloaded_error",
        ),
        (
            STREAMED + "?alt=sse",
            PATHS["up_gemini"][1],
            SSE,
            b"data: " + SAID % b"" + b"\n\ndata: " + BUSY + b"\n\n",
            "unavailable",
        ),
        (
            STREAMED,
            PATHS["up_gemini"][1],
            {"content-type": "application/json"},
            b"[" + SAID % b"" + b",\r\n" + BUSY + b"\n]\n",
            "unavailable",
        ),
    ],
)
def test_an_error_inside_a_stream_is_told_once_in_the_providers_words(
    path: str, body: dict[str, Any], kind: dict[str, str], sent: bytes, code: str, gateway: Running, script: Upstream
) -> None:
    """It is the answer's end: that nothing follows is no second error, and the record has the provider's own."""
    script.script(Reply(headers=kind, pieces=[sent], chunked=True))
    answer = ask(gateway, "POST", path, body)
    assert (answer.status, answer.body) == (200, sent)
    assert outcomes(gateway, answer.headers["x-request-id"]) == [("m", "failed", code)]


@pytest.mark.parametrize(
    "end", [b"0\r\n\r\n", b"", b"2\r\n,{\r\n0\r\n\r\n"], ids=["ended", "broken off", "in a document"]
)
def test_an_array_cut_behind_its_answer_is_closed(end: bytes, gateway: Running, script: Upstream) -> None:
    """The caller gets the whole answer, as JSON."""
    sent = b"[" + SAID % b',"finishReason":"STOP"'
    head = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    script.script(Reply(raw=head + b"%x\r\n%b\r\n" % (len(sent), sent) + end, after="close"))
    answer = ask(gateway, "POST", STREAMED, PATHS["up_gemini"][1])
    assert (answer.status, answer.body) == (200, sent + b"]")
    assert outcomes(gateway, answer.headers["x-request-id"]) == [("m", "done", "")]


CUT = [
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"so \\ud83d"}}]}\n\n',
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"\\ude00."}}]}\n\n',
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
]


def test_a_character_cut_in_two_between_events_arrives(gateway: Running, script: Upstream) -> None:
    """Its own dialect has the provider's bytes, another one the character."""
    script.script(Reply(headers=SSE, pieces=CUT, chunked=True), Reply(headers=SSE, pieces=CUT, chunked=True))
    same = ask(gateway, "POST", PATH, question("up_chat/m", stream=True, stream_options={"include_usage": True}))
    assert (same.status, same.body) == (200, b"".join(CUT))
    crossed = ask(gateway, "POST", "/v1/messages", question("up_chat/m", max_tokens=9, stream=True))
    events = [json.loads(line[6:]) for line in crossed.body.splitlines() if line.startswith(b"data: ")]
    said = "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
    assert said == "so \U0001f600."


def test_an_error_in_place_of_an_answer_has_an_errors_status_and_the_providers_words(
    gateway: Running, script: Upstream
) -> None:
    """Also where a stream was asked for. What else it says with status 200 is not believed: a hint to wait is."""
    told = json.dumps({"error": {"message": "no more", "type": "x", "code": "insufficient_quota", "of": "theirs"}})
    headers = {"content-type": "application/json", "retry-after": "7"}
    for stream in (False, True):
        script.script(Reply(headers=headers, pieces=[told.encode()]))
        answer = ask(gateway, "POST", PATH, question("up_chat/m", stream=stream))
        assert (answer.status, answer.body) == (502, told.encode())
        assert answer.headers["retry-after"] == "7"
        assert outcomes(gateway, answer.headers["x-request-id"]) == [("m", "failed", "insufficient_quota")]


def test_what_a_model_wrote_before_it_failed_is_no_answer(gateway: Running, script: Upstream) -> None:
    """Some providers tell it inside the error."""
    told = json.dumps({"error": {"message": "no such tool", "failed_generation": "<tool>", "code": 400}}).encode()
    script.script(Reply(pieces=[told]))
    answer = ask(gateway, "POST", PATH, question("up_chat/m"))
    assert (answer.status, answer.body) == (400, told)


def test_an_error_inside_a_choice_is_told_in_the_callers_dialect(gateway: Running, script: Upstream) -> None:
    """It is no error reply of the dialect: a client would not find its message there."""
    choice = {"index": 0, "message": STOPPED, "error": {"message": "broke", "code": 400}}
    script.script(Reply(pieces=[json.dumps({"id": "c", "choices": [choice]}).encode()]))
    answer = ask(gateway, "POST", PATH, question("up_chat/m"))
    assert (answer.status, answer.json["error"]["message"]) == (400, "broke")


def test_a_target_far_worse_than_the_others_is_asked_last_and_that_is_told(gateway: Running, script: Upstream) -> None:
    """Shown by explain, in one line of the log, in the metrics."""

    def explained() -> str:
        script.script(Reply(pieces=[completion("well")]))
        assert ask(gateway, "POST", PATH, question("fleet")).status == 200
        told = ask(gateway, "POST", "/v1/explain", {"path": PATH, "body": question("fleet")}).json
        why: str = told["targets"][2]["why"]
        return why

    shown = "100 % errors against 0 % of its peers"
    gateway.wait_for(lambda: explained() == f"ejected: {shown}")
    (line,) = gateway.wait_for(lambda: [line for line in gateway.lines() if line["event"] == "target changed"])
    told = {name: line[name] for name in ("level", "site", "target", "from", "to", "why", "model")}
    assert told == {
        "level": "warning",
        "site": "demo",
        "target": "fault-500",
        "from": "in",
        "to": "ejected",
        "why": shown,
        "model": "fleet",
    }
    assert b'headgate_ejections_total{target="demo/fault-500"} 1.0' in ask(gateway, "GET", "/metrics").body


@pytest.mark.parametrize("model", ["floored", "careful"])
def test_a_stream_that_trickles_has_failed(gateway: Running, script: Upstream, model: str) -> None:
    """Shown already, another target goes on behind its text; not shown yet (a draft), another one answers in its place."""
    trickle = stream("one ", *["a "] * 50)
    trickle.pause = 0.05
    whole = "word " * 300
    script.script(trickle, stream(whole))
    answer = ask(gateway, "POST", PATH, question(model, stream=True))
    said = shown(answer.body)
    assert said.endswith(whole)
    assert said.startswith("one a ") is (model == "floored")
    assert said.count("a ") < 30, "it was not heard to its end"
    assert outcomes(gateway, answer.headers["x-request-id"]) == [("a", "failed", "too_slow"), ("b", "done", "")]
