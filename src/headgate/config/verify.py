"""All that is wrong with a config beyond its shape: what it names must exist, what it describes must be buildable.

Rules of this file:
- Providers, guards and certificates are built by the functions that serve them. Nobody is called.
- All errors are told, in the order of the file, each with place, path and suggestion; warnings do not fail.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from msgspec.structs import replace

from headgate.config import switching
from headgate.config.load import ConfigErrors, Loaded
from headgate.config.provision import condition, guards_of, sites_of
from headgate.config.schema import Config
from headgate.errors import ConfigError
from headgate.guards.pattern import compile as compile_guards
from headgate.model.identity import matches
from headgate.providers.base import Site
from headgate.providers.registry import all_providers
from headgate.providers.site import discover


def verify(loaded: Loaded, variables: Mapping[str, str]) -> tuple[Mapping[str, Site], list[ConfigError]]:
    """The sites the config amounts to, and warnings. Raises ConfigErrors: all that the file's shape does not show."""
    errors, warnings = list(_files(loaded)), []
    sites: dict[str, Site] = {}
    for name in loaded.config.providers:
        try:
            sites |= _built(loaded, name, variables)
        except ConfigError as error:
            errors.append(loaded.error(error.where, error.message, error.hint))
    if loaded.config.discover:
        skipped: list[ConfigError] = []
        for site in discover(variables, lambda name, why: skipped.append(loaded.error(name, str(why)))):
            sites.setdefault(site.name, site)
        warnings += skipped
    sites = {**_alone(loaded.config, {}, variables), **sites}
    errors += [*_targets(loaded, sites), *_switches(loaded, sites), *_guards(loaded)]
    if errors:
        raise ConfigErrors(sorted(errors, key=_place))
    told = [loaded.error(*fault) for fault in switching.regions(loaded.config)]
    return sites, [*warnings, *told, *_unused(loaded, sites)]


def _place(error: ConfigError) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r":(\d+)", error.where)[-2:])


# providers


def _built(loaded: Loaded, name: str, variables: Mapping[str, str]) -> Mapping[str, Site]:
    section = loaded.config.providers[name]
    kind = section.type or name
    if kind not in (known := all_providers()):
        where = f"providers.{name}" + (".type" if f"providers.{name}.type" in loaded.marks else "")
        hint = "for any other server: type: openai_compatible, and its base_url"
        raise ConfigError(f'no provider "{kind}" is known', where=where, hint=_nearest(kind, known) or hint)
    return {name: _alone(loaded.config, {name: section}, variables)[name]}


def _alone(config: Config, providers: Mapping[str, object], variables: Mapping[str, str]) -> Mapping[str, Site]:
    """The sites of a config that has nothing but these providers."""
    bare = replace(config, providers=dict(providers), discover=False)
    return sites_of(bare, variables)[0]


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(name, known, 1)
    return f'did you mean "{close[0]}"?' if close else ""


# models


def _targets(loaded: Loaded, sites: Mapping[str, Site]) -> Iterator[ConfigError]:
    for name, model in loaded.config.models.items():
        for place, target in model.named():
            path = f"models.{name}.{place}"
            site = sites.get(target.provider)
            if site is None:
                if target.provider not in loaded.config.providers:  # else it is told already why there is none
                    yield loaded.error(
                        path, f'no provider "{target.provider}" is configured', _missing(target.provider, sites)
                    )
            elif model.dialect and model.dialect not in (spoken := [e.dialect for e in site.provider.endpoints]):
                yield loaded.error(
                    f"models.{name}.dialect",
                    f'"{target.provider}" does not speak {model.dialect}',
                    f"it speaks {', '.join(spoken)}",
                )


def _missing(name: str, sites: Mapping[str, Site]) -> str:
    known = all_providers()
    if name in known:
        variables = " or ".join(known[name].env)
        return "add it under `providers`" + (f", or set {variables}" if variables else "")
    return _nearest(name, sites) or f"configured: {', '.join(sites)}"


def _switches(loaded: Loaded, sites: Mapping[str, Site]) -> Iterator[ConfigError]:
    """Rules, canaries, tiers. A model at a provider that could not be built is told already."""
    config = loaded.config
    for fault in (*switching.faults(config), *switching.unknown(config, {*sites, *config.providers})):
        yield loaded.error(*fault)
    for name, model in config.models.items():
        for index, rule in enumerate(model.rules):
            try:
                condition(f"models.{name}.rules[{index}].when", rule)
            except ConfigError as error:
                yield loaded.error(error.where, error.message, error.hint)


# guards, files


def _guards(loaded: Loaded) -> Iterator[ConfigError]:
    for index, guard in enumerate(guards_of(loaded.config)):
        try:
            compile_guards([guard])
        except ConfigError as error:
            yield loaded.error(f"guards[{index}].pattern", error.message, error.hint)


def _files(loaded: Loaded) -> Iterator[ConfigError]:
    sections = {f"providers.{name}": section for name, section in loaded.config.providers.items()}
    for path, section in sections.items():
        for field in ("ca_file", "cert_file", "key_file"):
            file = getattr(section, field)
            if file and not Path(file).is_file():
                yield loaded.error(f"{path}.{field}", f"there is no file {file}")
    if tls := loaded.config.server.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(tls.cert_file, tls.key_file)
            if tls.client_ca_file:
                context.load_verify_locations(tls.client_ca_file)
        except (OSError, ssl.SSLError) as error:
            yield loaded.error("server.tls", f"the certificate cannot be used: {error}")


# patterns


def _unused(loaded: Loaded, sites: Mapping[str, Site]) -> Iterator[ConfigError]:
    """Patterns that no model can match."""
    for index, key in enumerate(loaded.config.keys):
        for number, pattern in enumerate(key.models):
            if not _matches_something(pattern, loaded.config, sites):
                yield loaded.error(
                    f"keys[{index}].models[{number}]", f'"{pattern}" is no model that this gateway offers'
                )
    for index, price in enumerate(loaded.config.prices):
        if not _matches_something(price.model, loaded.config, sites):
            yield loaded.error(f"prices[{index}].model", f'"{price.model}" is no model that this gateway offers')


def _matches_something(pattern: str, config: Config, sites: Mapping[str, Site]) -> bool:
    site, slash, _ = pattern.partition("/")
    names = (*config.models, *(f"{name}/" for name in sites))
    return bool(slash and site in sites) or any(matches(pattern, name) or matches(name, pattern) for name in names)
