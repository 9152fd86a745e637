"""LiteLLM's router, as `models` of ours: who shares the load of a name, who comes behind, who only after a failure of one kind.

Rules of this file:
- The deployments of a name with the lowest `order` share its load (`targets`); those of higher orders, and then the deployments of
  its fallbacks' names, come behind them (`fallbacks`). Of `fallbacks` only the first group can share by weight.
- simple-shuffle draws by weight, else by rpm, else by tpm, else evenly: so do weights here. The other strategies know no weights.
- `fallbacks` are for every failure that another model may not have, context and filter have lists of their own, as there.

Sources: docs.litellm.ai/docs/routing (strategies, weights, order, cooldowns, retries, pre-call checks) and
docs.litellm.ai/docs/proxy/reliability (the kinds of fallbacks, and that of `default_fallbacks` for names that have none).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import gcd
from typing import NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from headgate.cli.importers.litellm_sites import Naming, Section, key_names
from headgate.cli.importers.source import Note, View

STRATEGIES: dict[str, tuple[str, str]] = {
    "simple-shuffle": ("weighted", ""),
    "least-busy": ("least_busy", ""),
    "latency-based-routing": ("fastest", "there the whole answer's time counts, here the time to its first content"),
    "cost-based-routing": ("cheapest", "here what this request is expected to cost counts, its warm prompt cache included"),
    "usage-based-routing": ("headroom", "there it counts tokens itself, here the provider's own word on its limit is heeded"),
    "usage-based-routing-v2": (
        "headroom",
        "there it counts tokens itself, here the provider's own word on its limit is heeded",
    ),
}  # fmt: skip
"""routing_strategy -> ours, and where its meaning differs."""

COOLDOWNS = {
    "allowed_fails": "there so many failures in a minute are enough, here half of the calls must have failed too",
    "cooldown_time": "there also after one 429, here as long as the provider asks; a break doubles while failures go on",
}
"""Where their meaning differs."""
CHECKS = frozenset(("prompt_caching", "responses_api_deployment_check"))
"""optional_pre_call_checks that are so here: the second always, as kept responses belong to the provider that keeps them."""

_KINDS = (
    ("fallbacks", "fallbacks"),
    ("context_window_fallbacks", "on_context"),
    ("content_policy_fallbacks", "on_filter"),
)
_MOST = 6
"""Attempts of one request, as `retry.most` has it by default."""


class Deployment(Struct, frozen=True, kw_only=True):
    """One entry of model_list. `shares`: weight, rpm, tpm. `retries`: how often it is asked again, where it says so itself."""

    alias: str
    section: Section
    model: str
    order: Decimal
    shares: tuple[Decimal | None, Decimal | None, Decimal | None]
    line: int
    region: str | None = None
    retries: int | None = None
    silent: str | None = None
    """The name that gets a copy of what it is asked."""
    price: dict[str, object] | None = None
    """As it stands below `prices`, without its model."""


class Weighed(NamedTuple):
    target: str
    weight: int
    region: str | None


Rank: TypeAlias = list[Weighed]
"""Targets that share the load, the heaviest first."""


class Terms(Struct, frozen=True, kw_only=True):
    """What the settings say of all models."""

    strategy: str = "weighted"
    by_prompt: bool = False
    """What has its prompt in a target's cache stays there."""


# ---------------------------------------------------------------------- several keys


def merged(deployments: Sequence[Deployment]) -> list[Deployment]:
    """With one deployment in place of those that differ in nothing but their key, where each of these keys serves all the same."""
    families: dict[Section, dict[str, list[Deployment]]] = {}
    for one in deployments:
        if one.section.api_key is not None:
            family = families.setdefault(replace(one.section, api_key=None), {})
            family.setdefault(one.section.api_key, []).append(one)
    out = list(deployments)
    for section, by_key in families.items():
        if len(by_key) > 1 and (weights := _key_weights(list(by_key.values()))):
            names = key_names(list(by_key), section.label)
            keys = tuple(zip(names, by_key, weights, strict=True))
            kept = [id(one) for one in next(iter(by_key.values()))]
            gone = {id(one) for ones in by_key.values() for one in ones} - set(kept)
            out = [
                replace(one, section=replace(section, api_keys=keys), shares=_divided(one, weights[0]))
                if id(one) in kept
                else one
                for one in out
                if id(one) not in gone
            ]
    return out


def _divided(one: Deployment, by: int) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    weight, rpm, tpm = (share if share is None else share / by for share in one.shares)
    return weight, rpm, tpm


def _key_weights(by_key: list[list[Deployment]]) -> list[int]:
    """Each key's share; nothing where the keys serve different models, or share them in different proportions."""
    uses = [
        sorted((one.alias, one.model, one.order, one.region or "", one.retries or 0, one.silent or "") for one in ones)
        for ones in by_key
    ]
    even = all(len({one.shares for one in ones}) == 1 for ones in by_key)
    if (
        not even
        or any(use != uses[0] for use in uses)
        or any(share == 0 for ones in by_key for share in ones[0].shares)
    ):
        return []
    return weights([ones[0] for ones in by_key])


# ---------------------------------------------------------------------- ranks


def ranks(name: str, deployments: Sequence[Deployment], naming: Naming, notes: list[Note]) -> list[Rank]:
    """Who takes the requests of a name, by order; none empty."""
    found: dict[Decimal, Rank] = {}
    seen: set[str] = set()
    weighed = zip(deployments, weights(deployments), strict=True)
    for one, weight in sorted(weighed, key=lambda pair: (pair[0].order, -pair[1])):
        target = f"{naming.name(one.section)}/{one.model}"
        if weight == 0:
            said = f"{name}: a deployment without weight is left out"
            notes.append(Note(one.line, "model_list", "lost", said))
        elif target not in seen:
            seen.add(target)
            found.setdefault(one.order, []).append(Weighed(target, weight, one.region))
    return [_reduced(rank) for rank in found.values()]


def _reduced(rank: Rank) -> Rank:
    divisor = gcd(*(one.weight for one in rank))
    return [one._replace(weight=one.weight // divisor) for one in rank]


def model(name: str, own: Sequence[Rank], terms: Terms, notes: list[Note], line: int) -> dict[str, object]:
    """What stands under the name, but for the fallbacks to other names."""
    several = len(own[0]) > 1
    written: dict[str, object] = {"targets": _written(own[0], several and terms.strategy == "weighted")}
    if several and terms.strategy != "weighted":
        written["strategy"] = terms.strategy
    if terms.by_prompt and several:
        written["sticky"] = {"by": "prompt"}
    behind(name, written, "fallbacks", own[1:], notes, line)
    return written


def behind(
    name: str, written: dict[str, object], field: str, more: Iterable[Rank], notes: list[Note], line: int
) -> None:
    """Add these to the model's `fallbacks`, `on_context` or `on_filter`: those who are not there, nor among its targets."""
    known = {_name(target) for key in ("targets", field) for target in _list(written, key)}
    for rank in more:
        fresh = [target for target in rank if target.target not in known]
        known |= {target.target for target in fresh}
        shared = len(fresh) > 1
        if shared and _list(written, field):
            said = f"{name}: deployments that share the load there are asked in order here, behind other {field}"
            notes.append(Note(line, "model_list", "advice", said))
            shared = False
        if fresh:
            written[field] = [*_list(written, field), *_written(fresh, shared)]


def _written(rank: Iterable[Weighed], shared: bool) -> list[object]:
    out: list[object] = []
    for target, weight, region in rank:
        more = {"weight": weight if shared else None, "region": region}
        given = {key: value for key, value in more.items() if value is not None}
        out.append({"model": target, **given} if given else target)
    return out


def _list(written: dict[str, object], field: str) -> list[object]:
    found = written.get(field, [])
    assert isinstance(found, list)
    return found


def _name(target: object) -> str:
    return str(target["model"]) if isinstance(target, dict) else str(target)


def weights(deployments: Sequence[Deployment]) -> list[int]:
    """Small whole numbers in the proportion of the weights, else of the limits, that all of these have; else ones."""
    for at in range(3):
        shares = [deployment.shares[at] for deployment in deployments]
        known = [share for share in shares if share is not None and share >= 0]
        if len(known) == len(shares) or (at == 0 and known):
            return _whole([Decimal(1) if share is None else max(share, Decimal(0)) for share in shares])
    return [1] * len(deployments)


def _whole(shares: Iterable[Decimal]) -> list[int]:
    whole = [int(share * 1000) for share in shares]
    largest = max(whole)
    if largest > 1000 * 1000:
        whole = [share and max(1, share * 1000 // largest) for share in whole]
    divisor = gcd(*whole) or 1
    return [share // divisor for share in whole]


def mirrored(
    models: dict[str, dict[str, object]], groups: Mapping[str, Sequence[Deployment]], notes: list[Note]
) -> None:
    """`silent_model` (docs.litellm.ai/docs/traffic_mirroring) as `shadow`, where all deployments of a name say the same."""
    for name, written in models.items():
        silent = {one.silent for one in groups[name]}
        use = next((one for one in silent if one is not None), None)
        if use is None:
            continue
        why = None
        if len(silent) > 1:
            why = "its deployments differ in their silent_model"
        elif use not in models or use == name or "*" in use:
            why = "its silent_model is no other model that is converted"
        if why is None:
            written["shadow"] = {"use": use, "percent": 100}
        else:
            notes.append(Note(groups[name][0].line, "model_list", "lost", f"{name}: {why}"))


# ---------------------------------------------------------------------- fallbacks


class Fallbacks:
    """To other names: for any failure, for a prompt that is too long, for one that a filter stops."""

    def __init__(self, models: dict[str, dict[str, object]], by_name: dict[str, list[Rank]], notes: list[Note]) -> None:
        self._models = models
        self._ranks = by_name
        self._notes = notes
        self._own: set[tuple[str, str]] = set()
        """(ours, name): who has fallbacks of that kind by name."""

    def read(self, settings: Sequence[View]) -> None:
        for view in settings:
            for theirs, ours in _KINDS:
                self._kind(view, theirs, ours)
        for view in settings:
            self._default(view)

    def _kind(self, settings: View, theirs: str, ours: str) -> None:
        of_all: list[tuple[View, list[str]]] = []
        for view in settings.sections(theirs):
            for name in view.names():
                if name == "*":
                    of_all.append((view, view.texts("*")))
                else:
                    self._own.add((ours, name))
                    self._add(name, view.texts(name), ours, view, name)
            view.rest({})
        for view, fallbacks in of_all:
            for name in self._without(ours):
                self._add(name, fallbacks, ours, view, "*")

    def _default(self, settings: View) -> None:
        names = settings.texts("default_fallbacks")
        for name in self._without("fallbacks") if names else []:
            self._add(name, names, "fallbacks", settings, "default_fallbacks")

    def _without(self, field: str) -> list[str]:
        return [name for name in self._models if (field, name) not in self._own]

    def _add(self, name: str, fallbacks: Sequence[str], field: str, view: View, key: str) -> None:
        for fallback in fallbacks:
            found = self._ranks.get(fallback)
            if name not in self._models or found is None:
                view.tell("lost", "a fallback from or to a model that is not converted", key)
            elif not name.endswith("*") and any("*" in target.target for rank in found for target in rank):
                view.tell("lost", f'{fallback}: "*" stands for nothing in a fallback of {name}', key)
            elif fallback != name:
                behind(name, self._models[name], field, found, self._notes, view.line)


# ---------------------------------------------------------------------- retries, cooldowns


def retry(retries: int | None, models: Iterable[dict[str, object]]) -> dict[str, object]:
    """The config's `retry`: of each target, and of a request in all, so that every one is asked before it is given up."""
    attempts = 3 if retries is None else min(retries + 1, 10)
    longest = max((len(_list(one, "targets")) + len(_list(one, "fallbacks")) for one in models), default=1)
    most = min(longest + attempts - 1, 50)
    given = {"attempts": attempts if retries is not None else None, "most": most if most > _MOST else None}
    return {key: value for key, value in given.items() if value is not None}


def breaker(allowed: Decimal | None, cooldown: Decimal | None, disabled: bool) -> tuple[tuple[str, object], ...]:
    """More than `allowed` failures in a minute, then a break of `cooldown` seconds."""
    if disabled or cooldown == 0:
        return (("minimum", 1_000_000),)
    given: dict[str, object] = {}
    if allowed is not None and allowed >= 0:
        given |= {"window": "1m", "minimum": min(int(allowed) + 1, 1_000_000)}
    if cooldown is not None and cooldown > 0:
        given["open_for"] = f"{cooldown.normalize():f}s"
        if cooldown > 60:
            given["open_most"] = given["open_for"]
    return tuple(given.items())
