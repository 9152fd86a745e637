"""TLS on both sides, client certificates, egress through proxies: on real sockets, with certificates made for the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from fakes import Reply, Upstream
from headgate.errors import UpstreamUnreachable
from headgate.http1 import Pool
from headgate.net import Call, Deadlines, Origin
from raw import CHAT
from running import KEY, Running

CA = trustme.CA()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("certificates")
    CA.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name in ("localhost", "client"):
        issued = CA.issue_cert(name)
        issued.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
        issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    return {path.name: path for path in folder.iterdir()}


class Front:
    """A listener with threads of its own: TLS in front of a fake upstream, or a CONNECT proxy. Keeps what it was asked."""

    def __init__(self, target: int, context: ssl.SSLContext | None) -> None:
        self.target, self.context = target, context
        self.asked: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def _begin(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._begin(self._serve, self._listener.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        self._open.append(client)
        port = self.target
        with contextlib.suppress(OSError):
            if self.context is not None:
                client = self.context.wrap_socket(client, server_side=True)
                self._open.append(client)
            else:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += client.recv(1)
                self.asked.append(head)
                port = int(head.split(b" ")[1].rpartition(b":")[2])
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            there = socket.create_connection(("127.0.0.1", port))
            self._open.append(there)
            self._begin(self._pipe, client, there)
            self._pipe(there, client)

    def _pipe(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def secure(script: Upstream, files: dict[str, Path]) -> Iterator[Front]:
    """The fake upstream behind TLS that demands a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["localhost.pem"], files["localhost.key"])
    context.load_verify_locations(files["ca.pem"])
    context.verify_mode = ssl.CERT_REQUIRED
    front = Front(script.port, context)
    yield front
    front.close()


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()
    await asyncio.sleep(0.05)


def call(port: int, files: dict[str, Path], **changes: Any) -> Call:
    terms: dict[str, Any] = {
        "ca_file": str(files["ca.pem"]),
        "cert_file": str(files["client.pem"]),
        "key_file": str(files["client.key"]),
    }
    origin = Origin("https", "localhost", port, **(terms | changes))
    return Call(
        method="POST", origin=origin, path="/x", headers=[], body=b"{}", deadlines=Deadlines(connect=5, headers=5)
    )


@pytest.mark.anyio
async def test_a_private_ca_and_a_client_certificate(
    pool: Pool, secure: Front, script: Upstream, files: dict[str, Path]
) -> None:
    script.script(Reply(pieces=[b"over TLS"]))
    assert (await pool.fetch(call(secure.port, files)))[2] == b"over TLS"


@pytest.mark.anyio
@pytest.mark.parametrize("missing", ["ca_file", "cert_file"])
async def test_without_them_nothing_is_sent(
    missing: str, pool: Pool, secure: Front, script: Upstream, files: dict[str, Path]
) -> None:
    changes = {"ca_file": None} if missing == "ca_file" else {"cert_file": None, "key_file": None}
    with pytest.raises(UpstreamUnreachable):
        await pool.fetch(call(secure.port, files, **changes))
    assert script.requests == []


@pytest.mark.anyio
async def test_https_goes_through_a_proxy_by_a_tunnel(
    pool: Pool, secure: Front, script: Upstream, files: dict[str, Path]
) -> None:
    """The proxy learns host and port, and its own credentials; nothing of the call."""
    proxy = Front(0, None)
    try:
        script.script(Reply(pieces=[b"through"]), Reply(pieces=[b"again"]))
        through = call(secure.port, files, proxy=f"http://user:pa%20ss@127.0.0.1:{proxy.port}")
        assert (await pool.fetch(through))[2] == b"through"
        assert (await pool.fetch(through))[2] == b"again"
        assert len(proxy.asked) == 1, "the tunnel is kept"
        assert proxy.asked[0].startswith(b"CONNECT localhost:%d HTTP/1.1\r\n" % secure.port)
        assert b"proxy-authorization: Basic dXNlcjpwYSBzcw==" in proxy.asked[0]
    finally:
        pool.close()
        proxy.close()


@pytest.mark.anyio
async def test_http_goes_through_a_proxy_in_absolute_form(pool: Pool, script: Upstream) -> None:
    script.script(Reply(pieces=[b"ok"]))
    origin = Origin("http", "models.example", 8000, proxy=script.url)
    assert (await pool.fetch(Call(method="GET", origin=origin, path="/v1/x", headers=[])))[2] == b"ok"
    assert script.requests[0].path == "http://models.example:8000/v1/x"
    assert script.requests[0].header("host") == "models.example:8000"


def asked(port: int, files: dict[str, Path]) -> tuple[int, str]:
    """A request over TLS to the gateway: status, and the serial number of its certificate."""
    context = ssl.create_default_context(cafile=str(files["ca.pem"]))
    body = json.dumps(CHAT | {"model": "demo/chat"}).encode()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        certificate = tls.getpeercert()
        assert certificate is not None
        return int(tls.recv(65536).split(b" ")[1]), str(certificate["serialNumber"])


def test_the_listener_serves_tls_and_a_renewed_certificate(tmp_path: Path, files: dict[str, Path]) -> None:
    cert, key = tmp_path / "server.pem", tmp_path / "server.key"
    cert.write_bytes(files["localhost.pem"].read_bytes())
    key.write_bytes(files["localhost.key"].read_bytes())
    config = {"server": {"port": 0, "tls": {"cert_file": str(cert), "key_file": str(key)}}}
    gateway = Running(tmp_path / "g", config)
    try:
        assert gateway.url.startswith("https://")
        status, first = asked(gateway.port, files)
        assert status == 200
        issued = CA.issue_cert("localhost")
        issued.private_key_pem.write_to_path(str(key))
        issued.cert_chain_pems[0].write_to_path(str(cert))
        os.utime(cert, (time.time() + 2, time.time() + 2))
        gateway.wait_for(lambda: asked(gateway.port, files)[1] != first, 8)
        assert asked(gateway.port, files)[0] == 200
    finally:
        gateway.stop()
