"""The only reader of the process environment. Everyone else is given the snapshot, or a value from it.

Rules of this file:
- `environment()` is read once, at start; a later change of the process environment changes nothing.
- An empty or blank variable counts as not set: that is how shells and compose files unset one.
- A variable that cannot be obeyed is a ConfigError that names it; none is ignored.
- The config file goes before these variables, the command line before both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from headgate.errors import ConfigError


def environment() -> Mapping[str, str]:
    """A snapshot that cannot be changed."""
    return MappingProxyType(dict(os.environ))


def _given(variables: Mapping[str, str], name: str) -> str | None:
    return variables.get(name, "").strip() or None


def config_file(variables: Mapping[str, str]) -> Path | None:
    """HEADGATE_CONFIG: the config file."""
    given = _given(variables, "HEADGATE_CONFIG")
    return Path(given) if given else None


def data(variables: Mapping[str, str]) -> Path | None:
    """HEADGATE_DATA: the folder of database, spool and pepper."""
    given = _given(variables, "HEADGATE_DATA")
    return Path(given) if given else None


def host(variables: Mapping[str, str]) -> str | None:
    """HOST: the address to listen on."""
    return _given(variables, "HOST")


def port(variables: Mapping[str, str]) -> int | None:
    """PORT: the TCP port to listen on; 0 lets the system choose."""
    given = _given(variables, "PORT")
    if given is None:
        return None
    if not given.isascii() or not given.isdecimal() or int(given) > 65535:
        raise ConfigError("not a TCP port", where="PORT", hint="give a number from 0 to 65535")
    return int(given)
