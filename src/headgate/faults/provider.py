"""The laboratory's provider: real sockets on loopback, and a fault for each model.

Rules of this file:
- `model` selects: the name of a fault, and after a dot whatever tells one use of it from another ("cut.alone"). A name that is no
  fault answers 404, as a provider does.
- It keeps its own account of what it saw (`log`), from which a gateway's is checked.
- Deterministic: what a fault does depends on its name and on the number of requests that it had under this very name.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from headgate import clock
from headgate.faults.answers import error
from headgate.faults.certificates import DAY, Authority
from headgate.faults.connection_faults import CONNECTION_FAULTS
from headgate.faults.fault import Fault, document
from headgate.faults.status_faults import STATUS_FAULTS
from headgate.faults.stream_faults import STREAM_FAULTS
from headgate.faults.wire import Play, Seen, Wire, asked

FAULTS: dict[str, Fault] = {fault.name: fault for fault in (*CONNECTION_FAULTS, *STREAM_FAULTS, *STATUS_FAULTS)}
LOG_LIMIT = 100_000
HOST = "127.0.0.1"
_PLAIN = ("main", "stale-idle", "stale-race")
_TLS = ("tls", "tls-wrong-host", "tls-expired")
PLACES = (*_PLAIN, *_TLS, "tls-plain", "refused", "dns")


async def _unknown(wire: Wire, seen: Seen) -> None:
    body = error(seen.dialect, 404, "model_not_found", f"there is no fault {seen.model!r}")
    await document(wire, seen, body, status=404)


class Provider:
    """`start`, hand `urls` to a gateway, read `log`, `close`. `folder` takes the certificates; `ca_file` is the one to trust."""

    def __init__(self, folder: Path) -> None:
        self.log: list[Seen] = []
        self.urls: dict[str, str] = {}
        """Place -> base URL."""
        self.ca_file = folder / "laboratory-ca.pem"
        self._folder = folder
        self._counts: Counter[str] = Counter()
        self._servers: list[asyncio.Server] = []
        self._wires: set[Wire] = set()
        self._reserved: socket.socket | None = None

    async def start(self) -> None:
        contexts = self._contexts()
        for place in (*_PLAIN, *_TLS):
            server = await asyncio.get_running_loop().create_server(self._wire, HOST, 0, ssl=contexts.get(place))
            self._servers.append(server)
            scheme = "https" if place in contexts else "http"
            self.urls[place] = f"{scheme}://{HOST}:{server.sockets[0].getsockname()[1]}"
        self.urls["tls-plain"] = self.urls["main"].replace("http:", "https:")
        self.urls["dns"] = "http://provider.invalid"  # RFC 6761 §6.4: never resolves
        self._reserved = socket.socket()
        self._reserved.bind((HOST, 0))  # bound and not listening: nobody else can take the port, and it refuses
        self.urls["refused"] = f"http://{HOST}:{self._reserved.getsockname()[1]}"

    def _contexts(self) -> dict[str, ssl.SSLContext]:
        now = clock.wall()
        authority = Authority(now)
        self.ca_file.write_text(authority.certificate)
        shown = {
            "tls": authority.issue(HOST, now + DAY),
            "tls-wrong-host": authority.issue("elsewhere.invalid", now + DAY),
            "tls-expired": authority.issue(HOST, now - DAY),
        }
        contexts = {}
        for place, text in shown.items():
            file = self._folder / f"{place}.pem"
            file.touch(mode=0o600)
            file.write_text(text)
            contexts[place] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            contexts[place].load_cert_chain(file)
        return contexts

    def _wire(self) -> Wire:
        wire = Wire(self._accept)
        self._wires.add(wire)
        wire.gone.add_done_callback(lambda _: self._wires.discard(wire))
        return wire

    def _accept(self, method: str, path: str, body: bytes, received: int) -> tuple[Seen, Play]:
        model, dialect, stream = asked(path, body)
        self._counts[model] += 1
        seen = Seen(
            model=model,
            request_id=f"lab-{len(self.log) + 1}",
            method=method,
            path=path,
            at=clock.mono(),
            number=self._counts[model],
            dialect=dialect,
            stream=stream,
            received=received,
        )
        if len(self.log) < LOG_LIMIT:
            self.log.append(seen)
        fault = FAULTS.get(model.partition(".")[0])
        return seen, fault.play if fault is not None and method == "POST" else _unknown

    def seen(self, model: str) -> list[Seen]:
        """The requests for this model, in order."""
        return [seen for seen in self.log if seen.model == model]

    async def let_go(self, models: Collection[str], within: float) -> None:
        """Wait until no connection is left that the last request of these models came on, or the time is over."""
        waiting = {wire.gone for wire in self._wires if wire.seen is not None and wire.seen.model in models}
        if waiting:
            await asyncio.wait(waiting, timeout=max(0.0, within))

    @property
    def connections(self) -> int:
        """Open now."""
        return len(self._wires)

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for wire in list(self._wires):
            wire.abort()
        for server in self._servers:
            await server.wait_closed()
        if self._reserved is not None:
            self._reserved.close()
