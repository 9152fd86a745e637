"""Errors of this dialect: {"error": {code, message, status, details}} (google.rpc.Status), sometimes in a list."""

from __future__ import annotations

from typing import Any

import msgspec

from headgate.dialects.base import Ask, Json
from headgate.dialects.waits import retry_info
from headgate.errors import STATUS_KINDS, HeadgateError, UpstreamRefused, kind_of
from headgate.model.events import Failed

from .tables import RETRYABLE, STATUS_CODES, STATUS_WORDS

_TYPE = "type.googleapis.com/google.rpc."


class _Said:
    """What an error object tells; nothing where it tells nothing."""

    def __init__(self, document: Any) -> None:
        self.message = self.status = self.reason = ""
        self.param: str | None = None
        self.retry_after: float | None = None
        self.code = 0
        if isinstance(document, list) and document:
            document = document[0]
        error = document.get("error") if isinstance(document, dict) else None
        if isinstance(error, str):
            self.message = error
        if not isinstance(error, dict):
            return
        self.message = _text(error.get("message"))
        self.status = _text(error.get("status"))
        code = error.get("code")
        self.code = code if isinstance(code, int) and not isinstance(code, bool) else 0
        if not 400 <= self.code <= 599:
            self.code = STATUS_CODES.get(self.status, 0)
        self.retry_after = retry_info(error)
        details = error.get("details")
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, dict):
                self._detail(detail)

    def _detail(self, detail: dict[str, Any]) -> None:
        match _text(detail.get("@type")).removeprefix(_TYPE):
            case "ErrorInfo":
                self.reason = _text(detail.get("reason"))
            case "BadRequest":
                violations = detail.get("fieldViolations")
                first = violations[0] if isinstance(violations, list) and violations else None
                if isinstance(first, dict):
                    self.param = _text(first.get("field")) or None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def refusal(status: int, body: bytes) -> UpstreamRefused:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        document = None
    said = _Said(document)
    return UpstreamRefused(
        said.message or f"the provider answered with status {status}",
        status=status,
        code=(said.reason or said.status).lower() or None,
        type=said.status,
        param=said.param,
        retry_after=said.retry_after,
        retryable=status in RETRYABLE,
    )


def failure(document: dict[str, Any]) -> Failed:
    """An error inside an answer."""
    said = _Said(document)
    return Failed(
        message=said.message or "the provider's answer ended with an error",
        code=(said.reason or said.status).lower(),
        type=said.status,
        status=said.code,
        retryable=said.code in RETRYABLE,
    )


def error_body(error: HeadgateError, request_id: str) -> Json:
    """Our code and id ride in `details`, as Google's own errors carry theirs."""
    word = STATUS_WORDS.get(kind_of(error), "UNKNOWN")
    info = {"reason": error.code.upper(), "domain": "headgate", "metadata": {"code": error.code}}
    details: list[Json] = [{"@type": f"{_TYPE}ErrorInfo", **info}]
    if error.param is not None:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    if error.retry_after is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{error.retry_after:g}s"})
    if request_id:
        details.append({"@type": f"{_TYPE}RequestInfo", "requestId": request_id})
    return {"error": {"code": error.status, "message": error.message, "status": word, "details": details}}


def told(failed: Failed, request_id: str) -> Json:
    """A failure inside another dialect's answer, as this dialect says it."""
    status = failed.status or 500
    kind = STATUS_KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    code = failed.code or failed.type or "upstream_error"
    info = {"reason": code.upper(), "domain": "headgate", "metadata": {"code": code}}
    details: list[Json] = [{"@type": f"{_TYPE}ErrorInfo", **info}]
    if request_id:
        details.append({"@type": f"{_TYPE}RequestInfo", "requestId": request_id})
    word = STATUS_WORDS.get(kind, "UNKNOWN")
    return {"error": {"code": status, "message": failed.message, "status": word, "details": details}}


def error_frame(error: HeadgateError, ask: Ask, last: bytes) -> bytes:
    """As the last thing of a stream. In an array, it is its last element; `last` tells whether one came before."""
    body = msgspec.json.encode(error_body(error, ask.id))
    if ask.framing == "json-array":
        return (b",\r\n" if last else b"[") + body + b"]\n"
    return body if ask.framing == "whole" else b"data: " + body + b"\r\n\r\n"
