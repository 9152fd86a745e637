"""What a correct gateway does about each fault: the table of scenarios, from which callers, providers and ledgers are judged.

Rules of this file:
- A scenario is a fault in a place: before a healthy target ("failover") or with nobody else ("alone"), streamed or whole, in a
  caller's dialect and a provider's. What is expected follows from the fault's `Expected` and the place.
- What a gateway may choose is a range here (ask the same target again first, or another at once), what it may not is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from headgate.faults.answers import ANTHROPIC, CHAT, DIALECTS, GEMINI, RESPONSES
from headgate.faults.provider import FAULTS, PLACES, Provider
from headgate.net import Deadlines

SLACK = 5.0
"""Seconds for everything that is not waiting for a deadline: back-off, a busy machine."""

Effect: TypeAlias = Literal["none", "instead", "midway", "passing", "final"]
"""none: the answer is right all the same · instead: no content comes · midway: a stream has shown content when it breaks; of a
document nothing was shown · passing: the next request is answered · final: no repetition helps."""
Wait: TypeAlias = Literal["", "headers", "first_token", "idle"]


class Expected(Struct, frozen=True, kw_only=True):
    """`codes`: of the failed attempts, in the ledger and to the caller. `statuses`: what a caller may get when there is no other
    target. `again`: whether the same target is to be asked again then (None: as the gateway likes). `ends`: the deadline that ends
    an attempt. `apart`: seconds that lie between two requests at least; `wait`: seconds that the repetitions may add."""

    effect: Effect
    codes: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset((502, 503, 504))
    again: bool | None = True
    ends: Wait = ""
    apart: float = 0.0
    wait: float = 0.0
    forms: tuple[bool, ...] = (True, False)
    """streamed (True), whole (False)"""


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(codes)


_CUT = _codes("upstream_truncated")
_CUT_OR_RESET = _codes("upstream_truncated", "upstream_reset")
_MALFORMED = _codes("upstream_malformed")
_TOO_LARGE = Expected(effect="instead", codes=_codes("upstream_too_large"), again=False)
_TIMEOUT = _codes("upstream_timeout")
_LIMITED = Expected(effect="instead", codes=_codes("rate_limit_exceeded"), statuses=frozenset((429,)), wait=1.0)
_FAILED = Expected(effect="instead", codes=_codes("server_error"), statuses=frozenset((500, 502, 503, 529)))
_PASSING = replace(_FAILED, effect="passing")
_RIGHT = Expected(effect="none")
_STREAMED = replace(_RIGHT, forms=(True,))
_NAME = Expected(effect="instead", codes=_codes("upstream_unreachable", "dns_failed"), again=None)
_TLS = Expected(effect="instead", codes=_codes("tls_certificate"), again=False)
_EMPTY = Expected(effect="instead", codes=_codes("upstream_truncated", "upstream_malformed", "upstream_empty"))
_TOLD = Expected(effect="instead", codes=_codes("overloaded"), statuses=frozenset((500, 502, 503, 529)))
_CALLERS = Expected(effect="final", statuses=frozenset((400,)), again=False)

EXPECTED: dict[str, Expected] = {
    "healthy": _RIGHT,
    "refused": Expected(effect="instead", codes=_codes("connection_refused"), again=None),
    "dns": _NAME,
    "tls-wrong-host": _TLS,
    "tls-expired": _TLS,
    "tls-plain": Expected(effect="instead", codes=_codes("tls_failed"), again=None),
    "tls-healthy": _RIGHT,
    "reset-before-headers": Expected(effect="instead", codes=_codes("upstream_reset")),
    "close-before-headers": Expected(effect="instead", codes=_codes("upstream_reset")),
    "reset-in-headers": Expected(effect="instead", codes=_CUT_OR_RESET),
    "silent": Expected(effect="instead", codes=_TIMEOUT, ends="headers"),
    "silent-after-headers": Expected(effect="instead", codes=_TIMEOUT, ends="first_token"),
    "slow-first-token": Expected(effect="instead", codes=_TIMEOUT, ends="first_token", forms=(True,)),
    "endless-headers": Expected(effect="instead", codes=_MALFORMED, again=None),
    "interim-storm": Expected(effect="instead", codes=_MALFORMED, again=None),
    "interim-few": _RIGHT,
    "redirect": Expected(effect="instead", codes=_codes("upstream_redirect"), again=None),
    "gzip-bomb": _TOO_LARGE,
    "reset-in-answer": Expected(effect="midway", codes=_CUT_OR_RESET),
    "stall-in-answer": Expected(effect="midway", codes=_TIMEOUT, ends="idle"),
    "cut": Expected(effect="midway", codes=_CUT),
    "cut-length": Expected(effect="midway", codes=_CUT),
    "cut-chunked": Expected(effect="midway", codes=_CUT, forms=(True,)),
    "missing-done": Expected(effect="midway", codes=_CUT, forms=(True,)),
    "bad-chunk-size": Expected(effect="midway", codes=_MALFORMED),
    "trickle": _RIGHT,
    "stale-idle": _STREAMED,
    "stale-race": _STREAMED,
    **dict.fromkeys(
        ("crlf", "cr-only", "mixed-line-ends", "multi-line-data", "byte-order-mark", "comments-between"), _STREAMED
    ),
    "comments-only": replace(_EMPTY, forms=(True,)),
    "malformed-first": Expected(effect="instead", codes=_MALFORMED),
    "malformed-later": Expected(effect="midway", codes=_MALFORMED, forms=(True,)),
    "html-page": replace(_EMPTY, again=None),
    "oversized-line": replace(_TOO_LARGE, forms=(True,)),
    "empty-body": _EMPTY,
    "empty-stream": replace(_EMPTY, forms=(True,)),
    "only-done": replace(_EMPTY, forms=(True,)),
    "no-choices": _EMPTY,
    "error-first": replace(_TOLD, forms=(True,)),
    "error-later": replace(_TOLD, effect="midway", forms=(True,)),
    "error-body": _TOLD,
    "progress-then-quota": Expected(
        effect="instead", codes=_codes("insufficient_quota"), statuses=frozenset((402, 429, 502, 503)), again=False
    ),
    "429-seconds": replace(_LIMITED, apart=1.0, wait=4.0),
    "429-float": replace(_LIMITED, apart=0.5, wait=3.0),
    "429-date": replace(_LIMITED, apart=0.9, wait=6.0),
    "429-ms": replace(_LIMITED, apart=0.3, wait=2.0),
    "429-absurd": replace(_LIMITED, again=False),
    **dict.fromkeys(("429-negative", "429-garbage", "429-none", "429-body"), _LIMITED),
    **dict.fromkeys(("burst-500", "burst-502", "burst-503", "burst-504", "burst-529", "flapping"), _PASSING),
    **dict.fromkeys(("status-500", "status-503", "status-529"), _FAILED),
    "context-exceeded": replace(_CALLERS, codes=_codes("context_length_exceeded")),
    "content-filter": replace(_CALLERS, codes=_codes("content_filter")),
    "unauthorized": Expected(
        effect="instead", codes=_codes("invalid_api_key"), statuses=frozenset((401, 500, 502, 503)), again=False
    ),
    "model-gone": Expected(
        effect="instead", codes=_codes("model_not_found"), statuses=frozenset((404, 502, 503)), again=False
    ),
}


class Terms(Struct, frozen=True, kw_only=True):
    """What the gateway is configured to: its deadlines, how often it asks the same target for one request at most, the longest
    Retry-After that it waits for (seconds)."""

    deadlines: Deadlines
    attempts: int = 3
    most_wait: float = 5.0


class Scenario(Struct, frozen=True, kw_only=True):
    """`name` is the model that the caller asks for; `faulty` and `healthy` are the provider's models behind it."""

    name: str
    fault: str
    alone: bool
    stream: bool
    dialect: str = CHAT
    speaks: str = CHAT
    expected: Expected
    floor: float = 0.0
    """Tokens a second that the answer must bring (0: any rate will do)."""

    @property
    def faulty(self) -> str:
        return self.name

    @property
    def healthy(self) -> str:
        return f"healthy.{self.name}"

    @property
    def place(self) -> str:
        return FAULTS[self.fault].place

    @property
    def reached(self) -> bool:
        """Whether a request ever arrives at the provider."""
        return self.place not in ("refused", "dns", "tls-wrong-host", "tls-expired", "tls-plain")

    @property
    def midway(self) -> bool:
        return self.expected.effect == "midway" and self.stream

    @property
    def kept(self) -> bool:
        """Whether connections are to stay open after an answer."""
        return self.place.startswith("stale-")

    @property
    def calls(self) -> int:
        """How often the caller asks; the last answer is judged."""
        return 2 if self.kept else 1

    @property
    def answers(self) -> tuple[str, ...]:
        """The models of which one's answer, whole, is right. Empty: only an error is."""
        if self.expected.effect == "none":
            return (self.faulty,)
        if self.midway:
            return ()
        itself = (self.faulty,) if self.expected.effect == "passing" else ()
        return itself if self.alone else (*itself, self.healthy)

    @property
    def may_fail(self) -> bool:
        """Whether an error to the caller is right."""
        return not self.answers or self.expected.effect == "final"

    def requests(self, terms: Terms) -> tuple[int, int]:
        """How many requests the faulty target may see, at least and at most."""
        if not self.reached:
            return 0, 0
        resent = 1 if self.fault == "stale-race" else 0
        if self.expected.effect == "none" or self.midway:
            return self.calls + resent, self.calls + resent
        if self.expected.again is False:
            return 1, 1
        waited = self.expected.apart < terms.most_wait and terms.attempts > 1
        return 2 if self.alone and self.expected.again and waited else 1, terms.attempts

    def decided(self, terms: Terms) -> bool:
        """Whether these terms leave open only what is expected: a burst is outlasted by three attempts alone."""
        return not (self.alone and self.expected.effect == "passing") or terms.attempts >= 3

    def bound(self, terms: Terms) -> float:
        """Seconds within which the caller's answer is over."""
        most = 1 if self.expected.again is False or self.midway else terms.attempts
        each = getattr(terms.deadlines, self.expected.ends) if self.expected.ends else 0.0
        return float(most * each + self.expected.wait + SLACK)


def _named(fault: str, alone: bool, stream: bool, dialect: str = CHAT, speaks: str = CHAT) -> Scenario:
    place = f"{'alone' if alone else 'failover'}-{'stream' if stream else 'whole'}"
    tongue = "" if dialect == speaks == CHAT else f".{dialect}" if dialect == speaks else f".{dialect}-over-{speaks}"
    return Scenario(
        name=f"{fault}.{place}{tongue}",
        fault=fault,
        alone=alone,
        stream=stream,
        dialect=dialect,
        speaks=speaks,
        expected=EXPECTED[fault],
    )


_TOO_SLOW = Expected(effect="midway", codes=_codes("too_slow"), forms=(True,))


def _below_the_floor(alone: bool) -> Scenario:
    """A trickle where more is asked: what is no fault else breaks off."""
    known = _named("trickle", alone, True)
    return replace(known, name=f"{known.name}.floor", expected=_TOO_SLOW, floor=10_000.0)


_IN_EVERY_DIALECT = (
    "healthy",
    "cut-chunked",
    "stall-in-answer",
    "error-first",
    "error-later",
    "malformed-later",
    "crlf",
)
_CROSSED = ("healthy", "cut", "stall-in-answer", "error-first", "error-later", "status-503", "trickle")
_OTHERS = (RESPONSES, ANTHROPIC, GEMINI)


def _all() -> tuple[Scenario, ...]:
    chat = [
        _named(fault, alone, stream)
        for fault, expected in EXPECTED.items()
        if fault != "progress-then-quota"
        for alone in ((True,) if fault.startswith("stale-") else (False, True))  # each has its listener to itself
        for stream in expected.forms
    ]
    others = [_named(fault, False, True, other, other) for other in _OTHERS for fault in _IN_EVERY_DIALECT]
    whole = [_named(fault, False, False, other, other) for other in _OTHERS for fault in ("healthy", "error-body")]
    crossed = [_named(fault, False, True, other, CHAT) for other in _OTHERS for fault in _CROSSED]
    over = [_named(fault, False, True, CHAT, other) for other in _OTHERS for fault in ("healthy", "cut-chunked")]
    quota = [_named("progress-then-quota", alone, True, RESPONSES, RESPONSES) for alone in (False, True)]
    quota.append(_named("progress-then-quota", False, True, CHAT, RESPONSES))
    slow = [_below_the_floor(alone) for alone in (False, True)]
    return (*chat, *others, *whole, *crossed, *over, *quota, *slow)


SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _all()}

_KINDS = {CHAT: "openai_compatible", RESPONSES: "openai_compatible", ANTHROPIC: "anthropic_compatible"}


def sites(provider: Provider, deadlines: Deadlines) -> dict[str, dict[str, Any]]:
    """The `providers` section of a gateway's config that has the laboratory for its providers."""
    timeouts = {name: f"{round(getattr(deadlines, name) * 1000)}ms" for name in Deadlines.__struct_fields__}
    wanted = {"proxy": "", "ca_file": str(provider.ca_file), "timeouts": timeouts}
    found: dict[str, dict[str, Any]] = {}
    for dialect in DIALECTS:
        kind = {"type": _KINDS.get(dialect, "gemini_compatible"), "dialects": [dialect], **wanted}
        for place in PLACES if dialect == CHAT else ("main",):
            base = provider.urls[place] + "/v1"
            found[_site(place, dialect)] = {"base_url": base, "api_key": "laboratory", **kind}
        found[_site("healthy", dialect)] = {
            "base_url": provider.urls["main"] + "/v1",
            "api_key": "laboratory-healthy",
            **kind,
        }
    return found


def models(scenarios: Iterable[Scenario]) -> dict[str, dict[str, Any]]:
    """The `models` section for these scenarios."""
    return {
        scenario.name: {"targets": targets(scenario)}
        | ({"min_rate": {"tokens": scenario.floor, "window": "20ms"}} if scenario.floor else {})
        for scenario in scenarios
    }


def targets(scenario: Scenario) -> list[str]:
    faulty = f"{_site(scenario.place, scenario.speaks)}/{scenario.faulty}"
    healthy = f"{_site('healthy', scenario.speaks)}/{scenario.healthy}"
    return [faulty] if scenario.alone else [faulty, healthy]


def _site(place: str, dialect: str) -> str:
    return f"lab-{place}-{dialect}"
