"""What it takes to call somebody over HTTP: the values (`Call`, `Response`), the one-method seams (`Open`, `Fetch`).

`Open` is how an attempt reaches a provider: streams both ways, deadlines, cancellation closes the connection at once.
`Fetch` is how anything is fetched aside (tokens, webhooks, images): small whole bodies, and the only way to do so.
Where we connect is decided by config alone; nothing client-supplied reaches `Call.origin`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

Headers: TypeAlias = list[tuple[bytes, bytes]]
"""Names in lower case."""


Sink: TypeAlias = Callable[[bytes], bool]
"""Takes bytes that have arrived, and says whether more may come at once."""


class Origin(Struct, frozen=True):
    """Where and how to connect: the key of a connection pool."""

    scheme: str
    host: str
    port: int
    proxy: str | None = None
    """URL of an egress proxy ("http://user:pass@host:port"); None connects directly."""
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return host if self.port == usual else f"{host}:{self.port}"


class Deadlines(Struct, frozen=True, kw_only=True):
    """Seconds. `connect`: TCP and TLS. `headers`: request sent to response head. `idle`: between two reads of the body."""

    connect: float = 10.0
    headers: float = 600.0
    first_token: float = 600.0
    idle: float = 300.0
    total: float = 3600.0

    def until(self, seconds: float) -> Deadlines:
        """These, and an answer whose head comes within `seconds`."""
        return replace(self, connect=min(self.connect, seconds), headers=min(self.headers, seconds))


class Call(Struct, kw_only=True):
    """One HTTP request. `path` begins with "/" and includes the query, percent-encoded. A streaming body has no length unless
    the headers say content-length; bytes get their length."""

    method: str
    origin: Origin
    path: str
    headers: Headers
    body: bytes | AsyncIterator[bytes] = b""
    deadlines: Deadlines = Deadlines()
    sent: bool = False
    """Of its bytes, some may have gone out: set by who opens it. Until then nobody can bill it."""


_CREDENTIALS = frozenset((b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"))


def unsaid(call: Call, body: bytes) -> bytes:
    """What an error says, without the call's credential: there are servers that repeat the key that they refuse."""
    for name, value in call.headers:
        key = value.rpartition(b" ")[2]
        if name in _CREDENTIALS and len(key) >= 8 and key in body:
            body = body.replace(key, b"***")
    return body


class Response(Protocol):
    """A response head with its body still to come. `close` is idempotent: it frees the connection if the body was read to its
    end, else ends it, so that the provider stops working for us."""

    status: int
    headers: Headers

    @property
    def behind(self) -> bool:
        """Whether bytes of the body have arrived that were not read."""
        return False

    async def read(self) -> bytes:
        """The next bytes of the body (decompressed), b"" at its end. Raises UpstreamTimeout, UpstreamTruncated."""
        ...

    async def pour(self, sink: Sink) -> bool:
        """Hands the body's bytes to `sink` as they arrive, until it says no (False) or the body ends (True). Raises what `read`
        raises, and what `sink` does. Here by reading; a connection calls `sink` where its bytes come in, and no task wakes up."""
        while data := await self.read():
            if not sink(data):
                return False
        return True

    def limit(self, seconds: float | None) -> None:
        """All reads from now on end in `seconds` at the latest (the first-token deadline); None lifts that limit again."""
        ...

    def close(self) -> None: ...


class Open(Protocol):
    async def __call__(self, call: Call) -> Response:
        """Send, and wait for the head. Raises UpstreamUnreachable, UpstreamTimeout, UpstreamMalformed, UpstreamTruncated."""
        ...


class Fetch(Protocol):
    async def __call__(self, call: Call, *, limit: int = 1 << 20) -> tuple[int, Headers, bytes]:
        """Status, headers and whole body of at most `limit` bytes."""
        ...


async def one_piece(pour: Callable[[Sink], Awaitable[bool]]) -> bytes:
    """The next bytes of what pours, b"" at its end."""
    got = b""

    def take(data: bytes) -> bool:
        nonlocal got
        got = data
        return False

    await pour(take)
    return got


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header (name in lower case)."""
    for key, value in headers:
        if key == name:
            return value
    return None
