"""A model as the catalog knows it: names, abilities, and the prices that hold at a time and for a way of processing.

Rules of this file:
- Of dated prices the last one that holds counts; before all of them, the first.
- Variants (a service tier, fast mode) replace single rates; of several for one rate the first that holds counts. What
  applies is read from the usage: the tier that the provider says it *used*, not the one that was asked for.
- Prices from the config go before the catalog's from their day on; searches and the like keep the catalog's rates.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from headgate.model.ability import Abilities
from headgate.model.usage import Usage

from .matching import Clause
from .price import Rate, Sheet

DAY = 86_400
UNKNOWN = Abilities()
_REMEMBERED = 64


class Timed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that holds always, from a day on (UTC), or between two seconds of the day (UTC; over midnight if the
    first is later)."""

    since: date | None = None
    hours: tuple[int, int] | None = None

    def holds(self, moment: float) -> bool:
        if self.since is not None and moment < seconds(self.since):
            return False
        if self.hours is None:
            return True
        begin, end = self.hours
        second = moment % DAY
        return begin <= second < end if begin <= end else second >= begin or second < end


class Dated(Timed, frozen=True, kw_only=True, omit_defaults=True):
    rates: dict[str, Rate]


class Variant(Timed, frozen=True, kw_only=True, omit_defaults=True):
    """Rates that replace others where all of `when` is so: service_tier, processing, speed, ..."""

    when: dict[str, str]
    rates: dict[str, Rate]


class Row(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model in the data file."""

    id: str
    match: Clause
    name: str = ""
    context_window: int | None = None
    abilities: Abilities = UNKNOWN
    deprecated: bool = False
    prices: tuple[Dated, ...] = ()
    variants: tuple[Variant, ...] = ()


class Custom(Timed, frozen=True, kw_only=True):
    """A price from the config: nano-dollars per million tokens. `pattern`: "provider/model", or with one trailing "*"."""

    pattern: str
    rates: dict[str, Rate]


class Model:
    """One model of one provider, with the prices that the config gives it. Made by `Catalog.find`, and kept."""

    __slots__ = ("_custom", "_dated", "_variants", "_window", "abilities", "edition", "provider", "row")

    def __init__(
        self, provider: str, row: Row, *, custom: tuple[Custom, ...] = (), variants: bool = True, edition: str = ""
    ) -> None:
        self.provider = provider
        self.row = row
        self.abilities = _widest(row)
        self.edition = edition
        self._dated = row.prices
        self._variants = row.variants if variants else ()
        self._custom = custom
        self._window = _Window(0.0, 0.0, None)

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def name(self) -> str:
        """For people; the id where the data has no other."""
        return self.row.name or self.row.id

    @property
    def context_window(self) -> int | None:
        return self.abilities.context

    @property
    def max_output(self) -> int | None:
        """None where the data does not say."""
        return self.abilities.max_output

    @property
    def deprecated(self) -> bool:
        return self.row.deprecated

    def price(self, usage: Usage, at: float) -> tuple[int | None, str | None]:
        """What it costs at that time (seconds since the epoch), and which price that is; (None, None) before it has any."""
        window = self._at(at)
        return (None, None) if window.label is None else (self._cost(window, usage, at), window.label)

    def cost(self, usage: Usage, at: float) -> int | None:
        """Nano-dollars at that time, rounded half up once; None where a rate is unknown."""
        return self._cost(self._at(at), usage, at)

    def _cost(self, window: _Window, usage: Usage, at: float) -> int | None:
        so = (usage.service_tier, usage.native.get("speed") if usage.native else None) if self._variants else None
        try:
            sheet = window.sheets[so]
        except KeyError:
            if len(window.sheets) >= _REMEMBERED:
                window.sheets.clear()
            sheet = window.sheets[so] = self._sheet(at, so)
        except TypeError:  # the upstream's "speed" is no text
            sheet = self._sheet(at, (usage.service_tier, None))
        return sheet.cost(usage) if sheet is not None else None

    def known_at(self, at: float) -> bool:
        """Whether it has any price at that time."""
        return self._at(at).label is not None

    def label(self, at: float) -> str | None:
        """Which price that is: "provider/model@date"; the date of the price, or of the data where the price has none."""
        return self._at(at).label

    def _at(self, at: float) -> _Window:
        window = self._window
        if not window.begin <= at < window.end:
            window = self._window = self._around(at)
        return window

    def _label(self, at: float) -> str | None:
        custom = self._custom_at(at)
        if custom is None and not self._dated:
            return None
        if custom is not None:
            since = self._custom[custom].since
            return f"{self.provider}/{self.id}@config{f':{since}' if since else ''}"
        standard = self._standard(at)
        since = self._dated[standard].since if standard is not None else None
        return f"{self.provider}/{self.id}@{since or self.edition}"

    def _custom_at(self, at: float) -> int | None:
        """The config's price of the latest day that has come; of two of one day the later one in the file."""
        found: int | None = None
        for index, custom in enumerate(self._custom):
            if custom.since is not None and at < seconds(custom.since):
                continue
            if found is None or (custom.since or date.min) >= (self._custom[found].since or date.min):
                found = index
        return found

    def _standard(self, at: float) -> int | None:
        dated = self._dated
        for index in range(len(dated) - 1, -1, -1):
            if index == 0 or dated[index].holds(at):
                return index
        return None

    def _around(self, at: float) -> _Window:
        """The time around a moment in which nothing changes."""
        edges = {float("-inf"), float("inf")}
        midnight = at - at % DAY
        for one in (*self._dated, *self._variants, *self._custom):
            if one.since is not None:
                edges.add(seconds(one.since))
            if one.hours is not None:
                edges.update(day + edge for day in (midnight - DAY, midnight, midnight + DAY) for edge in one.hours)
        begin, end = max(edge for edge in edges if edge <= at), min(edge for edge in edges if edge > at)
        return _Window(begin, end, self._label(at))

    def _sheet(self, at: float, so: tuple[str | None, Any] | None) -> Sheet | None:
        standard, custom = self._standard(at), self._custom_at(at)
        rates = dict(self._dated[standard].rates) if standard is not None else {}
        replaced: dict[str, Rate] = {}
        words = circumstances(*so) if so is not None else {}
        for variant in self._variants:
            if variant.holds(at) and all(words.get(name) == value for name, value in variant.when.items()):
                replaced = variant.rates | replaced
        rates |= replaced
        if custom is not None:
            rates = {name: rate for name, rate in rates.items() if not _of_tokens(name)} | self._custom[custom].rates
        return Sheet(rates) if rates else None


def _widest(row: Row) -> Abilities:
    """What the data says of it. Of two contexts stated the larger counts, so that only what fits nowhere is kept away."""
    known, stated = row.abilities, row.context_window
    return known if (stated or 0) <= (known.context or 0) else replace(known, context=stated)


class _Window:
    """What holds in a time: the price's label, and sheets by how requests are processed. Replaced whole: several threads may ask."""

    __slots__ = ("begin", "end", "label", "sheets")

    def __init__(self, begin: float, end: float, label: str | None) -> None:
        self.begin, self.end, self.label = begin, end, label
        self.sheets: dict[tuple[str | None, Any] | None, Sheet | None] = {}


def _of_tokens(name: str) -> bool:
    return name.startswith(("input", "output", "cache"))


def circumstances(tier: str | None, speed: Any) -> dict[str, str]:
    """How a request was processed, in the words of the price data: service_tier, processing, speed."""
    so: dict[str, str] = {}
    if tier:
        so["service_tier"] = tier
    if tier == "batch":
        so["processing"] = "batch"
    if isinstance(speed, str):
        so["speed"] = speed
    return so


def seconds(day: date) -> float:
    """The beginning of a day (UTC), seconds since the epoch."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
