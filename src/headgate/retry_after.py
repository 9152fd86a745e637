"""How long a refusal asks us to wait, in all the ways in which providers say it."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from headgate.net import Headers, header

LONGEST = 86400.0
_RETRY_AFTER = ((b"retry-after-ms", 0.001), (b"x-ms-retry-after-ms", 0.001), (b"retry-after", 1.0))
_RESET = re.compile(rb"rate-?limit.*-reset")
_SPAN = re.compile(rb"(\d+(?:\.\d+)?)(d|h|ms|m|s|us|\xc2\xb5s|ns)")
_SPANS = re.compile(rb"(?:%s)+" % _SPAN.pattern)
_UNITS = {b"d": 86400.0, b"h": 3600.0, b"m": 60.0, b"s": 1.0, b"ms": 1e-3, b"us": 1e-6, b"\xc2\xb5s": 1e-6, b"ns": 1e-9}
_DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
"""RFC 9110 §5.6.7: today's form, that of RFC 850, that of C's asctime."""


def retry_after(headers: Headers, status: int, now: float) -> float | None:
    """Seconds, in [0, LONGEST], that a refusal asks us to wait; None where it does not say, or not so that it can be understood.
    `now` is seconds since the epoch.

    First what is meant for it: `retry-after-ms`, and `retry-after` in seconds or as a date (RFC 9110 §10.2.3). Without these, a 429
    is over when the limits that it names as spent are filled again: the last of the `...ratelimit...reset...` headers."""
    for name, scale in _RETRY_AFTER:
        value = header(headers, name) or b""
        if (seconds := _number(value)) is not None:
            return min(seconds * scale, LONGEST)
        if scale == 1.0 and (moment := _moment(value)) is not None:
            return min(max(moment - now, 0.0), LONGEST)
    if status != 429:
        return None
    resets = [_until(value, now) for name, value in headers if _RESET.search(name) and _spent(headers, name)]
    last = max(resets, default=0.0)
    return min(last, LONGEST) if last > 0 else None


def _spent(headers: Headers, reset: bytes) -> bool:
    """Whether a limit is used up, as far as its sibling header tells: the reset of one that is not says nothing about this refusal
    (OpenAI tells those of requests and of tokens, Anthropic of four, whichever was hit)."""
    remaining = _number(header(headers, reset.replace(b"-reset", b"-remaining")) or b"")
    return not remaining


def _until(value: bytes, now: float) -> float:
    """Seconds until a limit is filled again, told as a span ("6m0s": OpenAI, Groq), as RFC 3339 (Anthropic), as seconds (Together,
    Azure's 429) or as seconds or milliseconds since the epoch (DigitalOcean, OpenRouter). 0.0 for what is none of these."""
    if (number := _number(value)) is not None:
        return number if number < 1e9 else number - now if number < 1e11 else number / 1000 - now
    if _SPANS.fullmatch(value):
        return sum(float(amount) * _UNITS[unit] for amount, unit in _SPAN.findall(value))
    moment = _moment(value)
    return 0.0 if moment is None else moment - now


def _number(value: bytes) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


def _moment(value: bytes) -> float | None:
    """A date, as seconds since the epoch."""
    text = value.decode("latin-1").strip()
    for form in _DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
