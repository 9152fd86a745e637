"""Which proxy the environment asks for, and whom NO_PROXY spares."""

from __future__ import annotations

import pytest

from headgate.errors import ConfigError
from headgate.providers.egress import bypassed, proxy_for


@pytest.mark.parametrize(
    ("environment", "scheme", "proxy"),
    [
        ({}, "https", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http", None),
        ({"http_proxy": "http://p:1"}, "http", "http://p:1"),
        ({"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"}, "https", "http://lower:1"),
        ({"ALL_PROXY": "http://all:1"}, "https", "http://all:1"),
        ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "http://own:1"}, "https", "http://own:1"),
        ({"HTTPS_PROXY": "proxy.corp:3128"}, "https", "http://proxy.corp:3128"),
        ({"HTTPS_PROXY": "http://u:p@proxy:3128"}, "https", "http://u:p@proxy:3128"),
        ({"HTTPS_PROXY": "  "}, "https", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com"}, "https", None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "other.com"}, "https", "http://p:1"),
    ],
)
def test_the_proxy_for_a_host(environment: dict[str, str], scheme: str, proxy: str | None) -> None:
    assert proxy_for(scheme, "api.example.com", 443, environment) == proxy


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "a.localhost"])
def test_loopback_is_never_proxied(host: str) -> None:
    assert proxy_for("http", host, 80, {"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://p:1"}) is None


def test_a_proxy_we_cannot_speak_to_is_refused_by_its_variables_name() -> None:
    """Going directly instead would be the one thing the operator did not want."""
    with pytest.raises(ConfigError) as told:
        proxy_for("https", "api.example.com", 443, {"ALL_PROXY": "socks5://p:1080"})
    assert told.value.where == "ALL_PROXY"


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "spared"),
    [
        ("*", "api.example.com", 443, True),
        ("example.com", "example.com", 443, True),
        ("example.com", "api.example.com", 443, True),
        (".example.com", "api.example.com", 443, True),
        (".example.com", "example.com", 443, True),
        ("*.example.com", "api.example.com", 443, True),
        ("example.com", "badexample.com", 443, False),
        ("example.com", "example.com.evil.net", 443, False),
        ("EXAMPLE.com", "API.example.COM", 443, True),
        ("example.com.", "example.com", 443, True),
        ("a.com, b.com\tc.com,,", "x.c.com", 443, True),
        ("example.com:8443", "example.com", 8443, True),
        ("example.com:8443", "example.com", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "11.1.2.3", 443, False),
        ("10.0.0.5", "10.0.0.5", 443, True),
        ("10.0.0.5:80", "10.0.0.5", 443, False),
        ("10.0.0.0/8", "ten.example.com", 443, False),
        ("2001:db8::/32", "2001:db8::7", 443, True),
        ("[2001:db8::7]", "2001:db8::7", 443, True),
        ("[2001:db8::7]:80", "2001:db8::7", 443, False),
        ("[2001:db8::7]:443", "2001:db8::7", 443, True),
        ("2001:db8::7", "2001:db8::7", 443, True),
        ("example.com", "10.0.0.1", 443, False),
        ("", "example.com", 443, False),
        (".", "example.com", 443, False),
    ],
)
def test_whom_no_proxy_spares(no_proxy: str, host: str, port: int, spared: bool) -> None:
    assert bypassed(host, port, no_proxy) is spared
