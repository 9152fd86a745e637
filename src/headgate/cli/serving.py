"""`headgate serve`: its options, and what runs by them.

They are read by argparse: typer brings a validation library along, 14 MB that a gateway would carry all its life.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def serve(arguments: Sequence[str]) -> None:
    """Run the gateway until it is told to stop."""
    given = _parser().parse_args(arguments)
    from headgate.cli.serve import serve as run

    run(given.config, given.host, given.port, given.data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("headgate serve", description="Run the gateway.", allow_abbrev=False)
    options = parser.add_argument
    found = "the config file; else HEADGATE_CONFIG, else ./headgate.yaml if it exists"
    options("-c", "--config", type=Path, metavar="FILE", help=found)
    options("--host", metavar="ADDRESS", help="the address to listen on")
    options("--port", type=_port, metavar="NUMBER", help="the TCP port to listen on; 0 lets the system choose")
    options("--data", type=Path, metavar="FOLDER", help="the folder of database, spool and pepper")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or int(text) > 65535:
        raise argparse.ArgumentTypeError("expected a number from 0 to 65535")
    return int(text)
