"""What is wrong with the models that a config names in rules, canaries, tiers and shadows, with its regions, and with what it says
of weights, repeats and breakers: judged on the config alone.

Rules of this file:
- A fault is (path, message, hint): `headgate check` tells all of them with their places, provisioning refuses the first.
- Names are understood as requests' names are: an alias, else the longest pattern that fits, else provider/model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import NamedTuple

from headgate.config.routes import Model, Retry, Target
from headgate.config.schema import Config
from headgate.model.route import HOPS


class Fault(NamedTuple):
    path: str
    message: str
    hint: str = ""


def faults(config: Config) -> Iterator[Fault]:
    """What contradicts itself, whatever providers there are."""
    for name, model in config.models.items():
        yield from _rules(f"models.{name}", model)
        yield from _tiers(f"models.{name}", model)
        yield from _weights(f"models.{name}", model)
        if model.retry is not None:
            yield from _retry(f"models.{name}.retry", model.retry)
        if model.shadow is not None and alias_of(config, model.shadow.use) == name:
            yield Fault(f"models.{name}.shadow.use", "it would be its own shadow", "name another model")
        yield from _judges(config, f"models.{name}", model)
        if model.coalesce and model.midstream == "continue":
            yield Fault(
                f"models.{name}.coalesce",
                "an answer that is shared cannot be gone on with when it breaks off",
                "take midstream: restart",
            )
    yield from _retry("retry", config.retry)
    yield from _chains(config)
    yield from _breakers(config)
    for index, key in enumerate(config.keys):
        tenant = config.tenants.get(key.tenant)
        if tenant is not None and key.regions and tenant.regions and not set(key.regions) & set(tenant.regions):
            yield Fault(
                f"keys[{index}].regions",
                f'its tenant "{key.tenant}" may use {", ".join(tenant.regions)}: nothing is in both',
                "name a region that both have",
            )


def unknown(config: Config, providers: Collection[str]) -> Iterator[Fault]:
    """Names of models that mean none."""
    for name, model in config.models.items():
        for path, use in (*_uses(f"models.{name}", model), *_aside(f"models.{name}", model)):
            if alias_of(config, use) is None and not _at_provider(use, providers):
                close = get_close_matches(use, [*config.models, *(f"{provider}/" for provider in providers)], 1)
                hint = f'did you mean "{close[0]}"?' if close else 'name a model of this config, or "provider/model"'
                yield Fault(path, f'"{use}" is no model that this gateway offers', hint)


def regions(config: Config) -> Iterator[Fault]:
    """Regions that nothing is in: requests that must stay there are refused, and none of them has a shadow or a judge."""
    known = {provider.region for provider in config.providers.values() if provider.region}
    for name, model in config.models.items():
        own = {_region(config, target) for target in (*model.targets, *model.fallbacks)}
        known |= {region for region in own if region}
        for index, region in enumerate(model.regions):
            if region not in own:
                yield Fault(f"models.{name}.regions[{index}]", f'no target of it is in "{region}"')
        for path, use in _aside(f"models.{name}", model) if model.regions else ():
            if not _regions(config, use) & {*model.regions}:
                why = f'requests of this model stay in {", ".join(model.regions)}, and "{use}" has no target there'
                yield Fault(path, why, "it would get none of them: give it one, or name another model")
    demanding = [(f"keys[{index}].regions", key.regions) for index, key in enumerate(config.keys)]
    demanding += [(f"tenants.{name}.regions", tenant.regions) for name, tenant in config.tenants.items()]
    for path, wanted in demanding:
        for index, region in enumerate(wanted):
            if region not in known:
                yield Fault(f"{path}[{index}]", f'no target and no provider is in "{region}"')


def alias_of(config: Config, name: str) -> str | None:
    """The alias, or the pattern, that a model's name means."""
    if name in config.models and not name.endswith("*"):
        return name
    fitting = [alias for alias in config.models if alias.endswith("*") and name.startswith(alias[:-1])]
    return max(fitting, key=len, default=None)


def _at_provider(name: str, providers: Collection[str]) -> bool:
    provider, _, model = name.partition("/")
    return bool(model) and provider in providers


def _uses(path: str, model: Model) -> Iterator[tuple[str, str]]:
    """The models that may take a request in this one's place, with the place where they are named."""
    for index, rule in enumerate(model.rules):
        if rule.use is not None:
            yield f"{path}.rules[{index}].use", rule.use
    if model.canary is not None:
        yield f"{path}.canary.use", model.canary.use
    for index, tier in enumerate(model.tiers):
        yield f"{path}.tiers[{index}].use", tier.use


def _aside(path: str, model: Model) -> Iterator[tuple[str, str]]:
    """The models that get what is made beside a request, with the place where they are named."""
    if model.shadow is not None:
        yield f"{path}.shadow.use", model.shadow.use
    if model.cascade is not None and model.cascade.judge is not None:
        yield f"{path}.cascade.judge.use", model.cascade.judge.use


def _judges(config: Config, path: str, model: Model) -> Iterator[Fault]:
    """A judge whose own answers would be drafts for a judge."""
    if model.cascade is None or model.cascade.judge is None:
        return
    for alias in sorted(_reached(config, model.cascade.judge.use)):
        cascade = config.models[alias].cascade
        if cascade is not None and cascade.judge is not None:
            message = f'what it says would be judged itself: "{alias}" has a judge'
            yield Fault(f"{path}.cascade.judge.use", message, "name a model without one")


def _reached(config: Config, name: str) -> set[str]:
    """The aliases that a request for this name may be served by."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        alias = alias_of(config, waiting.pop())
        if alias is not None and alias not in found:
            found.add(alias)
            waiting += [use for _, use in _uses("", config.models[alias])]
    return found


def _region(config: Config, target: Target) -> str | None:
    provider = config.providers.get(target.provider)
    return target.region or (provider.region if provider is not None else None)


def _regions(config: Config, name: str) -> set[str | None]:
    """Where a request for this name may be computed, whatever rules, canaries and tiers lead to; None: nobody knows."""
    models = [config.models[alias] for alias in _reached(config, name)]
    names = [name, *(use for model in models for _, use in _uses("", model))]
    found = {_region(config, Target(model=use)) for use in names if alias_of(config, use) is None}
    for model in models:
        own = {_region(config, target) for _, target in model.named()}
        found |= own & {*model.regions} if model.regions else own
    return found


def _rules(path: str, model: Model) -> Iterator[Fault]:
    for index, rule in enumerate(model.rules):
        if (rule.use is None) == (rule.refuse is None):
            what = "neither `use` nor `refuse`" if rule.use is None else "both `use` and `refuse`"
            yield Fault(f"{path}.rules[{index}]", f"this rule has {what}", "give one of them")


def _tiers(path: str, model: Model) -> Iterator[Fault]:
    for index, (before, tier) in enumerate(zip(model.tiers, model.tiers[1:], strict=False)):
        if tier.up_to <= before.up_to:
            yield Fault(
                f"{path}.tiers[{index + 1}].up_to",
                f"{tier.up_to:g} is not more than the {before.up_to:g} of the tier before: it would get nothing",
                "order the tiers by `up_to`, the simplest first",
            )


WEIGHED = frozenset(("weighted", "least_busy"))
"""Strategies that obey weights."""


def _weights(path: str, model: Model) -> Iterator[Fault]:
    if model.strategy in WEIGHED or (model.sticky is not None and model.sticky.by == "session"):
        return
    for index, target in enumerate(model.targets):
        if target.weight is not None:
            where = f"{path}.targets[{index}]"
            hint = f"leave it out, or take one of {', '.join(sorted(WEIGHED))}"
            yield Fault(f"{where}.weight", f"the strategy `{model.strategy}` knows no weights", hint)


def _retry(path: str, retry: Retry) -> Iterator[Fault]:
    if retry.attempts > retry.most:
        said = f"one target is asked {retry.attempts} times, and all of them together {retry.most} times"
        yield Fault(f"{path}.attempts", said, "raise `most`, or lower `attempts`")
    if retry.cap < retry.base:
        what = f"{retry.cap:g} s at most is less than the {retry.base:g} s of the first pause (`base`)"
        yield Fault(f"{path}.cap", what, "raise it")


def _breakers(config: Config) -> Iterator[Fault]:
    for name, provider in config.providers.items():
        first, most = provider.breaker.open_for, provider.breaker.open_most
        if most < first:
            path = f"providers.{name}.breaker.open_most"
            yield Fault(path, f"{most:g} s at most is less than the {first:g} s of `open_for`", "raise it")


def _chains(config: Config) -> Iterator[Fault]:
    """Models that would send a request in a circle, or on too often. Each circle is told once, where it closes."""
    longest: dict[str, int] = {}

    def follow(alias: str, above: tuple[str, ...]) -> Iterator[Fault]:
        longest[alias] = 0
        for path, use in _uses(f"models.{alias}", config.models[alias]):
            next_ = alias_of(config, use)
            if next_ in (*above, alias):
                circle = (*above, alias)[(*above, alias).index(str(next_)) :]
                yield Fault(path, f"requests would go in a circle: {' > '.join((*circle, str(next_)))}")
            elif next_ is not None:
                if next_ not in longest:
                    yield from follow(next_, (*above, alias))
                longest[alias] = max(longest[alias], longest[next_] + 1)
            else:
                longest[alias] = max(longest[alias], 1)
        if longest[alias] == HOPS + 1:
            yield Fault(f"models.{alias}", f"requests would be sent on more than {HOPS} times")

    for alias in config.models:
        if alias not in longest:
            yield from follow(alias, ())
