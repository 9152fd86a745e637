"""LiteLLM's deployments carry key and address each; here they share sections of `providers`: which, and by what name.

Rules of this file:
- Deployments that agree in kind, key, address, egress and breaker share a section. Those that differ in their key alone, where each
  key serves all the same, are one section with several keys.
- A section has the plainest name that is free: its kind, then with what tells it from the others (host, key's
  variable), then with a number. Names depend on the file alone, and on its order.
- An address is brought to the form that our provider expects: without what it puts behind it itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from msgspec import Struct

from headgate.cli.importers.litellm_upstreams import BARE, ROUTES, UPSTREAMS, Upstream
from headgate.cli.importers.source import View
from headgate.providers.registry import all_providers

_OPENAI_HOSTS = re.compile(r"(\w+\.)?api\.openai\.com")
_KEY_WORDS = frozenset(("api", "key", "token", "secret", "ai"))


class Section(Struct, frozen=True, kw_only=True):
    """A section of `providers`, in our syntax. `label` is what its name begins with."""

    type: str
    label: str
    api_key: str | None = None
    api_keys: tuple[tuple[str, str, int], ...] = ()
    """In place of one: (name, key, weight)."""
    base_url: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    timeouts: tuple[tuple[str, str], ...] = ()
    ca_file: str | None = None
    verify: bool = True
    breaker: tuple[tuple[str, object], ...] = ()


class Naming:
    """Names of the sections, in the order of their first use."""

    def __init__(self) -> None:
        self._names: dict[Section, str] = {}

    def name(self, section: Section) -> str:
        if section not in self._names:
            taken = set(self._names.values())
            self._names[section] = next(name for name in _candidates(section) if name not in taken)
        return self._names[section]

    def sections(self) -> dict[str, dict[str, object]]:
        return {name: _written(name, section) for section, name in self._names.items()}


def _candidates(section: Section) -> Iterator[str]:
    host = _host(section.base_url)
    base = section.label or (host if host[:1].isalpha() and host != "localhost" else "openai-compatible")
    yield base
    rest = _of_key(section.api_key or "", base)
    for more in (host, rest):
        if more and more != base:
            yield f"{base}-{more}"
    number = 2
    while True:
        yield f"{base}-{number}"
        number += 1


def _of_key(key: str, base: str) -> str:
    """What the name of a key's variable says beside the provider's."""
    words = re.findall(r"[a-z0-9]+", key.lower()) if key.startswith("${") else []
    return "-".join(word for word in words if word not in _KEY_WORDS and word not in base)


def key_names(keys: list[str], provider: str) -> list[str]:
    """A name for each key of one provider, no two alike."""
    names: list[str] = []
    for number, key in enumerate(keys, 1):
        name = _of_key(key, provider)
        names.append(name if name and name not in names else f"key-{number}")
    return names


def _host(url: str | None) -> str:
    """What names a host: its first label, or all of an address."""
    host = urlsplit(url or "").hostname or ""
    plain = host if re.fullmatch(r"[\d.]+", host) else host.split(".")[0]
    return plain if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", plain) else ""


def _written(name: str, section: Section) -> dict[str, object]:
    given: dict[str, object] = {
        "type": section.type if section.type != name else None,
        "base_url": section.base_url,
        "api_key": section.api_key,
        "api_keys": [
            {"name": name, "api_key": key, **({"weight": weight} if weight != 1 else {})}
            for name, key, weight in section.api_keys
        ],
        "settings": dict(section.settings),
        "headers": dict(section.headers),
        "ca_file": section.ca_file,
        "verify": None if section.verify else False,
        "timeouts": dict(section.timeouts),
        "breaker": dict(section.breaker),
    }
    return {key: value for key, value in given.items() if value not in (None, {}, [])}


# models and addresses


def located(name: str, params: View) -> tuple[str, Upstream, str] | None:
    """LiteLLM's prefix, where it leads, and the model there; told and None where that is nowhere."""
    given = params.raw("model")
    named = params.raw("custom_llm_provider")
    if not given:
        params.tell("lost", f"{name} names no model")
        return None
    prefix, slash, model = given.partition("/")
    if named:
        prefix, model = named, given.removeprefix(f"{named}/")
    elif not slash:
        prefix, model = next((of for begin, of in BARE if given.startswith(begin)), ""), given
        if not prefix and ("api_base" in params or "base_url" in params):
            prefix = "openai"
    upstream = UPSTREAMS.get(prefix)
    if upstream is None or upstream.type is None or upstream.type not in all_providers():
        why = (
            upstream.why if upstream else "not known here; if it speaks OpenAI's API, add it as type openai_compatible"
        )
        params.tell("lost", f"{name}: `{prefix}`: {why}", "model")
        return None
    for route in ROUTES.get(prefix, ()):
        model = model.removeprefix(route)
    return prefix, upstream, model


def renamed(prefix: str, model: str, elsewhere: bool) -> str:
    """The model's name at the provider. `elsewhere`: at an address of the operator's own."""
    if prefix == "fireworks_ai" and "/" not in model and "*" not in model:
        return f"accounts/fireworks/models/{model}"
    if prefix == "huggingface" and not elsewhere and model.count("/") == 2:
        provider, name = model.split("/", 1)
        return f"{name}:{provider}"
    return model


def section_of(prefix: str, upstream: Upstream, params: View) -> Section:
    """The section a deployment needs, its timeouts and egress apart."""
    kind, label = upstream.type or "", upstream.label or upstream.type or ""
    base = params.text("api_base") or params.text("base_url") or params.variable(upstream.base)
    if base is None and upstream.base:
        base = f"${{{upstream.base}:-{upstream.url}}}" if upstream.url else f"${{{upstream.base}}}"
    base = base or upstream.url or None
    if prefix == "openai" and base and not _OPENAI_HOSTS.fullmatch(urlsplit(base).hostname or ""):
        kind, label = "openai_compatible", ""
    if prefix == "huggingface" and base:
        kind, label, upstream = "tgi", "tgi", upstream._replace(below="/v1")
    api_key = params.text("api_key")
    for variable in (upstream.key, *all_providers()[kind].env):
        api_key = api_key if api_key is not None else params.variable(variable)
    if api_key is None and upstream.key:
        api_key = f"${{{upstream.key}:-}}" if not all_providers()[kind].needs_key else f"${{{upstream.key}}}"
    if kind == "openai_compatible":
        label = upstream.label if upstream.type == "openai_compatible" else ""
    return Section(
        type=kind,
        label=label,
        api_key=api_key,
        base_url=_address(base, kind, upstream.below, params),
        settings=tuple(_settings(kind, params)),
        headers=tuple(sorted({**params.pairs("extra_headers"), **params.pairs("headers")}.items())),
    )


def _settings(kind: str, params: View) -> Iterator[tuple[str, str]]:
    known = {setting.name for setting in all_providers()[kind].settings}
    version = params.text("api_version")
    if version and "api_version" in known:
        yield "api_version", version
    elif version:
        params.tell("needless", "this provider takes no version", "api_version")
    for key, name in (("project", "project"), ("account_id", "account"), ("watsonx_region_name", "region")):
        if name in known and (value := params.text(key)):
            yield name, value


def _address(base: str | None, kind: str, below: str, params: View) -> str | None:
    if base is None:
        return None
    base = base.rstrip("/")
    for tail in ("/chat/completions", "/completions", "/messages", "/embeddings"):
        base = base.removesuffix(tail)
    provider = all_providers()[kind]
    if kind == "azure_deployments":
        base = re.sub(r"/openai(/.*)?$", "", base)
    for prefix in sorted(
        {endpoint.prefix for endpoint in provider.endpoints if endpoint.prefix}, key=len, reverse=True
    ):
        base = base.removesuffix(prefix)
    if below and not base.endswith(below):
        base += below
    if base.startswith("${") and base.endswith("}") and kind != "openai_compatible":
        params.tell("advice", f"the variable is to hold an address like {provider.base_url}", "api_base")
    return base if base != provider.base_url else None
