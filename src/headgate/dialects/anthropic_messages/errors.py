"""Errors of the API: read from a reply or a stream, and written for a client.

Rules of this file:
- `{"type": "error", "error": {"type", "message"}, "request_id"}` in both directions; a reader takes what is near it.
- Our own errors carry `code` (and `param`) beside type and message.
- Retryable is decided by the status, for an error inside a stream by the status its type would have.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headgate.errors import HeadgateError, UpstreamRefused, kind_of
from headgate.model.events import Failed

from .tables import ERROR_STATUS, ERROR_TYPES, RETRYABLE


def _said(body: bytes) -> tuple[str, str, str]:
    """(message, type, code) of an error body; all empty where it is none."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return "", "", ""
    error: Any = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(error, str):
        return error, "", ""
    if not isinstance(error, dict):
        return "", "", ""
    details = error.get("details")
    code = error.get("code") or (details.get("error_code") if isinstance(details, dict) else None)
    message, kind = error.get("message"), error.get("type")
    return (
        message if isinstance(message, str) else "",
        kind if isinstance(kind, str) and kind != "error" else "",
        code if isinstance(code, str) else "",
    )


def refusal(status: int, body: bytes) -> UpstreamRefused:
    message, kind, code = _said(body)
    return UpstreamRefused(
        message or f"the provider answered with status {status}",
        status=status,
        code=code or kind or None,
        type=kind,
        retryable=status in RETRYABLE,
    )


def failure(data: bytes) -> Failed:
    """An `error` event."""
    message, kind, code = _said(data)
    status = ERROR_STATUS.get(kind, 0)
    return Failed(
        message=message or "the provider reported an error",
        code=code or kind,
        type=kind,
        status=status,
        retryable=status in RETRYABLE,
    )


def error_body(error: HeadgateError, request_id: str) -> dict[str, Any]:
    said: dict[str, Any] = {
        "type": ERROR_TYPES.get(kind_of(error), "api_error"),
        "message": error.message,
        "code": error.code,
    }
    if error.param is not None:
        said["param"] = error.param
    return {"type": "error", "error": said, "request_id": request_id}


def failed_body(failed: Failed, request_id: str) -> dict[str, Any]:
    """A failure inside another dialect's answer, told in this one."""
    by_status = next((kind for kind, status in ERROR_STATUS.items() if status == failed.status), "api_error")
    kind = failed.type if failed.type in ERROR_STATUS else by_status
    said: dict[str, Any] = {"type": kind, "message": failed.message}
    if failed.code:
        said["code"] = failed.code
    return {"type": "error", "error": said, "request_id": request_id}


def frame(event: str, body: dict[str, Any]) -> bytes:
    """One SSE event. The `event:` line is not optional: the official clients pass over events without it."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), msgspec.json.encode(body))
