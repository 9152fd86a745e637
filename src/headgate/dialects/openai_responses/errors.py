"""Errors of the API: read from a reply or a stream, and written for a client.

Rules of this file:
- A reply: `{"error": {"message", "type", "param", "code"}}`. A reader also takes what is near it.
- In a stream an error is told twice, as the API does: an `error` event (the official client raises on its `error`
  member) and a `response.failed` (which other clients wait for, ignoring the first). Sequence numbers go on where the
  stream stood.
- Retryable is decided by the status; codes that a second try cannot change are never retried.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headgate.errors import HeadgateError, UpstreamRefused, kind_of
from headgate.model.events import Failed

from .tables import ERROR_STATUS, ERROR_TYPES, FAILED_CODES, FINAL_CODES, RETRYABLE


def _said(value: Any) -> tuple[str, str, str, str]:
    """(message, type, code, param) of an error document; all empty where it is none."""
    if isinstance(value, list) and value:
        value = value[0]
    error: Any = (value.get("error") or value) if isinstance(value, dict) else value
    if isinstance(error, str):
        return error, "", "", ""
    if not isinstance(error, dict):
        return "", "", "", ""
    message = error.get("message") or error.get("detail") or error.get("msg")
    kind, code, param = error.get("type"), error.get("code"), error.get("param")
    return (
        message if isinstance(message, str) else "",
        kind if isinstance(kind, str) and kind != "error" else "",
        code if isinstance(code, str) else str(code) if isinstance(code, int) else "",
        param if isinstance(param, str) else "",
    )


def refusal(status: int, body: bytes) -> UpstreamRefused:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = None
    message, kind, code, param = _said(value)
    return UpstreamRefused(
        message or f"the provider answered with status {status}",
        status=status,
        code=code or kind or None,
        type=kind,
        param=param or None,
        retryable=status in RETRYABLE and code not in FINAL_CODES,
    )


def failure(document: dict[str, Any]) -> Failed:
    """An `error` event, or a response that failed."""
    message, kind, code, _ = _said(document)
    status = ERROR_STATUS.get(code, ERROR_STATUS.get(kind, 0))
    return Failed(
        message=message or "the provider reported an error",
        code=code or kind,
        type=kind,
        status=status,
        retryable=status in RETRYABLE and code not in FINAL_CODES,
    )


def error_body(error: HeadgateError) -> dict[str, Any]:
    kind = ERROR_TYPES.get(kind_of(error), "server_error")
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}}


def failed_of(error: HeadgateError) -> Failed:
    """One of our errors as the failure of an answer."""
    kind = ERROR_TYPES.get(kind_of(error), "server_error")
    return Failed(message=error.message, code=error.code, type=kind, status=error.status, retryable=error.retryable)


def failed_code(failed: Failed) -> str:
    return failed.code or FAILED_CODES.get(failed.status, "server_error")


def error_event(failed: Failed) -> dict[str, Any]:
    """The `error` event without its sequence number."""
    said = {"message": failed.message, "code": failed_code(failed), "param": None}
    return {"type": "error", **said, "error": {"type": failed.type or "server_error", **said}}


def next_number(last: bytes) -> int:
    """The sequence number after that of the frame sent before."""
    try:
        before = msgspec.json.decode(last) if last else None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        before = None
    number = before.get("sequence_number") if isinstance(before, dict) else None
    return number + 1 if type(number) is int else 0


def response_id(last: bytes) -> str:
    """The id of the response that the frame sent before speaks of, if it does."""
    try:
        before = msgspec.json.decode(last) if last else None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        before = None
    response = before.get("response") if isinstance(before, dict) else None
    id = response.get("id") if isinstance(response, dict) else None
    return id if isinstance(id, str) else ""
