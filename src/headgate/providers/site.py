"""From what the operator wrote to a `Site`, and from a site to the URL and headers of a call.

Rules of this file:
- Refused or obeyed: an unknown setting, dialect or `accepts` name, a missing key or setting, a URL with credentials,
  query or unknown scheme is a ConfigError that says what to do. Config goes before environment, environment before
  defaults.
- No reading of the environment here: it is an argument.
- The egress proxy is the site's own, else what the environment asks for (`egress`); `proxy: ""` connects directly.
- Headers, weakest first: the provider's, the endpoint's, the client's (by the dialect's allow-list), the site's,
  credentials.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct, field

from headgate.dialects.base import Accepts
from headgate.errors import ConfigError, NotFound
from headgate.net import Deadlines, Fetch, Headers, Origin
from headgate.providers.base import Allow, Credential, Endpoint, Provider, Secret, Setting, Site
from headgate.providers.egress import proxy_for
from headgate.providers.registry import all_providers

_HOLE = re.compile(r"\{(\w+)\}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIXED_HEADERS = frozenset(("host", "content-length", "transfer-encoding", "connection"))


class SiteConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, repr_omit_defaults=True):
    """A site as the config file gives it, `${...}` already replaced. Empty: by the environment or the provider."""

    api_key: str | None = None
    base_url: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    dialects: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    accepts: dict[str, Any] = field(default_factory=dict)
    """Fields of `Accepts` that this server takes differently, for all its endpoints."""
    proxy: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    deadlines: Deadlines = Deadlines()

    def __repr__(self) -> str:
        return f"SiteConfig(base_url={self.base_url!r}, api_key={'***' if self.api_key else self.api_key!r})"


def build(name: str, provider: Provider, config: SiteConfig, environment: Mapping[str, str]) -> Site:
    """The site `name` of this provider. Raises ConfigError, its `where` below "providers.<name>"."""
    where = f"providers.{name}"
    provider = _with_accepts(provider, config.accepts, where)
    dialects = _dialects(provider, config.dialects, where)
    template = config.base_url or _first(environment, provider.base_url_env)
    if provider.ended and not template:
        ended = f"{provider.title} ended its public service on {provider.ended}"
        raise ConfigError(ended, where=where, hint="give the base_url of a deployment of your own, or remove it")
    template = template or provider.base_url
    if not template:
        raise ConfigError("no base URL", where=where, hint=_either("base_url", provider.base_url_env))
    settings = _settings(provider, config, environment, _needed(provider, template, dialects), where)
    plain = {name: value.rstrip("/") for name, value in settings.items()}
    scheme, host, port, path = _address(_filled(template, plain), f"{where}.base_url")
    _refuse_doubled(path, provider, dialects, f"{where}.base_url")
    if (config.cert_file is None) != (config.key_file is None):
        raise ConfigError("cert_file and key_file go together", where=where, hint="give both, or neither")
    return Site(
        name=name,
        provider=_settled(provider, plain, settings),
        base_path=path,
        origin=Origin(
            scheme=scheme,
            host=host,
            port=port,
            proxy=proxy_for(scheme, host, port, environment) if config.proxy is None else _proxy(config.proxy, where),
            ca_file=config.ca_file,
            cert_file=config.cert_file,
            key_file=config.key_file,
            verify=config.verify,
        ),
        credential=Credential(name=name, key=_key(provider, config, environment, where), settings=settings),
        dialects=dialects,
        deadlines=config.deadlines,
        headers=_headers(config.headers, f"{where}.headers"),
    )


def discover(environment: Mapping[str, str], skipped: Callable[[str, ConfigError], None] | None = None) -> list[Site]:
    """A site for every provider whose key (where none is needed: base URL) the environment holds, in registry order.
    One that lacks a setting beside its key is left out, and `skipped` is told its name and what is missing."""
    sites = []
    for name, provider in all_providers().items():
        named = provider.env if provider.needs_key else provider.base_url_env
        if not provider.ended and _first(environment, named):
            try:
                sites.append(build(name, provider, SiteConfig(), environment))
            except ConfigError as error:
                if skipped is not None:
                    skipped(name, error)
    return sites


# calls


def offers(endpoint: Endpoint, operation: str) -> bool:
    """Whether this endpoint has the operation ("generate", "count")."""
    return endpoint.paths.get(operation) != ""


def url(site: Site, endpoint: Endpoint, dialect_path: str, operation: str, model: str, stream: bool) -> str:
    """The path (query included) of a `Call` to this endpoint; `dialect_path` is `Dialect.path` for the same model.
    Where a template of the provider takes the model, it is one percent-encoded segment. Raises NotFound for an
    operation that the provider does not offer."""
    path = dialect_path
    if paths := endpoint.paths:
        own = paths.get(operation)
        if stream and operation == "generate":
            own = paths.get("stream", own)
        if own == "":
            raise NotFound(f"{site.provider.title} has no {operation} operation in this dialect")
        if own is not None:
            path = own.replace("{model}", quote(model, safe="")) if "{model}" in own else own
    return site.base_path + endpoint.prefix + path


_SEGMENTS = "/:@!$&'()*+,;="
"""What stands for itself in a path, beside letters, digits and -._~ (RFC 3986 §3.3)."""


def passing(site: Site, allow: Allow, rest: str) -> tuple[str, Endpoint]:
    """The path of a pass-through call to `rest` (decoded, which `allow` matched), and the endpoint whose headers it takes."""
    endpoints = site.provider.endpoints
    alike = (e for e in endpoints if e.prefix == allow.prefix) if allow.prefix else iter(endpoints)
    return site.base_path + allow.prefix + quote(rest, safe=_SEGMENTS), next(alike, endpoints[0])


def listing(site: Site) -> Allow | None:
    """The row of the provider's table that lists its models, None where it lists none."""
    return next((row for row in site.provider.opaque if (row.method, row.pattern) == ("GET", "/models")), None)


async def call_headers(site: Site, endpoint: Endpoint, fetch: Fetch, client: Headers | None = None) -> Headers:
    """All headers of a call but the body's own. `client`: those of the client's that its dialect lets through; they win
    over the provider's defaults and lose to what the operator set."""
    own = {name.encode(): value.encode() for name, value in (*site.provider.headers, *endpoint.headers)}
    fixed = {name.encode(): value.encode() for name, value in site.headers}
    fixed.update(await (endpoint.auth or site.provider.auth).headers(site.credential, fetch))
    merged: Headers = list(fixed.items())
    if client:
        merged += [pair for pair in client if pair[0] not in fixed]
        own = {key: value for key, value in own.items() if not any(pair[0] == key for pair in client)}
    merged += [pair for pair in own.items() if pair[0] not in fixed]
    return merged


# what the operator wrote


def _first(environment: Mapping[str, str], names: Iterable[str]) -> str:
    return next((value for name in names if (value := environment.get(name, "").strip())), "")


def _either(name: str, variables: tuple[str, ...]) -> str:
    return f"give {name}" + (f", or set {' or '.join(variables)}" if variables else "")


def _known(name: str, names: Iterable[str], what: str, where: str) -> None:
    """Raises ConfigError with a suggestion unless `name` is one of `names`."""
    names = sorted(names)
    if name not in names:
        close = get_close_matches(name, names, 1)
        hint = f'did you mean "{close[0]}"?' if close else f"known: {', '.join(names) or 'none'}"
        raise ConfigError(f'unknown {what} "{name}"', where=where, hint=hint)


def _key(provider: Provider, config: SiteConfig, environment: Mapping[str, str], where: str) -> Secret:
    key = _first(environment, provider.env) if config.api_key is None else config.api_key.strip()
    by_header = any(name.lower() == "authorization" for name in config.headers)
    if not key and provider.needs_key and not by_header:
        raise ConfigError(f"no key for {provider.title}", where=where, hint=_either("api_key", provider.env))
    if not key.isascii() or not key.isprintable():
        raise ConfigError(
            "the key has characters that no header can carry", where=f"{where}.api_key", hint="was it pasted whole?"
        )
    return Secret(key)


def _dialects(provider: Provider, wanted: tuple[str, ...], where: str) -> tuple[str, ...]:
    for dialect in wanted:
        _known(dialect, (e.dialect for e in provider.endpoints), f"dialect of {provider.title}", f"{where}.dialects")
    return wanted or provider.dialects


def _with_accepts(provider: Provider, accepts: Mapping[str, Any], where: str) -> Provider:
    if not accepts:
        return provider
    for name in accepts:
        _known(name, Accepts.__struct_fields__, "field", f"{where}.accepts")
    endpoints = []
    for endpoint in provider.endpoints:
        try:
            changed = msgspec.convert({**msgspec.structs.asdict(endpoint.accepts), **accepts}, Accepts)
        except msgspec.ValidationError as error:
            raise ConfigError(str(error), where=f"{where}.accepts") from error
        endpoints.append(msgspec.structs.replace(endpoint, accepts=changed))
    return msgspec.structs.replace(provider, endpoints=tuple(endpoints))


def _needed(provider: Provider, base_url: str, dialects: tuple[str, ...]) -> set[str]:
    """Names of the settings that the URLs of this site take."""
    used = [e for e in provider.endpoints if not dialects or e.dialect in dialects]
    texts: Iterator[str] = (t for e in used for t in (e.prefix, *e.paths.values()))
    return {hole for text in (base_url, *texts) for hole in _HOLE.findall(text)} - {"model"}


def _settings(
    provider: Provider, config: SiteConfig, environment: Mapping[str, str], needed: set[str], where: str
) -> dict[str, str]:
    declared: dict[str, Setting] = {setting.name: setting for setting in provider.settings}
    for name in (*config.settings, *sorted(needed)):
        _known(name, declared, f"setting of {provider.title}", f"{where}.settings")
    values: dict[str, str] = {}
    for name, setting in declared.items():
        value = config.settings.get(name, "").strip() or _first(environment, setting.env) or setting.default
        if not value and name in needed:
            raise ConfigError(
                f'{provider.title} needs the setting "{name}"',
                where=f"{where}.settings",
                hint=_either(f"settings.{name}", setting.env) + (f": {setting.about}" if setting.about else ""),
            )
        if value is not None:
            if not value.isprintable():
                raise ConfigError("a setting has control characters", where=f"{where}.settings.{name}")
            values[name] = value
    return values


def _filled(template: str, settings: Mapping[str, str]) -> str:
    """The template with settings put in; {model} stays."""
    return _HOLE.sub(lambda hole: settings.get(hole[1], hole[0]), template) if "{" in template else template


def _settled(provider: Provider, plain: Mapping[str, str], settings: Mapping[str, str]) -> Provider:
    """The provider with all settings in their places (`plain`: as URLs take them), so that a call looks for none, and a
    model's name cannot ask for one. A header whose setting is empty is left out."""
    endpoints = tuple(
        msgspec.structs.replace(
            endpoint,
            prefix=_filled(endpoint.prefix, plain),
            paths={operation: _filled(path, plain) for operation, path in endpoint.paths.items()},
            headers=_worn(endpoint.headers, settings),
        )
        for endpoint in provider.endpoints
    )
    return msgspec.structs.replace(provider, endpoints=endpoints, headers=_worn(provider.headers, settings))


def _worn(headers: Iterable[tuple[str, str]], settings: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, given in headers if (value := _filled(given, settings)))


def _headers(headers: Mapping[str, str], where: str) -> tuple[tuple[str, str], ...]:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _FIXED_HEADERS:
            raise ConfigError(f'"{name}" is not a header one may set', where=where)
        if not value.isascii() or not value.isprintable():
            raise ConfigError(f'the value of "{name}" must be printable ASCII', where=where)
    return tuple((name.lower(), value) for name, value in headers.items())


def _address(given: str, where: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and path (no trailing "/") of a base URL."""
    try:
        parts = urlsplit(given)
        port, host = parts.port, parts.hostname or ""
    except ValueError as error:
        raise ConfigError(f"not a URL: {error}", where=where) from error
    if parts.scheme not in ("http", "https"):
        hint = f"write https://{given}" if "://" not in given else "begin with https:// or http://"
        raise ConfigError("a base URL must begin with https:// or http://", where=where, hint=hint)
    if parts.username is not None or parts.password is not None:
        raise ConfigError("a base URL holds no user or password", where=where, hint="give the key as api_key")
    if parts.query or parts.fragment or given.endswith(("?", "#")):
        raise ConfigError(
            "a base URL has no query or fragment", where=where, hint="give versions and the like as settings"
        )
    if not host or not re.fullmatch(r"[0-9a-z._-]+|[0-9a-f:.]+(%[0-9a-z]+)?", host):
        raise ConfigError("a base URL needs a host of ASCII letters", where=where, hint="a foreign script goes as xn--")
    path = parts.path.rstrip("/")
    if not re.fullmatch(r"[!-~]*", path) or "{" in path:
        raise ConfigError("a base URL's path must be ASCII and percent-encoded", where=where)
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path


def _refuse_doubled(path: str, provider: Provider, dialects: tuple[str, ...], where: str) -> None:
    """A base URL that already ends with what the endpoints put behind it would give .../v1/v1/...: say so."""
    for endpoint in provider.endpoints:
        if endpoint.prefix and path.endswith(endpoint.prefix) and (not dialects or endpoint.dialect in dialects):
            raise ConfigError(
                f'the base URL of {provider.title} ends with "{endpoint.prefix}", which is put behind it',
                where=where,
                hint=f'leave "{endpoint.prefix}" out',
            )


def _proxy(given: str, where: str) -> str | None:
    """The proxy of the config; "" connects directly."""
    if not given:
        return None
    if urlsplit(given).scheme not in ("http", "https"):
        raise ConfigError("a proxy is an http:// URL", where=f"{where}.proxy", hint="write http://host:port")
    return given
