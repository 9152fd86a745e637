"""The catalog: which models there are, what they cost and what they can. Read from data.json, resident, one lookup a request.

Rules of this file:
- A provider's models stay undecoded until somebody asks for that provider: most gateways use three of forty.
- The order of the data is the order of matching: the first model that a name matches is meant, then those of the
  providers that this one resells (one step, without their variants).
- What was found, and that nothing was found, is remembered, for a bounded number of names: names come from clients.
- Who asks names the provider as the data does ("openai"), or as its match clauses know it ("vertex" -> google).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from headgate.model.identity import matches

from .matching import Clause, Equals, dashed
from .model import Custom, Model, Row

DATA = Path(__file__).with_name("data.json")
_REMEMBERED = 4096
rows = msgspec.json.Decoder(tuple[Row, ...]).decode
"""The models of a Provider."""


class Source(Struct, frozen=True, kw_only=True):
    """Whose data it is. `newest`: of prices the latest day on which one begins (it may be announced only), of abilities the
    day on which they were published."""

    name: str
    version: str
    newest: date
    licence: str
    copyright: str


class Provider(Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    models: msgspec.Raw
    match: Clause | None = None
    fallback: tuple[str, ...] = ()


class Data(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`source` of prices and names, `abilities` of what models can."""

    source: Source
    abilities: tuple[Source, ...] = ()
    providers: tuple[Provider, ...]


class ConfigPrice(Protocol):
    """What the config says of a price: nano-dollars per million tokens."""

    @property
    def model(self) -> str: ...
    @property
    def input(self) -> int: ...
    @property
    def output(self) -> int: ...
    @property
    def cache_read(self) -> int | None: ...
    @property
    def cache_write(self) -> int | None: ...
    @property
    def since(self) -> date | None: ...


class Catalog:
    def __init__(self, data: Data, custom: tuple[Custom, ...] = (), decoded: dict[str, tuple[Row, ...]] | None = None):
        self.source = data.source
        self._data = data
        self._providers: Mapping[str, Provider] = {provider.id: provider for provider in data.providers}
        self._custom = custom
        self._decoded: dict[str, tuple[Row, ...]] = {} if decoded is None else decoded
        self._found: dict[tuple[str, str, str], Model | None] = {}

    @classmethod
    def load(cls, path: Path = DATA) -> Catalog:
        return cls(msgspec.json.decode(path.read_bytes(), type=Data))

    def overlay(self, prices: Iterable[ConfigPrice]) -> Catalog:
        """The same models with the config's prices laid over them, before those that are laid already."""
        custom = tuple(
            Custom(
                pattern=price.model,
                rates={
                    name: rate
                    for name in ("input", "output", "cache_read", "cache_write")
                    if (rate := getattr(price, name)) is not None
                },
                since=price.since,
            )
            for price in prices
        )
        return Catalog(self._data, self._custom + custom, self._decoded)

    def find(self, provider: str, model: str, at: float, site: str = "") -> Model | None:
        """The model that a provider means by a name, if the catalog or the config has a price for it at that time.
        `site`: the provider's name in this gateway, by which the config may state prices too."""
        found = self.known(provider, model, site)
        return found if found is not None and found.known_at(at) else None

    def known(self, provider: str, model: str, site: str = "") -> Model | None:
        """The model, whether or not it has a price yet."""
        key = (provider, model, site)
        try:
            found = self._found[key]
        except KeyError:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[key] = self._find(provider, model, site)
        return found

    def _find(self, provider: str, name: str, site: str) -> Model | None:
        custom = tuple(
            one for one in self._custom if any(matches(one.pattern, f"{who}/{name}") for who in {provider, site} - {""})
        )
        known = self._provider(provider)
        found = self._match(known, name) if known is not None else None
        edition = f"{self.source.name}-{self.source.version}"
        if found is not None:
            owner, row = found
            return Model(owner.id, row, custom=custom, variants=owner is known, edition=edition)
        if custom:
            return Model(site or provider, Row(id=name, match=Equals(name)), custom=custom, edition=edition)
        return None

    def _provider(self, identity: str) -> Provider | None:
        identity = identity.lower().strip()
        exact = self._providers.get(identity)
        if exact is not None:
            return exact
        return next(
            (one for one in self._data.providers if one.match is not None and one.match.matches(identity)), None
        )

    def _match(self, provider: Provider, name: str) -> tuple[Provider, Row] | None:
        name = name.lower()
        for spelling in dict.fromkeys((name, dashed(name))):
            for owner in (provider, *(self._providers[other] for other in provider.fallback)):
                for row in self._models(owner):
                    if row.match.matches(spelling):
                        return owner, row
        return None

    def _models(self, provider: Provider) -> tuple[Row, ...]:
        found = self._decoded.get(provider.id)
        if found is None:
            found = self._decoded[provider.id] = rows(provider.models)
        return found

    def models(self, provider: str) -> list[Model]:
        """All models of a provider that are not on their way out, as the data orders them."""
        known = self._provider(provider)
        if known is None:
            return []
        edition = f"{self.source.name}-{self.source.version}"
        return [Model(known.id, row, edition=edition) for row in self._models(known) if not row.deprecated]

    def suggest(self, provider: str, model: str, count: int = 3) -> list[str]:
        """The ids nearest to a name that the provider does not have, for "did you mean"."""
        return get_close_matches(model.lower(), [known.id for known in self.models(provider)], count)
