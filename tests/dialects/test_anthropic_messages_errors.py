"""Anthropic Messages: refusals of upstreams, and our own errors as the official client raises them."""

from __future__ import annotations

import json

import pytest

from dialects.anthropic_messages_shown import ASK, text
from headgate.dialects.anthropic_messages import DIALECT
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
    UpstreamTimeout,
)
from headgate.model.events import (
    Started,
)
from oracles import anthropic_messages as oracle

ERRORS: list[tuple[HeadgateError, str, str]] = [
    (BadRequest("no", param="messages[0]"), "BadRequestError", "invalid_request_error"),
    (Blocked("no"), "BadRequestError", "invalid_request_error"),
    (Unauthenticated("no"), "AuthenticationError", "authentication_error"),
    (OverBudget("no"), "PaymentRequiredError", "billing_error"),
    (Forbidden("no"), "PermissionDeniedError", "permission_error"),
    (NotFound("no"), "NotFoundError", "not_found_error"),
    (TooLarge("no"), "ContentTooLargeError", "request_too_large"),
    (Limited("no", retry_after=2), "RateLimitError", "rate_limit_error"),
    (Internal("no"), "InternalServerError", "api_error"),
    (Unavailable("no"), "ServiceUnavailableError", "overloaded_error"),
    (UpstreamTimeout("no"), "GatewayTimeoutError", "timeout_error"),
]


@pytest.mark.parametrize(("error", "raised", "word"), ERRORS)
def test_our_errors_are_the_clients_own(error: HeadgateError, raised: str, word: str) -> None:
    body = DIALECT.error_body(error, "req_9")
    seen = oracle.failure(json.dumps(body).encode(), error.status)
    assert type(seen).__name__ == raised
    assert body["error"]["type"] == word and body["request_id"] == "req_9"
    assert body["error"]["message"] == "no" and body["error"]["code"] == error.code
    assert body["error"].get("param") == error.param


def test_an_error_inside_a_stream_is_raised_by_the_client() -> None:
    encoder = DIALECT.encoder(ASK)
    begun = encoder.feed([Started(), *text(0, "x")])
    body = begun + DIALECT.error_frame(Unavailable("gone"), ASK, b'{"type":"content_block_stop","index":0}')
    assert oracle.grammar(body) == [] and "gone" in oracle.stream(body).error


@pytest.mark.parametrize(
    ("status", "body", "message", "kind", "retryable"),
    [
        (529, b'{"error":{"type":"overloaded_error","message":"busy"}}', "busy", "overloaded_error", True),
        (429, b'{"error":{"message":"slow"}}', "slow", "", True),
        (400, b'{"error":"plain"}', "plain", "", False),
        (502, b"<html>bad gateway</html>", "the provider answered with status 502", "", True),
        (500, b"", "the provider answered with status 500", "", True),
        (403, b"\xff\xfe", "the provider answered with status 403", "", False),
        (400, b"[" * 100_000, "the provider answered with status 400", "", False),
        (404, b'{"error":{"message":7,"type":null,"details":[]}}', "the provider answered with status 404", "", False),
        (413, b"null", "the provider answered with status 413", "", False),
    ],
)  # fmt: skip
def test_refusals_are_read(status: int, body: bytes, message: str, kind: str, retryable: bool) -> None:
    error = DIALECT.refusal(status, body)
    assert (error.status, error.message, error.type, error.retryable) == (status, message, kind, retryable)
