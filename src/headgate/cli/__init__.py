"""The command line: which commands there are, and how what goes wrong is told.

Rules of this file:
- Only the module of the command that is asked for is imported; the list of commands needs none of them.
- An expected error is a line on standard error and exit code 1, a wrong use of the command line is 2. A traceback is a
  defect.
- A command is a function with typer's annotations, or a `typer.Typer` with commands of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, NamedTuple, NoReturn

import typer

from headgate import __version__
from headgate.errors import HeadgateError


class Command(NamedTuple):
    module: str
    name: str
    """What the module holds: a function or a typer.Typer."""
    help: str


COMMANDS: dict[str, Command] = {
    "serve": Command("headgate.cli.commands", "serve", "Run the gateway."),
    "check": Command("headgate.cli.check", "check", "Say all that is wrong with a config file."),
    "keys": Command("headgate.cli.keys", "app", "Make, list and revoke keys."),
    "usage": Command("headgate.cli.usage", "usage", "Sum up requests, tokens and cost."),
    "explain": Command("headgate.cli.explain", "explain", "Show what would be done with a request, and do nothing."),
    "import": Command("headgate.cli.import_", "app", "Convert another gateway's config."),
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        _built(arguments)(args=list(arguments), prog_name="headgate")
        sys.exit(0)
    except HeadgateError as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has enough: nothing more to say, not even at exit
    except OSError as error:
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
    sys.exit(1)


def _built(arguments: Sequence[str]) -> typer.Typer:
    """The app with the asked-for command whole, the others by their names."""
    app = typer.Typer(
        help="Headgate: one governed endpoint between applications and every model provider.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    asked = next((argument for argument in arguments if not argument.startswith("-")), "")
    for name, command in COMMANDS.items():
        if name != asked:
            app.command(name, help=command.help)(_elsewhere)
            continue
        found = getattr(import_module(command.module), command.name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, help=command.help, no_args_is_help=True)
        else:
            app.command(name)(found)
    return app


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
