"""Errors of Chat Completions: read from every shape that its speakers use, written in OpenAI's.

Rules of this file:
- Reading never raises: whatever cannot be read leaves the status to speak.
- Shapes: {"error": {...}} · {"error": "text"} · [{"error": {...}}] (Gemini's endpoint) · {"message", "type",
  "code"} (Mistral) · {"detail": "text" | [{"loc", "msg"}]} (FastAPI servers) · {"errors": [...]} · text.
- A time to wait stands in `details` (Google's RetryInfo) or in `metadata` (OpenRouter: `retry_after_seconds`, or the headers of the
  provider behind it).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from headgate.dialects.base import Ask, Json
from headgate.dialects.openai_chat.tables import ERROR_TYPES, FINAL_CODES, RETRYABLE_STATUS
from headgate.dialects.waits import retry_info, seconds
from headgate.errors import HeadgateError, UpstreamRefused, kind_of
from headgate.model.events import Failed

_LONGEST = 2000
"""Characters of an upstream's message that are shown."""


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _inner(document: Any) -> Any:
    """The object (or text) that describes the error."""
    if isinstance(document, list):
        document = document[0] if document else None
    if not isinstance(document, dict):
        return document
    for key in ("error", "errors", "detail"):
        if document.get(key):
            found = document[key]
            return found[0] if isinstance(found, list) else found
    return document


def described(document: Any) -> tuple[str, str, str, str | None]:
    """(message, code, type, param) of an error document, "" where it does not say."""
    error = _inner(document)
    if not isinstance(error, dict):
        return _text(error), "", "", None
    message = _text(error.get("message")) or _text(error.get("msg")) or _text(error.get("error"))
    nested = error.get("message")
    if not message and isinstance(nested, dict | list):
        message = described(nested)[0]
    metadata = error.get("metadata")
    raw = _text(metadata.get("raw")) if isinstance(metadata, dict) else ""
    if raw and raw not in message:  # OpenRouter keeps the provider's own words there
        message = f"{message}: {raw}" if message else raw
    param = error.get("param")
    where = error.get("loc")
    if param is None and isinstance(where, list):
        param = ".".join(str(key) for key in where)
    return message, _text(error.get("code")), _text(error.get("type")), _text(param) or None


def refusal(status: int, body: bytes) -> UpstreamRefused:
    """What an upstream's error reply says."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None
        text = body.decode("utf-8", "replace").strip()
        if text and not text.startswith("<"):
            document = text
    message, code, kind, param = described(document)
    error = _inner(document)
    refused = UpstreamRefused(
        message[:_LONGEST] or f"the provider answered with status {status}",
        status=status,
        code=code or None,
        type=kind,
        param=param,
        retry_after=_wait(error) if isinstance(error, dict) else None,
        retryable=status in RETRYABLE_STATUS and code not in FINAL_CODES and kind not in FINAL_CODES,
    )
    refused.repeated = list(_repeated(error)) if isinstance(error, dict) else []
    return refused


def _wait(error: dict[str, Any]) -> float | None:
    metadata = error.get("metadata")
    told = metadata if isinstance(metadata, dict) else {}
    ways = (retry_info(error), seconds(told.get("retry_after_seconds_raw")), seconds(told.get("retry_after_seconds")))
    return next((wait for wait in ways if wait is not None), None)


def _repeated(error: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    metadata = error.get("metadata")
    headers = metadata.get("headers") if isinstance(metadata, dict) else None
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if text := _text(value):
            yield name.lower().encode("utf-8", "replace"), text.encode("utf-8", "replace")


def failed(document: Json) -> Failed:
    """An error inside an answer that had begun, or that came with status 200."""
    message, code, kind, _ = described(document)
    inner = _inner(document)
    status = 0
    if isinstance(inner, dict):
        for key in ("status_code", "status", "code"):
            value = inner.get(key)
            if isinstance(value, str) and value.isdigit():
                value = int(value)
            if isinstance(value, int) and 400 <= value < 600:
                status = value
                break
    return Failed(
        message=message[:_LONGEST] or "the provider reported an error",
        code=code,
        type=kind,
        status=status,
        retryable=status in RETRYABLE_STATUS and code not in FINAL_CODES,
    )


def error_body(error: HeadgateError, request_id: str) -> Json:
    """OpenAI's error object; `request_id` stands beside its four members."""
    kind = ERROR_TYPES.get(kind_of(error), "server_error")
    inner = {"message": error.message, "type": kind, "param": error.param, "code": error.code}
    return {"error": {**inner, "request_id": request_id} if request_id else inner}


def error_frame(error: HeadgateError, ask: Ask) -> bytes:
    """The error as a stream's last event: SDKs raise on data that has `error`. Nothing feigns a finish before it."""
    return b"data: " + msgspec.json.encode(error_body(error, ask.id)) + b"\n\n"


def failed_body(failure: Failed, request_id: str) -> Json:
    """The same for an error that came as an event."""
    kind = failure.type or ("invalid_request_error" if 400 <= failure.status < 500 else "server_error")
    inner = {"message": failure.message, "type": kind, "param": None, "code": failure.code or None}
    return {"error": {**inner, "request_id": request_id} if request_id else inner}
