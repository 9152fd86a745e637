"""The command line: which commands there are, and how what goes wrong is told.

Rules of this file:
- Only the module of the command that is asked for is imported; the list of commands needs none of them.
- An expected error is a line on standard error and exit code 1, a wrong use of the command line is 2. A traceback is a
  defect.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from headgate.errors import HeadgateError


class Command(NamedTuple):
    module: str
    name: str
    """What the module holds: a function with typer's annotations, or a typer.Typer."""
    help: str


COMMANDS: dict[str, Command] = {
    "serve": Command("headgate.cli.serving", "serve", "Run the gateway."),
    "check": Command("headgate.cli.check", "check", "Say all that is wrong with a config file."),
    "keys": Command("headgate.cli.keys", "app", "Make, list and revoke keys."),
    "usage": Command("headgate.cli.usage", "usage", "Sum up requests, tokens and cost."),
    "explain": Command("headgate.cli.explain", "explain", "Show what would be done with a request, and do nothing."),
    "doctor": Command("headgate.cli.doctor", "doctor", "Try every fault of a provider on a gateway of its own."),
    "import": Command("headgate.cli.import_", "app", "Convert another gateway's config."),
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if arguments[:1] == ["serve"]:
            from headgate.cli.serving import serve

            serve(arguments[1:])
        else:
            from headgate.cli.commands import app

            app(arguments)(args=arguments, prog_name="headgate")
        sys.exit(0)
    except HeadgateError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        sys.exit(130)  # as shells tell a process that SIGINT ended
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has enough: nothing more to say, not even at exit
    except OSError as error:
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
    sys.exit(1)
