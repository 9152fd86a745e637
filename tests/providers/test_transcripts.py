"""Every provider's wire transcript: its URLs, its headers, and what its answers and errors mean."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.model.events import Answer
from headgate.providers.registry import BUILT_IN, all_providers
from providers import wire

ENDPOINTS = [(name, dialect) for name in wire.NAMES for dialect in wire.transcript(name)["endpoints"]]
EXAMPLES = [(n, d) for n, d in ENDPOINTS if "whole" in wire.transcript(n)["endpoints"][d]]


def _endpoint(name: str, dialect: str) -> dict[str, Any]:
    return wire.transcript(name)["endpoints"][dialect]


def test_every_built_in_provider_has_a_transcript_and_every_transcript_a_provider() -> None:
    assert set(wire.NAMES) == set(BUILT_IN)


@pytest.mark.parametrize("name", wire.NAMES)
def test_a_transcript_covers_every_dialect_and_cites_the_documentation(name: str) -> None:
    """All endpoints of the provider have their URL written down, at least one its answers."""
    written, provider = wire.transcript(name), all_providers()[name]
    assert provider.name == name
    assert list(written["endpoints"]) == [e.dialect for e in provider.endpoints]
    assert written["docs"] in provider.docs
    assert set(provider.dialects) <= set(written["endpoints"])
    preferred = provider.dialects[0] if provider.dialects else provider.endpoints[0].dialect
    assert _endpoint(name, preferred)["source"]


@pytest.mark.parametrize(("name", "dialect"), ENDPOINTS)
def test_the_url_is_the_documented_one(name: str, dialect: str) -> None:
    written = _endpoint(name, dialect)
    assert wire.built_url(name, dialect) == written["url"]
    assert wire.built_url(name, dialect, stream=True) == written.get("stream_url", written["url"])


@pytest.mark.parametrize(("name", "dialect"), ENDPOINTS)
def test_the_headers_are_the_documented_ones(name: str, dialect: str) -> None:
    assert wire.built_headers(name, dialect) == _endpoint(name, dialect)["headers"]


@pytest.mark.parametrize(("name", "dialect"), EXAMPLES)
def test_a_whole_reply_means(name: str, dialect: str) -> None:
    written = _endpoint(name, dialect)
    _check(wire.whole(dialect, written["whole"].encode()), written["means"])


NO_DONE = ("writer", "openai_chat")
"""Writer ends a stream with the usage chunk, without [DONE]."""


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize(("name", "dialect"), EXAMPLES)
def test_a_stream_means_the_same(name: str, dialect: str, step: int, request: pytest.FixtureRequest) -> None:
    """However it is cut on the way."""
    if (name, dialect) == NO_DONE:
        reason = "the chat decoder takes only [DONE] for a stream's end"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    written = _endpoint(name, dialect)
    _check(wire.streamed(dialect, written["stream"].encode(), step), written["means"])


@pytest.mark.parametrize(("name", "dialect"), EXAMPLES)
def test_an_error_tells_its_status_and_what_it_says(name: str, dialect: str) -> None:
    written = _endpoint(name, dialect)["error"]
    refusal = wire.dialect(dialect).refusal(written["status"], written["body"].encode())
    assert refusal.status == written["status"]
    assert written["message"] in refusal.message
    assert refusal.retryable == written.get("retryable", False)


def _check(answer: Answer, means: dict[str, Any]) -> None:
    assert answer.failed is None
    (choice,) = answer.choices
    texts = {kind: "".join(part.text for part in choice.parts if part.kind == kind) for kind in ("text", "thinking")}
    assert texts["text"] == means.get("text", "")
    assert texts["thinking"] == means.get("thinking", "")
    calls = [{"name": p.name, "arguments": p.text} for p in choice.parts if p.kind == "tool_call"]
    assert calls == ([means["tool"]] if "tool" in means else [])
    if "stop" in means:
        assert choice.stop == means["stop"]
    assert answer.usage is not None
    assert {name: getattr(answer.usage, name) for name in means["usage"]} == means["usage"]
