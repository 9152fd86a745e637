"""Who is calling. Everything the answer needs is resident: one HMAC, one dict look-up, no database, no look-up on a miss."""

from __future__ import annotations

from collections.abc import Callable

from headgate.errors import Unauthenticated
from headgate.model.exchange import Exchange
from headgate.model.identity import Identity
from headgate.stages.base import Stage
from headgate.stores.base import Directory

LONGEST = 512
KEPT = 10_000


class Authenticate(Stage):
    name = "authenticate"

    def __init__(
        self, directory: Directory, digest: Callable[[str], bytes], well_formed: Callable[[str], bool]
    ) -> None:
        self._directory = directory
        self._digest = digest
        self._well_formed = well_formed
        self._digests: dict[bytes, bytes] = {}
        """Digests of keys that were valid when last seen (an HMAC costs 6 µs). Whether one still is, the Directory says."""

    async def start(self, x: Exchange) -> None:
        credential = x.request.credential
        if x.dry and x.identity is not None:  # the dry run of somebody whom this process knows already
            x.trail.note(self.name, "ok", key=x.identity.key_name, tenant=x.identity.tenant)
            return
        if not credential:
            raise Unauthenticated(
                "no API key: send a Headgate key (sk-hg-...) where your SDK puts its API key", code="missing_api_key"
            )
        identity = self._known(credential, x.at)
        if identity is None:
            raise Unauthenticated(self._why(credential))
        x.identity = identity
        x.trail.note(self.name, "ok", key=identity.key_name, tenant=identity.tenant)

    def _known(self, credential: bytes, now: float) -> Identity | None:
        digest = self._digests.get(credential)
        if digest is not None:
            return self._directory.look(digest, now)
        if len(credential) > LONGEST:
            return None
        digest = self._digest(credential.decode("latin-1"))
        identity = self._directory.look(digest, now)
        if identity is not None:
            if len(self._digests) >= KEPT:
                self._digests.clear()
            self._digests[credential] = digest
        return identity

    def _why(self, credential: bytes) -> str:
        key = credential.decode("latin-1")
        if key.startswith("sk-hg-") and not self._well_formed(key):
            return "this API key is cut or mistyped"
        if not key.startswith("sk-hg-"):
            return "this is not a Headgate key: provider keys stay with the gateway, clients use keys like sk-hg-..."
        return "this API key is unknown, expired or revoked"
