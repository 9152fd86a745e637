"""`headgate doctor`: what callers live through when providers break, tried out on this install.

Rules of this file:
- Nothing of the operator's is touched: a gateway in this process, on a free port of loopback, with a data folder that is thrown
  away, before the fault laboratory's provider. No provider of the config is called.
- Of a config file only the resilience is taken: the deadlines of its providers, the retry terms of a model. A deadline longer than
  the run has time for is shortened, and said so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
import structlog
import typer
import uvicorn
import uvloop
from msgspec.structs import replace

from headgate import clock, tasks
from headgate.app import Gateway
from headgate.cli.commands import ConfigFile
from headgate.cli.data import table
from headgate.config.environment import environment
from headgate.config.load import load, parse_config
from headgate.config.schema import Config
from headgate.errors import ConfigError
from headgate.faults import caller
from headgate.faults.laboratory import Verdict, run
from headgate.faults.provider import FAULTS, HOST, Provider
from headgate.faults.scenarios import SCENARIOS, Scenario, Terms, models, sites
from headgate.http.server import bounded
from headgate.net import Deadlines
from headgate.stores import keys

SHORT = Deadlines(connect=5.0, headers=2.0, first_token=2.5, idle=2.0, total=30.0)
"""The longest that a run waits."""
STOPPED = 10.0
AT_ONCE = 12
"""Scenarios under way: all three sides share one thread here, and what is measured must not be their waiting for each other."""


def doctor(
    config: ConfigFile = None,
    model: Annotated[
        str | None, typer.Option(help="Try the retry terms and the providers' deadlines of this model of the config.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only scenarios whose name begins so (a fault, or all of a name). Repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try every fault of a provider on a gateway of its own, and say what callers lived through."""
    variables = environment()
    terms, notes = _terms(load(config, variables) if config is not None or model is not None else None, model)
    chosen = [scenario for scenario in _chosen(only or []) if scenario.decided(terms)]
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(f"{len(chosen)} scenarios: this takes up to a minute", file=sys.stderr)
    with (
        _quiet(),
        TemporaryDirectory(prefix="headgate-doctor-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        verdicts = runner.run(_examine(chosen, terms, Path(folder)))
    print(_json(verdicts, notes) if as_json else _text(verdicts))
    if any(verdict.failures for verdict in verdicts):
        raise typer.Exit(1)


@contextmanager
def _quiet() -> Iterator[None]:
    """A broken provider is what is tried here: only a defect of the gateway is worth a line."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


# ---------------------------------------------------------------------- what is tried


def _chosen(only: Sequence[str]) -> list[Scenario]:
    """Those that are asked for, in the table's order. Raises ConfigError for a name that is none's."""
    for name in only:
        if not any(scenario.startswith(name) for scenario in SCENARIOS):
            close = get_close_matches(name, [*FAULTS, *SCENARIOS], 1)
            hint = f'did you mean "{close[0]}"?' if close else "faults: " + ", ".join(FAULTS)
            raise ConfigError(f"no scenario begins with {name!r}", where="--only", hint=hint)
    return [found for name, found in SCENARIOS.items() if not only or any(name.startswith(one) for one in only)]


def _terms(config: Config | None, model: str | None) -> tuple[Terms, list[str]]:
    """The resilience to be tried, and what of the config's own this run has no time for."""
    if config is None:
        return Terms(deadlines=SHORT), []
    sections, retry = dict(config.providers), None
    if model is not None:
        if model not in config.models:
            hint = ", ".join(config.models) or "it has none"
            raise ConfigError(f"the config has no model {model!r}", where="--model", hint=hint)
        asked = config.models[model]
        retry = asked.retry
        names = {target.provider for target in asked.targets}
        sections = {name: section for name, section in sections.items() if name in names}
    notes, given = [], {}
    for name in Deadlines.__struct_fields__:
        longest = max((getattr(section.timeouts, name) for section in sections.values()), default=getattr(SHORT, name))
        given[name] = min(longest, getattr(SHORT, name))
        if longest > given[name] and name != "total":
            notes.append(f"timeouts.{name} is {longest:g} s in the config and {given[name]:g} s in this run")
    terms = Terms(deadlines=Deadlines(**given))
    return (terms if retry is None else replace(terms, attempts=retry.attempts, most_wait=retry.most_wait)), notes


def _config(provider: Provider, chosen: Sequence[Scenario], terms: Terms, folder: Path, key: str) -> Config:
    """The gateway that is tried: the laboratory for its providers, and nothing else."""
    wait = f"{round(terms.most_wait * 1000)}ms"
    policy = {"retry": {"attempts": terms.attempts, "most": max(6, terms.attempts), "most_wait": wait}}
    text = {
        "data": str(folder / "data"),
        "discover": False,
        "providers": sites(provider, terms.deadlines),
        "models": {name: {**section, **policy} for name, section in models(chosen).items()},
        "keys": [{"name": "doctor", "key": key, "tenant": "doctor"}],
    }
    return parse_config(msgspec.json.encode(text), folder / "laboratory.yaml", {}).config


# ---------------------------------------------------------------------- the gateway that is tried


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Signals are the command's, not the server's."""
        return nullcontext()


async def _examine(chosen: Sequence[Scenario], terms: Terms, folder: Path) -> list[Verdict]:
    provider = Provider(folder)
    await provider.start()
    key = keys.make(clock.secret(64))
    config = _config(provider, chosen, terms, folder, key)
    try:
        with _gateway(config) as gateway, _listening() as listener:
            server = _Server(_served(gateway, config))
            serving = tasks.spawn(server.serve(sockets=[listener]), "doctor's gateway")
            try:
                known = caller.Gateway(host=HOST, port=listener.getsockname()[1], key=key)
                return await run(chosen, known, provider, terms, at_once=AT_ONCE)
            finally:
                server.should_exit = True
                await asyncio.wait({serving}, timeout=STOPPED)
    finally:
        await provider.close()


@contextlib.contextmanager
def _gateway(config: Config) -> Iterator[Gateway]:
    config.data.mkdir(mode=0o700)
    gateway = Gateway(config, {})
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.close()


@contextlib.contextmanager
def _listening() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 0), backlog=2048) as listener:
        yield listener


def _served(gateway: Gateway, config: Config) -> uvicorn.Config:
    server = config.server
    return uvicorn.Config(
        gateway,
        interface="asgi3",
        http=bounded(server.max_header_bytes, server.header_timeout, lambda: gateway.app.bounds.body_seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


# ---------------------------------------------------------------------- what is told


def _saw(verdict: Verdict) -> str:
    """What the caller saw, in a few words."""
    told = verdict.told
    if told.problem:
        return told.problem
    if told.error:
        return f"{'content, then ' if told.text else ''}{told.status} {told.error}"
    return f"{told.status} answer" if told.success else f"{told.status}, no end"


def _provider_saw(verdict: Verdict) -> str:
    healthy = f", the healthy one {len(verdict.healthy)}" if not verdict.scenario.alone else ""
    return f"{len(verdict.faulty)}{healthy}"


def _text(verdicts: Sequence[Verdict]) -> str:
    rows: list[tuple[str, ...]] = [("SCENARIO", "", "THE CALLER SAW", "SECONDS", "REQUESTS")]
    rows += [
        (
            verdict.scenario.name,
            "FAIL" if verdict.failures else "pass",
            _saw(verdict),
            f"{verdict.told.seconds:.2f}",
            _provider_saw(verdict),
        )
        for verdict in verdicts
    ]
    failed = [verdict for verdict in verdicts if verdict.failures]
    lines = [table(rows, right=frozenset({3})), ""]
    for verdict in failed:
        fault = FAULTS[verdict.scenario.fault]
        lines.append(f"{verdict.scenario.name}: the provider {fault.does}; a gateway must {fault.must}")
        lines += [f"  {failure}" for failure in verdict.failures]
    lines.append(f"{len(verdicts) - len(failed)} of {len(verdicts)} passed")
    return "\n".join(lines)


def _json(verdicts: Sequence[Verdict], notes: Sequence[str]) -> str:
    told: dict[str, Any] = {
        "passed": sum(not verdict.failures for verdict in verdicts),
        "failed": sum(bool(verdict.failures) for verdict in verdicts),
        "notes": list(notes),
        "scenarios": [_told(verdict) for verdict in verdicts],
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode()


def _told(verdict: Verdict) -> dict[str, Any]:
    fault, told = FAULTS[verdict.scenario.fault], verdict.told
    return {
        "scenario": verdict.scenario.name,
        "passed": not verdict.failures,
        "failures": verdict.failures,
        "provider_does": fault.does,
        "gateway_must": fault.must,
        "caller": {
            "saw": _saw(verdict),
            "status": told.status,
            "error": told.error,
            "seconds": round(told.seconds, 3),
            "request": told.request_id,
        },
        "provider": {"faulty": len(verdict.faulty), "healthy": len(verdict.healthy)},
        "attempts": [
            {name: attempt[name] for name in ("target", "outcome", "status", "error")} for attempt in verdict.attempts
        ],
    }
