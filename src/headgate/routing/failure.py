"""What a failure says about where to go next. A table of facts about what providers answer, not of exception types.

Sources: the error tables of OpenAI, Azure OpenAI, Anthropic, Gemini, Mistral, Groq, Alibaba and vLLM (documentation, and the
recorded exchanges that the tests are made of).
"""

from __future__ import annotations

import re

from headgate.errors import HeadgateError, UpstreamRefused
from headgate.model.route import Purpose

_CODES: dict[str, Purpose] = {
    "context_length_exceeded": "context",
    "string_above_max_length": "context",
    "max_tokens_exceeded": "context",
    "request_too_large": "context",
    "content_filter": "filter",
    "content_policy_violation": "filter",
    "responsible_ai_policy_violation": "filter",
    "responsibleaipolicyviolation": "filter",
    "data_inspection_failed": "filter",
    "prompt_blocked": "filter",
    "safety": "filter",
    "model_not_found": "successor",
    "model_decommissioned": "successor",
    "model_deprecated": "successor",
    "deploymentnotfound": "successor",
}
_WORDS: tuple[tuple[frozenset[int], re.Pattern[str], Purpose], ...] = (
    (
        frozenset((400, 413, 422, 500)),
        re.compile(
            r"context (length|window)|maximum context|prompt is too long|too many (input )?tokens|"
            r"input token count.{0,40}exceeds|exceeds? the (model's )?(maximum|max)\b.{0,40}tokens|"
            r"input (is )?too long|reduce the length of the (messages|prompt)|too large for model",
            re.IGNORECASE,
        ),
        "context",
    ),
    (
        frozenset((400, 403, 422, 451)),
        re.compile(
            r"content (management )?(filter|policy)|content_filter|usage policies|safety (system|filter|setting)|"
            r"flagged (as|by|for)|inappropriate content|prohibited content",
            re.IGNORECASE,
        ),
        "filter",
    ),
    (
        frozenset((400, 404, 410)),
        re.compile(
            r"model\b.{0,80}(does not exist|not found|not exist|deprecated|decommissioned|retired|no longer|"
            r"shut ?down|end[- ]of[- ]life)|no such model|not_found_error.{0,20}model:|^model: ",
            re.IGNORECASE,
        ),
        "successor",
    ),
)
"""Status, words in the message -> what it is about. The first row that fits counts."""


def purpose_of(failure: HeadgateError) -> Purpose:
    """Which typed fallback a failure calls for; "" for none. Only what a provider said is looked at."""
    if not isinstance(failure, UpstreamRefused):
        return ""
    code = _CODES.get((failure.code or "").lower())
    if code is not None:
        return code
    for statuses, words, purpose in _WORDS:
        if failure.status in statuses and words.search(failure.message[:2000]):
            return purpose
    return ""
