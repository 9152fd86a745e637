"""Requests that share one answer, as their callers and the provider see it. Real sockets; the provider's requests are counted."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fakes import Reply, Upstream
from headgate.config.load import load
from headgate.config.provision import plan
from headgate.errors import ConfigError
from headgate.flights import LINGER
from headgate.flights.table import MOST
from raw import Answer, ask, chunk, completion, sse
from running import KEY, Running, sites
from test_life import rows

PATH = "/v1/chat/completions"
SSE = {"content-type": "text/event-stream"}
OTHER, SECOND = "sk-hg-key-of-another-tenant", "sk-hg-second-key-of-the-suite"
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("flights"), config(upstream))
    yield running
    running.stop()


@pytest.fixture
def start(tmp_path: Path, script: Upstream) -> Iterator[Callable[..., Running]]:
    """Starts a gateway with more in its config."""
    started: list[Running] = []

    def make(**more: Any) -> Running:
        started.append(Running(tmp_path / "g", config(script, **more)))
        return started[-1]

    yield make
    for running in started:
        if running.process.poll() is None:
            running.stop()


@pytest.fixture
def word(request: pytest.FixtureRequest) -> str:
    """An Idempotency-Key that no other test uses."""
    return request.node.name[:200]


def config(script: Upstream, **more: Any) -> dict[str, Any]:
    targets = ["up_chat/m"]
    models: dict[str, Any] = {
        "shared": {"targets": targets, "coalesce": True},
        "crossed": {"targets": ["up_anthropic/m"], "coalesce": True},
        "named": {"targets": targets, "coalesce": True, "answer_model": "alias"},
        "counted": {"targets": targets, "coalesce": True},
        "plain": {"targets": targets},
    }
    keys = [
        {"name": "suite", "key": KEY, "tenant": "suite", "scopes": ["trail", "admin", "explain"]},
        {"name": "second", "key": SECOND, "tenant": "suite"},
        {"name": "other", "key": OTHER, "tenant": "other"},
    ]
    prices = [{"model": "up_chat/*", "input": 1, "output": 2}]
    base = {"providers": sites(script.url), "models": models, "keys": keys, "prices": prices, "retry": {"attempts": 1}}
    return base | more


def question(model: str = "shared", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "x"}], **more}


STREAM = question(stream=True, stream_options={"include_usage": True})


def words(count: int) -> list[bytes]:
    """The pieces of a streamed answer."""
    return sse(*[chunk(f" w{n}") for n in range(count)], chunk(finish="stop"), chunk(usage=USAGE), "[DONE]")


def slow(count: int = 6, pause: float = 0.06, **more: Any) -> Reply:
    return Reply(headers=SSE, pieces=words(count), chunked=True, pause=pause, **more)


def endless() -> Reply:
    """A streamed answer that begins, and goes on."""
    return Reply(headers=SSE, pieces=words(6)[:6], chunked=True, pause=0.1, after="hang")


class Caller:
    """A request whose answer is read when the test wants it."""

    def __init__(self, gateway: Running, body: dict[str, Any], key: str = KEY, **headers: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        named = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request("POST", PATH, json.dumps(body), named | extra)
        self.socket: socket.socket = self.connection.sock
        self.response: http.client.HTTPResponse | None = None

    def begin(self) -> http.client.HTTPResponse:
        self.response = self.connection.getresponse()
        return self.response

    @property
    def id(self) -> str:
        assert self.response is not None
        return str(self.response.getheader("x-request-id"))

    def read(self) -> Answer:
        answer = Answer(self.response or self.connection.getresponse())
        self.connection.close()
        return answer

    def leave(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        if self.response is not None:
            self.response.close()
        self.connection.close()


def settled(gateway: Running, count: int, *identities: str) -> list[dict[str, Any]]:
    """The rows of these requests and their children, once there are so many."""

    def found() -> list[dict[str, Any]]:
        return [row for row in rows(gateway) if {row["id"], row["parent"]} & set(identities)]

    gateway.wait_for(lambda: len(found()) >= count)
    return found()


def ids(answers: list[Answer]) -> list[str]:
    return [answer.headers["x-request-id"] for answer in answers]


def origins(answers: list[Answer]) -> list[str]:
    return sorted(answer.headers.get("x-headgate-cache", "") for answer in answers)


@pytest.mark.parametrize("count", [2, 20])
def test_identical_streams_are_one_call_and_one_pays(gateway: Running, script: Upstream, count: int) -> None:
    """All see the same bytes; the provider's count is what usage adds up to."""
    script.script(slow())
    callers = [Caller(gateway, STREAM) for _ in range(count)]
    answers = [caller.read() for caller in callers]
    assert len(script.requests) == 1
    assert {answer.body for answer in answers} == {b"".join(words(6))}
    assert origins(answers) == ["coalesced"] * (count - 1) + ["miss"]
    assert {answer.headers["x-headgate-provider"] for answer in answers} == {"up_chat"}
    (first,) = [answer for answer in answers if answer.headers["x-headgate-cache"] == "miss"]
    assert first.headers["x-headgate-trail"].endswith("flights=carried; dispatch=committed"), (
        "whose call it is, and how it went"
    )
    assert len(set(ids(answers))) == count
    found = settled(gateway, count + 1, *ids(answers))
    (carrier,) = [row for row in found if row["cause"]]
    assert (carrier["cause"], carrier["charge"], carrier["input"], carrier["output"]) == ("coalesced", 19000, 5, 7)
    own = [row for row in found if not row["cause"]]
    assert {(row["outcome"], row["charge"], row["attempts"], row["output"]) for row in own} == {("done", 0, 0, 7)}
    assert carrier["parent"] in {row["id"] for row in own if row["origin"] == "carried"}
    assert len(rows(gateway, "attempts", request_id=carrier["id"])) == 1


def test_whole_answers_are_shared_as_well_and_by_every_key_of_the_tenant(gateway: Running, script: Upstream) -> None:
    script.script(Reply(pieces=[completion("once")], delay=0.3))
    callers = [Caller(gateway, question("counted"), key) for key in (KEY, SECOND)]
    answers = [caller.read() for caller in callers]
    assert len(script.requests) == 1
    assert [answer.body for answer in answers] == [completion("once")] * 2
    assert origins(answers) == ["coalesced", "miss"]
    assert {answer.headers["x-headgate-cost"] for answer in answers} == {"0.000000000"}
    settled(gateway, 3, *ids(answers))
    command = [sys.executable, "-m", "headgate", "usage", "--json", "--config", str(gateway.config)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    (line,) = [line for line in told["lines"] if line["group"] == "counted"]
    assert (line["requests"], line["children"]) == (2, 1)
    assert (line["input"], line["output"], line["charge_nanodollars"]) == (5, 7, 19000), "as the provider counts"


def test_who_comes_late_gets_all_from_the_beginning(gateway: Running, script: Upstream) -> None:
    script.script(slow(8))
    first = Caller(gateway, STREAM)
    assert b" w0" in first.begin().read1(65536)
    second = Caller(gateway, STREAM)
    assert second.read().body == b"".join(words(8))
    assert first.read().status == 200
    assert len(script.requests) == 1


def test_the_first_leaves_and_the_others_go_on(gateway: Running, script: Upstream) -> None:
    script.script(slow(8))
    first = Caller(gateway, STREAM)
    first.begin().read1(65536)
    second = Caller(gateway, STREAM)
    second.begin().read1(65536)
    first.leave()
    assert second.read().body.endswith(b"[DONE]\n\n")
    found = {(row["origin"], row["cause"]): row for row in settled(gateway, 3, first.id, second.id)}
    assert {kind: row["outcome"] for kind, row in found.items()} == {
        ("carried", ""): "abandoned",
        ("coalesced", ""): "done",
        ("", "coalesced"): "done",
    }
    assert found["", "coalesced"]["output"] == 7


def test_behind_the_last_the_call_is_ended(gateway: Running, script: Upstream) -> None:
    script.script(endless(), slow())
    before = metric(gateway, "headgate_shared_bytes")
    callers = [Caller(gateway, STREAM) for _ in range(2)]
    for caller in callers:
        caller.begin().read1(65536)
    callers[0].leave()
    assert not script.requests[0].closed.wait(0.3)
    callers[1].leave()
    assert script.requests[0].closed.wait(1.0), "the provider does not go on for nobody"
    found = settled(gateway, 3, *(caller.id for caller in callers))
    assert {row["outcome"] for row in found} == {"abandoned"}
    (carrier,) = [row for row in found if row["cause"]]
    assert (carrier["estimated"], carrier["output"] > 0) == (1, True)
    assert Caller(gateway, STREAM).read().headers["x-headgate-cache"] == "miss", "nobody joins what was given up"
    gateway.wait_for(lambda: metric(gateway, "headgate_shared_bytes") == before)
    gateway.wait_for(lambda: metric(gateway, "headgate_tasks") == 0)


def metric(gateway: Running, name: str) -> float:
    lines = ask(gateway, "GET", "/metrics").body.decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def test_who_leaves_before_the_answer_begins_leaves_alone_too(gateway: Running, script: Upstream) -> None:
    script.script(Reply(pieces=[completion()], delay=0.5))
    first, second = Caller(gateway, question()), Caller(gateway, question())
    gateway.wait_for(lambda: metric(gateway, "headgate_requests_under_way") >= 4)
    first.leave()
    assert second.read().status == 200
    assert len(script.requests) == 1


def test_other_tenants_other_questions_and_other_models_are_never_joined(gateway: Running, script: Upstream) -> None:
    """Nor who is not asked to share, nor what a provider would keep."""
    asked = [(question(), KEY), (question(), OTHER), (question(temperature=0), KEY), (question("plain"), KEY)]
    asked += [(question("plain"), KEY), (question(store=True), KEY), (question(store=True), KEY)]
    script.script(*[Reply(pieces=[completion(str(n))], delay=0.3) for n in range(len(asked))])
    answers = [caller.read() for caller in [Caller(gateway, body, key) for body, key in asked]]
    assert {answer.status for answer in answers} == {200}
    assert len(script.requests) == len({answer.body for answer in answers}) == len(asked)


def test_nobody_joins_what_other_guards_have_let_through(start: Callable[..., Running], script: Upstream) -> None:
    """In flight and, under an Idempotency-Key, kept."""
    gateway = start()
    script.script(slow(10), slow(2), slow(3), slow(4))
    before = Caller(gateway, STREAM)
    before.begin().read1(65536)
    ask(gateway, "POST", PATH, STREAM, {"idempotency-key": "k"})
    guards = [{"name": "w", "pattern": "w1", "places": ["answer"]}]
    gateway.config.write_text(yaml.safe_dump(yaml.safe_load(gateway.config.read_text()) | {"guards": guards}))
    assert ask(gateway, "POST", "/v1/admin/reload", {}).status == 200
    after = ask(gateway, "POST", PATH, STREAM)
    again = ask(gateway, "POST", PATH, STREAM, {"idempotency-key": "k"})
    assert [answer.headers["x-headgate-cache"] for answer in (after, again)] == ["miss", "miss"]
    assert b"w1" not in after.body + again.body
    assert b"w1" in before.read().body
    assert len(script.requests) == 4


def test_everybody_has_guards_and_rendering_of_their_own(start: Callable[..., Running], script: Upstream) -> None:
    """Redacted in the stream, the model's name replaced, a crossing: each caller sees what it would have seen alone."""
    gateway = start(guards=[{"name": "w", "pattern": "w3", "places": ["answer"]}])
    for model in ("shared", "named"):
        script.script(slow(pause=0.02), slow(pause=0.02))
        body = STREAM | {"model": model}
        alone = ask(gateway, "POST", PATH, body)
        callers = [Caller(gateway, body) for _ in range(3)]
        assert [caller.read().body for caller in callers] == [alone.body] * 3
        assert b"redacted" in alone.body
        assert b"w3" not in alone.body
        assert (b'"model": "m"' in alone.body) == (model == "shared")
    script.script(spoken(), spoken())
    alone = ask(gateway, "POST", PATH, question("crossed"))
    callers = [Caller(gateway, question("crossed")) for _ in range(3)]
    texts = [caller.read().json["choices"][0]["message"] for caller in callers]
    assert texts == [alone.json["choices"][0]["message"]] * 3
    assert texts[0]["content"] == "said [redacted]"
    assert len(script.requests) == 6


def spoken() -> Reply:
    """Anthropic's, whole."""
    said = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "said w3"}]}
    usage = {"input_tokens": 5, "output_tokens": 7}
    whole = {"id": "msg_1", "model": "m", "stop_reason": "end_turn", "stop_sequence": None, "usage": usage, **said}
    return Reply(pieces=[json.dumps(whole).encode()], delay=0.3)


def test_a_failure_is_told_to_all_and_is_not_kept(gateway: Running, script: Upstream, word: str) -> None:
    told = b'{"error": {"message": "slow down", "type": "rate", "code": "rate_limit_exceeded"}}'
    for headers in ({}, {"idempotency_key": word}):
        script.reset()
        script.script(Reply(429, pieces=[told], delay=0.3), Reply(pieces=[completion()]))
        answers = [caller.read() for caller in [Caller(gateway, question(), **headers) for _ in range(3)]]
        assert [(answer.status, answer.body) for answer in answers] == [(429, told)] * 3
        assert len(script.requests) == 1
        assert Caller(gateway, question(), **headers).read().status == 200


def test_an_answer_that_breaks_off_ends_so_for_all(gateway: Running, script: Upstream) -> None:
    script.script(Reply(headers=SSE, pieces=words(5)[:4], chunked=True, pause=0.1, after="close"))
    callers = [Caller(gateway, STREAM) for _ in range(3)]
    answers = [caller.read() for caller in callers]
    for body in [answer.body for answer in answers]:
        assert b"w3" in body
        assert b"upstream_truncated" in body
        assert b"[DONE]" not in body
    assert len(script.requests) == 1
    found = settled(gateway, 4, *ids(answers))
    assert {(row["outcome"], row["error"]) for row in found} == {("failed", "upstream_truncated")}


@pytest.mark.parametrize(
    "body", [STREAM, question("plain"), STREAM | {"model": "crossed"}], ids=["stream", "whole", "crossed"]
)
def test_a_kept_answer_is_replayed_to_who_asks_again(
    gateway: Running, script: Upstream, word: str, body: dict[str, Any]
) -> None:
    """The same bytes, nothing to pay, and an id of its own; not to another key, which may use the same word."""
    reply = {"plain": Reply(pieces=[completion("kept")]), "shared": slow(), "crossed": spoken()}[body["model"]]
    script.script(reply, reply)
    first = ask(gateway, "POST", PATH, body, {"idempotency-key": word})
    again = ask(gateway, "POST", PATH, body, {"idempotency-key": word})
    assert (first.headers["x-headgate-cache"], again.headers["x-headgate-cache"]) == ("miss", "replayed")
    assert len(script.requests) == 1
    if body["model"] != "crossed":  # a crossing gives the answer an id and a time of this request
        assert again.body == first.body
    assert first.body.count(b"data: ") == again.body.count(b"data: ")
    (row,) = gateway.wait_for(lambda: rows(gateway, id=again.headers["x-request-id"]))
    assert (row["origin"], row["charge"], row["outcome"], row["output"]) == ("replayed", 0, "done", 7)
    other = ask(gateway, "POST", PATH, body, {"idempotency-key": word}, key=SECOND)
    assert other.headers["x-headgate-cache"] == "miss"
    assert len(script.requests) == 2


def test_one_key_at_the_same_time_is_one_call(gateway: Running, script: Upstream, word: str) -> None:
    """Also where the model does not share."""
    script.script(slow())
    callers = [Caller(gateway, STREAM | {"model": "plain"}, idempotency_key=word) for _ in range(5)]
    answers = [caller.read() for caller in callers]
    assert {answer.body for answer in answers} == {b"".join(words(6))}
    assert len(script.requests) == 1


def test_who_asks_again_finds_the_answer_that_went_on_without_them(
    gateway: Running, script: Upstream, word: str
) -> None:
    script.script(slow(8))
    first = Caller(gateway, STREAM, idempotency_key=word)
    first.begin().read1(65536)
    first.leave()
    again = ask(gateway, "POST", PATH, STREAM, {"idempotency-key": word})
    assert again.body == b"".join(words(8))
    assert len(script.requests) == 1


def test_an_estimate_is_marked_as_one_also_for_who_does_not_pay_for_it(
    gateway: Running, script: Upstream, word: str
) -> None:
    script.script(Reply(headers=SSE, pieces=words(6)[:3], chunked=True, after="close"))
    answer = ask(gateway, "POST", PATH, STREAM, {"idempotency-key": word})
    assert b"upstream_truncated" in answer.body
    found = settled(gateway, 2, answer.headers["x-request-id"])
    assert sorted((row["origin"], row["estimated"], row["output"] > 0) for row in found) == [
        ("", 1, True),
        ("carried", 1, True),
    ]


@pytest.mark.parametrize(
    ("path", "more", "type_"),
    [(PATH, {}, "invalid_request_error"), ("/v1/messages", {"max_tokens": 5}, "invalid_request_error")],
    ids=["chat", "messages"],
)
def test_one_key_for_another_question_is_refused(
    gateway: Running, script: Upstream, word: str, path: str, more: dict[str, Any], type_: str
) -> None:
    script.script(Reply(pieces=[completion()]), Reply(pieces=[completion()]))
    body = question("plain", **more)
    assert ask(gateway, "POST", path, body, {"idempotency-key": word}).status == 200
    refused = ask(gateway, "POST", path, body | {"temperature": 0.5}, {"idempotency-key": word})
    assert (refused.status, refused.json["error"]["type"]) == (422, type_)
    assert "Idempotency-Key" in refused.json["error"]["message"]
    assert len(script.requests) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "k\tk", "schlüssel"], ids=["empty", "long", "tab", "not ascii"])
def test_a_key_that_is_none_is_refused(gateway: Running, script: Upstream, key: str) -> None:
    refused = ask(gateway, "POST", PATH, question(), {"idempotency-key": key})
    assert (refused.status, refused.json["error"]["code"]) == (400, "invalid_idempotency_key")
    assert script.requests == []


def test_a_key_where_nothing_is_generated_changes_nothing(gateway: Running, script: Upstream) -> None:
    script.script(*[Reply(pieces=[b'{"input_tokens": 3}'])] * 2)
    for _ in range(2):
        answer = ask(
            gateway,
            "POST",
            "/up_anthropic/v1/messages/count_tokens",
            question("m", max_tokens=1),
            {"idempotency-key": "k"},
        )
        assert (answer.status, answer.headers.get("x-headgate-cache")) == (200, None)
    assert len(script.requests) == 2


def test_a_gateway_that_stops_tells_all_and_keeps_every_record(start: Callable[..., Running], script: Upstream) -> None:
    gateway = start(server={"port": 0, "drain": "300ms"})
    script.script(endless())
    callers = [Caller(gateway, STREAM) for _ in range(2)]
    for caller in callers:
        caller.begin().read1(65536)
    gateway.process.terminate()
    for caller in callers:
        body = caller.read().body
        assert b"gateway_draining" in body
        assert b"[DONE]" not in body
    gateway.process.wait(10)
    gateway.stop()
    assert gateway.process.returncode == 0
    assert {(row["outcome"], row["error"]) for row in rows(gateway)} == {("failed", "gateway_draining")}
    assert len(rows(gateway)) == 3
    assert list((gateway.data / "spool").glob("s*")) == []


def test_a_gateway_that_stops_waits_for_an_answer_that_nobody_waits_for(
    start: Callable[..., Running], script: Upstream
) -> None:
    gateway = start()
    script.script(slow(8))
    first = Caller(gateway, STREAM, idempotency_key="k")
    first.begin().read1(65536)
    first.leave()
    gateway.process.terminate()
    gateway.process.wait(10)
    gateway.stop()
    found = {row["cause"]: row["outcome"] for row in rows(gateway)}
    assert found == {"": "abandoned", "coalesced": "done"}


def test_a_shared_answer_cannot_be_gone_on_with_and_the_config_says_so(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("models:\n  a: {targets: [demo/chat], coalesce: true, midstream: continue}\n")
    with pytest.raises(ConfigError, match="cannot be gone on with"):
        plan(load(path, {}), {})


@pytest.mark.slow
def test_a_key_that_an_sdk_made_does_not_keep_a_stopped_answer_going(gateway: Running, script: Upstream) -> None:
    """Its retry finds the answer; where none comes, whoever pressed stop does not pay for the rest."""
    script.script(endless())
    first = Caller(gateway, STREAM, idempotency_key="stainless-node-retry-1")
    first.begin().read1(65536)
    first.leave()
    again = Caller(gateway, STREAM, idempotency_key="stainless-node-retry-1")
    assert b" w0" in again.begin().read1(65536)
    again.leave()
    assert not script.requests[0].closed.wait(LINGER - 2)
    assert script.requests[0].closed.wait(4)
    assert len(script.requests) == 1


def great() -> list[bytes]:
    """An answer of 30 MB."""
    return sse(*[chunk(f"{n} " + "word " * 4000) for n in range(1500)], chunk(finish="stop"), "[DONE]")


@pytest.mark.slow
def test_nothing_is_done_twice_for_one_key_also_where_it_cannot_be_shown_twice(
    gateway: Running, script: Upstream, word: str
) -> None:
    """What is too large to be kept is refused while it is under way, and made again when it is over."""
    script.script(*[Reply(headers=SSE, pieces=great(), chunked=True)] * 2)
    first = Caller(gateway, question("plain", stream=True), idempotency_key=word)
    first.begin().read(12 << 20)
    refused = ask(gateway, "POST", PATH, question("plain", stream=True), {"idempotency-key": word})
    assert (refused.status, refused.json["error"]["code"]) == (409, "idempotency_key_in_use")
    assert refused.headers["retry-after"] == "1"
    assert len(script.requests) == 1
    assert first.read().body.endswith(b"[DONE]\n\n")
    again = ask(gateway, "POST", PATH, question("plain", stream=True), {"idempotency-key": word})
    assert again.headers["x-headgate-cache"] == "miss"


def test_after_a_kill_9_whoever_was_shown_something_has_a_row(start: Callable[..., Running], script: Upstream) -> None:
    """The call that pays is charged its estimate, once; its callers nothing, and where their answer came from is still told."""
    gateway = start()
    script.script(endless())
    first = Caller(gateway, STREAM)
    assert first.begin().read(20)
    second = Caller(gateway, STREAM)
    assert second.begin().read(20)
    gateway.kill()
    callers = {first.id: "carried", second.id: "coalesced"}
    first.connection.close()
    second.connection.close()
    again = start(data=str(gateway.data))
    again.data = gateway.data
    found = settled(again, 3, *callers)
    assert {row["id"]: row["origin"] for row in found if not row["parent"]} == callers
    for row in found:
        assert (row["outcome"], row["error"]) == ("failed", "gateway_crash")
        paid = (row["attempts"], row["estimated"], row["charge"] > 0)
        assert paid == ((0, 0, False) if row["id"] in callers else (1, 1, True))


def test_explain_says_whether_an_answer_would_be_shared(gateway: Running, script: Upstream) -> None:
    def told(path: str, body: dict[str, Any], headers: dict[str, str]) -> list[dict[str, Any]]:
        envelope = {"path": path, "body": body, "headers": headers}
        trail = ask(gateway, "POST", "/v1/explain", envelope).json["trail"]
        return [{name: note[name] for name in note if name != "stage"} for note in trail if note["stage"] == "flights"]

    assert told(PATH, question("plain"), {}) == []
    assert told(PATH, question(), {}) == [{"verdict": "shares", "by": "being alike"}]
    assert told(PATH, question(), {"Idempotency-Key": "k"}) == [{"verdict": "shares", "by": "idempotency key"}]
    stored = told("/v1/responses", {"model": "shared", "input": "x"}, {})
    assert stored == [{"verdict": "alone", "why": "the provider is to keep the answer"}]
    assert script.requests == []


@pytest.mark.slow
def test_one_who_does_not_read_is_cut_and_stops_nobody(gateway: Running, script: Upstream) -> None:
    """More than is ever held for newcomers goes by; memory stays bounded, and who reads gets all of it."""
    pieces = great()
    script.script(Reply(headers=SSE, pieces=pieces, chunked=True), Reply(headers=SSE, pieces=words(1), chunked=True))
    slow_one = Caller(gateway, question(stream=True))
    reader = Caller(gateway, question(stream=True))
    answer, alone = reader.begin(), None
    held, got, before = 0.0, 0, metric(gateway, "headgate_shared_bytes")
    while piece := answer.read(1 << 21):
        got += len(piece)
        held = max(held, metric(gateway, "headgate_shared_bytes"))
        if got > len(pieces) * 10_000 and not alone:
            alone = ask(gateway, "POST", PATH, question(stream=True))
    assert alone is not None
    assert (b" w0" in alone.body, alone.headers.get("x-headgate-cache")) == (True, None), "nobody joins half an answer"
    assert "flights=alone (the answer under way is too large" in alone.headers["x-headgate-trail"]
    assert got == sum(map(len, pieces))
    assert 0 < held - before <= MOST + (1 << 20)
    reader.connection.close()
    left = slow_one.read()
    assert b"reader_too_slow" in left.body
    assert b"[DONE]" not in left.body
    assert len(script.requests) == 2
