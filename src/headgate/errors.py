"""The error tree. Ask "who broke the rule?".

    HeadgateError
    ├── Refused            the caller, or a policy on the caller's behalf
    │   ├── BadRequest 400      malformed or unsupported input          ├── Limited 429     a rate or concurrency limit
    │   ├── Unauthenticated 401 no key, or one that is not valid        ├── OverBudget 402  a budget is spent
    │   ├── Forbidden 403       the key may not do this                 ├── Blocked 400     a guard said no
    │   ├── NotFound 404        no such model, path or object           ├── Upgrade 426     no WebSocket here
    │   ├── Conflict 409        not now: the same is under way          ├── Unprocessable 422  it contradicts an earlier request
    │   └── TooLarge 413        body over the limit                     └── RequestTimeout 408  its body stopped coming
    ├── UpstreamError      the provider
    │   ├── UpstreamRefused     it answered with an error status or an error in the answer (`status` is its own)
    │   ├── UpstreamTimeout 504 a deadline passed       ├── UpstreamTruncated 502  the answer ended without its end
    │   └── UpstreamUnreachable 502 no connection       └── UpstreamMalformed 502  the answer was not what its dialect says
    └── GatewayError       us
        ├── Internal 500        a defect: logged with the id, told without detail
        └── Unavailable 503     starting or over capacity; Draining: being stopped

Every error has a status, a stable `code`, `retryable`, and a message that says what to do. It never carries a secret,
an upstream address or a stack. The body is rendered in the client's dialect (`Dialect.error_body`).
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

E = TypeVar("E", bound="HeadgateError")


class HeadgateError(Exception):
    status: int = 500
    code: str = "internal_error"
    kind: ClassVar[str] = "api_error"
    """The dialect-neutral family name, which a dialect maps to its own error type."""
    retryable: bool = False

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, retry_after: float | None = None
    ):
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        if code is not None:
            self.code = code

    def anew(self: E) -> E:
        """The same, for another caller: an error that is raised keeps where it was raised, and is changed on its way."""
        fresh = type(self).__new__(type(self), *self.args)
        fresh.__dict__.update(self.__dict__)
        return fresh


class Refused(HeadgateError):
    status = 400
    code = "refused"
    kind = "invalid_request_error"


class BadRequest(Refused):
    code = "invalid_request"


class Unauthenticated(Refused):
    status = 401
    code = "invalid_api_key"
    kind = "authentication_error"


class Forbidden(Refused):
    status = 403
    code = "forbidden"
    kind = "permission_error"


class NotFound(Refused):
    status = 404
    code = "not_found"
    kind = "not_found_error"


class Conflict(Refused):
    status = 409
    code = "conflict"
    kind = "conflict_error"
    retryable = True


class Unprocessable(Refused):
    status = 422
    code = "unprocessable"


class TooLarge(Refused):
    status = 413
    code = "request_too_large"
    kind = "request_too_large"


class RequestTimeout(Refused):
    status = 408
    code = "request_timeout"
    kind = "timeout_error"
    retryable = True


class Limited(Refused):
    status = 429
    code = "rate_limit_exceeded"
    kind = "rate_limit_error"
    retryable = True


class OverBudget(Refused):
    status = 402
    code = "budget_exceeded"
    kind = "billing_error"


class Blocked(Refused):
    code = "blocked_by_guard"
    kind = "invalid_request_error"


class Upgrade(Refused):
    status = 426
    code = "websocket_not_supported"


class UpstreamError(HeadgateError):
    status = 502
    code = "upstream_error"
    retryable = True


class UpstreamRefused(UpstreamError):
    """The provider answered with an error. `status` is its own, `body` its bytes where they are JSON (forwarded as they are to a
    client of the same dialect), `message`, `code` and `type` what its dialect says of it."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        type: str = "",
        param: str | None = None,
        retry_after: float | None = None,
        retryable: bool = False,
    ):
        super().__init__(message, code=code or "upstream_error", param=param, retry_after=retry_after)
        self.status = status
        self.type = type
        self.retryable = retryable
        self.answered = status
        """The provider's status, where callers are told another: of a redirect, or one of no class."""
        self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.repeated: list[tuple[bytes, bytes]] = []
        """Headers that another provider told it, as its body repeats them. Read for how long to wait, never passed on."""
        self.same_dialect = ""
        """The dialect that `body` is written in."""


class UpstreamTimeout(UpstreamError):
    status = 504
    code = "upstream_timeout"


class UpstreamUnreachable(UpstreamError):
    code = "upstream_unreachable"


class UpstreamTruncated(UpstreamError):
    code = "upstream_truncated"


class UpstreamMalformed(UpstreamError):
    code = "upstream_malformed"


class GatewayError(HeadgateError):
    pass


class Internal(GatewayError):
    pass


class Unavailable(GatewayError):
    status = 503
    code = "unavailable"
    kind = "overloaded_error"
    retryable = True


class Draining(Unavailable):
    """The gateway is being stopped: another one, or the same one in a moment, will serve."""

    code = "gateway_draining"


class ConfigError(HeadgateError):
    """A config that is refused. `where` is "file:line:column" or a path; `hint` a suggestion."""

    status = 400
    code = "invalid_config"
    kind = "invalid_request_error"

    def __init__(self, message: str, *, where: str = "", hint: str = ""):
        super().__init__(message)
        self.where = where
        self.hint = hint

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        """All that is wrong, one by one."""
        return (self,)

    def __str__(self) -> str:
        return "".join((f"{self.where}: " if self.where else "", self.message, f" ({self.hint})" if self.hint else ""))


STATUS_KINDS: dict[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Status -> neutral kind, for errors of which only the status is known."""


def kind_of(error: HeadgateError) -> str:
    """The neutral kind of an error; an upstream's by its status."""
    if isinstance(error, UpstreamRefused):
        return STATUS_KINDS.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    if isinstance(error, UpstreamTimeout):
        return "timeout_error"
    return error.kind
