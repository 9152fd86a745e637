"""The config's shape: one frozen value a section. The text behind a field's type is what the documentation says of it.

Rules of this file:
- This is the only description: the reader, the published JSON Schema and docs/config.md are derived from these classes.
- Times are in seconds, sizes in bytes, prices in nano-dollars per million tokens (integers), moments in seconds since
  the epoch.
- A field without default is required. An empty value (`openai:` and nothing behind it) stands for the defaults.
- Values are msgspec Structs, read by `headgate.config.read`: it reports all errors with their places, of which a
  validation library knows nothing, and a running gateway keeps no validator in memory.
"""

from __future__ import annotations

from datetime import date
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, field

from headgate.config import forms
from headgate.config.routes import Eject, Model, Retry
from headgate.config.secrets import Secret
from headgate.config.section import (
    Bytes,
    Count,
    DialectName,
    File,
    ModelPattern,
    Name,
    NanoDollars,
    Region,
    Seconds,
    Section,
    Share,
)


class Tls(Section, frozen=True, kw_only=True):
    cert_file: Annotated[File, "The server's certificate with its chain, PEM."]
    key_file: Annotated[File, "Its private key, PEM."]
    client_ca_file: Annotated[File | None, "Clients must show a certificate signed by one of these, PEM."] = None


class Server(Section, frozen=True, kw_only=True):
    host: Annotated[Name, "The address to listen on; HOST where it is not given."] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535), "The TCP port; PORT where it is not given. 0 lets the system choose."
    ] = 8080
    tls: Annotated[Tls | None, "Serve HTTPS."] = None
    trusted_proxies: Annotated[
        tuple[Annotated[IPv4Network | IPv6Network, forms.NETWORK], ...],
        "Whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    ] = ()
    max_body: Annotated[Bytes, "The largest request body."] = 64 << 20
    max_header_bytes: Annotated[Bytes, "The largest request head."] = 64 << 10
    header_timeout: Annotated[Seconds, "How long a client may take to send its request head."] = 10.0
    body_timeout: Annotated[Seconds, "How long a client may pause within its request body."] = 60.0
    drain: Annotated[Seconds, "How long requests under way may take when the gateway is told to stop."] = 30.0
    explain: Annotated[bool, "Offer the dry run to keys of scope `explain`."] = True
    max_concurrent: Annotated[
        int, Meta(ge=1, le=1_000_000), "Requests under way at once; fewer are let in while the gateway itself lags."
    ] = 2000
    queue: Annotated[
        int, Meta(ge=0, le=1_000_000), "Requests that may wait for that; of more, the lowest priority gets 503."
    ] = 1000
    queue_timeout: Annotated[Seconds, "How long one waits."] = 10.0


class Timeouts(Section, frozen=True, kw_only=True):
    connect: Annotated[Seconds, "TCP and TLS."] = 10.0
    headers: Annotated[Seconds, "From the request sent to the answer's head."] = 600.0
    first_token: Annotated[Seconds, "To the first content of a stream."] = 600.0
    idle: Annotated[Seconds, "Between two reads of the answer."] = 300.0
    total: Annotated[Seconds, "The whole attempt."] = 3600.0


class Breaker(Section, frozen=True, kw_only=True):
    """When a target is left alone: too many of its calls failed or were slow. A 429 never counts."""

    window: Annotated[Seconds, "Over which calls are counted."] = 30.0
    minimum: Annotated[Count, "Calls in the window before it may open."] = 20
    error_rate: Annotated[Share, "The share of failed calls at which it opens."] = 0.5
    slow_after: Annotated[
        Seconds | None, "To the first content: a call that takes longer is slow, also one that was given up since."
    ] = None
    slow_rate: Annotated[Share, "The share of slow calls at which it opens."] = 0.8
    open_for: Annotated[Seconds, "How long it stays open; twice as long each time it opens again."] = 5.0
    open_most: Annotated[Seconds, "How long at most."] = 60.0
    probes: Annotated[Count, "Calls let through at once to see whether it is well again."] = 3
    probe_lease: Annotated[Seconds, "How long one of these may take before another one goes in its place."] = 60.0


class Probe(Section, frozen=True, kw_only=True):
    """A provider is asked for its list of models, with its key, while one of its targets is open. That costs no tokens."""

    every: Annotated[Seconds, "How often."] = 30.0


class ProviderKey(Section, frozen=True, kw_only=True):
    unique: ClassVar[tuple[str, ...]] = ("name",)

    name: Annotated[str, forms.SITE, "How records call it."]
    api_key: Annotated[Secret, "The key itself."]
    weight: Annotated[Count, "Its share of the requests."] = 1


class Provider(Section, frozen=True, kw_only=True):
    type: Annotated[Name | None, "Which provider this is; the section's own name where it is not given."] = None
    api_key: Annotated[Secret | None, "The key; the provider's own variable where it is not given."] = None
    api_keys: Annotated[
        tuple[ProviderKey, ...],
        "Several keys in place of one: used in turns, each with limits and a breaker of its own.",
    ] = ()
    region: Annotated[Region | None, "Where it computes, for `regions` of keys, tenants and models."] = None
    base_url: Annotated[str, "Where it listens; the provider's own address where it is not given."] = ""
    settings: Annotated[dict[str, Secret], "What the provider needs beside the key (region, version, ...)."] = field(
        default_factory=dict
    )
    dialects: Annotated[tuple[DialectName, ...], "Restricts and orders the dialects spoken with it."] = ()
    headers: Annotated[dict[str, Secret], "Headers added to each of its calls."] = field(default_factory=dict)
    accepts: Annotated[dict[str, Any], "What this server takes differently from its kind."] = field(
        default_factory=dict
    )
    proxy: Annotated[Secret | None, 'The egress proxy, http://host:port; "" connects directly.'] = None
    ca_file: Annotated[File | None, "Whose certificates are trusted, PEM; the system's where it is not given."] = None
    cert_file: Annotated[File | None, "The client certificate shown to it, PEM."] = None
    key_file: Annotated[File | None, "Its private key, PEM."] = None
    verify: Annotated[bool, "Check its certificate."] = True
    timeouts: Annotated[Timeouts, "Deadlines of its attempts."] = Timeouts()
    breaker: Annotated[Breaker, "When one of its models is left alone for a while."] = Breaker()
    probe: Annotated[
        Probe | None,
        "Once it is left alone, callers come back only when the provider itself has answered; without this, a few of them"
        " are what shows that.",
    ] = None


class Key(Section, frozen=True, kw_only=True):
    unique: ClassVar[tuple[str, ...]] = ("name", "key")

    name: Annotated[Name, "How records and reports call it."]
    key: Annotated[Secret, forms.KEY, "The key itself."]
    tenant: Annotated[Name, "Who owns what it makes; tenants do not see each other."] = "default"
    models: Annotated[tuple[ModelPattern, ...], "What it may use; all where none is given."] = ()
    scopes: Annotated[tuple[Literal["trail", "admin", "explain"], ...], "What else it may do."] = ()
    expires: Annotated[float | None, forms.MOMENT, "From when it is void."] = None
    priority: Annotated[
        int,
        Meta(ge=0, le=9),
        "Where there is not room for all, the highest is served first and the lowest refused first. The header"
        " x-headgate-priority lowers it for one request.",
    ] = 5
    regions: Annotated[
        tuple[Region, ...], "Its requests go to targets of these regions only; any where none is given."
    ] = ()


class Tenant(Section, frozen=True, kw_only=True):
    regions: Annotated[
        tuple[Region, ...], "Requests of its keys go to targets of these regions only; any where none is given."
    ] = ()


class Guard(Section, frozen=True, kw_only=True):
    unique: ClassVar[tuple[str, ...]] = ("name",)

    name: Annotated[Name, "How findings call it."]
    pattern: Annotated[Name, "A regular expression (RE2 syntax)."]
    mode: Annotated[
        Literal["observe", "warn", "enforce"], "Whether a finding is counted, told in a header too, or acted on."
    ] = "enforce"
    action: Annotated[Literal["flag", "redact", "block"], "What is done with a finding."] = "redact"
    places: Annotated[
        tuple[Literal["request", "answer", "tool_arguments"], ...], Meta(min_length=1), "Where it looks."
    ] = ("request", "answer", "tool_arguments")
    replacement: Annotated[str, "What a redaction puts in place of the text."] = "[redacted]"
    max_length: Annotated[
        int | None, Meta(ge=1, le=10_000), "The longest match in characters, where the pattern does not bound it."
    ] = None
    ignore_case: Annotated[bool, "Match capitals and small letters alike."] = False


class Price(Section, frozen=True, kw_only=True):
    model: Annotated[ModelPattern, 'What it is the price of: "provider/model", or a pattern.']
    input: Annotated[NanoDollars, "Dollars per million input tokens."]
    output: Annotated[NanoDollars, "Dollars per million output tokens."]
    cache_read: Annotated[NanoDollars | None, "Of input read from the provider's cache; `input` if not given."] = None
    cache_write: Annotated[NanoDollars | None, "Of input written to the cache; `input` if not given."] = None
    since: Annotated[date | None, forms.DATE, "From which day (UTC) it holds; always, if not given."] = None


class Log(Section, frozen=True, kw_only=True):
    level: Annotated[Literal["debug", "info", "warning", "error"], "The least severity that is logged."] = "info"
    format: Annotated[Literal["json", "console"], "For machines, or for people."] = "json"
    requests: Annotated[bool, "One line a request."] = True


class Metrics(Section, frozen=True, kw_only=True):
    enabled: Annotated[bool, "Offer /metrics."] = True
    public: Annotated[bool, "Offer it without a key of scope `admin`."] = False


class Telemetry(Section, frozen=True, kw_only=True):
    log: Annotated[Log, "Logs, on standard error."] = Log()
    metrics: Annotated[Metrics, "Metrics, in the Prometheus format."] = Metrics()


class Config(Section, frozen=True, kw_only=True):
    server: Annotated[Server, "How the gateway listens."] = Server()
    data: Annotated[
        Path, forms.PATH, "The folder of database, spool and pepper; HEADGATE_DATA where it is not given."
    ] = Path("data")
    discover: Annotated[bool, "Use every provider whose key is in the environment."] = True
    providers: Annotated[
        dict[Annotated[str, forms.SITE], Provider], "Who answers, by the name that stands before the slash."
    ] = field(default_factory=dict)
    models: Annotated[
        dict[Annotated[str, forms.ALIAS], Model],
        'Names of your own for models, and where they go; "*" at the end of one stands for any rest.',
    ] = field(default_factory=dict)
    keys: Annotated[tuple[Key, ...], "Keys declared here: elsewhere they are read-only."] = ()
    retry: Annotated[Retry, "What is done when an attempt fails before its answer began."] = Retry()
    eject: Annotated[Eject, "When one of several targets is an outlier, and is asked last."] = Eject()
    tenants: Annotated[dict[Annotated[str, forms.TEXT], Tenant], "What holds for all keys of a tenant."] = field(
        default_factory=dict
    )
    guards: Annotated[tuple[Guard, ...], "What is looked for in requests and answers, in this order."] = ()
    prices: Annotated[tuple[Price, ...], "Prices that go before the catalog's."] = ()
    telemetry: Annotated[Telemetry, "What the gateway tells of itself."] = Telemetry()
