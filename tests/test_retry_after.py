"""How long a refusal asks us to wait, in every form that providers use."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dry import Scripted
from headgate.dialects import gemini, openai_chat
from headgate.dialects.base import Dialect
from headgate.errors import UpstreamRefused
from headgate.net import Call, Headers, Origin
from headgate.retry_after import LONGEST, retry_after
from headgate.upstream import Unread, attempt
from recordings import recordings

NOW = 784111777.0
"""Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110."""


def told(status: int = 429, **headers: str) -> float | None:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return retry_after(pairs, status, NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("13", 13.0),
        ("0", 0.0),
        ("1.5", 1.5),
        (" 7 ", 7.0),
        ("86401", LONGEST),
        ("99999999999", LONGEST),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("1e999", None),
        ("soon", None),
        ("", None),
        ("Sun, 06 Nov 1994 08:49:57 GMT", 20.0),
        ("Sunday, 06-Nov-94 08:49:57 GMT", 20.0),
        ("Sun Nov  6 08:49:57 1994", 20.0),
        ("1994-11-06T08:49:57Z", 20.0),
        ("1994-11-06T09:49:57.5+01:00", 20.5),
        ("1994-11-06T08:49:57", 20.0),
        ("Sun, 06 Nov 1994 08:49:17 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST),
        ("Sun, 36 Nov 1994 08:49:57 GMT", None),
        ("6m0s", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_standard_header(value: str, seconds: float | None, status: int) -> None:
    assert told(status, retry_after=value) == seconds


def test_milliseconds_are_finer_and_win_unless_they_make_no_sense() -> None:
    assert told(retry_after_ms="1500", retry_after="2") == 1.5
    assert told(x_ms_retry_after_ms="250", retry_after="1") == 0.25
    assert told(retry_after_ms="-5", retry_after="2") == 2.0
    assert told(retry_after_ms="nan") is None
    assert told(retry_after_ms="1e12") == LONGEST


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3723.0),
        ("1d", LONGEST),
        ("9000h", LONGEST),
        ("500us", 0.0005),
        ("500\u00b5s", 0.0005),
        ("7", 7.0),
        ("33011.382867078", 33011.382867078),
        ("0s", None),
        ("0", None),
        ("-1s", None),
        ("1s later", None),
        ("1m2", None),
        ("", None),
    ],
)
def test_openais_reset_and_those_who_took_it_over(value: str, seconds: float | None) -> None:
    """Spans and seconds; what is not told, or is over, is nothing to wait for."""
    assert told(x_ratelimit_reset_requests=value) == (None if seconds is None else pytest.approx(seconds))
    assert told(503, x_ratelimit_reset_requests=value) is None, "only a 429 is about limits"


@pytest.mark.parametrize(("value", "seconds"), [("1769759920", 20.0), ("1769759920000", 20.0), ("1769759899", None)])
@pytest.mark.parametrize("name", [b"x-ratelimit-reset", b"x-ratelimit-reset-requests"])
def test_resets_told_as_a_moment(name: bytes, value: str, seconds: float | None) -> None:
    """Seconds and milliseconds since the epoch are too large to be spans."""
    assert retry_after([(name, value.encode())], 429, 1769759900.0) == seconds


def test_the_standard_header_wins_over_the_providers_own() -> None:
    assert told(retry_after="2", x_ratelimit_reset_requests="6m0s") == 2.0
    assert told(retry_after="soon", x_ratelimit_reset_requests="6m0s") == 360.0


def test_only_what_is_spent_is_waited_for_and_of_that_the_last() -> None:
    """A day's requests with 190 left and a minute's tokens with none: nine seconds, not a day."""
    limits = {
        "x_ratelimit_remaining_requests": "190",
        "x_ratelimit_reset_requests": "20h0m0s",
        "x_ratelimit_remaining_tokens": "0",
        "x_ratelimit_reset_tokens": "9s",
    }
    assert told(**limits) == 9.0
    assert told(**{**limits, "x_ratelimit_remaining_requests": "0"}) == 72000.0
    assert told(**{**limits, "x_ratelimit_remaining_tokens": "50"}) is None
    assert told(**{**limits, "x_ratelimit_remaining_tokens": "-1"}) == 9.0, "Azure's way of not telling"


def test_anthropics_four_limits() -> None:
    limits = {
        "anthropic_ratelimit_requests_remaining": "3999",
        "anthropic_ratelimit_requests_reset": "1994-11-06T08:50:37Z",
        "anthropic_ratelimit_input_tokens_remaining": "0",
        "anthropic_ratelimit_input_tokens_reset": "1994-11-06T08:49:40Z",
        "anthropic_ratelimit_output_tokens_remaining": "0",
        "anthropic_ratelimit_output_tokens_reset": "1994-11-06T08:49:42Z",
    }
    assert told(**limits) == 5.0


def test_other_spellings() -> None:
    assert told(x_rate_limit_reset_tokens="55") == 55.0
    assert told(ratelimit_remaining="0", ratelimit_reset="1") == 1.0
    assert told(x_ratelimit_reset_tokens_minute="12.5", x_ratelimit_remaining_tokens_minute="0") == 12.5
    assert told(x_reset="5", x_ratelimit_limit_requests="5") is None


@pytest.mark.corpus
def test_every_recorded_reset_is_understood() -> None:
    """Each by itself, as if it came with a refusal of long ago: some wait, unless it says that there is none."""
    seen = {
        (name.lower(), value)
        for row in recordings()
        for name, value in (row.row["response_headers"] or {}).items()
        if "reset" in name.lower() and "limit" in name.lower()
    }
    assert len(seen) > 100
    for name, value in seen:
        value = value.partition(", req_")[0]  # some recorders joined two headers
        told = retry_after([(name.encode(), value.encode())], 429, 1.5e9)
        assert told if value not in ("0", "0s", "0ms") else told is None, (name, value)


def refused(headers: Headers, body: bytes, dialect: Dialect = gemini.DIALECT) -> UpstreamRefused:
    """What an attempt raises for this answer with status 429."""
    reply = Scripted(b"application/json", [body])
    reply.status = 429
    reply.headers += headers

    async def open_(call: Call) -> Scripted:
        return reply

    call = Call(method="POST", origin=Origin("http", "localhost", 1), path="/", headers=[])
    sending = attempt(open_, call, dialect, Unread(), asked="whole", splitters={}, verbatim=True)
    with pytest.raises(UpstreamRefused) as raised:
        asyncio.run(sending)
    return raised.value


def test_a_refusal_carries_it() -> None:
    """From the body where the dialect finds it there, else from the headers, a date by the wall clock; never more than a day."""
    assert refused([(b"retry-after", b"7")], b"{}").retry_after == 7.0
    assert refused([(b"retry-after", b"Fri, 31 Dec 9999 23:59:59 GMT")], b"{}").retry_after == LONGEST
    assert refused([(b"x-ratelimit-reset", b"12")], b"{}").retry_after == 12.0
    assert refused([], b"{}").retry_after is None
    info = b'{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"%s"}]}}'
    assert refused([(b"retry-after", b"7")], info % b"34.4s").retry_after == 34.4
    assert refused([], info % b"99999999s").retry_after == LONGEST


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ('[{"error": {"code": 429, "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "9s"}]}}]', 9.0),
        ('{"error": {"code": 429, "metadata": {"retry_after_seconds": 11, "retry_after_seconds_raw": 10.9}}}', 10.9),
        ('{"error": {"code": 429, "metadata": {"retry_after_seconds": "11"}}}', 11.0),
        ('{"error": {"code": 429, "metadata": {"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "25"}}}}', 25.0),
        ('{"error": {"code": 429, "metadata": {"headers": {"Retry-After": 3}}}}', 3.0),
        ('{"error": {"code": 429, "metadata": {"headers": {"X-RateLimit-Limit": "50"}}}}', None),
        ('{"error": {"code": 429, "metadata": {"headers": ["Retry-After"], "retry_after_seconds": true}}}', None),
        ('{"error": {"code": 429, "metadata": {"retry_after_seconds": -1}, "details": "soon"}}', None),
        ('{"error": "later"}', None),
        ("[]", None),
    ],
)  # fmt: skip
def test_what_openais_speakers_say_in_the_body(body: str, seconds: float | None) -> None:
    """Google's endpoint in RetryInfo; OpenRouter in `metadata`, where it repeats the headers of the provider behind it."""
    error = refused([], body.encode(), openai_chat.DIALECT)
    assert error.retry_after == seconds
    assert (b"retry-after", b"3") not in error.headers, "what a body says is no header: it is never passed on as one"


def test_the_answers_own_header_goes_before_one_that_its_body_repeats() -> None:
    body = b'{"error": {"metadata": {"headers": {"Retry-After": "99"}}}}'
    assert refused([(b"retry-after", b"7")], body, openai_chat.DIALECT).retry_after == 7.0


names = st.sampled_from(
    [
        b"retry-after",
        b"retry-after-ms",
        b"x-ms-retry-after-ms",
        b"x-ratelimit-reset",
        b"x-ratelimit-reset-tokens",
        b"x-ratelimit-remaining-tokens",
        b"anthropic-ratelimit-tokens-reset",
        b"anthropic-ratelimit-tokens-remaining",
    ]
)
values = st.one_of(
    st.binary(max_size=40),
    st.text("0123456789.-+eE_dhmsunaifTZ:, ", max_size=30).map(str.encode),
    st.floats().map(lambda number: repr(number).encode()),
    st.integers(-(10**30), 10**30).map(lambda number: b"%d" % number),
    st.datetimes().map(lambda moment: moment.isoformat().encode()),
    st.tuples(st.datetimes(), st.integers(-1439, 1439)).map(
        lambda pair: (
            f"{pair[0].isoformat()}{'-' if pair[1] < 0 else '+'}{abs(pair[1]) // 60:02}:{abs(pair[1]) % 60:02}".encode()
        )
    ),
)


@given(st.lists(st.tuples(names, values), max_size=6), st.sampled_from([400, 429, 500, 503]), st.floats(0, 1e11))
def test_whatever_is_sent_it_is_none_or_within_a_day(headers: Headers, status: int, now: float) -> None:
    seconds = retry_after(headers, status, now)
    assert seconds is None or 0 <= seconds <= LONGEST
