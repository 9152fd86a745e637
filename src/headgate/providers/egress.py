"""Which proxy the environment asks for: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, as curl and Go read them.

Rules of this file:
- Lower case goes before upper case; ALL_PROXY counts where the scheme's own is not set.
- Loopback is never proxied (as in Go): a proxy cannot reach it.
- NO_PROXY is a list parted by commas or spaces: "*" · a domain, which covers its subdomains, with or without a leading
  "." or "*." · an address · a network in CIDR notation · each with an optional ":port".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from headgate.errors import ConfigError


def proxy_for(scheme: str, host: str, port: int, environment: Mapping[str, str]) -> str | None:
    """The proxy URL for connections to this host, or None. Raises ConfigError for one that we cannot speak to."""
    name, given = _variable(environment, f"{scheme}_proxy", "all_proxy")
    if not given or _loopback(host) or bypassed(host, port, _variable(environment, "no_proxy")[1]):
        return None
    proxy = given if "://" in given else f"http://{given}"
    if urlsplit(proxy).scheme not in ("http", "https") or not urlsplit(proxy).hostname:
        raise ConfigError(
            "this proxy is not an HTTP proxy",
            where=name,
            hint="write http://host:port, or add the provider to NO_PROXY",
        )
    return proxy


def bypassed(host: str, port: int, no_proxy: str) -> bool:
    """Whether a NO_PROXY value covers this host and port."""
    host = host.lower().rstrip(".")
    address = _address(host)
    return any(_covers(entry, host, port, address) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)


def _covers(entry: str, host: str, port: int, address: IPv4Address | IPv6Address | None) -> bool:
    if entry == "*":
        return True
    name, wanted = _port(entry)
    if wanted is not None and wanted != port:
        return False
    if address is not None:
        try:
            return address in ip_network(name, strict=False)
        except ValueError:
            return False
    domain = name.removeprefix("*").removeprefix(".").rstrip(".")
    return bool(domain) and (host == domain or host.endswith("." + domain))


def _port(entry: str) -> tuple[str, int | None]:
    """An entry without brackets and port, and the port; an IPv6 address without brackets has none."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name + (rest if rest.startswith("/") else ""), int(rest[1:]) if re.fullmatch(r":\d+", rest) else None
    name, colon, digits = entry.rpartition(":")
    return (name, int(digits)) if colon and digits.isdecimal() and ":" not in name else (entry, None)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _loopback(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


def _variable(environment: Mapping[str, str], *names: str) -> tuple[str, str]:
    """The first variable that is set, and its value."""
    for name in names:
        for form in (name, name.upper()):
            if value := environment.get(form, "").strip():
                return form, value
    return "", ""
