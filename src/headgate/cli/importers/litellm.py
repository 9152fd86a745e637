"""LiteLLM's proxy config, converted.

Rules of this file:
- `model_name` becomes a name under `models`, its deployments the targets: by `order`, then the heaviest first; `weight`
  (else rpm, else tpm) becomes the weight. Fallbacks become further targets of the same name, behind its own.
- `os.environ/X` becomes ${X}; what `environment_variables` sets is put in where it is used.
- LiteLLM serves the models that are listed: `discover` is off, unless a model named "*" asks for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from math import gcd
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from headgate.cli.importers import litellm_guards, litellm_reasons
from headgate.cli.importers.emit import Plain
from headgate.cli.importers.litellm_sites import Naming, Section, located, renamed, section_of
from headgate.cli.importers.source import FOR_INFORMATION, Note, View
from headgate.config.document import Malformed, Map, parse
from headgate.config.forms import ALIAS, KEY, TARGET
from headgate.errors import ConfigError
from headgate.providers.registry import all_providers

TOP = ("model_list", "litellm_settings", "router_settings", "general_settings")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MILLION = 1_000_000
_PRICES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
}
_SHARES = ("weight", "rpm", "tpm")


class Deployment(Struct, frozen=True, kw_only=True):
    target: str
    order: Decimal
    shares: tuple[Decimal | None, Decimal | None, Decimal | None]
    """weight, rpm, tpm"""
    line: int


def convert(data: bytes, file: Path) -> tuple[dict[str, object], list[Note]]:
    """Our config as plain values, in our syntax, and what is to be told. Raises ConfigError for any other file."""
    try:
        root = parse(data)
    except Malformed as error:
        raise ConfigError(str(error), where=f"{file}:{error.mark.line}:{error.mark.column}", hint=error.hint) from None
    if not isinstance(root, Map) or not any(key in root.pairs for key in TOP):
        raise ConfigError(
            "this is no config of LiteLLM's proxy", where=str(file), hint=f"it has none of {', '.join(TOP)}"
        )
    return _Conversion(root).config()


class _Conversion:
    def __init__(self, root: Map) -> None:
        self.notes: list[Note] = []
        self._variables: dict[str, str] = {}
        self._used: set[str] = set()
        self._root = View(root, "", self.notes, self._written)
        self._environment = self._root.section("environment_variables")
        self._variables = {name: text for name in self._environment.names() if (text := self._environment.text(name))}
        self._lib = self._root.section("litellm_settings")
        self._router = self._root.section("router_settings")
        self._general = self._root.section("general_settings")
        self._naming = Naming()
        self._groups: dict[str, list[Deployment]] = {}
        self._prices: dict[str, dict[str, object]] = {}
        self._discover = False

    def _written(self, text: str) -> str:
        """A text of LiteLLM's in our syntax."""
        name = text.removeprefix("os.environ/")
        if name != text:
            self._used.add(name)
            return self._variables.get(name, f"${{{name}}}" if _NAME.fullmatch(name) else f"${{env:{name}}}")
        return text.replace("$", "$$") if "${" in text or "$$" in text else text

    def config(self) -> tuple[dict[str, object], list[Note]]:
        self._deployments()
        models = {name: self._model(name, deployments) for name, deployments in self._groups.items() if deployments}
        self._aliases(models)
        self._fallbacks(models)
        config: dict[str, object] = {
            "server": self._server(),
            "discover": self._discover,
            "providers": self._naming.sections(),
            "models": models,
            "keys": self._keys(),
            "guards": litellm_guards.guards(self._root),
            "prices": list(self._prices.values()),
            "telemetry": self._telemetry(),
        }
        for view in (self._lib, self._router, self._general):
            view.rest(litellm_reasons.SETTINGS)
        for name in self._variables.keys() - self._used:
            self._environment.tell("lost", "set it where the gateway is started, if anything reads it there", name)
        self._root.rest(litellm_reasons.SECTIONS)
        return {key: value for key, value in config.items() if value not in ({}, [])}, self.notes

    # deployments

    def _deployments(self) -> None:
        credentials: dict[str, View] = {}
        used: set[str] = set()
        for entry in self._root.sections("credential_list"):
            credentials[entry.raw("credential_name") or ""] = entry.section("credential_values")
            entry.rest({"credential_info": FOR_INFORMATION})
        egress = self._egress()
        for entry in self._root.sections("model_list"):
            params = entry.section("litellm_params")
            info = entry.section("model_info")
            name = entry.raw("model_name") or params.raw("model") or ""
            credential = params.raw("litellm_credential_name")
            if credential and credential not in credentials:
                params.tell("lost", "no credential has this name", "litellm_credential_name")
            behind = credentials.get(credential or "")
            used.add(credential or "")
            if self._deployment(name, params.over(behind), info, egress):
                params.rest(litellm_reasons.PARAMS)
                info.rest(litellm_reasons.INFO)
            entry.rest({})
        for name, view in credentials.items():
            if name in used:
                view.rest(litellm_reasons.PARAMS)
            else:
                view.tell("lost", "no model uses this credential")

    def _egress(self) -> Callable[[Section, View], Section]:
        """What the settings say of all deployments, below what each says itself."""
        total = self._router.seconds("timeout") or self._lib.seconds("request_timeout")
        first = self._router.seconds("stream_timeout")
        verify = self._lib.flag("ssl_verify")

        def with_egress(section: Section, params: View) -> Section:
            timeouts = {"first_token": params.seconds("stream_timeout") or first}
            timeouts["total"] = params.seconds("timeout") or params.seconds("request_timeout") or total
            own = params.raw("ssl_verify") or ""
            path = own if own and own.lower() not in ("true", "false") else None
            return replace(
                section,
                timeouts=tuple((key, value) for key, value in timeouts.items() if value),
                verify=own.lower() != "false" and (bool(own) or verify is not False),
                ca_file=path,
            )

        return with_egress

    def _deployment(self, name: str, params: View, info: View, egress: Callable[[Section, View], Section]) -> bool:
        """Whether it is converted."""
        if params.raw("model") == "*":
            self._discover = True
            params.tell("advice", "every provider with a key is used; a model is asked for as provider/model", "model")
            return True
        if (found := located(name, params)) is None:
            return False
        prefix, upstream, model = found
        section = egress(section_of(prefix, upstream, params), params)
        provider = all_providers()[section.type]
        if provider.ended and section.base_url is None:
            params.tell("lost", f"{name}: {provider.title} ended its public service on {provider.ended}", "model")
            return False
        organizations = params.texts("organization") or [""]
        for organization in organizations:
            extra = (("organization", organization),) if organization else ()
            site = self._naming.name(replace(section, settings=section.settings + extra))
            target = f"{site}/{renamed(prefix, model, section.base_url is not None)}"
            self._price(target, params, info)
            if (alias := self._alias(name, target, params)) is not None:
                shares = (params.number("weight"), params.number("rpm"), params.number("tpm"))
                for limit in ("rpm", "tpm"):
                    if limit in params:
                        params.tell(*litellm_reasons.PARAMS[limit], limit)
                order = params.number("order") or Decimal(0)
                deployment = Deployment(target=target, order=order, shares=shares, line=params.line)
                self._groups.setdefault(alias, []).append(deployment)
        return True

    def _alias(self, name: str, target: str, params: View) -> str | None:
        """The name as it can stand under `models`."""
        alias = "-".join(name.split())
        if alias != name:
            params.tell("advice", "a model's name has no spaces: they became -")
        try:
            ALIAS.read(alias)
            TARGET.read(target)
            if "*" in target and "*" not in alias:
                raise ValueError('"*" in the model, but none in the name')
        except ValueError as error:
            params.tell("lost", f"{alias}: {error}")
            return None
        return alias

    def _price(self, target: str, params: View, info: View) -> None:
        given = {field: params.number(key) for field, key in _PRICES.items()}
        given = {field: value if value is not None else info.number(_PRICES[field]) for field, value in given.items()}
        if given["input"] is None and given["output"] is None:
            return
        if "*" in target[:-1] or any(value < 0 for value in given.values() if value is not None):
            params.tell("lost", "this cannot be a price here")
            return
        price: dict[str, object] = {"model": target}
        for field, value in given.items():
            if value is None and field in ("input", "output"):
                value = Decimal(0)
            if value is not None:
                price[field] = Plain(f"{round(value * _MILLION, 9).normalize():f}")
        self._prices.setdefault(target, price)

    # models

    def _model(self, name: str, deployments: list[Deployment]) -> dict[str, object]:
        weighed = list(zip(deployments, _weights(deployments), strict=True))
        targets: dict[str, object] = {}
        for deployment, weight in sorted(weighed, key=lambda pair: (pair[0].order, -pair[1])):
            if weight == 0:
                said = f"{name}: a deployment without weight is left out"
                self.notes.append(Note(deployment.line, "model_list", "lost", said))
            elif deployment.target not in targets:
                target = deployment.target
                targets[target] = target if weight == 1 else {"model": target, "weight": weight}
        orders = [deployment.order for deployment in deployments]
        if len(targets) > 1 and len(set(orders)) < len(orders):
            said = f"{name}: its deployments share the load there; here the first is preferred"
            self.notes.append(Note(deployments[1].line, "model_list", "advice", said))
        return {"targets": list(targets.values())}

    def _aliases(self, models: dict[str, dict[str, object]]) -> None:
        aliases = self._router.section("model_group_alias")
        for name in aliases.names():
            of = aliases.section(name) if name not in self._texts(aliases) else None
            group = of.raw("model") if of else aliases.raw(name)
            if of:
                of.rest({"hidden": ("lost", "all names that a key may use are listed")})
            if group in models and "*" not in name and name.split() == [name]:
                models.setdefault(name, dict(models[group]))
            else:
                aliases.tell("lost", "names no model that is converted", name)
        aliases.rest({})

    def _texts(self, view: View) -> set[str]:
        return {name for name in view.names() if view.is_text(name)}

    def _fallbacks(self, models: dict[str, dict[str, object]]) -> None:
        plain = {name: [_name(target) for target in self._targets(model)] for name, model in models.items()}
        for settings in (self._router, self._lib):
            for view in settings.sections("fallbacks"):
                for name in view.names():
                    names = [name] if name != "*" else list(models)
                    self._fall_back(models, plain, names, view.texts(name), view)
                view.rest({})
            default = settings.texts("default_fallbacks")
            self._fall_back(models, plain, list(models), default, settings)

    def _fall_back(
        self,
        models: dict[str, dict[str, object]],
        plain: dict[str, list[str]],
        names: list[str],
        fallbacks: list[str],
        view: View,
    ) -> None:
        for name in names:
            for fallback in fallbacks:
                if name not in models or fallback not in plain:
                    view.tell(
                        "lost", "a fallback from or to a model that is not converted", name if name in view else ""
                    )
                    continue
                targets = self._targets(models[name])
                known = set(map(_name, targets))
                targets += [target for target in plain[fallback] if target not in known]

    @staticmethod
    def _targets(model: dict[str, object]) -> list[object]:
        targets = model["targets"]
        assert isinstance(targets, list)
        return targets

    # the rest

    def _server(self) -> dict[str, object]:
        size = self._general.number("max_request_size_mb")
        return {"max_body": f"{int(size * 1024)}KiB"} if size else {}

    def _keys(self) -> list[dict[str, object]]:
        key = self._general.text("master_key")
        if key is None:
            self._general.tell("advice", "without master_key LiteLLM asks for no key; here make some: `headgate keys`")
            return []
        if not re.fullmatch(KEY.pattern, key):
            self._general.tell("lost", "a key has no spaces and is printable ASCII", "master_key")
            return []
        return [{"name": "master", "key": key, "scopes": ["admin", "explain", "trail"]}]

    def _telemetry(self) -> dict[str, object]:
        log: dict[str, object] = {}
        if self._lib.flag("set_verbose"):
            log["level"] = "debug"
        if self._lib.flag("json_logs") is False:
            log["format"] = "console"
        return {"log": log} if log else {}


def _weights(deployments: list[Deployment]) -> list[int]:
    """Small whole numbers in the proportion of the weights, else of the limits, that all of these have; else ones."""
    for at in range(len(_SHARES)):
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


def _name(target: object) -> str:
    return str(target["model"]) if isinstance(target, dict) else str(target)
