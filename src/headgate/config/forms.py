"""How a scalar of the config is written: durations, sizes, prices, dates, networks, names. Text in, value out; else
ValueError.

Rules of this file:
- A form is exact: money and durations are never read through a binary float that could not be written back.
- A refusal says what would be right, and never repeats the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from msgspec import Struct

NANO = 1_000_000_000
_UNITS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"(\d+)\s?([KMG]i?B|B|)", re.ASCII)
_PRICE = re.compile(r"\d+(\.\d+)?", re.ASCII)


class Form(Struct, frozen=True, kw_only=True):
    """`read` takes the text, `write` gives it back. `pattern` is what the published schema shows of it, `types` are the
    JSON types it may be given as. `is_path`: the text is a path, joined to the config file's folder."""

    name: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str
    pattern: str = ""
    example: str = ""
    types: tuple[str, ...] = ("string",)
    is_path: bool = False


def _duration(text: str) -> float:
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise ValueError("expected a duration: 250ms, 10s, 5m, 1h or 1h30m")
    return float(sum(Decimal(part[1]) * _UNITS[part[2]] for part in parts))


def _in_units(value: float) -> str:
    """The duration in the largest unit that holds it whole."""
    exact = Decimal(str(value))
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if exact % _UNITS[unit] == 0 or unit == "ms")
    return f"{(exact / _UNITS[unit]).normalize():f}{unit}"


def _in_bytes(value: int) -> str:
    unit = next(unit for unit in ("GiB", "MiB", "KiB", "") if value % _SIZES[unit] == 0)
    return f"{value // _SIZES[unit]}{unit}"


def _in_dollars(nano: int) -> str:
    return f"{(Decimal(nano) / NANO).normalize():f}"


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError("expected a size in bytes: 64MiB, 10MB, 512KiB or 4096")
    return int(found[1]) * _SIZES[found[2]]


def _price(text: str) -> int:
    """Nano-dollars per million tokens."""
    if not _PRICE.fullmatch(text):
        raise ValueError("expected dollars per million tokens: 0.15")
    nano = Decimal(text) * NANO
    if nano != nano.to_integral_value():
        raise ValueError("a price has at most 9 decimals")
    return int(nano)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a date: 2026-01-31") from None


def _moment(text: str) -> float:
    """Seconds since the epoch; a date is its begin in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a date or a time with its zone: 2027-01-01 or 2027-01-01T12:00:00Z") from None
    if moment.tzinfo is None:
        if len(text) > 10:
            raise ValueError('a time needs its zone: put "Z" behind it for UTC')
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("expected an address or a network: 10.0.0.0/8, ::1") from None
    raise ValueError(f"this network has host bits set: write {meant}")


def _matching(pattern: str, expected: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def read(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"expected {expected}")
        return text

    return read


def named(name: str, pattern: str, expected: str, **more: Any) -> Form:
    """A text that a regular expression describes."""
    return Form(name=name, read=_matching(pattern, expected), pattern=pattern, **more)


DURATION = Form(name="duration", read=_duration, write=_in_units, pattern=r"(\d+(\.\d+)?(ms|s|m|h|d))+", example="10s")
SIZE = Form(
    name="size",
    read=_size,
    write=_in_bytes,
    pattern=r"\d+\s?([KMG]i?B|B|)",
    example="64MiB",
    types=("string", "integer"),
)
PRICE = Form(
    name="price", read=_price, write=_in_dollars, pattern=r"\d+(\.\d+)?", example="0.15", types=("number", "string")
)
DATE = Form(name="date", read=_date, pattern=r"\d{4}-\d{2}-\d{2}", example="2026-01-31")
MOMENT = Form(name="date or time", read=_moment, pattern=r"\d{4}-\d{2}-\d{2}(T.+)?", example="2027-01-01")
NETWORK = Form(name="network", read=_network, pattern=r"[0-9a-fA-F:.]+(/\d+)?", example="10.0.0.0/8")
PATH = Form(name="path", read=_matching(r"[\s\S]+", "a path"), pattern=r"[\s\S]+", is_path=True)

SITE = named("provider name", r"[A-Za-z0-9][A-Za-z0-9._-]*", 'a name of letters, digits, ".", "_" and "-", without "/"')
ALIAS = named("model name", r"[^\s*]+\*?|\*", 'a name without spaces, or a pattern with one "*" at its end')
TARGET = named("target", r"[^\s/*]+/([^\s*]*\*[^\s*]*|[^\s*]+)", '"provider/model"', example="openai/gpt-4o-mini")
MODEL = named("model", r"[^\s*]+", 'a model of this config, or "provider/model"', example="openai/gpt-4o-mini")
REGION = named("region", r"[A-Za-z0-9][A-Za-z0-9._-]*", "a region's name (eu, us-east-1)", example="eu")
MODELS = named(
    "model pattern", r"[^\s*]+\*?|\*", 'a model name, or a pattern with one "*" at its end', example="openai/*"
)
TEXT = named("text", r"[\s\S]+", "a text that is not empty")
KEY = named("key", r"[!-~]+", "a key of printable ASCII characters without spaces (is the variable empty?)")
