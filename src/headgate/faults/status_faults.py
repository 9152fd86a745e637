"""Faults that a provider tells by its status: rate limits in all their forms, failing servers, refusals."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate

from headgate import clock
from headgate.faults.answers import error
from headgate.faults.connection_faults import ELSEWHERE
from headgate.faults.fault import Fault, document, healthy
from headgate.faults.wire import Play, Seen, Wire

WAIT = "try another target; ask the same again only when it said so; never wait for an absurd time"
AGAIN = "try the same target again, or another"
FINAL = "tell the caller; never ask the same target again"


def _replied(status: int, code: str, message: str, *more: Callable[[], bytes]) -> Play:
    async def play(wire: Wire, seen: Seen) -> None:
        body = error(seen.dialect, status, code, message)
        await document(wire, seen, body, *(line() for line in more), status=status)

    return play


def _limited(name: str, does: str, line: Callable[[], bytes] | None = None, message: str = "slow down") -> Fault:
    lines = () if line is None else (line,)
    return Fault(name=name, does=f"429, {does}", must=WAIT, play=_replied(429, "rate_limit_exceeded", message, *lines))


def _burst(status: int) -> Fault:
    """Fails twice, then answers."""
    failing = _replied(status, "server_error", f"the server failed with {status} (laboratory)")

    async def play(wire: Wire, seen: Seen) -> None:
        await (failing if seen.number <= 2 else healthy)(wire, seen)

    return Fault(name=f"burst-{status}", does=f"{status} twice, then answers", must=AGAIN, play=play)


def _always(status: int) -> Fault:
    play = _replied(status, "server_error", f"the server failed with {status} (laboratory)")
    return Fault(name=f"status-{status}", does=f"{status}, each time", must=ELSEWHERE, play=play)


async def _flapping(wire: Wire, seen: Seen) -> None:
    failing = _replied(503, "server_error", "the server flaps (laboratory)")
    await (failing if seen.number % 2 else healthy)(wire, seen)


def _final(name: str, status: int, code: str, message: str) -> Fault:
    return Fault(name=name, does=f"{status} {code}", must=FINAL, play=_replied(status, code, message))


STATUS_FAULTS = (
    _limited("429-seconds", "Retry-After in seconds", lambda: b"retry-after: 1"),
    _limited("429-float", "Retry-After in fractions of a second", lambda: b"retry-after: 0.5"),
    _limited(
        "429-date",
        "Retry-After as a date",
        lambda: b"retry-after: " + formatdate(clock.wall() + 2, usegmt=True).encode(),
    ),
    _limited("429-ms", "retry-after-ms", lambda: b"retry-after-ms: 300"),
    _limited("429-absurd", "Retry-After in thirty years", lambda: b"retry-after: 1000000000"),
    _limited("429-negative", "a negative Retry-After", lambda: b"retry-after: -5"),
    _limited("429-garbage", "a Retry-After that is no time", lambda: b"retry-after: soon"),
    _limited("429-none", "no Retry-After"),
    _limited("429-body", "the time in its message only", message="Rate limit reached. Please try again in 300ms."),
    *map(_burst, (500, 502, 503, 504, 529)),
    *map(_always, (500, 503, 529)),
    Fault(name="flapping", does="fails every other request", must=AGAIN, play=_flapping),
    _final("context-exceeded", 400, "context_length_exceeded", "the prompt is longer than the context window"),
    _final("content-filter", 400, "content_filter", "the prompt was filtered by a content policy"),
    _final("unauthorized", 401, "invalid_api_key", "the provider's key is not valid"),
    _final("model-gone", 404, "model_not_found", "the model does not exist any more"),
)
