"""Errors both ways, and what stands around the conversation: models, counts, paths."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai.errors import ClientError, ServerError

from dialects.gemini_answers import ask
from headgate.dialects.base import ModelCard
from headgate.dialects.gemini import DIALECT
from headgate.errors import (
    BadRequest,
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
from oracles import gemini as oracle
from recordings import recordings

STATUS = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


@pytest.mark.corpus
def test_recorded_refusals() -> None:
    """Message, status word and reason of every recorded error."""
    seen = 0
    for row in recordings("gemini"):
        if row.status < 400:
            continue
        seen += 1
        refused = DIALECT.refusal(row.status, row.reply)
        said = json.loads(row.reply)["error"]
        assert (refused.status, refused.message, refused.type) == (row.status, said["message"], STATUS[row.status])
        assert refused.retryable == (row.status == 429)
        reason = [detail["reason"] for detail in said.get("details", ()) if "reason" in detail]
        assert refused.code == (reason[0] if reason else said["status"]).lower()
        if row.status == 429:
            assert refused.retry_after == 34.4
    assert seen > 10


def test_a_refusal_in_a_list() -> None:
    """The stream without alt=sse and Google's OpenAI endpoint wrap their errors so."""
    violation = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "contents"}]}
    error = {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT", "details": [violation]}
    refused = DIALECT.refusal(400, json.dumps([{"error": error}]).encode())
    assert (refused.message, refused.param, refused.retryable) == ("bad", "contents", False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b"[]",
        b"null",
        b'{"error":null}',
        b'{"error":[]}',
        b'{"error":{"message":5,"details":[1,{"@type":3},{"@type":"type.googleapis.com/google.rpc.RetryInfo"}]}}',
        b'{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"soon"}]}}',
        b'{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":{}}]}}',
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("status", [400, 500, 503])
def test_an_unreadable_refusal_gives_the_status_alone(status: int, body: bytes) -> None:
    refused = DIALECT.refusal(status, body)
    assert refused.status == status
    assert refused.retryable == (status >= 500)
    assert str(status) in refused.message


def test_a_refusal_that_is_a_word() -> None:
    assert DIALECT.refusal(400, b'{"error":"no"}').message == "no"


ERRORS: list[tuple[HeadgateError, int, str, type[Exception]]] = [
    (BadRequest("m", param="contents[0]"), 400, "INVALID_ARGUMENT", ClientError),
    (Unauthenticated("m"), 401, "UNAUTHENTICATED", ClientError),
    (OverBudget("m"), 402, "RESOURCE_EXHAUSTED", ClientError),
    (Forbidden("m"), 403, "PERMISSION_DENIED", ClientError),
    (NotFound("m"), 404, "NOT_FOUND", ClientError),
    (TooLarge("m"), 413, "INVALID_ARGUMENT", ClientError),
    (Limited("m", retry_after=1.5), 429, "RESOURCE_EXHAUSTED", ClientError),
    (UpstreamRefused("m", status=529), 529, "UNAVAILABLE", ServerError),
    (UpstreamTimeout("m"), 504, "DEADLINE_EXCEEDED", ServerError),
    (UpstreamTruncated("m"), 502, "INTERNAL", ServerError),
    (Internal("m"), 500, "INTERNAL", ServerError),
    (Unavailable("m"), 503, "UNAVAILABLE", ServerError),
]


@pytest.mark.parametrize(("error", "status", "word", "kind"), ERRORS, ids=lambda value: type(value).__name__)
def test_errors_as_the_sdk_raises_them(error: HeadgateError, status: int, word: str, kind: type[Exception]) -> None:
    """As a reply and as the last frame of a stream: the right class, our message, code and id."""
    body = DIALECT.error_body(error, "req_1")
    frame = DIALECT.error_frame(error, ask("sse"), b"{}")
    raised = [oracle.error(error.status, json.dumps(body).encode()), oracle.error(200, frame, stream=True)]
    for one in raised:
        assert type(one) is kind
        assert (one.code, one.status, one.message) == (status, word, "m")
        details = one.details["error"]["details"]
        assert details[0]["metadata"]["code"] == error.code
        assert details[-1]["requestId"] == "req_1"


def test_details() -> None:
    body = DIALECT.error_body(Limited("m", retry_after=1.5, param="model"), "")
    assert [detail["@type"].rpartition(".")[2] for detail in body["error"]["details"]] == [
        "ErrorInfo",
        "BadRequest",
        "RetryInfo",
    ]
    assert body["error"]["details"][2]["retryDelay"] == "1.5s"
    assert DIALECT.refusal(429, json.dumps(body).encode()).retry_after == 1.5


@pytest.mark.parametrize("last", [b"", b'{"candidates":[]}'])
def test_an_error_ends_an_array(last: bytes) -> None:
    """As its last element, whether something came before or not."""
    before = b"[" + last if last else b""
    body = before + DIALECT.error_frame(Internal("m"), ask("json-array"), last)
    assert json.loads(body)[-1]["error"]["message"] == "m"


def test_models_as_the_sdk_lists_them() -> None:
    cards = [ModelCard(id="fast", owner="o", title="Fast", context=1000, max_output=10), ModelCard(id="b", owner="o")]
    listed = oracle.models(DIALECT.models(cards))
    assert [
        (model.name, model.display_name, model.input_token_limit, model.output_token_limit) for model in listed
    ] == [
        ("models/fast", "Fast", 1000, 10),
        ("models/b", "b", None, None),
    ]
    assert listed[0].supported_actions is not None and "generateContent" in listed[0].supported_actions


def test_a_count_as_the_sdk_reads_it() -> None:
    assert oracle.count(DIALECT.count_body(42)) == 42


@pytest.mark.parametrize(
    ("model", "operation", "stream", "path"),
    [
        ("gemini-x", "generate", False, "/models/gemini-x:generateContent"),
        ("gemini-x", "generate", True, "/models/gemini-x:streamGenerateContent?alt=sse"),
        ("gemini-x", "count", False, "/models/gemini-x:countTokens"),
        ("models/gemini-x", "generate", False, "/models/gemini-x:generateContent"),
        ("tunedModels/y", "generate", False, "/tunedModels/y:generateContent"),
        ("a?b#c d", "generate", False, "/models/a%3Fb%23c%20d:generateContent"),
    ],
)
def test_paths(model: str, operation: str, stream: bool, path: str) -> None:
    assert DIALECT.path(model, operation, stream) == path


@pytest.mark.parametrize("model", ["", "..", "../files/x", "models//x", "models/./x", "a/"])
def test_a_name_that_leads_elsewhere_is_no_model(model: str) -> None:
    """Names may come from clients (wildcards): they must not leave the collection of models."""
    with pytest.raises(NotFound):
        DIALECT.path(model, "generate", False)


def test_identity() -> None:
    answer: Any = DIALECT
    assert (answer.name, answer.family) == ("gemini", "google")
    assert all(header == header.lower() for header in DIALECT.up_headers)
    assert "authorization" not in DIALECT.up_headers and "x-goog-api-key" not in DIALECT.up_headers
