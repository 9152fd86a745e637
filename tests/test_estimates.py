"""What a caller is charged where no provider told: never nothing for something, never something for nothing. Real sockets."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes import Reply, Upstream
from raw import ask
from running import KEY, Running, sites
from test_resilience import rows

PATH = "/v1/chat/completions"
USAGE = {"prompt_tokens": 9, "completion_tokens": 80, "total_tokens": 89}


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: it refuses
        nobody = {"type": "openai_compatible", "base_url": f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"}
        config: dict[str, Any] = {
            "providers": sites(upstream.url) | {"nobody": nobody | {"api_key": "x"}},
            "models": {"either": {"targets": ["nobody/m", "up_chat/m"]}},
            "prices": [{"model": "*", "input": 1, "output": 2}],
            "retry": {"attempts": 1},
        }
        running = Running(Path(tmp_path_factory.mktemp("estimates")), config)
        yield running
        running.stop()


def question(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "x"}], **more}


def whole(delay: float = 0.0) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": "word " * 80}, "finish_reason": "stop"}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}
    return Reply(pieces=[json.dumps(answer).encode()], delay=delay)


def attempts(gateway: Running, identity: str) -> list[dict[str, Any]]:
    found = gateway.wait_for(lambda: rows(gateway, "attempts", request_id=identity))
    return sorted(found, key=lambda row: row["number"])


def test_who_could_not_be_reached_is_not_paid(gateway: Running, script: Upstream) -> None:
    """Nothing went out, so nobody can bill it."""
    script.script(whole())
    answer = ask(gateway, "POST", PATH, question("either"))
    refused, served = attempts(gateway, answer.headers["x-request-id"])
    assert (refused["error"], refused["cost"], refused["estimated"], refused["input"]) == (
        "connection_refused",
        0,
        0,
        None,
    )
    assert (served["outcome"], served["input"], served["output"]) == ("done", 9, 80)


def test_a_whole_answer_that_nobody_waited_for_was_being_made(gateway: Running, script: Upstream) -> None:
    """It is estimated by what its target makes in that time: 80 tokens in 0.4 s, as the answer before it told."""
    script.script(whole(delay=0.4), Reply(delay=3.0, after="close"))
    assert ask(gateway, "POST", PATH, question("up_chat/m")).status == 200
    body = json.dumps(question("up_chat/m")).encode()
    lines = [f"POST {PATH} HTTP/1.1", "host: x", f"authorization: Bearer {KEY}", "user-agent: who-leaves"]
    head = "\r\n".join([*lines, "content-type: application/json", f"content-length: {len(body)}", "", ""]).encode()
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(head + body)
        time.sleep(0.6)
    (left,) = gateway.wait_for(lambda: rows(gateway, "requests", user_agent="who-leaves"))
    (cut,) = attempts(gateway, left["id"])
    assert (left["outcome"], cut["estimated"]) == ("abandoned", 1)
    assert 80 <= cut["output"] <= 400
    assert cut["cost"] == cut["input"] * 1000 + cut["output"] * 2000


def test_an_error_behind_content_leaves_no_final_count(gateway: Running, script: Upstream) -> None:
    """An Anthropic stream tells one output token at its start; what it said before it failed is more."""
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
    usage = {"input_tokens": 9, "output_tokens": 1}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "one two three " * 9}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message | {"stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        delta,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    ]
    pieces = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    script.script(Reply(headers={"content-type": "text/event-stream"}, pieces=pieces, chunked=True))
    answer = ask(gateway, "POST", "/v1/messages", question("up_anthropic/m", max_tokens=99, stream=True))
    (failed,) = attempts(gateway, answer.headers["x-request-id"])
    assert (failed["outcome"], failed["input"], failed["estimated"]) == ("failed", 9, 1)
    assert failed["output"] > 27
