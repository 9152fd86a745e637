"""`headgate explain`: what would be done with a request, through the code that serves, and nothing is called or spent."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import structlog
import typer

from headgate import clock
from headgate.cli.commands import ConfigFile
from headgate.config.environment import environment
from headgate.config.load import load
from headgate.errors import BadRequest, NotFound
from headgate.model.identity import Identity

if TYPE_CHECKING:
    from headgate.app import Gateway


def explain(
    request: Annotated[str, typer.Argument(help="The request's JSON: a file, or - for standard input.")],
    path: Annotated[str, typer.Option(help="The path it would be sent to.")] = "/v1/chat/completions",
    key: Annotated[
        str | None, typer.Option(help="Whose key: its name or id. Without it, a key that may use everything.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(help='A header that rules see, "x-team: search". May be given again.')
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole explanation as JSON.")] = False,
    config: ConfigFile = None,
) -> None:
    """Show what would be done with a request, and do nothing. Breakers and rate limits of a running gateway are its own: ask it, POST
    /v1/explain."""
    from headgate.app import Gateway
    from headgate.explain import explained

    body = sys.stdin.buffer.read() if request == "-" else Path(request).read_bytes()
    try:
        json = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"{request}: not valid JSON: {error}") from error
    if not isinstance(json, dict):
        raise BadRequest(f"{request}: a request is a JSON object, as an SDK would send it")
    with _warnings_aside():
        variables = environment()
        gateway = Gateway(load(config, variables), variables)
        try:
            envelope = {"path": path, "body": json, "headers": dict(map(_named, header or ()))}
            told = asyncio.run(explained(gateway.app, _identity(gateway, key), envelope, gateway.price))
        finally:
            gateway.close()
    print(msgspec.json.format(msgspec.json.encode(told), indent=2).decode() if as_json else _text(told))
    if told["verdict"] != "allowed":
        raise typer.Exit(1)


@contextlib.contextmanager
def _warnings_aside() -> Iterator[None]:
    """The log goes to standard error: standard output is the explanation."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(**before)


def _named(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not colon:
        raise BadRequest(f"{header!r} is no header: write name: value")
    return name.strip(), value.strip()


def _identity(gateway: Gateway, key: str | None) -> Identity:
    if key is None:
        return Identity(key_id="", key_name="(any)", tenant="default")
    gateway.directory.refresh(clock.wall())
    for identity in gateway.directory.identities():
        if key in (identity.key_id, identity.key_name):
            return identity
    raise NotFound(f"there is no valid key {key!r}; headgate keys list shows them")


def _text(told: dict[str, Any]) -> str:
    lines = [f"{told['verdict']}: {told['dialect']}, model {told['model']}"]
    for note in told["trail"]:
        detail = ", ".join(
            f"{k}={v}" for k, v in note.items() if k not in ("stage", "verdict") and v not in ([], None, "")
        )
        lines.append(f"  {note['stage']}: {note['verdict']}{f' ({detail})' if detail else ''}")
    for target in told["targets"]:
        mark = "-> " if target.get("chosen") else ""
        why = f": {target['why']}" if target.get("why") else ""
        lines.append(f"{target['order']}. {mark}{target['provider']}/{target['model']}{why}")
        if "refused" in target:
            lines.append(f"   cannot take it: {target['refused']}")
            continue
        way = "crossing to" if target["crossing"] else "same dialect,"
        lines.append(f"   {way} {target['dialect']}; edits: {', '.join(target['edits']) or 'none'}")
        lines += [f"   loses {loss['what']}: {loss['why']}" for loss in target["losses"]]
        cost = target["cost_input_nanos"]
        most = target["cost_at_most_nanos"]
        lines.append(
            f"   at most {target['input_tokens_estimated']} input tokens; "
            + (
                "price unknown"
                if cost is None
                else f"input ${cost / 1e9:.6f}" + (f", at most ${most / 1e9:.6f}" if most else "")
            )
        )
        lines.append("   body: " + msgspec.json.encode(target["body"]).decode())
    return "\n".join(lines)
