"""Options of the commands whose work is done elsewhere, in a module that is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The config file; else HEADGATE_CONFIG, else ./headgate.yaml if it exists."),
]


def serve(
    config: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The TCP port to listen on.")] = None,
    data: Annotated[Path | None, typer.Option(help="The folder of database, spool and pepper.")] = None,
) -> None:
    """Run the gateway."""
    from headgate.cli.serve import serve as run

    run(config, host, port, data)
