"""Errors of the Responses API, in both directions, as the official client sees them."""

from __future__ import annotations

import json
from typing import get_args

import openai
import pytest
from openai_responses_answers import ASK, answers, frames

from headgate.dialects.base import ModelCard
from headgate.dialects.openai_responses import DIALECT
from headgate.errors import (
    BadRequest,
    Blocked,
    Forbidden,
    HeadgateError,
    Internal,
    Limited,
    NotFound,
    OverBudget,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamTruncated,
)
from headgate.model.events import Failed, PartDelta, Started
from oracles import openai_responses as oracle
from recordings import recordings

ERRORS: list[tuple[HeadgateError, type[openai.APIStatusError]]] = [
    (BadRequest("no such field", param="input[0]"), openai.BadRequestError),
    (Blocked("a guard said no"), openai.BadRequestError),
    (Unauthenticated("no key"), openai.AuthenticationError),
    (Forbidden("not this model"), openai.PermissionDeniedError),
    (NotFound("no such model"), openai.NotFoundError),
    (TooLarge("too large"), openai.APIStatusError),
    (OverBudget("the budget is spent"), openai.APIStatusError),
    (Limited("slow down", retry_after=3), openai.RateLimitError),
    (Internal("ours"), openai.InternalServerError),
    (Unavailable("draining"), openai.InternalServerError),
    (UpstreamTimeout("too slow"), openai.InternalServerError),
    (UpstreamRefused("theirs", status=422, code="odd"), openai.UnprocessableEntityError),
]


@pytest.mark.corpus
def test_recorded_refusals_say_what_the_provider_said() -> None:
    count = 0
    for row in recordings("openai_responses"):
        if row.status < 400:
            continue
        error = DIALECT.refusal(row.status, row.reply)
        said = row.document["error"]
        assert (error.message, error.type, error.param) == (said["message"], said["type"], said["param"])
        assert error.status == row.status and error.code == (said["code"] or said["type"])
        assert error.message in str(oracle.failure(row.reply, row.status))
        assert not error.retryable
        count += 1
    assert count == 20


@pytest.mark.parametrize(
    ("status", "body", "message", "retryable"),
    [
        (500, b"", "status 500", True),
        (502, b"<html>bad gateway</html>", "status 502", True),
        (404, b"[]", "status 404", False),
        (400, b'{"detail": "no"}', "no", False),
        (400, b'{"error": "no"}', "no", False),
        (429, b'{"error": {"message": "slow", "code": "rate_limit_exceeded"}}', "slow", True),
        (429, b'{"error": {"message": "spent", "code": "insufficient_quota"}}', "spent", False),
        (503, b'[{"error": {"message": "busy", "code": 503}}]', "busy", True),
        (400, b'{"error": {"message": {"a": 1}, "code": [1], "type": 3, "param": {}}}', "status 400", False),
        (500, b"[" * 100_000, "status 500", True),
        (500, b"\xff\xfe", "status 500", True),
    ],
)
def test_any_body_is_a_refusal(status: int, body: bytes, message: str, retryable: bool) -> None:
    error = DIALECT.refusal(status, body)
    assert message in error.message and error.status == status and error.retryable is retryable


def test_every_code_of_a_failed_response_has_its_status() -> None:
    """A response that failed is a reply of status 200: whose fault it was, and so whether another try may help, stands in its `code`
    alone. Of the codes that the official client knows, three are the provider's; each of the others is the request's own."""
    passing = {"server_error": 500, "rate_limit_exceeded": 429, "vector_store_timeout": 504}
    for code in get_args(openai.types.responses.ResponseError.model_fields["code"].annotation):
        failed = {
            "id": "resp_1",
            "object": "response",
            "status": "failed",
            "output": [],
            "error": {"code": code, "message": "no"},
        }
        (seen,) = (
            event for event in DIALECT.decoder().whole(json.dumps(failed).encode()).events if isinstance(event, Failed)
        )
        assert (seen.code, seen.status, seen.retryable) == (code, passing.get(code, 400), code in passing)


@pytest.mark.parametrize(("error", "kind"), ERRORS, ids=lambda value: type(value).__name__)
def test_the_client_raises_the_right_error(error: HeadgateError, kind: type[openai.APIStatusError]) -> None:
    raised = oracle.failure(json.dumps(DIALECT.error_body(error, "req_1")).encode(), error.status)
    assert type(raised) is kind
    assert error.message in raised.message
    assert (raised.code, raised.param) == (error.code, error.param)


@pytest.mark.corpus
def test_a_stream_that_breaks_off_ends_with_a_failure() -> None:
    """After any frame of any recorded stream: the official client raises with our message; a client that waits for
    `response.failed` finds it, numbered after what it saw, under the id it knows if the last frame told it."""
    error = UpstreamTruncated("the answer broke off")
    for row in answers():
        if not row.sse:
            continue
        given = [(name, data) for name, data in frames(row) if data != b"[DONE]"]
        cut = len(given) // 2
        last = given[cut][1]
        tail = DIALECT.error_frame(error, ASK, last)
        told, failed = oracle.events(tail)
        assert [told["type"], failed["type"]] == ["error", "response.failed"]
        before = json.loads(last).get("sequence_number", -1)
        assert [told["sequence_number"], failed["sequence_number"]] == [before + 1, before + 2]
        assert failed["response"]["status"] == "failed" and failed["response"]["error"]["message"] == error.message
        assert failed["response"]["error"]["code"] == "upstream_truncated"
        heard = json.loads(last).get("response")
        assert heard is None or failed["response"]["id"] == heard["id"]


def test_a_broken_crossing_raises_in_the_official_client() -> None:
    """What our own encoder began, and an error after it, read as one stream: the client raises with our message."""
    encoder = DIALECT.encoder(ASK)
    head = encoder.feed([Started(), PartDelta(part=-1, kind="text", text="x")])
    last = json.dumps(oracle.events(head)[-1]).encode()
    for error in (UpstreamTimeout("too slow"), Blocked("a guard said no")):
        body = head + DIALECT.error_frame(error, ASK, last)
        assert oracle.grammar(body) == []
        assert oracle.stream(body).error == error.message
        assert oracle.events(body)[-1]["response"]["id"] == oracle.events(body)[0]["response"]["id"]


@pytest.mark.parametrize("last", [b"", b"{", b"[]", b'{"sequence_number": "x"}', b"[" * 100_000])
def test_an_error_after_anything(last: bytes) -> None:
    told, failed = oracle.events(DIALECT.error_frame(Internal("ours"), ASK, last))
    assert (told["sequence_number"], failed["sequence_number"]) == (0, 1)


def test_the_small_bodies() -> None:
    card = ModelCard(id="m", owner="us", created=5)
    assert DIALECT.model(card) == {"id": "m", "object": "model", "created": 5, "owned_by": "us"}
    assert DIALECT.models([card]) == {"object": "list", "data": [DIALECT.model(card)]}
    assert DIALECT.count_body(7) == {"object": "response.input_tokens", "input_tokens": 7}
    assert DIALECT.path("m", "generate", True) == "/responses"
    assert DIALECT.path("m", "count", False) == "/responses/input_tokens"
    with pytest.raises(NotFound):
        DIALECT.path("m", "embed", False)
