"""A config is loaded again while requests are served: validate, build, swap; or refuse, and nothing has changed.

Rules of this file:
- One reload at a time, in the order they were asked for. Each reads the file when its turn comes: the last one wins.
- Reading and building happen in a thread; only the swap is the event loop's.
- A refusal names every error with its place, in the log and to whoever asked. What changed is told by names, never by values.
- A setting that this process took at its start (where it listens, its folder, its log) cannot change: such a config is refused.
  Those of TAKEN are of that kind unless FOLLOWED says otherwise, so that a new one is never ignored in silence. All else is what
  a snapshot is built of.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar

import structlog

from headgate import clock
from headgate.config.load import ConfigErrors, Loaded
from headgate.config.schema import Config
from headgate.config.section import Section
from headgate.errors import ConfigError
from headgate.http.admin import Changes

S = TypeVar("S")
_log = structlog.get_logger("headgate.reload")

TAKEN = ("data", "server", "telemetry")
"""Where the settings are that the process took at its start."""
FOLLOWED = frozenset(
    (
        "server.trusted_proxies",
        "server.max_body",
        "server.body_timeout",
        "server.drain",
        "server.explain",
        "server.max_concurrent",
        "server.queue",
        "server.queue_timeout",
        "telemetry.log.requests",
        "telemetry.metrics.enabled",
        "telemetry.metrics.public",
    )
)
"""Of these, what a reload changes."""


class Reloader:
    """Loads the config again, whoever asks: a signal, a changed file, the API. `read` reads it; None: there is no file. `build`
    makes of it what is to be served, `swap` serves that."""

    def __init__(
        self, read: Callable[[], Loaded] | None, build: Callable[[Config], S], swap: Callable[[S], Changes]
    ) -> None:
        self._read = read
        self._build = build
        self._swap = swap
        self._turn = asyncio.Lock()
        self.loaded = clock.wall()
        """When the config that is served was loaded, seconds since the epoch."""
        self.results: Counter[str] = Counter(success=0, failure=0)

    async def __call__(self, cause: str) -> Changes:
        """What changed. Raises ConfigError, which the log tells too; then nothing has changed."""
        async with self._turn:
            try:
                changes = self._swap(await asyncio.to_thread(self._built))
            except ConfigError as error:
                self.results["failure"] += 1
                _log.error(
                    "the config is refused; the one before stays",
                    cause=cause,
                    errors=[str(one) for one in error.errors],
                )
                raise
            except Exception as error:
                self.results["failure"] += 1
                _log.error("the config cannot be loaded; the one before stays", cause=cause, exc_info=error)
                raise
            self.results["success"] += 1
            self.loaded = clock.wall()
            _log.info("config loaded", cause=cause, **{kind: names for kind, names in changes.told().items() if names})
            return changes

    def _built(self) -> Any:
        if self._read is None:
            raise ConfigError("the gateway runs without a config file: there is nothing to load", hint="--config FILE")
        loaded = self._read()
        try:
            return self._build(loaded.config)
        except ConfigError as error:
            raise ConfigErrors([loaded.error(one.where, one.message, one.hint) for one in error.errors]) from error


def is_fixed(path: str) -> bool:
    """Whether a change of this setting needs a restart."""
    return path.partition(".")[0] in TAKEN and path not in FOLLOWED


def refuse_fixed(old: Config, new: Config) -> None:
    """Raises ConfigErrors for settings that differ and cannot change without a restart."""
    fixed = [path for kind, path in _differences(old, new) if kind == "setting" and is_fixed(path)]
    if fixed:
        raise ConfigErrors([ConfigError("a change of it needs a restart", where=path) for path in fixed])


def compare(old: Config, new: Config) -> Changes:
    """What is new, gone or different: "providers.openai", "keys.ci", "server.explain"."""
    found = list(_differences(old, new))

    def of(*kinds: str) -> tuple[str, ...]:
        return tuple(path for kind, path in found if kind in kinds)

    return Changes(added=of("added"), removed=of("removed"), altered=of("altered", "setting"))


Kind = Literal["added", "removed", "altered", "setting"]


def _differences(old: Section, new: Section, around: str = "") -> Iterator[tuple[Kind, str]]:
    for name in old.__struct_fields__:
        path, before, after = f"{around}{name}", getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if isinstance(before, Section) and isinstance(after, Section):
            yield from _differences(before, after, f"{path}.")
        elif (was := _members(before)) is not None and (is_ := _members(after)) is not None:
            for member in [*was, *(member for member in is_ if member not in was)]:
                if was.get(member) != is_.get(member):
                    yield _kind(member, was, is_), f"{path}.{member}"
            if list(was) != list(is_) and set(was) == set(is_) and was == is_:
                yield "altered", path  # the same members in another order: of guards the order counts
        else:
            yield "setting", path


def _kind(member: str, was: Mapping[str, object], is_: Mapping[str, object]) -> Kind:
    return "removed" if member not in is_ else "altered" if member in was else "added"


def _members(value: object) -> dict[str, Any] | None:
    """The sections of a mapping by their keys, those of a list by name or model (there may be several prices for one)."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, tuple) or not all(isinstance(member, Section) for member in value):
        return None
    named: dict[str, Any] = {}
    for member in value:
        named.setdefault(member.name if hasattr(member, "name") else member.model, []).append(member)
    return named
