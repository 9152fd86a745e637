"""The data folder, for commands that work on it directly, whether or not a gateway runs on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from headgate.config.environment import environment
from headgate.config.load import load
from headgate.config.schema import Config
from headgate.errors import ConfigError
from headgate.stores.sqlite import Stores, open_stores

DATABASE = "headgate.db"
PEPPER = "pepper"
SPOOL = "spool"

Where = Annotated[
    Path | None,
    typer.Option(
        "--data",
        "--config",
        "-c",
        help="The gateway's data folder, or the config file that names it; else as `headgate serve` finds them.",
    ),
]


def settings(where: Path | None) -> Config:
    """The config that `serve` would run by, for its data folder among others. `where` is a data folder unless it is a
    file, or called like one. Raises ConfigError."""
    if where is not None and (where.is_file() or where.suffix in (".yaml", ".yml", ".json")):
        return load(where, environment())
    found = load(None, environment())
    return found if where is None else replace(found, data=where)


@contextmanager
def opened(folder: Path, *, make: bool = False) -> Iterator[Stores]:
    """The stores of a data folder. Unless told to `make` them, a folder without any is an error: it is likely a wrong
    one."""
    if not make and not (folder / DATABASE).exists():
        hint = "--data FOLDER or HEADGATE_DATA names the folder that the gateway uses"
        raise ConfigError(f"no gateway has kept anything in {str(folder)!r}", hint=hint)
    stores = open_stores(folder / DATABASE)
    try:
        yield stores
    finally:
        stores.close()


def table(rows: list[tuple[str, ...]], *, right: frozenset[int] = frozenset()) -> str:
    """Columns as wide as they need to be, two spaces apart; those in `right` end at the same place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
