"""Trying again: what may be asked again, after how long, and how often in all.

Rules of this file:
- What may be asked again is a table of facts about the failure, each with its reason: RETRY_SAME for the same target, ELSEWHERE for
  another. What no row names is not repeated.
- Full jitter: a wait is drawn from the whole of [0, base x 2^n), so that those who failed together do not come back together.
- A provider's Retry-After is a floor, never shortened; one that is too long is not waited for.
- Repeats are paid from a budget per target, which its first attempts fill: when all fail, the load grows by `ratio` and no more.
"""

from __future__ import annotations

from msgspec import Struct

from headgate.errors import HeadgateError, UpstreamError, UpstreamRefused
from headgate.net import header

ELSEWHERE: frozenset[int] = frozenset((401, 402, 403, 404, 407, 408, 409, 410, 421, 425, 429, 451, *range(500, 600)))
"""Statuses of a provider that say something about it (its key, its quota, its models, its load), not about the request."""


class Again(Struct, frozen=True):
    """May the same target be asked again, and why (for the trail)."""

    yes: bool
    why: str


RETRY_SAME: dict[int | str, Again] = {
    # its status
    401: Again(False, "the key is not valid there and will not become so"),
    402: Again(False, "the account there is empty"),
    403: Again(False, "the key may not do this there"),
    404: Again(False, "the model or path does not exist there"),
    408: Again(True, "it gave up waiting for the request"),
    409: Again(True, "a conflict with another call, which ends"),
    425: Again(True, "it was too early for this connection"),
    429: Again(True, "a rate limit, which refills"),
    500: Again(True, "an internal error"),
    501: Again(False, "it cannot do this"),
    502: Again(True, "its gateway had no answer"),
    503: Again(True, "it is overloaded or restarting"),
    504: Again(True, "its gateway waited too long"),
    505: Again(False, "it does not speak this HTTP"),
    520: Again(True, "its edge got an odd answer"),
    521: Again(True, "its edge was refused a connection"),
    522: Again(True, "its edge could not connect in time"),
    523: Again(True, "its edge found no way to it"),
    524: Again(True, "its edge waited too long"),
    525: Again(False, "its edge could not agree on TLS with it"),
    526: Again(False, "its edge does not trust its certificate"),
    529: Again(True, "it is overloaded"),
    # our code for what became of the attempt
    "upstream_reset": Again(True, "the connection was reset"),
    "connection_refused": Again(True, "nothing listened; it may be restarting"),
    "connect_timeout": Again(True, "no connection in time; another may meet a live machine"),
    "upstream_timeout": Again(True, "no answer in time"),
    "too_slow": Again(True, "it trickled; another machine may not"),
    "upstream_truncated": Again(True, "the answer broke off"),
    "upstream_malformed": Again(True, "the answer was garbled"),
    "upstream_too_large": Again(False, "it would say as much again"),
    "upstream_empty": Again(True, "the answer said nothing"),
    "upstream_unreachable": Again(True, "no way to it just now"),
    "tls_failed": Again(True, "the handshake broke off"),
    "tls_certificate": Again(False, "its certificate stays as it is"),
    "proxy_refused": Again(False, "the egress proxy does not let us there"),
    "upstream_redirect": Again(False, "it lives elsewhere"),
    # a provider's code that makes any status final: trying again fills no account
    "insufficient_quota": Again(False, "the account's quota is spent"),
    "billing_hard_limit_reached": Again(False, "the account's limit is reached"),
    "billing_not_active": Again(False, "the account is not active"),
    "access_terminated": Again(False, "the account is closed"),
    "invalid_api_key": Again(False, "the key is not valid there and will not become so"),
}
"""Status or code of a failure -> may the same target be asked again."""

_NOT_ITS_FAULT = Again(False, "the request itself is at fault, or this gateway")
_NOT_LISTED = Again(False, "not known to pass by itself")
_TOLD = {
    b"true": Again(True, "the provider says so (x-should-retry)"),
    b"false": Again(False, "the provider says no (x-should-retry)"),
}
"""Anthropic and OpenAI send this header, and their own clients place it above the status."""


def retry_same(failure: HeadgateError) -> Again:
    """May the target that failed so be asked again? For an answer with an error: the provider's word, then a code that makes it
    final, then the status. For the rest: our code, or that of the failure's class where a finer one is not listed."""
    if isinstance(failure, UpstreamRefused):
        if told := _TOLD.get((header(failure.headers, b"x-should-retry") or b"").lower()):
            return told
        by_status = RETRY_SAME.get(failure.status, _NOT_LISTED)
        by_code = RETRY_SAME.get(failure.code, by_status)
        return by_status if by_code.yes else by_code
    if isinstance(failure, UpstreamError):
        return RETRY_SAME.get(failure.code) or RETRY_SAME.get(type(failure).code, _NOT_LISTED)
    return _NOT_ITS_FAULT


class RetryTerms(Struct, frozen=True, kw_only=True):
    """How often and how soon one request is tried again. Times in seconds."""

    attempts: int = 3
    """On the same target, the first included."""
    most: int = 6
    """Of the whole request, over all targets, the first included."""
    base: float = 0.25
    """The first wait is drawn from [0, base), the next from twice that, and so on."""
    cap: float = 8.0
    """What the doubling ends at."""
    most_wait: float = 5.0
    """A Retry-After longer than this is not waited for."""


def backoff(attempt: int, terms: RetryTerms, draw: float) -> float:
    """Seconds to wait after the `attempt`-th failure (from 1) on a target: full jitter, in [0, min(cap, base x 2^(attempt - 1)))."""
    return draw * min(terms.cap, terms.base * 2.0 ** min(attempt - 1, 64))


def wait_for(attempt: int, retry_after: float | None, terms: RetryTerms, draw: float) -> float | None:
    """Seconds until the same target is asked again: what it asked for and the backoff on top, so that all who were told the same do
    not come at once. None: it asked for more than `most_wait`; go elsewhere or give up."""
    if retry_after is None:
        return backoff(attempt, terms, draw)
    if retry_after > terms.most_wait:
        return None
    return retry_after + backoff(attempt, terms, draw)


class RetryBudgetTerms(Struct, frozen=True, kw_only=True):
    """What repeats may cost a target: within any t seconds at most `most + per_second x t + ratio x first attempts` of them."""

    ratio: float = 0.2
    """Tokens that each first attempt brings."""
    per_second: float = 1.0
    """Tokens that time brings: a quiet target may be tried again, too."""
    most: float = 10.0
    """What the budget holds at most, and at first: the burst."""


_DUST = 1e-9
"""Ten tenths in floats fall short of one by less than this. It is taken out of the next token, not given away."""


class RetryBudget:
    """The tokens of one target: a first attempt brings a part of one, a retry or a failover onto the target takes one. `now` is
    seconds of a clock that never goes back; an earlier one than the last counts as the last."""

    __slots__ = ("_at", "_tokens", "terms")

    def __init__(self, terms: RetryBudgetTerms) -> None:
        self.terms = terms
        self._tokens = terms.most
        self._at = 0.0

    def left(self, now: float) -> float:
        """Tokens at `now`, without effect."""
        terms, tokens = self.terms, self._tokens
        if now > self._at:
            tokens += (now - self._at) * terms.per_second
        return tokens if tokens < terms.most else terms.most

    def look(self, now: float) -> bool:
        """Would `take` succeed? Without effect."""
        return self.left(now) >= 1.0 - _DUST

    def take(self, now: float) -> bool:
        """Take one token for a repeat; False (and nothing taken) where there is none."""
        left = self.left(now)
        if left < 1.0 - _DUST:
            return False
        self._tokens = left - 1.0
        self._at = now if now > self._at else self._at
        return True

    def deposit(self, now: float) -> None:
        """A first attempt goes to this target."""
        self._tokens = self.left(now) + self.terms.ratio  # `left` cuts it at the most
        self._at = now if now > self._at else self._at
