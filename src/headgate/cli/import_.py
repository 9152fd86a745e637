"""`headgate import`: another gateway's config as ours, and what of it could not be converted."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from headgate import __version__
from headgate.cli.importers import emit
from headgate.cli.importers.litellm import convert
from headgate.config.document import MAX_BYTES
from headgate.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def _formats() -> None:
    """Convert another gateway's config."""


@app.command()
def litellm(
    file: Annotated[Path, typer.Argument(help="The config file of LiteLLM's proxy.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; standard output if not given.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")] = False,
) -> None:
    """Convert a config of LiteLLM's proxy."""
    with file.open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    config, notes = convert(data, file)
    text = emit.document(config, f"Converted from LiteLLM's {file.name} by headgate import ({__version__}).", notes)
    for line in emit.told(notes):
        print(line, file=sys.stderr)
    if output is None:
        print(text, end="")
        return
    _write(output, text, force)
    print(f"\nwritten: {output}; next: headgate check {output}", file=sys.stderr)


def _write(output: Path, text: str, force: bool) -> None:
    """For the owner's eyes alone: the source may hold keys."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        with open(os.open(output, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError("it exists already", where=str(output), hint="give another name, or --force") from None
