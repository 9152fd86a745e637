"""Response headers: ours, and those of the provider that a client may see.

Passed on from the provider, by allow-list: rate-limit headers, processing time, version. Its request id is shown beside ours.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from headgate import clock
from headgate.errors import HeadgateError, UpstreamRefused
from headgate.model.exchange import Exchange
from headgate.model.route import sunset_at
from headgate.net import Headers
from headgate.pipeline import Flow

_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-", b"openai-processing", b"openai-version", b"anthropic-version")
_UPSTREAM_IDS = (b"x-request-id", b"request-id")
_STREAM = {
    "sse": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),
    ],
    "json-array": [(b"content-type", b"application/json; charset=UTF-8"), (b"x-accel-buffering", b"no")],
}
_PARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_SHOWN_LOSSES = 20
_CACHE = {"carried": b"miss", "coalesced": b"coalesced", "replayed": b"replayed"}
"""An answer's origin -> what `x-headgate-cache` says of it."""


def reply_headers(x: Exchange, flow: Flow) -> Headers:
    headers = own(x)
    headers += [(b"content-type", b"application/json")] if flow.whole else _STREAM[x.request.framing]
    headers += passed(flow.headers)
    if x.route is not None and x.route.sunset:
        headers += _ending(x.route.sunset, x.at)
    attempt = x.served or (x.attempts[-1] if x.attempts else None)
    if attempt is not None:
        headers += [
            (b"x-headgate-provider", attempt.provider.encode()),
            (b"x-headgate-model", _safe(attempt.target)),
            (b"x-headgate-attempts", b"%d" % len(x.attempts)),
        ]
        if flow.whole and attempt.cost is not None:
            headers.append((b"x-headgate-cost", b"%d.%09d" % divmod(sum(one.cost or 0 for one in x.attempts), 10**9)))
    if x.origin:
        headers.append((b"x-headgate-cache", _CACHE[x.origin]))
    if x.losses:
        names = sorted({loss.what for loss in x.losses})
        listed = names[:_SHOWN_LOSSES] + ([f"+{len(names) - _SHOWN_LOSSES}"] if len(names) > _SHOWN_LOSSES else [])
        headers.append((b"x-headgate-losses", _safe(", ".join(listed))))
    if x.findings:
        shown = sorted({finding.guard for finding in x.findings if finding.mode != "observe"})
        headers.append((b"x-headgate-findings", _safe(", ".join(shown))))
    return headers


def _ending(day: str, now: float) -> Headers:
    """Of a model whose end is planned: since when it is deprecated (RFC 9745), and its last moment (RFC 8594). The config does not say
    when it was decided: today, or the end itself when that is past, is true and never later than the end."""
    end = int(sunset_at(day))
    since = min(int(now) // 86400 * 86400, end)
    return [
        (b"deprecation", b"@%d" % since),
        (b"sunset", datetime.fromtimestamp(end, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").encode()),
    ]


def own(x: Exchange) -> Headers:
    """What every answer carries: our id, under both names that SDKs read."""
    identity = x.id.encode()
    headers: Headers = [(b"x-request-id", identity), (b"request-id", identity)]
    if x.identity is not None and "trail" in x.identity.scopes:
        headers.append((b"x-headgate-trail", _safe(x.trail.short())))
    return headers


def error_headers(x: Exchange, error: HeadgateError) -> Headers:
    headers = own(x)
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, -(-error.retry_after // 1))))
    if isinstance(error, UpstreamRefused):
        headers += passed(error.headers)
    if x.attempts:
        headers.append((b"x-headgate-attempts", b"%d" % len(x.attempts)))
    return headers


def passed(upstream: Headers) -> Headers:
    headers: Headers = []
    for name, value in upstream:
        if name.startswith(_PREFIXES):
            headers.append((name, value))
        elif name in _UPSTREAM_IDS:
            headers.append((b"x-upstream-request-id", value))
    return headers


def trace(parent: bytes) -> tuple[str, str]:
    """(trace id, a new span id) carried on from a `traceparent` (W3C Trace Context §3.2), or ("", "") where there is none."""
    found = _PARENT.match(parent)
    return ("", "") if found is None else (found[1].decode(), clock.secret(8).hex())


@lru_cache(maxsize=1024)
def _safe(text: str) -> bytes:
    """Text of names as a header value: anything outside printable ASCII is percent-encoded."""
    return quote(text, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~").encode()
