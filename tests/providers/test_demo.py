"""The demo provider keeps the deadlines of a call, as the HTTP client does, and tells its faults as a provider would."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from headgate.app import DIALECTS
from headgate.errors import UpstreamTimeout
from headgate.net import Call, Deadlines, Origin
from headgate.providers.demo import Demo

ORIGIN = Origin(scheme="demo", host="local", port=0)


def call(model: str, **deadlines: float) -> Call:
    body: dict[str, Any] = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hello there"}]}
    path = "/openai_chat/chat/completions"
    return Call(
        method="POST",
        origin=ORIGIN,
        path=path,
        headers=[],
        body=json.dumps(body).encode(),
        deadlines=Deadlines(**deadlines),
    )


async def told(given: Call) -> bytes:
    reply = await Demo(DIALECTS)(given)
    parts = []
    while data := await reply.read():
        parts.append(data)
    return b"".join(parts)


def test_silence_inside_an_answer_meets_the_idle_deadline() -> None:
    with pytest.raises(UpstreamTimeout):
        asyncio.run(told(call("fault-stall-after", idle=0.05)))


def test_silence_before_an_answer_meets_the_deadline_of_its_head() -> None:
    with pytest.raises(UpstreamTimeout):
        asyncio.run(told(call("fault-stall-before", headers=0.05)))


@pytest.mark.parametrize(("model", "kind"), [("fault-429", "rate_limit_error"), ("fault-500", "server_error")])
def test_faults_have_the_type_of_their_status(model: str, kind: str) -> None:
    assert json.loads(asyncio.run(told(call(model))))["error"]["type"] == kind
