"""`headgate serve`: from a config to a listening gateway, with a first key on the first run."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

import msgspec
import structlog
import uvicorn
import uvloop

from headgate import __version__, clock
from headgate.app import Gateway
from headgate.config.environment import environment
from headgate.config.load import load
from headgate.config.schema import Config
from headgate.errors import ConfigError
from headgate.http.server import bounded
from headgate.stores import keys
from headgate.stores.base import KeyRow
from headgate.telemetry import logs

_log = structlog.get_logger("headgate")
SWITCH = 0.0005
"""Seconds that a thread (the ledger's feed, the log's writer) may keep the event loop waiting; 5 ms by default."""
TLS_CHECK_TICKS = 50  # of 0.1 s: renewed certificates are served within five seconds


def serve(config: Path | None, host: str | None, port: int | None, data: Path | None) -> None:
    """Serve until told to stop. Raises ConfigError for what cannot be obeyed, a taken port and an unwritable folder included."""
    variables = environment()
    settings = _overridden(load(config, variables), host, port, data)
    writer = logs.configure(settings.telemetry.log.level, settings.telemetry.log.format)
    try:
        with _listening(settings) as listener:
            _serve(settings, variables, writer, listener)
    finally:
        writer.close()


def _overridden(config: Config, host: str | None, port: int | None, data: Path | None) -> Config:
    """The command line goes before file and environment."""
    server = config.server
    server = msgspec.structs.replace(
        server, host=server.host if host is None else host, port=server.port if port is None else port
    )
    return msgspec.structs.replace(config, server=server, data=config.data if data is None else data)


@contextlib.contextmanager
def _listening(config: Config) -> Iterator[socket.socket]:
    host, port = config.server.host, config.server.port
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            where="server",
            hint="another port: PORT=8081, or --port 8081",
        ) from error
    try:
        yield listener
    finally:
        listener.close()


def _serve(config: Config, variables: Mapping[str, str], writer: logs.Writer, listener: socket.socket) -> None:
    _writable(config.data)
    gateway = Gateway(config, variables, writer)
    try:
        context, files = _tls(config)
        server = _Server(_uvicorn(gateway, config, context), gateway, context, files)
        _greet(gateway, config, listener.getsockname()[1])
        gateway.start()
        gc.collect()
        gc.freeze()  # what was made at start lives to the end: the collector need not look at it again
        gc.set_threshold(20_000, 20, 100)  # requests leave no cycles but those of errors
        sys.setswitchinterval(SWITCH)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[listener]))
    finally:
        gateway.close()


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"the data folder {str(folder)!r} cannot be written: {error.strerror}",
            where="data",
            hint="HEADGATE_DATA=/another/folder",
        ) from error


def _uvicorn(gateway: Gateway, config: Config, context: ssl.SSLContext | None) -> uvicorn.Config:
    server = config.server
    settings = uvicorn.Config(
        gateway.app,
        http=bounded(server.max_header_bytes, server.header_timeout),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, int(server.drain)),
    )
    settings.load()
    settings.ssl = context
    return settings


def _tls(config: Config) -> tuple[ssl.SSLContext | None, list[str]]:
    tls = config.server.tls
    if tls is None:
        return None, []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file)
        if tls.client_ca_file:
            context.load_verify_locations(tls.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the certificate cannot be used: {error}", where="server.tls") from error
    context.set_alpn_protocols(["http/1.1"])
    return context, [str(tls.cert_file), str(tls.key_file)]


class _Server(uvicorn.Server):
    """uvicorn's server, that says when it stops and serves renewed certificates."""

    def __init__(
        self, config: uvicorn.Config, gateway: Gateway, context: ssl.SSLContext | None, files: list[str]
    ) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._context = context
        self._files = files
        self._seen = self._stamps()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM stop the server, and the process goes on to close the gateway: uvicorn's own would raise the
        signal again and die before."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains; a second one ends what is under way."""
        self._gateway.drain()
        self.force_exit = self.should_exit
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if self._context is not None and counter % TLS_CHECK_TICKS == 0:
            self._renew()
        return await super().on_tick(counter)

    def _stamps(self) -> list[int]:
        return [os.stat(file).st_mtime_ns for file in self._files]

    def _renew(self) -> None:
        assert self._context is not None
        try:
            stamps = self._stamps()
            if stamps == self._seen:
                return
            self._seen = stamps
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                *self._files
            )  # a pair that does not fit changes nothing
            self._context.load_cert_chain(*self._files)
            _log.info("certificate renewed")
        except (OSError, ssl.SSLError) as error:
            _log.error("the renewed certificate cannot be used; the old one stays", why=str(error))


def _greet(gateway: Gateway, config: Config, port: int) -> None:
    """What a person sees at the start: where, which providers, and on the first run a key and a command that works."""
    scheme = "https" if config.server.tls is not None else "http"
    host = config.server.host if config.server.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
    base = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    lines = [
        f"Headgate {__version__} listens on {base}",
        f"providers: {', '.join(gateway.plan.sites)}",
    ]
    if not gateway.stores.keys.all() and not config.keys:
        key = _first_key(gateway)
        lines += [
            "",
            f"Your first key, shown once: {key}",
            "",
            f"curl {base}/v1/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\",
            """  -d '{"model": "demo/chat", "messages": [{"role": "user", "content": "Hello"}]}'""",
        ]
    else:
        lines.append("make a key: headgate keys create --name NAME")
    print("\n".join(lines), flush=True, file=sys.stdout)


def _first_key(gateway: Gateway) -> str:
    key = keys.make(clock.secret(64))
    gateway.stores.keys.add(
        KeyRow(
            id=clock.new_id("key_"),
            digest=keys.digest(gateway.pepper, key).hex(),
            hint=keys.hint(key),
            name="first",
            tenant="default",
            scopes=("admin", "explain", "trail"),
            created=clock.wall(),
        )
    )
    return key
