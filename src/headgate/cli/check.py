"""`headgate check`: all that is wrong with a config file, before anything runs by it. What is checked is what `serve` checks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from headgate.config.document import MAX_BYTES
from headgate.config.environment import environment
from headgate.config.load import Loaded, load_marked, parse_config
from headgate.config.verify import verify
from headgate.providers.base import Site

STANDARD_INPUT = Path("-")


def check(
    file: Annotated[
        Path | None, typer.Argument(help='The file, "-" for standard input; else as `headgate serve` finds it.')
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the file's JSON Schema, and check nothing.")] = False,
) -> None:
    """Say all that is wrong with a config file."""
    if schema:
        import json

        from headgate.config.published import json_schema

        print(json.dumps(json_schema(), indent=2))
        return
    variables = environment()
    if file == STANDARD_INPUT:
        loaded = parse_config(sys.stdin.buffer.read(MAX_BYTES + 1), Path("<stdin>"), variables)
    else:
        loaded = load_marked(file, variables)
    sites, warnings = verify(loaded, variables)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(_summary(loaded, sites))


def _summary(loaded: Loaded, sites: Mapping[str, Site]) -> str:
    config = loaded.config
    counts = {"model": config.models, "key": config.keys, "guard": config.guards, "price": config.prices}
    counted = [f"{len(of)} {word}{'s' * (len(of) != 1)}" for word, of in counts.items() if of]
    what = f"{loaded.path}: fine" if loaded.path else "no config file: everything by default"
    return f"{what}; providers: {', '.join(sites)}" + "".join(f", {count}" for count in counted)
