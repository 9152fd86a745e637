"""From what an operator wrote to a site: everything is obeyed or refused, and what is refused says what to do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headgate.errors import ConfigError, NotFound
from headgate.net import Deadlines
from headgate.providers.registry import all_providers
from headgate.providers.site import SiteConfig, build, call_headers, discover, offers, passing, url
from providers import wire

KEY = {"OPENAI_API_KEY": "sk-secret"}


def _build(kind: str, environment: dict[str, str] | None = None, **config: Any) -> Any:
    return build("here", all_providers()[kind], SiteConfig(**config), KEY if environment is None else environment)


@pytest.mark.parametrize(
    ("kind", "config", "where", "said"),
    [
        ("openai", {"base_url": "api.example.com/v1"}, "base_url", "write https://api.example.com/v1"),
        ("openai", {"base_url": "ftp://x/v1"}, "base_url", "begin with https://"),
        ("openai", {"base_url": "https://u:p@x/v1"}, "base_url", "api_key"),
        ("openai", {"base_url": "https://x/v1?a=b"}, "base_url", "no query"),
        ("openai", {"base_url": "https://x/v1#a"}, "base_url", "no query"),
        ("openai", {"base_url": "https://x/v1?"}, "base_url", "no query"),
        ("openai", {"base_url": "https:///v1"}, "base_url", "needs a host"),
        ("openai", {"base_url": "https://b\u00fccher.example/v1"}, "base_url", "xn--"),
        ("openai", {"base_url": "https://x:99999/v1"}, "base_url", "Port"),
        ("openai", {"base_url": "https://[::1/v1"}, "base_url", "not a URL"),
        ("openai", {"base_url": "https://x/a b"}, "base_url", "percent-encoded"),
        ("openai", {"base_url": "https://x/{nope}"}, "settings", 'unknown setting of OpenAI "nope"'),
        ("openai", {"settings": {"organisation": "x"}}, "settings", 'did you mean "organization"'),
        ("openai", {"settings": {"project": "a\nb"}}, "settings.project", "control characters"),
        ("openai", {"dialects": ("openai_messages",)}, "dialects", "did you mean"),
        ("openai", {"accepts": {"imgaes": False}}, "accepts", 'did you mean "images"'),
        ("openai", {"accepts": {"images": "no"}}, "accepts", "Expected `bool`"),
        ("openai", {"headers": {"x bad": "1"}}, "headers", "not a header"),
        ("openai", {"headers": {"Host": "x"}}, "headers", "not a header"),
        ("openai", {"headers": {"x-a": "1\r\nx-b: 2"}}, "headers", "printable"),
        ("openai", {"proxy": "socks5://x:1"}, "proxy", "http://"),
        ("openai", {"cert_file": "a.pem"}, "here", "go together"),
        ("openai", {"api_key": "sk-\u00fc"}, "api_key", "no header can carry"),
        ("openai", {"api_key": ""}, "here", "OPENAI_API_KEY"),
        ("groq", {}, "here", "GROQ_API_KEY"),
        ("cloudflare", {"api_key": "k"}, "settings", "CLOUDFLARE_ACCOUNT_ID"),
        ("databricks", {"api_key": "k", "settings": {"host": "adb-1.net"}}, "base_url", "write https://adb-1.net"),
        ("openai_compatible", {}, "here", "give base_url"),
        ("moonshot", {"api_key": "k", "base_url": "https://api.moonshot.cn/v1"}, "base_url", 'leave "/v1" out'),
        ("lambda", {"api_key": "k"}, "here", "ended its public service on 2025-09-25"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_with_a_hint(kind: str, config: dict[str, Any], where: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        _build(kind, **config)
    assert said in str(told.value)
    assert told.value.where.endswith(where)


@pytest.mark.parametrize(
    ("kind", "config", "origin", "path"),
    [
        ("openai", {}, "https://api.openai.com", "/v1"),
        ("openai", {"base_url": "http://proxy.local:8080/openai/"}, "http://proxy.local:8080", "/openai"),
        ("openai", {"base_url": "https://[2001:db8::1]:8443/v1"}, "https://[2001:db8::1]:8443", "/v1"),
        ("openai", {"base_url": "HTTPS://API.Example.COM"}, "https://api.example.com", ""),
        ("azure", {"base_url": "https://r.openai.azure.com/"}, "https://r.openai.azure.com", ""),
        ("azure", {"settings": {"resource": "r"}}, "https://r.openai.azure.com", ""),
        ("lambda", {"base_url": "https://own.example/v1"}, "https://own.example", "/v1"),
        ("vllm", {}, "http://localhost:8000", "/v1"),
    ],
)
def test_where_a_site_connects(kind: str, config: dict[str, Any], origin: str, path: str) -> None:
    site = _build(kind, **{"api_key": "k", **config})
    assert (f"{site.origin.scheme}://{site.origin.netloc}", site.base_path) == (origin, path)


def test_config_goes_before_environment_and_environment_before_defaults() -> None:
    environment = {"WATSONX_APIKEY": "env", "WATSONX_REGION": "eu-de", "WATSONX_URL": ""}
    site = _build("watsonx", environment)
    assert site.origin.host == "eu-de.ml.cloud.ibm.com"
    assert site.credential.key == "env"
    site = _build("watsonx", environment, api_key="own", settings={"region": "jp-tok"})
    assert site.origin.host == "jp-tok.ml.cloud.ibm.com"
    assert site.credential.key == "own"
    assert _build("watsonx", {"WATSONX_API_KEY": "second"}).origin.host == "us-south.ml.cloud.ibm.com"


def test_a_key_never_shows_itself() -> None:
    site = _build("openai")
    assert "sk-secret" not in repr(site)
    assert "sk-secret" not in repr(SiteConfig(api_key="sk-secret", base_url="https://x"))


def test_tls_deadlines_and_egress_reach_the_site() -> None:
    deadlines = Deadlines(first_token=5.0)
    site = _build(
        "openai",
        proxy="http://u:p@egress:3128",
        ca_file="ca.pem",
        cert_file="c.pem",
        key_file="k.pem",
        verify=False,
        deadlines=deadlines,
    )
    origin = site.origin
    assert (origin.proxy, origin.ca_file, origin.cert_file, origin.key_file, origin.verify) == (
        *("http://u:p@egress:3128", "ca.pem", "c.pem", "k.pem"),
        False,
    )
    assert site.deadlines is deadlines


def test_the_environments_proxy_counts_unless_the_site_says_otherwise() -> None:
    environment = {**KEY, "HTTPS_PROXY": "http://egress:3128"}
    assert _build("openai", environment).origin.proxy == "http://egress:3128"
    assert _build("openai", environment, proxy="").origin.proxy is None
    assert _build("openai", environment, proxy="http://other:1").origin.proxy == "http://other:1"


def test_accepts_are_overridden_for_all_endpoints_of_this_site_only() -> None:
    site = _build("openai", accepts={"images": False, "drop": ["seed"]})
    assert {e.accepts.images for e in site.provider.endpoints} == {False}
    assert {e.accepts.drop for e in site.provider.endpoints} == {frozenset(["seed"])}
    assert site.provider.endpoint("openai_chat").accepts.tool_id == "openai"
    assert all(e.accepts.images for e in all_providers()["openai"].endpoints)


def test_dialects_are_the_sites_else_the_providers_own_choice() -> None:
    """Anthropic's OpenAI endpoint is spoken only where a site asks for it: a crossing loses less."""
    environment = {"ANTHROPIC_API_KEY": "k"}
    assert _build("anthropic", environment).endpoint("openai_chat").dialect == "anthropic_messages"
    asked = _build("anthropic", environment, dialects=("openai_chat", "anthropic_messages"))
    assert asked.endpoint("openai_chat").dialect == "openai_chat"
    assert asked.endpoint("gemini").dialect == "openai_chat"
    assert _build("openai").endpoint("anthropic_messages").dialect == "openai_responses"


def test_headers_give_way_in_order() -> None:
    """Provider's defaults < what the client may say < what the operator set < credentials."""
    environment = {"ANTHROPIC_API_KEY": "k"}
    headers = {"Anthropic-Beta": "operator", "x-team": "a", "x-api-key": "not this"}
    site = _build("anthropic", environment, headers=headers)
    client = [(b"anthropic-version", b"2099-01-01"), (b"anthropic-beta", b"client"), (b"x-api-key", b"virtual")]
    endpoint = site.endpoint("anthropic_messages")
    merged = asyncio.run(call_headers(site, endpoint, wire.token_service, client))
    assert sorted(merged) == [
        (b"anthropic-beta", b"operator"),
        (b"anthropic-version", b"2099-01-01"),
        (b"x-api-key", b"k"),
        (b"x-team", b"a"),
    ]


def test_a_repeated_header_of_the_client_stays_repeated() -> None:
    site = _build("anthropic", {"ANTHROPIC_API_KEY": "k"})
    client = [(b"anthropic-beta", b"a"), (b"anthropic-beta", b"b")]
    merged = asyncio.run(call_headers(site, site.endpoint("anthropic_messages"), wire.token_service, client))
    assert [value for name, value in merged if name == b"anthropic-beta"] == [b"a", b"b"]


def test_an_entra_token_stands_in_for_a_key() -> None:
    site = _build("azure", {}, settings={"resource": "r"}, headers={"Authorization": "Bearer entra"})
    merged = asyncio.run(call_headers(site, site.endpoint("openai_chat"), wire.token_service))
    assert merged == [(b"authorization", b"Bearer entra")]


def test_empty_settings_send_no_header() -> None:
    site = _build("openai")
    assert [name for name, _ in asyncio.run(call_headers(site, site.endpoint("openai_chat"), wire.token_service))] == [
        b"authorization"
    ]


def test_an_operation_that_is_not_offered() -> None:
    site = _build("deepseek", {"DEEPSEEK_API_KEY": "k"})
    endpoint = site.endpoint("anthropic_messages")
    assert not offers(endpoint, "count")
    with pytest.raises(NotFound, match="DeepSeek"):
        url(site, endpoint, "/messages/count_tokens", "count", "m", False)
    site = _build("anthropic", {"ANTHROPIC_API_KEY": "k"})
    endpoint = site.endpoint("anthropic_messages")
    assert offers(endpoint, "count")
    assert url(site, endpoint, "/messages/count_tokens", "count", "m", False) == "/v1/messages/count_tokens"


@pytest.mark.parametrize(
    ("model", "segment"),
    [
        ("gpt-4o", "gpt-4o"),
        ("a/b", "a%2Fb"),
        ("a:0", "a%3A0"),
        ("../x", "..%2Fx"),
        ("{api_version}", "%7Bapi_version%7D"),
    ],
)
def test_a_model_in_the_path_is_one_segment(model: str, segment: str) -> None:
    """Also one that tries to leave it, or to be a setting."""
    site = _build("azure_deployments", {"AZURE_OPENAI_API_KEY": "k"}, settings={"resource": "r"})
    path = url(site, site.endpoint("openai_chat"), "/chat/completions", "generate", model, True)
    assert path == f"/openai/deployments/{segment}/chat/completions?api-version=2024-10-21"


def test_discovery_takes_whoever_has_a_key() -> None:
    """In the registry's order; one without its setting is told of; one that ended is not taken for its key."""
    environment = {
        **KEY,
        "GROQ_API_KEY": "k",
        "CLOUDFLARE_API_TOKEN": "k",
        "LAMBDA_API_KEY": "k",
        "OLLAMA_API_KEY": "k",
        "VLLM_BASE_URL": "http://gpu:8000/v1",
    }
    skipped: list[tuple[str, str]] = []
    sites = discover(environment, lambda name, error: skipped.append((name, str(error))))
    assert [site.name for site in sites] == ["openai", "groq", "vllm"]
    assert [name for name, _ in skipped] == ["cloudflare"]
    assert "CLOUDFLARE_ACCOUNT_ID" in skipped[0][1]
    assert discover({}) == []


@pytest.mark.parametrize(
    ("kind", "method", "path", "target", "header"),
    [
        ("openai", "POST", "/embeddings", "/v1/embeddings", b"authorization"),
        ("azure", "POST", "/embeddings", "/openai/v1/embeddings", b"api-key"),
        ("gemini", "POST", "/embeddings", "/v1beta/openai/embeddings", b"authorization"),
        ("gemini", "POST", "/models/m:embedContent", "/v1beta/models/m:embedContent", b"x-goog-api-key"),
        ("novita", "POST", "/rerank", "/openai/v1/rerank", b"authorization"),
    ],
)
def test_pass_through_reaches_the_providers_own_path(
    kind: str, method: str, path: str, target: str, header: bytes
) -> None:
    provider = all_providers()[kind]
    site = build("here", provider, SiteConfig(api_key="k", settings={"resource": "r"} if kind == "azure" else {}), {})
    allow = next(a for a in provider.opaque if a.method == method and a.pattern.replace("{id}", "m") == path)
    built, endpoint = passing(site, allow, path)
    assert built == target
    assert header in dict(asyncio.run(call_headers(site, endpoint, wire.token_service)))
