"""From a config to what runs: sites, routes, guards, keys, prices. Validated whole before anything is swapped.

Rules of this file:
- A provider of the config is built or the config is refused; one found in the environment that cannot be built is skipped, with a
  warning (nobody asked for it).
- The demo provider is always there, under the name "demo", unless the config gives that name to something else.
- Nothing here opens a connection or a file of the data directory.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog
from msgspec import Struct

from headgate.config import schema
from headgate.errors import ConfigError
from headgate.guards.base import Guard
from headgate.model.route import Route, RouteTarget
from headgate.net import Deadlines
from headgate.providers import demo
from headgate.providers.base import Site
from headgate.providers.registry import all_providers
from headgate.providers.site import SiteConfig, build, discover

_log = structlog.get_logger("headgate.config")


class Plan(Struct, frozen=True):
    """What a config amounts to."""

    config: schema.Config
    sites: dict[str, Site]
    aliases: dict[str, Route]
    guards: tuple[Guard, ...]


def plan(config: schema.Config, environment: Mapping[str, str]) -> Plan:
    """Raises ConfigError for a provider that cannot be built, a target that names none."""
    sites = _sites(config, environment)
    return Plan(config=config, sites=sites, aliases=_aliases(config, sites), guards=_guards(config))


def _sites(config: schema.Config, environment: Mapping[str, str]) -> dict[str, Site]:
    providers = all_providers()
    sites: dict[str, Site] = {}
    for name, section in config.providers.items():
        kind = section.type or name
        provider = providers.get(kind)
        if provider is None:
            raise ConfigError(f"unknown provider type {kind!r}", where=f"providers.{name}")
        sites[name] = build(name, provider, _site_config(section), environment)
    if config.discover:
        for site in discover(
            environment, lambda name, error: _log.warning("provider skipped", provider=name, why=str(error))
        ):
            sites.setdefault(site.name, site)
    sites.setdefault("demo", demo.site())
    return sites


def _site_config(section: schema.Provider) -> SiteConfig:
    timeouts = section.timeouts
    return SiteConfig(
        api_key=section.api_key,
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
        deadlines=Deadlines(**msgspec.structs.asdict(timeouts)),
    )


def _aliases(config: schema.Config, sites: Mapping[str, Site]) -> dict[str, Route]:
    aliases: dict[str, Route] = {}
    for name, model in config.models.items():
        for number, target in enumerate(model.targets):
            if target.provider not in sites:
                raise ConfigError(
                    f"no provider {target.provider!r} is configured",
                    where=f"models.{name}.targets[{number}]",
                    hint=f"configured: {', '.join(sites)}",
                )
        aliases[name] = Route(
            alias=name,
            targets=tuple(
                RouteTarget(site=t.provider, model=t.upstream_model, dialect=model.dialect, weight=t.weight)
                for t in model.targets
            ),
            strict=model.strict,
            answer_alias=model.answer_model == "alias",
        )
    return aliases


def _guards(config: schema.Config) -> tuple[Guard, ...]:
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
