"""Which path is what. A table: (method, pattern) -> dialect and operation.

Conventions that clients bring along: bases with and without /v1, a provider's name as first segment (bare model names then mean
that provider), Azure's deployment paths, Gemini's model and verb in the path. What matches nothing may still be a provider's own
path, passed through by allow-list (`opaque`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container
from urllib.parse import unquote

from msgspec import Struct


class Match(Struct, frozen=True):
    """`operation`: generate | count | models | model | request | explain | reload | health | metrics | opaque. `rest`: the path below the
    base, for opaque. `model`: from the path."""

    operation: str
    dialect: str = "openai_chat"
    site: str = ""
    model: str = ""
    stream: bool | None = None
    rest: str = ""


REMEMBERED = 1024

_FIXED: dict[tuple[str, str], tuple[str, str]] = {
    ("POST", "/chat/completions"): ("generate", "openai_chat"),
    ("POST", "/completions"): ("generate", "openai_completions"),
    ("POST", "/responses"): ("generate", "openai_responses"),
    ("GET", "/responses"): ("websocket", "openai_responses"),
    ("POST", "/responses/input_tokens"): ("count", "openai_responses"),
    ("POST", "/messages"): ("generate", "anthropic_messages"),
    ("POST", "/messages/count_tokens"): ("count", "anthropic_messages"),
    ("GET", "/models"): ("models", ""),
    ("POST", "/explain"): ("explain", ""),
    ("POST", "/admin/reload"): ("reload", ""),
}
_OWN: dict[tuple[str, str], str] = {
    ("GET", "/health/live"): "live",
    ("GET", "/health/liveliness"): "live",
    ("GET", "/health/ready"): "ready",
    ("GET", "/health/readiness"): "ready",
    ("GET", "/health"): "ready",
    ("GET", "/metrics"): "metrics",
    ("GET", "/"): "welcome",
}
_VERBS = {
    "generateContent": ("generate", False),
    "streamGenerateContent": ("generate", True),
    "countTokens": ("count", False),
}
_BASE = re.compile(r"/(v1beta|v1alpha|v1)(?=/|$)")
_GEMINI = re.compile(r"/(?:models/(.+)|(tunedModels/.+)):([a-zA-Z]+)")
_AZURE = re.compile(r"/deployments/([^/]+)(/.+)")
_ONE_MODEL = re.compile(r"/models/(.+)")
_REQUEST = re.compile(r"/requests/([A-Za-z0-9_-]+)")


class Routes:
    """The table, for a gateway with these sites. Paths seen are remembered: most traffic has a handful of them."""

    def __init__(self, sites: Collection[str]) -> None:
        self._sites = frozenset(sites)
        self._seen: dict[tuple[str, str], Match] = {}

    def __call__(self, method: str, path: str) -> Match:
        found = self._seen.get((method, path))
        if found is None:
            found = match(method, path, self._sites)
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            self._seen[method, path] = found
        return found


def match(method: str, path: str, sites: Container[str]) -> Match:
    """Never fails: what is not ours is "opaque", and an unknown first segment belongs to its path."""
    own = _OWN.get(("GET" if method == "HEAD" else method, path))  # who watches asks by HEAD (RFC 9110 §9.3.2)
    if own is not None:
        return Match(own)
    site = ""
    head, slash, tail = path[1:].partition("/")
    if slash and (head in sites or head in ("openai", "anthropic", "gemini")):
        site, path = head, "/" + tail
    base = _BASE.match(path)
    version = ""
    if base is not None:
        version, path = base[1], path[base.end() :] or "/"
    fixed = _FIXED.get((method, path))
    if fixed is not None:
        operation, dialect = fixed
        if not dialect:
            dialect = "gemini" if version.startswith("v1beta") else "openai_chat"
        return Match(operation, dialect, site)
    return _shaped(method, path, site, version)


def _shaped(method: str, path: str, site: str, version: str) -> Match:
    if method == "POST":
        gemini = _GEMINI.fullmatch(path)
        if gemini is not None and gemini[3] in _VERBS:
            operation, stream = _VERBS[gemini[3]]
            return Match(operation, "gemini", site, unquote(gemini[1] or gemini[2]), stream)
        azure = _AZURE.fullmatch(path)
        if azure is not None and ("POST", azure[2]) in _FIXED:
            operation, dialect = _FIXED["POST", azure[2]]
            return Match(operation, dialect, "" if site == "openai" else site, unquote(azure[1]))
    if method == "GET":
        request = _REQUEST.fullmatch(path)
        if request is not None:
            return Match("request", model=request[1])
        one = _ONE_MODEL.fullmatch(path)
        if one is not None:
            return Match("model", "gemini" if version.startswith("v1beta") else "openai_chat", site, unquote(one[1]))
    google = version.startswith("v1beta") and not path.startswith("/openai/")
    return Match("opaque", "gemini" if google else "openai_chat", site, rest=path)
