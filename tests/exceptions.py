"""Recordings that a crossing treats otherwise than the rule says, each with its reason. These tables may only shrink: a test fails
when an exception is no longer needed, and when more than LIMIT of a direction are exceptions.
"""

from __future__ import annotations

LIMIT = 0.01

ANY = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")
_JOINED = "two responses of a tool loop in one stream: it has calls, so it reads as one that stops for them"
_CUT = "the content filter cut the call's arguments, which are no JSON: this dialect has no place for them, they are listed as lost"
_TRIMMED = "its image was cut when it was recorded and is no base64, which only Google's SDK looks at"
_SILENT = "its only message is empty, which Anthropic's API refuses; so do we, and say so"

ANSWERS: dict[str, tuple[tuple[str, ...], str]] = {
    "6fe9ad2e9e402af1": (ANY, "the provider told a tool's name twice, and OpenAI's SDK joins the two into one name"),
    "473332b48ba5c667": (("openai_chat",), _JOINED),
    "8bf70f293873c9a6": (("anthropic_messages",), _JOINED),
    "2ef3d5255ee56ba1": (("anthropic_messages",), _JOINED),
    "9d0008ff282d3b03": (
        ANY,
        "rewritten by hand: its whole texts are others than its pieces, which are what a client sees",
    ),
    "afb0c1ffad8a925e": (("gemini",), _TRIMMED),
    "04e3202e214543f7": (("gemini",), _TRIMMED),
    "5f23b2de34ca55f8": (("anthropic_messages", "gemini"), _CUT),
}
"""Recording -> clients whose SDK reads its answer otherwise, and why."""

REFUSED = {
    "state_not_supported": "it refers to what its own provider keeps (a previous response, a conversation, a background job)",
}
"""Code of a refusal -> why requests are refused with it: what they ask for no other provider can do, and the client is told."""

REQUESTS: dict[str, tuple[tuple[str, ...], str]] = {
    "dfebd397a8bab965": (("anthropic_messages",), _SILENT),
    "291a8a362eed80f4": (("anthropic_messages",), _SILENT),
    "981e68d5fcb29596": (("anthropic_messages",), _SILENT),
    "a711e224923f916b": (("anthropic_messages",), _SILENT),
    "1831886b3c99d7ad": (("anthropic_messages",), _SILENT),
    "031abed42cb7f5db": (("anthropic_messages",), _SILENT),
    "2f2e395db4375eee": (("anthropic_messages",), _SILENT),
    "7cd41f67d7bf5045": (("anthropic_messages",), _SILENT),
    "c87863d7db5bdbe3": (("anthropic_messages",), _SILENT),
}
"""Recording -> upstreams that its request does not reach as the rule says, and why."""

_JSON_PATH = "a streamed argument's name stands in a jsonPath, which is not rewritten; its value is"

GUARDED: dict[str, str] = {
    "9d0008ff282d3b03": ANSWERS["9d0008ff282d3b03"][1],
    "16761375b02c68d8": _JSON_PATH,
    "361dd96a60bd1424": _JSON_PATH,
    "4a158d4d68e3c4a5": _JSON_PATH,
}
"""Recorded stream -> why a guard's redactions show otherwise in it."""
