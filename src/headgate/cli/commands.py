"""All commands but serve, as typer reads them, and what they share.

The command that is asked for is built whole; the others stand by their names, so that none of them is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from headgate import __version__
from headgate.cli import COMMANDS

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The config file; else HEADGATE_CONFIG, else ./headgate.yaml if it exists."),
]


def app(arguments: Sequence[str]) -> typer.Typer:
    """The command line for these arguments."""
    built = typer.Typer(
        help="Headgate: one governed endpoint between applications and every model provider.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    built.callback()(_root)
    asked = next((argument for argument in arguments if not argument.startswith("-")), "")
    for name, command in COMMANDS.items():
        if name != asked or name == "serve":  # which is not read here
            built.command(name, help=command.help)(_elsewhere)
            continue
        found = getattr(import_module(command.module), command.name)
        if isinstance(found, typer.Typer):
            built.add_typer(found, name=name, help=command.help, no_args_is_help=True)
        else:
            built.command(name)(found)
    return built


def _elsewhere() -> None:
    """Stands for the commands that were not asked for."""


def _version(asked: bool) -> None:
    if asked:
        print(f"headgate {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Say the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass
