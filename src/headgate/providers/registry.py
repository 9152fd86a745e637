"""All providers by name: the built-in ones from the table below, and those of third parties.

Rules of this file:
- A built-in's module is imported when it is first asked for: listing the names imports nothing.
- A third party registers a `Provider` as an entry point of group "headgate.providers"; its name is the provider's name.
- Two providers of one name are a ConfigError, whoever came first: nobody replaces another's address in silence.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from headgate.errors import ConfigError
from headgate.providers.base import Provider

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "headgate.providers"

BUILT_IN: dict[str, str] = {
    "openai": "openai",
    "azure": "azure",
    "azure_deployments": "azure_deployments",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "mistral": "mistral",
    "groq": "groq",
    "xai": "xai",
    "deepseek": "deepseek",
    "openrouter": "openrouter",
    "together": "together",
    "fireworks": "fireworks",
    "perplexity": "perplexity",
    "cerebras": "cerebras",
    "sambanova": "sambanova",
    "nvidia": "nvidia",
    "huggingface": "huggingface",
    "github": "github",
    "databricks": "databricks",
    "cloudflare": "cloudflare",
    "moonshot": "moonshot",
    "zai": "zai",
    "alibaba": "alibaba",
    "minimax": "minimax",
    "bytedance": "bytedance",
    "deepinfra": "deepinfra",
    "novita": "novita",
    "hyperbolic": "hyperbolic",
    "nebius": "nebius",
    "friendli": "friendli",
    "baseten": "baseten",
    "lambda": "lambda_cloud",
    "scaleway": "scaleway",
    "ovh": "ovh",
    "vercel": "vercel",
    "writer": "writer",
    "ai21": "ai21",
    "snowflake": "snowflake",
    "watsonx": "watsonx",
    "ollama": "ollama",
    "vllm": "vllm",
    "llamacpp": "llamacpp",
    "lmstudio": "lmstudio",
    "sglang": "sglang",
    "tgi": "tgi",
    "openai_compatible": "openai_compatible",
    "anthropic_compatible": "anthropic_compatible",
    "gemini_compatible": "gemini_compatible",
}
"""Name -> module of this package that holds it as PROVIDER."""


class Registry(Mapping[str, Provider]):
    def __init__(self, built_in: Mapping[str, str], foreign: Iterable[EntryPoint]) -> None:
        self._modules = built_in
        self._points: dict[str, EntryPoint] = {}
        self._loaded: dict[str, Provider] = {}
        for point in foreign:
            if point.name in built_in or point.name in self._points:
                other = self._points.get(point.name)
                raise ConfigError(
                    f'two providers are named "{point.name}": {_origin(point)} and {_origin(other)}',
                    where=f"entry points of {GROUP}",
                    hint="uninstall one of the packages, or have it register another name",
                )
            self._points[point.name] = point

    def __getitem__(self, name: str) -> Provider:
        if (provider := self._loaded.get(name)) is None:
            provider = self._loaded[name] = self._load(name)
        return provider

    def __iter__(self) -> Iterator[str]:
        yield from self._modules
        yield from self._points

    def __len__(self) -> int:
        return len(self._modules) + len(self._points)

    def __contains__(self, name: object) -> bool:
        return name in self._modules or name in self._points

    def _load(self, name: str) -> Provider:
        if module := self._modules.get(name):
            return cast(Provider, import_module(f"headgate.providers.{module}").PROVIDER)
        return _foreign(self._points[name])


def _foreign(point: EntryPoint) -> Provider:
    try:
        value = point.load()
    except Exception as error:
        raise ConfigError(
            f'the provider "{point.name}" of {_origin(point)} cannot be imported: {error!r}', where=point.value
        ) from error
    if not isinstance(value, Provider):
        raise ConfigError(
            f'the provider "{point.name}" of {_origin(point)} is a {type(value).__name__}',
            where=point.value,
            hint="an entry point of this group must name a headgate.providers.base.Provider",
        )
    if value.name != point.name:
        raise ConfigError(
            f'the provider "{point.name}" of {_origin(point)} calls itself "{value.name}"', where=point.value
        )
    return value


def _origin(point: EntryPoint | None) -> str:
    if point is None:
        return "a built-in one"
    return f"that of package {point.dist.name}" if point.dist else f"that of {point.value}"


@cache
def all_providers() -> Mapping[str, Provider]:
    """Every provider by name, built-in ones first, in the table's order; each is imported when asked for.

    Raises ConfigError for a clash of names, and on access for a third party's that does not load.
    """
    return Registry(BUILT_IN, installed(sys.path))


def installed(folders: Iterable[str]) -> Iterable[EntryPoint]:
    """The entry points of our group. importlib.metadata takes longer to import than all the rest of the registry, so it
    is asked only where the text of a distribution on the path names the group."""
    texts = (text for folder in folders for text in Path(folder).glob("*-info/entry_points.txt"))
    if not any(f"[{GROUP}]".encode() in text.read_bytes() for text in texts):
        return ()
    from importlib.metadata import distributions

    first = {dist.name: dist for dist in reversed(list(distributions(path=list(folders))))}
    return [point for dist in first.values() for point in dist.entry_points if point.group == GROUP]
