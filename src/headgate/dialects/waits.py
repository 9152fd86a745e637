"""How long an error asks to wait, where its body says so in Google's form (google.rpc.RetryInfo)."""

from __future__ import annotations

from typing import Any

RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


def retry_info(error: dict[str, Any]) -> float | None:
    """Seconds, from the RetryInfo among the error's `details`; None where there is none that can be read."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and detail.get("@type") == RETRY_INFO:
            return _duration(detail.get("retryDelay"))
    return None


def _duration(text: Any) -> float | None:
    """google.protobuf.Duration in JSON: "34.4s"."""
    return seconds(text.removesuffix("s")) if isinstance(text, str) else None


def seconds(value: Any) -> float | None:
    """A number, or a text of one, that can be waited for."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 1e9 else None
