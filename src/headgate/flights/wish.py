"""What makes two requests one: whose they are, and all that decides their answer.

Rules of this file:
- Tenants never share. Nor do two configs' guards, nor (of requests that are merely alike) two configs.
- Alike are requests whose bytes are: no field of a body is thought not to matter. What names the one request (its id, its
  Idempotency-Key) is no part of it.
- Not shared for being alike: what refers to state at a provider, or is stored there under an id of its own.
- An Idempotency-Key is its caller's own: the same one from another key of the tenant is another.
"""

from __future__ import annotations

from collections.abc import Hashable
from hashlib import blake2b

from msgspec import Struct

from headgate.errors import BadRequest
from headgate.model.exchange import Exchange

HEADER = b"idempotency-key"
STRICT = b"x-headgate-strict"
LONGEST = 255
MADE_BY_SDKS = b"stainless-"
"""How the keys begin that OpenAI's and Anthropic's SDKs make of their own accord, one for a request and its retries."""
_OF_ONE_REQUEST = frozenset((HEADER, b"x-client-request-id"))


class Wish(Struct, frozen=True, kw_only=True):
    key: Hashable
    digest: bytes
    """Of what is asked."""
    idempotent: bool = False
    """The answer is kept for who asks again, and goes on without anybody who waits for it."""
    retried: bool = False
    """It is an SDK's own key: who leaves comes back at once or never."""


def wish_of(x: Exchange, config: Hashable, guards: Hashable) -> Wish | None:
    """What `x` may share its answer with; None: with nothing, and the trail has why. `config` and `guards` stand for those that it
    runs on. Raises BadRequest for an Idempotency-Key that is none."""
    assert x.identity is not None and x.head is not None and x.route is not None
    if x.request.operation != "generate":
        x.trail.note("flights", "alone", why="nothing is generated")
        return None
    if x.request.idempotent:
        given = x.request.header(HEADER)
        if not 1 <= len(given) <= LONGEST or not all(0x20 <= byte < 0x7F for byte in given):
            raise BadRequest(
                f"Idempotency-Key takes 1 to {LONGEST} printable ASCII characters", code="invalid_idempotency_key"
            )
        key = ("key", x.identity.tenant, x.identity.key_id, given, guards)
        return Wish(key=key, digest=asked(x), idempotent=True, retried=given.startswith(MADE_BY_SDKS))
    if x.head.state or x.head.stores:
        why = "it refers to what the provider keeps" if x.head.state else "the provider is to keep the answer"
        x.trail.note("flights", "alone", why=why)
        return None
    digest = asked(x)
    # rules may send two requests of one name to models that differ in nothing but what is done with them
    served = (x.route.alias, x.route.targets, x.route.strict, id(x.route.policy))
    return Wish(key=("alike", x.identity.tenant, config, served, digest), digest=digest)


def look(x: Exchange) -> None:
    """The trail's note for a request that is not made. Raises as `wish_of`."""
    assert x.route is not None
    if (x.request.idempotent or x.route.policy.coalesce) and wish_of(x, None, None) is not None:
        x.trail.note("flights", "shares", by="idempotency key" if x.request.idempotent else "being alike")


def asked(x: Exchange) -> bytes:
    """A digest of what is asked, as the guards left it."""
    request, dialect = x.request, x.dialect
    digest = blake2b(digest_size=32)

    def add(part: bytes) -> None:
        digest.update(len(part).to_bytes(8))  # so that no two lists of parts have the same bytes
        digest.update(part)

    for text in (
        dialect.name,
        request.operation,
        request.path,
        request.framing,
        str(x.head is not None and x.head.stream),
    ):
        add(text.encode(errors="surrogatepass"))
    add(request.query)
    for name, value in sorted(request.headers):
        if name == STRICT or (name not in _OF_ONE_REQUEST and name.decode("latin-1") in dialect.up_headers):
            add(name)
            add(value)
    add(x.body)
    for edit in x.edits:
        add(repr(edit.path).encode(errors="surrogatepass"))
        add(b"" if edit.value is None else edit.value)
    return digest.digest()
