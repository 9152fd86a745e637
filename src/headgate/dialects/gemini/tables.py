"""The words of Google's generateContent API, both flavours (Gemini API and Vertex), and what they mean in neutral
terms.

Sources: the descriptions generativelanguage v1beta and aiplatform v1, and the guides of ai.google.dev. Names stand in
camelCase here; the API takes snake_case as well (proto3 JSON), which `spelled` gives.
"""

from __future__ import annotations

import re
from functools import lru_cache

from headgate.model.events import Stop
from headgate.model.prompt import Family

FAMILY: Family = "google"

# requests ------------------------------------------------------------------------------------------------------------

PROMPT_EXTRAS = frozenset(
    (
        "safetySettings",
        "cachedContent",
        "labels",
        "modelArmorConfig",
        "outputConfig",
        "store",
        "continuationToken",
        "generationConfig",
        "toolConfig",
    )
)
"""Top-level members that no neutral field holds. Of the last two, what `read` did not take."""

GENERATION_EXTRAS = frozenset(
    (
        "speechConfig",
        "imageConfig",
        "mediaResolution",
        "audioTimestamp",
        "routingConfig",
        "modelSelectionConfig",
        "enableEnhancedCivicAnswers",
        "enableAffectiveDialog",
        "responseFormat",
        "translationConfig",
        "audioTranscriptionConfig",
        "thinkingConfig",
        "responseMimeType",
    )
)
TOOL_CONFIG_EXTRAS = frozenset(("functionCallingConfig", "retrievalConfig", "includeServerSideToolInvocations"))
PART_EXTRAS = frozenset(
    (
        "thoughtSignature",
        "thought",
        "videoMetadata",
        "mediaResolution",
        "partMetadata",
        "mediaProcessing",
        "speechMetadata",
        "audioTranscription",
        "documentMetadata",
        "spreadsheetMetadata",
        "audioMetadata",
    )
)
FUNCTION_EXTRAS = frozenset(("behavior", "response", "responseJsonSchema"))
RESULT_EXTRAS = frozenset(("willContinue", "scheduling", "thoughtSignature", "partMetadata"))
NATIVE_TOOLS = frozenset(
    (
        "googleSearch",
        "googleSearchRetrieval",
        "codeExecution",
        "urlContext",
        "computerUse",
        "fileSearch",
        "googleMaps",
        "mcpServers",
        "retrieval",
        "enterpriseWebSearch",
        "parallelAiSearch",
        "exaAiSearch",
    )
)

SKIP_SIGNATURE = "skip_thought_signature_validator"
"""What Google's guide names for calls that another model made: Gemini 3 refuses a turn whose first call is unsigned.
https://ai.google.dev/gemini-api/docs/thought-signatures"""

MODES = {"AUTO": "auto", "VALIDATED": "auto", "MODE_UNSPECIFIED": "auto", "ANY": "any", "NONE": "none"}

BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
"""Effort -> thinkingBudget, for models before Gemini 3 (Google's own mapping: https://ai.google.dev/gemini-api/docs/openai)."""
LEVELS = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
"""Effort -> thinkingLevel, for Gemini 3 and later."""
LEAST_BUDGET_PRO = 128
"""Gemini 2.5 Pro cannot stop thinking: https://ai.google.dev/gemini-api/docs/thinking"""

TIERS_UP = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
MAX_STOPS = 5

_GENERATION = re.compile(r"gemini-(?:live-)?(\d+(?:\.\d+)?)")
_LATEST = re.compile(r"gemini-(?:pro|flash|flash-lite)-latest")


@lru_cache(maxsize=1024)
def generation(model: str) -> float | None:
    """The generation of a Gemini model by its name ("gemini-2.5-pro" -> 2.5); None for other names."""
    found = _GENERATION.search(model)
    if found is not None:
        return float(found[1])
    return 3.0 if _LATEST.search(model) else None


MIMES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "svg": "image/svg+xml",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "opus": "audio/opus",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "avi": "video/x-msvideo",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "xml": "text/xml",
}
"""End of a URL's path -> MIME type: Google wants one beside a URI."""
KIND_MIMES = {"image": "image/jpeg", "audio": "audio/mpeg", "video": "video/mp4", "document": "application/pdf"}
"""Where neither the client nor the URL tells the type."""

FILES = "https://generativelanguage.googleapis.com/"
"""What URIs of the Files API begin with: things held upstream, under an owner's credential."""

# answers -------------------------------------------------------------------------------------------------------------

DOCUMENT_KEYS = frozenset(
    (
        "candidates",
        "promptFeedback",
        "usageMetadata",
        "modelVersion",
        "responseId",
        "createTime",
        "error",
        "modelStatus",
    )
)
PART_DATA = frozenset(("text", "functionCall", "inlineData"))
"""What a part of an answer holds, where it is not native; these, and what goes with each, are its `PART_KEYS`."""
PART_KEYS = PART_DATA | {"thought", "thoughtSignature"}
CALL_KEYS = frozenset(("id", "name", "args", "partialArgs", "willContinue"))
CANDIDATE_KEYS = frozenset(
    (
        "content",
        "index",
        "finishReason",
        "finishMessage",
        "safetyRatings",
        "citationMetadata",
        "tokenCount",
        "groundingAttributions",
        "groundingMetadata",
        "avgLogprobs",
        "logprobsResult",
        "urlContextMetadata",
        "continuationToken",
        "score",
    )
)
FINISH_EXTRAS = CANDIDATE_KEYS - {"content", "index", "finishReason", "logprobsResult"}
"""Members of a candidate that ride on `Finished`, for clients of this dialect."""

OPAQUE = frozenset(
    (
        "thoughtSignature",
        "mimeType",
        "id",
        "role",
        "language",
        "outcome",
        "toolType",
        "fileUri",
        "data",
        "@type",
        "type",
        "status",
        "level",
        "startOffset",
        "endOffset",
        "thought_signature",
        "mime_type",
        "file_uri",
        "tool_type",
        "displayName",
        "display_name",
    )
)
"""Keys whose strings are words of the grammar or opaque, not text (in both spellings: requests hold them too)."""
FREE = frozenset(("args", "response", "partMetadata", "part_metadata"))
"""Keys whose objects are the user's own."""

STOPS: dict[str, Stop] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "LANGUAGE": "other",
    "OTHER": "other",
    "IMAGE_OTHER": "other",
    "NO_IMAGE": "other",
    "MALFORMED_RESPONSE": "other",
    "MISSING_THOUGHT_SIGNATURE": "other",
    "TOO_MANY_TOOL_CALLS": "other",
    "ESCALATION": "other",
    "PUP_LIMITED_DISABLED": "other",
    "MALFORMED_FUNCTION_CALL": "malformed_call",
    "UNEXPECTED_TOOL_CALL": "malformed_call",
    "CONTINUATION": "pause",
}
UNFINISHED = frozenset(("", "FINISH_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"))
"""proto3's defaults: no reason yet."""

FINISH: dict[Stop, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_use": "STOP",
    "stop_sequence": "STOP",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "OTHER",
    "context_window": "MAX_TOKENS",
    "malformed_call": "MALFORMED_FUNCTION_CALL",
    "other": "OTHER",
}
"""Neutral stop -> finishReason."""

VERTEX_NUMBERS = (
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "UNEXPECTED_TOOL_CALL",
    "NO_IMAGE",
)
"""finishReason as a number (`$alt=json;enum-encoding=int`), by Vertex's proto ..."""
GEMINI_NUMBERS = (
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
)
"""... and by the Gemini API's."""
NUMBERED = {
    "modality": ("MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT"),
    "trafficType": ("TRAFFIC_TYPE_UNSPECIFIED", "ON_DEMAND", "PROVISIONED_THROUGHPUT"),
}
"""Enumerations of usageMetadata, by their numbers (the same in both protos)."""

# errors --------------------------------------------------------------------------------------------------------------

STATUS_WORDS = {
    "invalid_request_error": "INVALID_ARGUMENT",
    "authentication_error": "UNAUTHENTICATED",
    "billing_error": "RESOURCE_EXHAUSTED",
    "permission_error": "PERMISSION_DENIED",
    "not_found_error": "NOT_FOUND",
    "timeout_error": "DEADLINE_EXCEEDED",
    "conflict_error": "ABORTED",
    "request_too_large": "INVALID_ARGUMENT",
    "rate_limit_error": "RESOURCE_EXHAUSTED",
    "api_error": "INTERNAL",
    "overloaded_error": "UNAVAILABLE",
}
"""Neutral kind of an error -> google.rpc.Code."""
STATUS_CODES = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}
"""google.rpc.Code -> HTTP status (google/rpc/code.proto)."""
RETRYABLE = frozenset((408, 429, 500, 502, 503, 504))

# spelling ------------------------------------------------------------------------------------------------------------

_HUMP = re.compile(r"[A-Z]")
_BREAK = re.compile(r"(?<=.)_+([a-z0-9])")


@lru_cache(maxsize=1024)
def snake(name: str) -> str:
    """camelCase -> snake_case: the other spelling that the API takes."""
    return _HUMP.sub(lambda found: "_" + found[0].lower(), name)


@lru_cache(maxsize=4096)
def camel(name: str) -> str:
    """snake_case -> camelCase; a leading underscore stays."""
    return _BREAK.sub(lambda found: found[1].upper(), name) if "_" in name else name
