"""The words of the Anthropic Messages API and what they mean in the neutral model.

Rules of this file:
- Data only. Sources: the API reference (docs.claude.com/en/api/messages) and the types of its official Python client.
- A table that goes both ways is written once; the other way is derived from it.
- A native word that stands in no table is never guessed: it is "other", or an extra, or a loss.
"""

from __future__ import annotations

from headgate.model.events import PartKind, Stop

FAMILY = "anthropic"
OURS = "headgate"
"""The carrier's own family: where a carried value belongs ("of"), a citation's `start` and `end`."""

EVENTS = frozenset(
    (
        "message_start",
        "message_delta",
        "message_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "ping",
        "error",
    )
)
"""Events whose members we read: a wrong type in one is malformed. In any other it is nobody's business."""

STOPS: dict[str, Stop] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_window",
}
"""`stop_reason` -> neutral. "compaction" stops after the context was compacted, to be sent back as it is: a pause."""

STOP_WORDS: dict[Stop, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_use": "tool_use",
    "stop_sequence": "stop_sequence",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "context_window": "model_context_window_exceeded",
}
"""Neutral -> `stop_reason`. "malformed_call" and "other" have no word here: they are shown as UNKNOWN_STOP, listed."""

UNKNOWN_STOP = "end_turn"

PARTS: dict[str, PartKind] = {
    "text": "text",
    "thinking": "thinking",
    "redacted_thinking": "thinking",
    "tool_use": "tool_call",
}
"""Content block of an answer -> kind of part. Every other block is a native item."""

DELTAS = {
    ("text", "text_delta"): "text",
    ("thinking", "thinking_delta"): "thinking",
    ("thinking", "signature_delta"): "signature",
    ("tool_call", "input_json_delta"): "partial_json",
}
"""(kind of part, type of delta) -> the member of the delta that carries it."""

OPAQUE = frozenset(
    (
        "type",
        "id",
        "tool_use_id",
        "tool_id",
        "file_id",
        "request_id",
        "model",
        "role",
        "media_type",
        "signature",
        "encrypted_content",
        "encrypted_index",
        "encrypted_stdout",
        "data",
        "expires_at",
        "retrieved_at",
        "page_age",
        "error_code",
        "stop_reason",
        "stop_sequence",
        "name",
        "tool_name",
        "server_name",
        "toolset_name",
        "ttl",
    )
)
"""Keys whose strings are no text: types, names, ids, dates, ciphers, base64. See `texts`."""

TOP_FIELDS = frozenset(
    (
        "billing_policy",
        "cache_control",
        "compaction",
        "container",
        "context_management",
        "diagnostics",
        "fallback_credit_token",
        "fallbacks",
        "inference_geo",
        "mcp_servers",
        "speed",
        "thread",
    )
)
"""Top-level request fields that only this API knows, written back as they came."""

EXTRAS: dict[str, frozenset[str]] = {
    "text": frozenset(("cache_control",)),
    "image": frozenset(("cache_control", "transformations")),
    "document": frozenset(("cache_control", "citations", "context")),
    "tool_use": frozenset(("cache_control", "caller", "toolset_name")),
    "tool_result": frozenset(("cache_control", "toolset_name")),
    "tool": frozenset(
        (
            "allowed_callers",
            "cache_control",
            "defer_loading",
            "eager_input_streaming",
            "input_examples",
            "type",
        )
    ),
    "message": frozenset(),
    "system": frozenset(("clear_at", "output_config")),
    "metadata": frozenset(("user_id",)),
    "thinking": frozenset(("block_binding", "display", "type")),
    "output_config": frozenset(("task_budget",)),
}
"""Element -> members beyond the neutral ones that the API takes there; what else rides in extras is a loss."""

SERVICE_TIERS = {"auto": "auto", "standard_only": "default"}
"""`service_tier` of a request -> the neutral (OpenAI) word."""
SERVICE_TIER_WORDS = {"auto": "auto", "default": "standard_only", "priority": "auto"}
ANSWER_TIERS = frozenset(("standard", "priority", "batch"))

BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 65536}
"""Effort -> thinking budget in tokens, for models that are told one. Backwards: a budget up to N is this effort."""
MIN_BUDGET = 1024
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
"""Neutral effort -> `output_config.effort`."""

DISPLAYS = {"summarized": "auto", "omitted": "none"}
"""`thinking.display` -> whether thoughts are wanted (`Reasoning.show`)."""

IMAGES = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp"))
IMAGE_MAGIC = (("/9j/", "image/jpeg"), ("iVBORw", "image/png"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp"))
"""First base64 characters -> type, for images whose type nobody said."""

ERROR_TYPES = {
    "invalid_request_error": "invalid_request_error",
    "authentication_error": "authentication_error",
    "billing_error": "billing_error",
    "permission_error": "permission_error",
    "not_found_error": "not_found_error",
    "timeout_error": "timeout_error",
    "conflict_error": "conflict_error",
    "request_too_large": "request_too_large",
    "rate_limit_error": "rate_limit_error",
    "api_error": "api_error",
    "overloaded_error": "overloaded_error",
}
"""Neutral kind of an error -> `error.type`."""

ERROR_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""`error.type` of an error inside a stream -> the HTTP status it has as a reply of its own."""

RETRYABLE = frozenset((408, 409, 429, 500, 502, 503, 504, 529))

CARRIED = {"google": frozenset(("thoughtSignature",))}
"""Family -> extras of a call or a text that its upstream demands back: carried through clients of this dialect."""

ANSWER_EXTRAS = frozenset(("caller", "toolset_name"))
"""Members of an answer's tool_use block beyond id, name and input."""

DELTA_EXTRAS = ("container", "stop_details")
MESSAGE_EXTRAS = ("context_management", "input_transformations", "diagnostics")
"""What a finish carries beside stop reason and sequence: in the stream inside `delta`, and beside it."""
FINISH_EXTRAS = DELTA_EXTRAS + MESSAGE_EXTRAS
