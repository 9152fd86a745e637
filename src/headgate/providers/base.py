"""What a provider is: where it listens, how it authenticates, which dialects it speaks, what it takes.

Rules of this file:
- A provider is a frozen value, made once at import. An *installation* of it (`Site`) adds what the operator gives: key,
  base URL, settings, egress; there may be several sites of one provider under different names.
- `base_url` and paths may hold {placeholders} that `settings` declares; a missing one without default is an error.
- Which dialect an attempt uses: the client's own if the provider speaks it, else the first of `endpoints`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Protocol

from msgspec import Struct, field

from headgate.dialects.base import Accepts
from headgate.net import Deadlines, Fetch, Headers, Origin


class Secret(str):
    """A string that does not show itself in repr, so that no log or error prints it by accident."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(***)"


class Credential(Struct, frozen=True, kw_only=True):
    """`name` is for records and logs; `key` never leaves but in a call's headers."""

    name: str
    key: Secret
    settings: Mapping[str, str] = field(default_factory=dict)


class Auth(Protocol):
    static: ClassVar[bool]
    """The headers of a credential never change: they may be kept."""

    async def headers(self, credential: Credential, fetch: Fetch) -> Headers:
        """The headers that authenticate a call. Static flows return at once; others may fetch a token, and keep it."""
        ...


class Bearer(Struct, frozen=True):
    """`Authorization: Bearer KEY`, or another header with another prefix."""

    static: ClassVar[bool] = True

    header: str = "authorization"
    prefix: str = "Bearer "

    async def headers(self, credential: Credential, fetch: Fetch) -> Headers:
        return [(self.header.encode(), (self.prefix + credential.key).encode())] if credential.key else []


class Setting(Struct, frozen=True, kw_only=True):
    """A value the operator gives beside the key: fills `{name}` in URLs, from config or the first variable set."""

    name: str
    env: tuple[str, ...] = ()
    default: str | None = None
    about: str = ""


class Endpoint(Struct, frozen=True, kw_only=True):
    """One dialect the provider speaks. `prefix` goes between base URL and the dialect's own path; `paths` replaces that
    path where it differs: operation ("generate", "stream", "count") -> template with {model} and settings; "": not
    offered."""

    dialect: str
    prefix: str = ""
    paths: Mapping[str, str] = field(default_factory=dict)
    accepts: Accepts = Accepts()
    auth: Auth | None = None
    """Where this endpoint authenticates differently."""
    headers: tuple[tuple[str, str], ...] = ()


class Allow(Struct, frozen=True, kw_only=True):
    """A path of the provider that may be passed through: `pattern` is matched whole against the path below `base_url`;
    `{id}` stands for one path segment, `{rest}` for any remainder. `creates`/`uses`: the kind of object held upstream
    whose id the answer's JSON `id` brings / the path's `{id}` names ("file", "batch", "response", ...)."""

    method: str
    pattern: str
    creates: str | None = None
    uses: str | None = None
    lists: str | None = None
    id_field: str = "id"
    """Where the answer, or each listed item, has its id; of a resource name ("batches/abc") the last segment counts."""
    items: str = "data"
    """Where the answer of a list has its items."""
    names: tuple[tuple[str, str], ...] = ()
    """Members of the request's JSON (dotted, lists are walked) that name held objects, and their kind: all must be the
    tenant's."""
    brings: tuple[tuple[str, str], ...] = ()
    """Members of the answer's JSON (dotted) that name further objects, with their kind: they become the tenant's."""
    prefix: str = ""
    """What the provider has between base URL and the path: the client asks for /embeddings all the same."""

    @property
    def works(self) -> bool:
        """A model works on what is sent here, now or later: a key's list of models holds."""
        return self.method == "POST" and not self.uses and self.creates in _WORKED


_WORKED = frozenset((None, "batch", "message_batch", "fine_tuning_job", "video"))
"""Kinds of objects that a model makes or is made of. What else is created (files, stores, ...) is only kept."""


class Provider(Struct, frozen=True, kw_only=True):
    name: str
    title: str
    docs: tuple[str, ...]
    """Addresses of the provider's documentation that this file was written from."""
    base_url: str
    env: tuple[str, ...] = ()
    """Variables that may hold the key; the first that is set counts."""
    base_url_env: tuple[str, ...] = ()
    auth: Auth = Bearer()
    endpoints: tuple[Endpoint, ...]
    dialects: tuple[str, ...] = ()
    """Those of `endpoints` that are used unless the site says otherwise; empty: all."""
    settings: tuple[Setting, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    opaque: tuple[Allow, ...] = ()
    needs_key: bool = True
    ended: str = ""
    """Since when (YYYY-MM-DD), by its own word, the provider serves nobody: only sites with a base URL of their own."""
    catalog: str = ""
    """The provider's id in the price catalog, if not its own name."""

    def endpoint(self, dialect: str) -> Endpoint:
        """The endpoint for a client of this dialect: the same dialect if spoken, else the preferred one."""
        for endpoint in self.endpoints:
            if endpoint.dialect == dialect:
                return endpoint
        return self.endpoints[0]


class Egress(Struct, frozen=True, kw_only=True):
    proxy: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True


class Site(Struct, frozen=True, kw_only=True):
    """A provider as this gateway uses it. `name` is what stands before the slash in "name/model"."""

    name: str
    provider: Provider
    base_path: str
    origin: Origin
    credential: Credential
    dialects: tuple[str, ...] = ()
    """Restricts and orders the provider's endpoints; empty: the provider's own order."""
    deadlines: Deadlines = Deadlines()
    headers: tuple[tuple[str, str], ...] = ()
    key: str = ""
    """Which of the provider's keys this is, where it has several: "" for the first."""

    @property
    def id(self) -> str:
        """What tells it from every other site: its name, and "#key" for all but a provider's first key."""
        return f"{self.name}#{self.key}" if self.key else self.name

    def endpoint(self, dialect: str) -> Endpoint:
        if not self.dialects:
            return self.provider.endpoint(dialect)
        wanted = dialect if dialect in self.dialects else self.dialects[0]
        return next(e for e in self.provider.endpoints if e.dialect == wanted)

    def fill(self, template: str) -> str:
        """A template with this site's settings put in ({model} is left)."""
        return _HOLE.sub(lambda m: self.credential.settings.get(m[1], m[0]), template)


_HOLE = re.compile(r"\{(\w+)\}")
