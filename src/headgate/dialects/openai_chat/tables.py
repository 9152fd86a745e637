"""The words of OpenAI's Chat Completions API and of those who speak it, as tables.

Rules of this file:
- What is here is data. A key that stands in no table is unknown: in a request it becomes an extra, in an answer its
  strings are shown to guards as text that nobody knows.
- De-facto words of other providers (OpenRouter, DeepSeek, Mistral, Groq, vLLM, xAI, Perplexity ...) stand beside
  OpenAI's own.
"""

from __future__ import annotations

from headgate.model.events import Stop

# ------------------------------------------------------------------ stop words

STOPS: dict[str, Stop] = {
    "stop": "stop",
    "eos": "stop",  # Together
    "end_turn": "stop",
    "complete": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",  # Mistral: the context is full
    "tool_calls": "tool_use",
    "tool_use": "tool_use",
    "function_call": "tool_use",
    "stop_sequence": "stop_sequence",
    "content_filter": "content_filter",
    "sensitive": "content_filter",  # Z.AI
    "safety": "content_filter",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_window",
    "malformed_function_call": "malformed_call",
}
"""finish_reason (lower case) -> ours. Anything else is "other"."""

FINISHES: dict[Stop, str] = {
    "stop": "stop",
    "length": "length",
    "tool_use": "tool_calls",
    "stop_sequence": "stop",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "context_window": "length",
    "malformed_call": "stop",
    "other": "stop",
}
"""Ours -> finish_reason. SDKs know five words only."""

UNSAID: frozenset[Stop] = frozenset(("pause", "malformed_call", "other", "refusal", "context_window"))
"""Stops for which the API has no word of its own: the one shown says less, which is listed."""

# ------------------------------------------------------------------ answers: keys that hold no text of the answer

CHUNK_KEYS = frozenset(
    (
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "error",
        "system_fingerprint",
        "service_tier",
        "provider",
        "obfuscation",
        "p",
        "prompt_filter_results",
        "moderation",
        "x_groq",
        "time_info",
        "usage_breakdown",
        "request_id",
        "sla_metrics",
        "latency_checkpoint",
        "stream_options",
        "metadata",
        "kv_transfer_params",
        "metrics",
        "prompt_logprobs",
        "prompt_token_ids",
        "user_id",
        "safety_ratings",
        "timings",
        "nonce",
    )
)
USAGE_CHUNK_KEYS = frozenset(
    (
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "system_fingerprint",
        "service_tier",
        "provider",
        "obfuscation",
        "p",
    )
)
"""A chunk without choices that has nothing else exists only because usage was asked for."""

CHOICE_KEYS = frozenset(
    (
        "index",
        "delta",
        "message",
        "finish_reason",
        "logprobs",
        "native_finish_reason",
        "content_filter_results",
        "content_filter_result",
        "content_filter_offsets",
        "finish_details",
        "stop_reason",
        "token_ids",
        "routed_experts",
        "seed",
        "usage",
        "error",
    )
)
MESSAGE_KEYS = frozenset(
    (
        "role",
        "content",
        "refusal",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "tool_calls",
        "function_call",
        "audio",
        "images",
        "annotations",
        "index",
        "channel",
        "name",
        "id",
        "extra_content",
        "thought_signature",
        "recipient",
        "prefix",
        "token_ids",
    )
)
QUIET = frozenset(
    (
        "type",
        "id",
        "index",
        "object",
        "role",
        "format",
        "status",
        "signature",
        "thought_signature",
        "encrypted_content",
        "hash",
        "mime_type",
        "finish_reason",
        "file_id",
    )
)
"""Keys of unknown items whose strings are words, ids or opaque values, never prose."""

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where providers put thoughts as one string: DeepSeek's name, and Groq's, Cerebras' and OpenRouter's."""

ANSWER_EXTRAS = ("system_fingerprint", "service_tier", "provider", "citations", "search_results")
"""Top-level members of an answer that are kept as extras of its start."""

# ------------------------------------------------------------------ requests

PARAMETERS = (
    "temperature",
    "top_p",
    "top_k",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "user",
    "metadata",
    "service_tier",
    "verbosity",
    "modalities",
)
"""Members that have the same name and form in Prompt and in the request."""

EXTRA_FIELDS = frozenset(
    (
        # OpenAI
        "store",
        "prediction",
        "audio",
        "web_search_options",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "moderation",
        "stream_options",
        # OpenRouter
        "provider",
        "models",
        "route",
        "transforms",
        "preset",
        "plugins",
        "usage",
        "include_reasoning",
        # Groq, Cerebras, Mistral, DeepSeek, Z.AI, Qwen, Perplexity, xAI
        "reasoning_format",
        "search_settings",
        "compound_custom",
        "documents",
        "citation_options",
        "disable_tool_validation",
        "clear_thinking",
        "prompt_mode",
        "safe_prompt",
        "enable_thinking",
        "thinking_budget",
        "enable_search",
        "search_options",
        "do_sample",
        "request_id",
        "search_parameters",
        "search_mode",
        "search_domain_filter",
        "search_recency_filter",
        "return_images",
        "return_related_questions",
        "deferred",
        # vLLM, SGLang, Together
        "min_p",
        "top_a",
        "min_tokens",
        "repetition_penalty",
        "length_penalty",
        "stop_token_ids",
        "ignore_eos",
        "skip_special_tokens",
        "add_generation_prompt",
        "continue_final_message",
        "chat_template",
        "chat_template_kwargs",
        "structured_outputs",
        "guided_json",
        "guided_regex",
        "guided_choice",
        "guided_grammar",
        "separate_reasoning",
        "safety_model",
        "context_length_exceeded_behavior",
    )
)
"""Members of a request that only this API's speakers know: written back from extras["openai"], as they came."""

EXTRA_MESSAGE_FIELDS = frozenset(("audio", "prefix", "partial", "thought_signature", "extra_content", "tool_plan"))
EXTRA_PART_FIELDS = frozenset(("prompt_cache_breakpoint", "min_pixels", "max_pixels", "fps", "video_metadata"))
EXTRA_TOOL_FIELDS = frozenset(("eager_input_streaming",))
SERVICE_TIERS = frozenset(("auto", "default", "flex", "scale", "priority"))
MODALITIES = frozenset(("text", "audio"))
EFFORTS = frozenset(("none", "minimal", "low", "medium", "high", "xhigh", "max"))

BUDGETS = ((1024, "minimal"), (4096, "low"), (16384, "medium"))
"""Thinking budget in tokens up to which -> the effort written for it; above: high."""

AUDIO_MIMES = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "opus": "audio/opus",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "webm": "audio/webm",
    "pcm16": "audio/pcm",
    "pcm": "audio/pcm",
    "aiff": "audio/aiff",
}
AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
"""MIME type -> `input_audio.format`, of which the API knows two."""

FILENAMES = {
    "application/pdf": "document.pdf",
    "text/plain": "document.txt",
    "text/csv": "document.csv",
    "text/html": "document.html",
    "text/markdown": "document.md",
    "application/json": "document.json",
}
"""A file part needs a name: the one given to a document that has none."""

# ------------------------------------------------------------------ errors

ERROR_TYPES = {
    "invalid_request_error": "invalid_request_error",
    "authentication_error": "authentication_error",
    "permission_error": "permission_error",
    "not_found_error": "not_found_error",
    "conflict_error": "conflict_error",
    "request_too_large": "invalid_request_error",
    "rate_limit_error": "rate_limit_error",
    "billing_error": "insufficient_quota",
    "timeout_error": "timeout_error",
    "overloaded_error": "server_error",
    "api_error": "server_error",
}
"""Neutral kind -> `error.type`."""

RETRYABLE_STATUS = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529))
FINAL_CODES = frozenset(("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "access_terminated"))
"""Codes that make a retryable status final: trying again does not fill an account."""
