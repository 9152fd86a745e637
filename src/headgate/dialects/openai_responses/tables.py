"""The words of the OpenAI Responses API and what they mean in the neutral model.

Rules of this file:
- Data only. Sources: OpenAI's published OpenAPI description and the types of its official Python client.
- A native word that stands in no table is never guessed: it is "other", a native item, an extra, or a loss.
- An item is known by its `type`; everything but messages, reasoning, the client's own calls and generated images is
  native.
"""

from __future__ import annotations

from headgate.model.events import PartKind, Stop

FAMILY = "openai"

UP_HEADERS = frozenset(
    ("conversation_id", "idempotency-key", "openai-beta", "originator", "session_id", "x-client-request-id")
)

# -- requests

TOP_FIELDS = frozenset(
    (
        "background",
        "context_management",
        "conversation",
        "include",
        "max_tool_calls",
        "moderation",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "stream_options",
        "truncation",
    )
)
"""Top-level request fields that ride in `Prompt.extras["openai"]` and are written back as they came."""

STATEFUL = {
    "previous_response_id": "it names an earlier answer that its provider keeps",
    "conversation": "it names a conversation that its provider keeps",
    "background": "an answer in the background is kept by its provider",
    "prompt": "it names a prompt that its provider keeps",
}
"""Top-level fields that only a provider which keeps state can honour, and why. `read.stateful` finds them in a
Prompt, and references to kept items beside them."""

STREAM_OPTIONS = frozenset(("include_obfuscation",))
REASONING_EXTRAS = frozenset(("context", "generate_summary", "mode"))
TOOL_EXTRAS = frozenset(("allowed_callers", "defer_loading", "output_schema"))
TEXT_EXTRAS = frozenset(("prompt_cache_breakpoint",))
IMAGE_EXTRAS = frozenset(("prompt_cache_breakpoint",))
FILE_EXTRAS = frozenset(("prompt_cache_breakpoint", "detail"))
MESSAGE_EXTRAS = frozenset(("id", "phase", "status"))
CALL_EXTRAS = frozenset(("caller", "id", "namespace", "status"))
RESULT_EXTRAS = frozenset(("caller", "id", "name", "namespace", "status"))

LOGPROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"
"""Words of `include`."""

MIN_OUTPUT = 16
"""The least `max_output_tokens` the API takes."""

EFFORTS = frozenset(("none", "minimal", "low", "medium", "high", "xhigh", "max"))
BUDGETS = ((2048, "low"), (8192, "medium"), (32768, "high"))
"""A thinking budget up to this many tokens is this effort; above all, BUDGET_TOP."""
BUDGET_TOP = "xhigh"
SUMMARIES = frozenset(("auto", "concise", "detailed"))
HIDDEN = frozenset(("none", "omitted"))
"""Words of `Reasoning.show` that ask for no summary."""

SERVICE_TIERS = frozenset(("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"))
VERBOSITIES = frozenset(("low", "medium", "high"))

NATIVE_TOOLS = frozenset(
    (
        "apply_patch",
        "code_execution",
        "code_interpreter",
        "collections_search",
        "computer",
        "computer_use_preview",
        "file_search",
        "image_generation",
        "local_shell",
        "mcp",
        "programmatic_tool_calling",
        "shell",
        "tool_search",
        "web_search",
        "web_search_2025_08_26",
        "web_search_preview",
        "web_search_preview_2025_03_11",
        "x_search",
    )
)
"""Server-side tools: OpenAI's, and xAI's under this API. Native tools of other types are another API's."""

NATIVE_ITEMS = frozenset(
    (
        "compaction",
        "compaction_trigger",
        "item_reference",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_list_tools",
        "program",
    )
)
NATIVE_ITEM_ENDS = ("_call", "_output")
"""Native items are these, and all whose types end so (they are too many and too new to name)."""

CONTENT = "content."
"""What the native name of a content part begins with, which tells it from an item."""
NATIVE_CONTENTS = ("input_", "output_", "computer_screenshot", "reasoning_text", "summary_text")
"""How the types of this API's content parts begin."""

TOOL_ROLES = frozenset(
    (
        "apply_patch_call_output",
        "computer_call_output",
        "local_shell_call_output",
        "mcp_approval_response",
        "program_output",
        "shell_call_output",
        "tool_search_output",
    )
)
"""Native input items that answer a call: parts of a message with role "tool". Other native items are the
assistant's."""

AUDIO_MIME = {"wav": "audio/wav", "mp3": "audio/mpeg"}

# -- answers

CALLS: dict[str, tuple[PartKind, str]] = {
    "function_call": ("tool_call", "arguments"),
    "custom_tool_call": ("custom_call", "input"),
}
"""Output item -> kind of part, and the member that holds its text."""

CONTENTS: dict[str, tuple[PartKind, str]] = {"output_text": ("text", "text"), "refusal": ("refusal", "refusal")}
"""Content of a message -> kind of part, and the member that holds its text."""

IMAGE = "image_generation_call"

DELTAS: dict[str, tuple[PartKind, str, str]] = {
    "response.output_text.delta": ("text", "content", "content_index"),
    "response.refusal.delta": ("refusal", "content", "content_index"),
    "response.reasoning_summary_text.delta": ("thinking", "summary", "summary_index"),
    "response.reasoning_text.delta": ("thinking", "content", "content_index"),
    "response.function_call_arguments.delta": ("tool_call", "", ""),
    "response.custom_tool_call_input.delta": ("custom_call", "", ""),
}
"""Event with a piece of text -> kind of part, list of the item it stands in, member that says where in that list."""

DONES: dict[str, tuple[PartKind, str, str, str]] = {
    "response.output_text.done": ("text", "content", "content_index", "text"),
    "response.refusal.done": ("refusal", "content", "content_index", "refusal"),
    "response.reasoning_summary_text.done": ("thinking", "summary", "summary_index", "text"),
    "response.reasoning_text.done": ("thinking", "content", "content_index", "text"),
    "response.function_call_arguments.done": ("tool_call", "", "", "arguments"),
    "response.custom_tool_call_input.done": ("custom_call", "", "", "input"),
}
"""Event that repeats a whole text -> the same, and the member that holds it."""

PART_FRAMES: dict[str, tuple[str, str]] = {
    "response.content_part.added": ("content", "content_index"),
    "response.content_part.done": ("content", "content_index"),
    "response.reasoning_summary_part.added": ("summary", "summary_index"),
    "response.reasoning_summary_part.done": ("summary", "summary_index"),
}
"""Event with a part of an item -> list of the item, member that says where."""

ITEMS_OF: dict[PartKind, frozenset[str]] = {
    "text": frozenset(("message",)),
    "refusal": frozenset(("message",)),
    "thinking": frozenset(("reasoning",)),
    "tool_call": frozenset(("function_call",)),
    "custom_call": frozenset(("custom_tool_call",)),
}
"""Kind of part -> the items it belongs to. An event that speaks of another item is not known here."""

LIFE = frozenset(("response.created", "response.in_progress", "response.queued"))
TERMINAL = frozenset(("response.completed", "response.incomplete", "response.failed", "response.cancelled"))

REASONS: dict[str, Stop] = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""`incomplete_details.reason` -> neutral."""

ENDS: dict[Stop, tuple[str, str | None]] = {
    "stop": ("completed", None),
    "tool_use": ("completed", None),
    "stop_sequence": ("completed", None),
    "length": ("incomplete", "max_output_tokens"),
    "context_window": ("incomplete", "max_output_tokens"),
    "content_filter": ("incomplete", "content_filter"),
    "refusal": ("incomplete", "content_filter"),
}
"""Neutral -> (status, reason). The rest ("pause", "malformed_call", "other") have no word: they are shown incomplete
without a reason, and listed, since an end that nobody understands is not success."""

STATUSES = frozenset(("cancelled", "completed", "failed", "in_progress", "incomplete", "queued"))

WITHOUT_OUTPUT = frozenset(("cancelled", "failed", "in_progress", "queued"))
"""Statuses of a whole response that may lack its output. Any other document without one is no response."""

CLIENT_CALLS = frozenset(
    (
        "apply_patch_call",
        "computer_call",
        "custom_tool_call",
        "function_call",
        "local_shell_call",
        "mcp_approval_request",
        "shell_call",
    )
)
"""Output items that wait for the client: an answer with one of them stops for "tool_use"."""

SERVER_TOOLS = {
    "code_interpreter_call": "code_execution",
    "file_search_call": "file_search",
    "image_generation_call": "image_generation",
    "web_search_call": "web_search",
    "x_search_call": "x_search",
}
"""Output item -> neutral name of the billable use."""

ANSWER_EXTRAS = ("content_filters", "conversation", "moderation")
"""Members of a response kept for the same family."""

TOLD = frozenset(("finish_reason", "native_finish_reason", "status", "stop_reason"))
"""Members of this family's finishes that the response's status tells in its own way."""

ANSWER_TIERS = {"standard": "default", "on_demand": "default"}
"""Tiers of other providers in this API's words."""

OPAQUE = frozenset(
    (
        "approval_request_id",
        "background",
        "b64_json",
        "call_id",
        "caller",
        "container_id",
        "detail",
        "encrypted_content",
        "environment",
        "execution",
        "file_data",
        "file_id",
        "fingerprint",
        "id",
        "image_url",
        "item_id",
        "model",
        "name",
        "namespace",
        "object",
        "obfuscation",
        "output_format",
        "partial_image_b64",
        "phase",
        "quality",
        "response_id",
        "role",
        "server_label",
        "service_tier",
        "size",
        "status",
        "type",
    )
)
"""Keys whose strings are no text: types, ids, names, words, ciphers, base64. All other strings of a native or unknown
item or event are shown to the guards."""

# -- errors

ERROR_STATUS = {
    "authentication_error": 401,
    "bio_policy": 400,
    "billing_error": 402,
    "context_length_exceeded": 400,
    "data_residency_mismatch": 400,
    "empty_image_file": 400,
    "failed_to_download_image": 400,
    "image_content_policy_violation": 400,
    "image_file_not_found": 400,
    "image_file_too_large": 400,
    "image_parse_error": 400,
    "image_too_large": 400,
    "image_too_small": 400,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "invalid_base64_image": 400,
    "invalid_image": 400,
    "invalid_image_format": 400,
    "invalid_image_mode": 400,
    "invalid_image_url": 400,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "misalignment_policy_violation": 400,
    "model_not_found": 404,
    "overloaded_error": 503,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "server_error": 500,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "timeout": 504,
    "unsupported_image_media_type": 400,
    "vector_store_timeout": 504,
}
"""`code` or `type` of an error inside an answer -> the HTTP status it has as a reply of its own."""

RETRYABLE = frozenset((408, 409, 429, 500, 502, 503, 504, 529))
FINAL_CODES = frozenset(("insufficient_quota", "billing_hard_limit_reached", "invalid_api_key"))
"""Codes that stay, whatever the status says."""

ERROR_TYPES = {
    "invalid_request_error": "invalid_request_error",
    "authentication_error": "authentication_error",
    "billing_error": "insufficient_quota",
    "permission_error": "permission_error",
    "not_found_error": "not_found_error",
    "timeout_error": "timeout_error",
    "conflict_error": "conflict_error",
    "request_too_large": "invalid_request_error",
    "rate_limit_error": "rate_limit_error",
    "api_error": "server_error",
    "overloaded_error": "server_error",
}
"""Neutral kind of an error -> `error.type`."""

FAILED_CODES = {
    429: "rate_limit_exceeded",
    529: "server_is_overloaded",
    503: "server_is_overloaded",
}
"""Status of a foreign failure -> `response.error.code`; else server_error."""

CARRIED = {"google": frozenset(("thoughtSignature",))}
"""Family -> extras of a call or a text that its upstream demands back: carried through clients of this dialect."""

OURS = "headgate"
"""The carrier's own family: which part a carried value belongs to ("of": a call id, or "previous" for the text
before)."""

IMAGE_MAGIC = (("/9j/", "image/jpeg"), ("iVBORw", "image/png"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp"))
"""First base64 characters -> type, for images whose type nobody said."""

THOUGHT_EXTRAS = frozenset(("encrypted_content", "format", "signature", "status"))
"""Members of a reasoning item beside its id and texts."""
