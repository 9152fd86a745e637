"""What a provider's refusal says about where to go: by its code, else by its words, as real providers write them."""

from __future__ import annotations

import pytest

from headgate.errors import BadRequest, HeadgateError, UpstreamRefused, UpstreamTimeout
from headgate.model.route import Purpose
from headgate.routing.failure import purpose_of


@pytest.mark.parametrize(
    ("status", "code", "message", "purpose"),
    [
        (400, "context_length_exceeded", "This model's maximum context length is 8192 tokens.", "context"),
        (
            400,
            "",
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000.",
            "context",
        ),
        (400, "invalid_request_error", "prompt is too long: 200251 tokens > 200000 maximum", "context"),
        (400, "", "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).", "context"),
        (413, "request_too_large", "Request exceeds the maximum size", "context"),
        (400, "", "Input is too long for requested model.", "context"),
        (400, "", "Please reduce the length of the messages or completion.", "context"),
        (400, "content_filter", "The response was filtered due to the prompt triggering ...", "filter"),
        (400, "", "The response was filtered due to Azure OpenAI's content management policy.", "filter"),
        (400, "content_policy_violation", "Your request was rejected", "filter"),
        (400, "data_inspection_failed", "Input data may contain inappropriate content.", "filter"),
        (400, "", "Output blocked by content filtering policy", "filter"),
        (404, "model_not_found", "The model `gpt-5-xyz` does not exist or you do not have access to it.", "successor"),
        (404, "", "The model `gpt-3.5-turbo-0301` has been deprecated", "successor"),
        (400, "model_decommissioned", "The model `x` has been decommissioned and is no longer supported.", "successor"),
        (404, "not_found_error", "model: claude-2.0", "successor"),
        (429, "rate_limit_exceeded", "Rate limit reached for the model", ""),
        (500, "", "The server had an error", ""),
        (400, "invalid_request_error", "messages: at least one message is required", ""),
        (401, "invalid_api_key", "Incorrect API key provided", ""),
        (400, "", "max_tokens is too large: 100000. This model supports at most 16384 completion tokens", ""),
        (404, "", "Unknown path", ""),
    ],
)
def test_words_and_codes_of_providers(status: int, code: str, message: str, purpose: Purpose) -> None:
    assert purpose_of(UpstreamRefused(message, status=status, code=code or None)) == purpose


@pytest.mark.parametrize("failure", [UpstreamTimeout("maximum context length"), BadRequest("prompt is too long")])
def test_only_what_a_provider_said_counts(failure: HeadgateError) -> None:
    assert purpose_of(failure) == ""


def test_a_long_message_costs_no_time() -> None:
    assert purpose_of(UpstreamRefused("model " * 1_000_000, status=404)) == ""
