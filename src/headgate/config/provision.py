"""From a config to what runs: sites, routes, guards, keys, prices. Validated whole before anything is swapped.

Rules of this file:
- A provider of the config is built or the config is refused; one found in the environment that cannot be built is skipped, with a
  warning (nobody asked for it).
- The demo provider is always there, under the name "demo", unless the config gives that name to something else.
- A provider with several keys is one site a key: "openai", "openai#second". All have the provider's name in records.
- Preference is rank: without weights each target is a rank of its own, and the keys of one target share its rank.
- Nothing here opens a connection or a file of the data directory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct
from msgspec.structs import asdict, replace

from headgate.config import routes, schema, switching
from headgate.errors import ConfigError
from headgate.guards.base import Guard
from headgate.model.ability import Abilities
from headgate.model.route import Purpose, Route, RouteTarget
from headgate.net import Deadlines
from headgate.providers import demo
from headgate.providers.base import Credential, Secret, Site
from headgate.providers.registry import all_providers
from headgate.providers.site import SiteConfig, build, discover, listing
from headgate.routing import balance
from headgate.routing.breaker import BreakerTerms
from headgate.routing.eject import EjectTerms
from headgate.routing.policy import DraftCheck, HedgeTerms, JudgeTerms, Policy, RateTerms, Share
from headgate.routing.retry import RetryTerms

if TYPE_CHECKING:
    from headgate.routing.conditions import Condition
    from headgate.routing.switch import Switch

_log = structlog.get_logger("headgate.config")


class Plan(Struct, frozen=True):
    """What a config amounts to. `spread`: provider's name -> its sites, one a key, each with its weight."""

    config: schema.Config
    sites: dict[str, Site]
    spread: dict[str, tuple[tuple[str, int], ...]]
    aliases: dict[str, Route]
    guards: tuple[Guard, ...]

    @property
    def names(self) -> list[str]:
        """The providers by name, as models are named by them."""
        return [name for name in self.sites if "#" not in name]

    def at(self, name: str, site: str, model: str) -> Route:
        """The route of a model that is named by its provider, as a caller calls it."""
        targets = _targets(self.config, self.spread, [routes.Target(model=f"{site}/{model}")])
        return Route(alias=name, targets=targets, policy=self.plain)

    @property
    def plain(self) -> Policy:
        """The policy of models that are named by their provider."""
        config = self.config
        return Policy(retry=RetryTerms(**asdict(config.retry)), eject=EjectTerms(**asdict(config.eject)))

    def breaker(self, site: str) -> BreakerTerms:
        """The terms of a site's breakers; the default ones for a site of an earlier config."""
        known = self.sites.get(site)
        if known is not None and known.provider is demo.PROVIDER:
            return BreakerTerms(minimum=1_000_000)  # its faults are there to be seen
        section = self.config.providers.get(site.partition("#")[0])
        if section is None:
            return BreakerTerms()
        return BreakerTerms(**asdict(section.breaker), probed=section.probe is not None)

    def probed_every(self, site: str) -> float | None:
        """Seconds between two active probes of a site; None: there are none."""
        section = self.config.providers.get(site.partition("#")[0])
        return section.probe.every if section is not None and section.probe is not None else None


def plan(config: schema.Config, environment: Mapping[str, str]) -> Plan:
    """Raises ConfigError for a provider that cannot be built, a target that names none."""
    sites, spread = sites_of(config, environment)
    for fault in (*switching.faults(config), *switching.unknown(config, sites)):
        raise ConfigError(fault.message, where=fault.path, hint=fault.hint)
    return Plan(
        config=config, sites=sites, spread=spread, aliases=_aliases(config, sites, spread), guards=guards_of(config)
    )


# ---------------------------------------------------------------------- sites


def sites_of(
    config: schema.Config, environment: Mapping[str, str]
) -> tuple[dict[str, Site], dict[str, tuple[tuple[str, int], ...]]]:
    providers = all_providers()
    sites: dict[str, Site] = {}
    spread: dict[str, tuple[tuple[str, int], ...]] = {}
    for name, section in config.providers.items():
        kind = section.type or name
        provider = providers.get(kind)
        if provider is None:
            raise ConfigError(f"unknown provider type {kind!r}", where=f"providers.{name}")
        if section.api_keys and section.api_key is not None:
            raise ConfigError("api_key and api_keys are both given", where=f"providers.{name}", hint="give one of them")
        first = section.api_keys[0].api_key if section.api_keys else section.api_key
        sites[name] = site = build(name, provider, _site_config(section, first), environment)
        if section.probe is not None and listing(site) is None:
            raise ConfigError(
                "this provider lists no models: there is nothing to ask it that costs nothing",
                where=f"providers.{name}.probe",
                hint="leave it out",
            )
        if section.api_keys:
            sites |= _keyed(name, site, section.api_keys)
            spread[name] = tuple(
                (name if not number else f"{name}#{key.name}", key.weight)
                for number, key in enumerate(section.api_keys)
            )
    if config.discover:
        for site in discover(
            environment, lambda name, error: _log.warning("provider skipped", provider=name, why=str(error))
        ):
            sites.setdefault(site.name, site)
    sites.setdefault("demo", demo.site())
    return sites, spread


def _keyed(name: str, site: Site, keys: Sequence[schema.ProviderKey]) -> dict[str, Site]:
    """The sites of a provider with several keys: alike but for the credential."""
    return {
        (name if not number else f"{name}#{key.name}"): replace(
            site,
            key=key.name if number else "",
            credential=Credential(name=key.name, key=Secret(key.api_key), settings=site.credential.settings),
        )
        for number, key in enumerate(keys)
    }


def _site_config(section: schema.Provider, api_key: str | None) -> SiteConfig:
    return SiteConfig(
        api_key=api_key,
        base_url=section.base_url,
        settings=dict(section.settings),
        dialects=section.dialects,
        headers=dict(section.headers),
        accepts=section.accepts,
        proxy=section.proxy,
        ca_file=section.ca_file,
        cert_file=section.cert_file,
        key_file=section.key_file,
        verify=section.verify,
        deadlines=Deadlines(**asdict(section.timeouts)),
    )


# ---------------------------------------------------------------------- routes


def _aliases(
    config: schema.Config, sites: Mapping[str, Site], spread: Mapping[str, tuple[tuple[str, int], ...]]
) -> dict[str, Route]:
    aliases: dict[str, Route] = {}
    for name, model in config.models.items():
        for path, target in model.named():
            if target.provider not in sites or "#" in target.provider:
                raise ConfigError(
                    f"no provider {target.provider!r} is configured",
                    where=f"models.{name}.{path}",
                    hint=f"configured: {', '.join(site for site in sites if '#' not in site)}",
                )
        aliases[name] = Route(
            alias=name,
            targets=_all_targets(config, spread, model),
            policy=_policy(config, model),
            strict=model.strict,
            answer_alias=model.answer_model == "alias",
            regions=frozenset(model.regions),
            sunset=model.deprecated.sunset.isoformat() if model.deprecated is not None else "",
            switch=_switch(name, model),
        )
    return aliases


TYPED: tuple[tuple[str, Purpose], ...] = (("on_context", "context"), ("on_filter", "filter"))


def _all_targets(
    config: schema.Config, spread: Mapping[str, tuple[tuple[str, int], ...]], model: routes.Model
) -> tuple[RouteTarget, ...]:
    balanced = model.strategy not in ("weighted", "order") and model.cascade is None
    found = list(_targets(config, spread, model.targets, level=balanced, dialect=model.dialect))
    rank = max(target.rank for target in found) + 1
    found += _targets(config, spread, model.fallbacks, rank=rank, dialect=model.dialect)
    for field, purpose in TYPED:
        found += _targets(config, spread, getattr(model, field), dialect=model.dialect, purpose=purpose)
    if model.deprecated is not None and model.deprecated.successor is not None:
        successor = routes.Target(model=model.deprecated.successor)
        found += _targets(config, spread, [successor], dialect=model.dialect, purpose="successor")
    return tuple(found)


def _targets(
    config: schema.Config,
    spread: Mapping[str, tuple[tuple[str, int], ...]],
    targets: Sequence[routes.Target],
    *,
    level: bool = False,
    rank: int = 0,
    dialect: str | None = None,
    purpose: Purpose = "",
) -> tuple[RouteTarget, ...]:
    """`level`: all are of the same rank. Else those with weights come first together, the others in their order."""
    found = []
    shared = rank
    rank += any(target.weight for target in targets)
    for target in targets:
        own = shared if level or target.weight else rank
        rank += not (level or target.weight)
        section = config.providers.get(target.provider)
        keys = spread.get(target.provider, ((target.provider, 1),))
        for site, weight in keys:
            found.append(
                RouteTarget(
                    site=site,
                    model=target.upstream_model,
                    dialect=dialect,
                    weight=(target.weight or 1) * weight if target.weight or len(keys) > 1 else None,
                    rank=own,
                    purpose=purpose,
                    tags=frozenset(target.tags),
                    region=target.region or (section.region if section is not None else None) or "",
                    abilities=Abilities(**asdict(target.abilities)) if target.abilities is not None else None,
                )
            )
    return tuple(found)


STRATEGIES: dict[str, balance.Strategy] = {
    "weighted": balance.Weighted(),
    "order": balance.Weighted(),
    "round_robin": balance.RoundRobin(),
    "least_busy": balance.LeastBusy(),
    "fastest": balance.Fastest(),
    "cheapest": balance.Cheapest(),
    "headroom": balance.Headroom(),
}
"""In order is by rank: what is left of it to choose is between the keys of one target."""


def _policy(config: schema.Config, model: routes.Model) -> Policy:
    strategy = STRATEGIES[model.strategy]
    if model.sticky is not None:
        strategy = balance.Sticky(otherwise=strategy, by_prompt=model.sticky.by == "prompt")
    return Policy(
        strategy=strategy,
        retry=RetryTerms(**asdict(model.retry or config.retry)),
        eject=EjectTerms(**asdict(model.eject or config.eject)),
        hedge=HedgeTerms(after=model.hedge.after, share=model.hedge.share) if model.hedge is not None else None,
        midstream=model.midstream,
        check=_check(model.cascade) if model.cascade is not None else None,
        shadow=Share(use=model.shadow.use, percent=model.shadow.percent) if model.shadow is not None else None,
        min_rate=RateTerms(**asdict(model.min_rate)) if model.min_rate is not None else None,
        timeout=model.timeout,
        coalesce=model.coalesce,
    )


def _check(cascade: routes.Check) -> DraftCheck:
    judge = JudgeTerms(**asdict(cascade.judge)) if cascade.judge is not None else None
    return DraftCheck(**asdict(cascade) | {"judge": judge})


def _switch(name: str, model: routes.Model) -> Switch | None:
    if not (model.rules or model.canary or model.tiers):
        return None
    from headgate.routing.switch import Rule, Switch, Tier

    canary = model.canary
    return Switch(
        rules=tuple(
            Rule(number=number, condition=condition, use=rule.use or "", refuse=rule.refuse or "")
            for number, (rule, condition) in enumerate(zip(model.rules, _conditions(name, model), strict=True), 1)
        ),
        canary=Share(use=canary.use, percent=canary.percent) if canary is not None else None,
        tiers=tuple(Tier(use=tier.use, up_to=tier.up_to) for tier in model.tiers),
    )


def _conditions(name: str, model: routes.Model) -> Iterator[Condition]:
    for index, rule in enumerate(model.rules):
        yield condition(f"models.{name}.rules[{index}].when", rule)


def condition(path: str, rule: routes.Rule) -> Condition:
    """Raises ConfigError."""
    from headgate.routing.conditions import compile  # gateways without rules have no engine loaded

    try:
        return compile(rule.when)
    except ConfigError as error:
        raise ConfigError(error.message, where=path, hint=error.hint) from None


def guards_of(config: schema.Config) -> tuple[Guard, ...]:
    return tuple(
        Guard(
            name=g.name,
            pattern=g.pattern,
            mode=g.mode,
            action=g.action,
            places=frozenset(g.places),
            replacement=g.replacement,
            max_length=g.max_length,
            ignore_case=g.ignore_case,
        )
        for g in config.guards
    )
