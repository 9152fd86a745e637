"""LiteLLM's proxy config, converted.

Rules of this file:
- `model_name` becomes a name under `models`, its deployments the targets (litellm_routes.py). What cannot be is told.
- `os.environ/X` becomes ${X}; what `environment_variables` sets is put in where it is used.
- LiteLLM serves the models that are listed: `discover` is off, unless a model named "*" asks for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from headgate.cli.importers import litellm_guards, litellm_reasons
from headgate.cli.importers.emit import Plain
from headgate.cli.importers.litellm_routes import (
    CHECKS,
    COOLDOWNS,
    STRATEGIES,
    Deployment,
    Fallbacks,
    Rank,
    Terms,
    breaker,
    merged,
    mirrored,
    model,
    ranks,
    retry,
)
from headgate.cli.importers.litellm_sites import Naming, Section, located, renamed, section_of
from headgate.cli.importers.source import FOR_INFORMATION, Note, View
from headgate.config.document import Malformed, Map, parse
from headgate.config.forms import ALIAS, KEY, REGION, TARGET
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
        self._found: list[Deployment] = []
        self._checks = self._router.flag("enable_pre_call_checks") or False
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
        models = self._models()
        again = self._retry(models)
        for written in models.values():
            if "retry" in written:  # a model's own goes before all of the config's
                own = written["retry"]
                assert isinstance(own, int)
                written["retry"] = {**again, **retry(own, [written])}
        config: dict[str, object] = {
            "server": self._server(),
            "discover": self._discover,
            "providers": self._naming.sections(),
            "models": models,
            "retry": again,
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
        allowed, cooldown, disabled = self._cooldowns()

        def with_egress(section: Section, params: View) -> Section:
            timeouts = {"first_token": params.seconds("stream_timeout") or first}
            timeouts["total"] = params.seconds("timeout") or params.seconds("request_timeout") or total
            own = params.raw("ssl_verify") or ""
            own_break = params.number("cooldown_time")
            path = own if own and own.lower() not in ("true", "false") else None
            return replace(
                section,
                timeouts=tuple((key, value) for key, value in timeouts.items() if value),
                verify=own.lower() != "false" and (bool(own) or verify is not False),
                ca_file=path,
                breaker=breaker(allowed, cooldown if own_break is None else own_break, disabled),
            )

        return with_egress

    def _cooldowns(self) -> tuple[Decimal | None, Decimal | None, bool]:
        """Failures that are allowed in a minute, seconds of a break, and whether there are none."""
        allowed, cooldown = (self._setting(key, differs) for key, differs in COOLDOWNS.items())
        return allowed, cooldown, self._router.flag("disable_cooldowns") or False

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
        model = renamed(prefix, model, section.base_url is not None)
        alias, price = self._alias(name, model, params), self._price(model, params, info)
        for limit in ("rpm", "tpm"):
            if limit in params:
                params.tell(*litellm_reasons.PARAMS[limit], limit)
        deployment = Deployment(
            alias=alias or "",
            section=section,
            model=model,
            order=params.number("order") or Decimal(0),
            shares=(params.number("weight"), params.number("rpm"), params.number("tpm")),
            line=params.line,
            region=self._region(params),
            retries=_whole(params.number("num_retries"), params.number("max_retries")),
            silent=params.raw("silent_model"),
            price=price,
        )
        if "order" in params and not self._checks:
            params.tell("advice", "there it counts with enable_pre_call_checks alone, here always", "order")
        for organization in params.texts("organization") or [""]:
            extra = (("organization", organization),) if organization else ()
            one = replace(deployment, section=replace(section, settings=section.settings + extra))
            self._found.append(one)
        return True

    def _region(self, params: View) -> str | None:
        region = params.text("region_name")
        if region is not None and not re.fullmatch(REGION.pattern, region):
            params.tell("lost", "is no name of a region here", "region_name")
            return None
        return region

    def _alias(self, name: str, model: str, params: View) -> str | None:
        """The name as it can stand under `models`."""
        alias = "-".join(name.split())
        if alias != name:
            params.tell("advice", "a model's name has no spaces: they became -")
        try:
            ALIAS.read(alias)
            TARGET.read(f"x/{model}")
            if "*" in model and "*" not in alias:
                raise ValueError('"*" in the model, but none in the name')
        except ValueError as error:
            params.tell("lost", f"{alias}: {error}")
            return None
        return alias

    def _price(self, model: str, params: View, info: View) -> dict[str, object] | None:
        given = {field: params.number(key) for field, key in _PRICES.items()}
        given = {field: value if value is not None else info.number(_PRICES[field]) for field, value in given.items()}
        if given["input"] is None and given["output"] is None:
            return None
        if "*" in model[:-1] or any(value < 0 for value in given.values() if value is not None):
            params.tell("lost", "this cannot be a price here")
            return None
        price: dict[str, object] = {}
        for field, value in given.items():
            if value is None and field in ("input", "output"):
                value = Decimal(0)
            if value is not None:
                price[field] = Plain(f"{round(value * _MILLION, 9).normalize():f}")
        return price

    # models

    def _models(self) -> dict[str, dict[str, object]]:
        groups: dict[str, list[Deployment]] = {}
        for one in merged(self._found):
            target = f"{self._naming.name(one.section)}/{one.model}"
            if one.price is not None:
                self._prices.setdefault(target, {"model": target, **one.price})
            if one.alias:
                groups.setdefault(one.alias, []).append(one)
        terms = self._terms()
        models: dict[str, dict[str, object]] = {}
        by_name: dict[str, list[Rank]] = {}
        for name, deployments in groups.items():
            if found := ranks(name, deployments, self._naming, self.notes):
                by_name[name] = found
                models[name] = model(name, found, terms, self.notes, deployments[0].line)
                self._repeated(models[name], deployments)
        mirrored(models, groups, self.notes)
        settings = (self._router, self._lib)
        fallbacks = Fallbacks(models, by_name, self.notes)
        fallbacks.read(settings)
        self._aliases(models)
        return models

    def _terms(self) -> Terms:
        named = self._router.raw("routing_strategy") or "simple-shuffle"
        strategy, differs = STRATEGIES.get(named, ("weighted", ""))
        if named not in STRATEGIES:
            self._router.tell(
                "lost", "there is no such strategy here: the load is shared by weight", "routing_strategy"
            )
        elif differs:
            self._router.tell("advice", differs, "routing_strategy")
        checks = set(self._router.texts("optional_pre_call_checks"))
        if checks - CHECKS:
            self._router.tell("lost", "only `prompt_caching` has a counterpart", "optional_pre_call_checks")
        return Terms(strategy=strategy, by_prompt="prompt_caching" in checks)

    def _repeated(self, written: dict[str, object], deployments: list[Deployment]) -> None:
        """How often each of its targets is asked again, where all of them say the same."""
        first, *others = [one.retries for one in deployments]
        if any(other != first for other in others):
            said = f"{deployments[0].alias}: its deployments differ in how often they are repeated"
            self.notes.append(Note(deployments[0].line, "model_list", "lost", said))
        elif first is not None:
            written["retry"] = first

    def _aliases(self, models: dict[str, dict[str, object]]) -> None:
        aliases = self._router.section("model_group_alias")
        for name in aliases.names():
            of = None if aliases.is_text(name) else aliases.section(name)
            group = of.raw("model") if of else aliases.raw(name)
            if of:
                of.rest({"hidden": ("lost", "all names that a key may use are listed")})
            if group in models and "*" not in name and name.split() == [name]:
                models.setdefault(name, dict(models[group]))
            else:
                aliases.tell("lost", "names no model that is converted", name)
        aliases.rest({})

    # the rest

    def _server(self) -> dict[str, object]:
        size = self._general.number("max_request_size_mb")
        most = self._general.number("global_max_parallel_requests")
        server: dict[str, object] = {"max_body": f"{int(size * 1024)}KiB"} if size else {}
        if most is not None and 1 <= most <= 1_000_000:
            server["max_concurrent"] = int(most)
            said = "there more are refused, here they wait for a place (`server.queue`)"
            self._general.tell("advice", said, "global_max_parallel_requests")
        return server

    def _retry(self, models: dict[str, dict[str, object]]) -> dict[str, object]:
        said = "there among all deployments of a name; here another target comes first, then `attempts` counts for each"
        return retry(_whole(self._setting("num_retries", said)), models.values())

    def _setting(self, key: str, differs: str) -> Decimal | None:
        """A number of the router's, else of the library's. `differs`: what is told of it."""
        router, lib = self._router.number(key), self._lib.number(key)
        if router is not None and lib is not None:
            self._lib.tell("needless", "router_settings goes before", key)
        if router is not None or lib is not None:
            (self._router if router is not None else self._lib).tell("advice", differs, key)
        return router if router is not None else lib

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


def _whole(*numbers: Decimal | None) -> int | None:
    """The first that is given, as a count."""
    given = next((number for number in numbers if number is not None), None)
    return None if given is None else max(0, int(given))
