"""`headgate keys`: make, list and revoke the keys that clients use.

Rules of this file:
- A key is shown once, when it is made: what is kept is a digest. A running gateway knows of a change within a second.
- Keys that the config declares belong to the config: they are listed, and revoked by removing them there.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer

from headgate import clock
from headgate.config import forms
from headgate.config.schema import Config
from headgate.errors import ConfigError, NotFound
from headgate.stores import keys as text
from headgate.stores.base import KeyRow

from .data import PEPPER, Where, opened, settings, table

app = typer.Typer(help="Make, list and revoke keys.")


class Scope(StrEnum):
    trail = "trail"
    admin = "admin"
    explain = "explain"


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="How records and reports call it; unique among valid keys.")],
    tenant: Annotated[str, typer.Option(help="Who owns what it makes; tenants do not see each other.")] = "default",
    models: Annotated[
        list[str] | None, typer.Option(help='What it may use: names, or patterns like "gpt-*"; all if not given.')
    ] = None,
    scopes: Annotated[list[Scope] | None, typer.Option(help="What else it may do.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="From when it is void: 90d, 2027-01-01 or 2027-01-01T12:00:00Z.")
    ] = None,
    priority: Annotated[
        int, typer.Option(min=0, max=9, help="Where there is not room for all, the highest is served first.")
    ] = 5,
    where: Where = None,
) -> None:
    """Make a key. It is shown this once, alone on a line."""
    using = settings(where)
    now = clock.wall()
    patterns = tuple(pattern for given in models or () for pattern in given.split(","))
    key = text.make(clock.secret(64))
    row = KeyRow(
        id=clock.new_id("key_"),
        digest=text.digest(text.pepper(using.data / PEPPER), key).hex(),
        hint=text.hint(key),
        name=_formed("--name", forms.TEXT, name),
        tenant=_formed("--tenant", forms.TEXT, tenant),
        models=tuple(_formed("--models", forms.MODELS, pattern) for pattern in patterns),
        scopes=tuple(scope.value for scope in scopes or ()),
        created=now,
        expires=None if expires is None else _expiry(expires, now),
        priority=priority,
    )
    if any(declared.name == name for declared in using.keys):
        raise ConfigError(f"the config declares a key {name!r} already", where="--name")
    with opened(using.data, make=True) as stores:
        stores.keys.add(row)
    print(f"Key {name!r} of tenant {tenant!r}, shown this once:\n\n{key}\n\n{_example(using, row, key)}")


def _formed(where: str, form: forms.Form, value: str) -> Any:
    try:
        return form.read(value)
    except ValueError as error:
        raise ConfigError(f"{value!r}: {error}", where=where) from None


def _expiry(given: str, now: float) -> float:
    try:
        moment = now + forms.DURATION.read(given)
    except ValueError:
        moment = _formed("--expires", forms.MOMENT, given)
    if moment <= now:
        raise ConfigError(f"{given!r} is past", where="--expires")
    return float(moment)


def _example(using: Config, row: KeyRow, key: str) -> str:
    """A line to try the key with: a question to the first model that it may surely use, else the list of models."""
    server = using.server
    host = "127.0.0.1" if server.host in ("0.0.0.0", "::") else server.host  # noqa: S104 - a comparison
    base = f"http{'s' if server.tls else ''}://{f'[{host}]' if ':' in host else host}:{server.port}"
    names = row.models or (*using.models, "demo/chat")
    model = next((name for name in names if not name.endswith("*")), None)
    if model is None:
        return f"curl {base}/v1/models -H 'Authorization: Bearer {key}'"
    body = msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": "Hello"}]}).decode()
    head = f"curl {base}/v1/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\"
    return f"{head}\n  -d {_quoted(body)}"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


@app.command("list")
def list_(
    where: Where = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List keys, made and declared."""
    using = settings(where)
    now = clock.wall()
    with opened(using.data) as stores:
        rows = [_shown(row, now) for row in stores.keys.all()]
    rows += [_declared(key, now) for key in using.keys]
    if json:
        print(msgspec.json.encode(rows).decode())
        return
    if not rows:
        print("no keys yet: headgate keys create --name NAME")
        return
    head = ("NAME", "ID", "KEY", "TENANT", "MODELS", "SCOPES", "PRIORITY", "CREATED", "EXPIRES", "STATE")
    cells = [
        (
            row["name"],
            row["id"],
            f"…{row['hint']}",
            row["tenant"],
            ",".join(row["models"]) or "all",
            ",".join(row["scopes"]) or "-",
            str(row["priority"]),
            (row["created"] or "-")[:10],
            (row["expires"] or "-")[:16],
            row["state"],
        )
        for row in rows
    ]
    print(table([head, *cells]))


def _shown(row: KeyRow, now: float) -> dict[str, Any]:
    """A key as JSON shows it; never the digest. Times are ISO 8601, UTC."""
    state = "valid"
    if row.revoked is not None:
        state = "revoked"
    elif row.expires is not None and row.expires <= now:
        state = "expired"
    return {
        "id": row.id,
        "name": row.name,
        "hint": row.hint,
        "tenant": row.tenant,
        "models": list(row.models),
        "scopes": list(row.scopes),
        "priority": row.priority,
        "created": _time(row.created),
        "expires": _time(row.expires),
        "revoked": _time(row.revoked),
        "state": state,
    }


def _declared(key: Any, now: float) -> dict[str, Any]:
    void = key.expires is not None and key.expires <= now
    return {
        "id": "-",
        "name": key.name,
        "hint": text.hint(key.key),
        "tenant": key.tenant,
        "models": list(key.models),
        "scopes": list(key.scopes),
        "priority": key.priority,
        "created": None,
        "expires": _time(key.expires),
        "revoked": None,
        "state": "declared, expired" if void else "declared",
    }


def _time(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(int(moment), UTC).isoformat().replace("+00:00", "Z")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID|NAME", help="Its id, or its name.")],
    where: Where = None,
) -> None:
    """Revoke a key: the gateway refuses it within a second."""
    using = settings(where)
    if text.well_formed(key):
        print("this is a key itself: whoever sees the list of processes has seen it", file=sys.stderr)
        key = _of(using, key)
    with opened(using.data) as stores:
        if stores.keys.revoke(key, clock.wall()):
            print(f"revoked {key!r}")
            return
        valid = [row for row in stores.keys.all() if row.revoked is None]
    if any(declared.name == key for declared in using.keys):
        raise ConfigError(f"{key!r} is declared in the config", hint="remove it there")
    near = get_close_matches(key, [name for row in valid for name in (row.name, row.id)], 1)
    hint = f": did you mean {near[0]!r}?" if near else "; headgate keys list shows them"
    raise NotFound(f"there is no valid key {key!r}{hint}")


def _of(using: Config, key: str) -> str:
    """The id of a key that was given itself; the most common slip, and the most urgent one."""
    digest = text.digest(text.pepper(using.data / PEPPER), key).hex()
    with opened(using.data) as stores:
        return next((row.id for row in stores.keys.all() if row.digest == digest), text.PREFIX + "…" + text.hint(key))
