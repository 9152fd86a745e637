"""`headgate serve`: from a config to a listening gateway, with a first key on the first run.

Rules of this file:
- The config is loaded again on SIGHUP, and when a file of it has changed (looked at every half second, taken when it stands still).
- SIGTERM and SIGINT drain: not ready from that moment, nothing new is taken, what is under way has `server.drain` seconds, then it
  is ended with an error that says so. A second signal ends it at once. Records are written in any case; the exit code is 0.
- The socket listens until the last request has ended: who asks meanwhile is told so (503), not left without an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import msgspec
import structlog
import uvicorn
import uvloop

from headgate import __version__, clock, tasks
from headgate.app import Gateway
from headgate.config.environment import environment
from headgate.config.load import ConfigErrors, Loaded, find, load_marked
from headgate.config.schema import Config
from headgate.config.verify import verify
from headgate.config.watch import Watch
from headgate.errors import ConfigError
from headgate.http.server import bounded
from headgate.stores import keys
from headgate.stores.base import KeyRow
from headgate.telemetry import logs

_log = structlog.get_logger("headgate")
ACCEPTS = 16
"""Handles on the listening socket: uvloop accepts one connection a handle in each turn of its loop (measured on 0.23), and turns are
long when they are needed most."""
SWITCH = 0.0005
"""Seconds that a thread (the spool's, the log's writer) may keep the event loop waiting; 5 ms by default."""
BLOCK = 8 << 20
"""Bytes of a block that is allocated and freed before the first request. glibc hands memory back to the system once twice the largest
block that it has mapped and freed stands free (mallopt(3), M_MMAP_THRESHOLD): of a long request after each one, to take it again page by
page, an eighth of what a prompt of 400 kB costs (1,870 to 1,630 µs). So it keeps 16 MB at most."""
THREADS = 4
"""Of the event loop's pool, which has what may take its time: a reload, a scrape, a look into the database, a draft's schema. More would
go no faster, they share the interpreter. All are there from the start: a pool that grows whenever more than ever meet cannot be told from
a leak."""
TLS_CHECK_TICKS = 50  # of 0.1 s: renewed certificates are served within five seconds
CONFIG_CHECK_TICKS = 5
LAST_WORDS = 2.0
"""Seconds for the ends of interrupted answers, and for clients to read them."""
_TAKEN = frozenset((errno.EADDRINUSE, errno.EACCES))
"""Why a port cannot be had that another one might."""


def serve(config: Path | None, host: str | None, port: int | None, data: Path | None) -> None:
    """Serve until told to stop. Raises ConfigError for what cannot be obeyed, a taken port and an unwritable folder included."""
    variables = environment()
    file = find(config, variables)
    watch = Watch(file) if file is not None else None

    def read() -> Loaded:
        if watch is not None:
            watch.seen()  # whoever asked: this text needs no second reload
        loaded = _followed(watch, file, variables)
        verify(loaded, variables)
        return msgspec.structs.replace(loaded, config=_overridden(loaded.config, host, port, data))

    settings = read().config
    writer = logs.configure(settings.telemetry.log.level, settings.telemetry.log.format)
    try:
        with _listening(settings) as listener:
            _writable(settings.data)
            gateway = Gateway(settings, variables, writer, read if file is not None else None, feeder=True)
            _serve(gateway, settings, watch, listener)
    finally:
        writer.close()


def _followed(watch: Watch | None, file: Path | None, variables: Mapping[str, str]) -> Loaded:
    """The config; the watch follows the files that it names, also where one of them is why it is refused. Raises ConfigErrors."""
    try:
        loaded = load_marked(file, variables)
    except ConfigErrors as errors:
        if watch is not None:
            watch.follow(errors.files)
        raise
    if watch is not None:
        watch.follow(loaded.files)
    return loaded


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
            hint="another port: PORT=8081, or --port 8081" if error.errno in _TAKEN else "an address of this machine",
        ) from error
    try:
        yield listener
    finally:
        listener.close()


def handles(listener: socket.socket) -> list[socket.socket]:
    """The listening socket, ACCEPTS times: so many connections are accepted in a turn of the loop."""
    return [listener, *(listener.dup() for _ in range(ACCEPTS - 1))]


def _serve(gateway: Gateway, config: Config, watch: Watch | None, listener: socket.socket) -> None:
    try:
        context, files = _tls(config)
        server = _Server(_uvicorn(gateway, config, context), gateway, watch, _Certificate(context, files))
        _greet(gateway, config, listener.getsockname()[1])
        gateway.start()
        bytes(BLOCK)
        gc.collect()
        gc.freeze()  # what was made at start lives to the end: the collector need not look at it again
        gc.set_threshold(20_000, 20, 20)  # requests leave next to no cycles (tests/test_server.py): a full run is rare
        sys.setswitchinterval(SWITCH)
        with asyncio.Runner(loop_factory=event_loop) as runner:
            runner.run(server.serve(sockets=handles(listener)))
    finally:
        gateway.close()


def event_loop() -> asyncio.AbstractEventLoop:
    """A loop with its pool of THREADS, every one of them started. Raises RuntimeError where the system does not give them."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="headgate-pool")
    here = threading.Barrier(THREADS + 1)
    try:
        for _ in range(THREADS):
            pool.submit(here.wait)
        here.wait()
    except BaseException:
        here.abort()  # else those that wait would keep the process
        pool.shutdown()
        raise
    loop = uvloop.new_event_loop()
    loop.set_default_executor(pool)
    return loop


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
        gateway,
        interface="asgi3",
        http=bounded(server.max_header_bytes, server.header_timeout, lambda: gateway.app.bounds.body_seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(LAST_WORDS),
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
    """uvicorn's server: it drains, loads the config again, and serves renewed certificates."""

    def __init__(
        self, config: uvicorn.Config, gateway: Gateway, watch: Watch | None, certificate: _Certificate
    ) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._watch = watch
        self._certificate = certificate
        self._patience: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM stop the server, and the process goes on to close the gateway: uvicorn's own would raise the
        signal again and die before."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self._reload, "SIGHUP")
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains; a second one ends what is under way."""
        self._gateway.drain.begin()
        self.force_exit = self.should_exit
        self.should_exit = True
        if self.force_exit and self._patience is not None:
            self._patience.cancel()

    async def on_tick(self, counter: int) -> bool:
        if counter % TLS_CHECK_TICKS == 0:
            self._certificate.renew()
        if self._watch is not None and counter % CONFIG_CHECK_TICKS == 0 and self._watch.changed():
            self._reload("a file of it has changed")
        return await super().on_tick(counter)

    def _reload(self, cause: str) -> None:
        async def reload() -> None:
            with contextlib.suppress(ConfigError):  # the reloader has told the log
                await self._gateway.reloader(cause)

        tasks.spawn(reload(), "reload")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for what is under way, interrupt what takes too long, then close."""
        for connection in self.server_state.connections:
            if connection.busy:  # type: ignore[union-attr]
                connection.shutdown()  # it closes behind its answer; an idle one is told when it asks again
        drain = self._gateway.drain
        self._patience = tasks.spawn(drain.over(self._gateway.plan.config.server.drain), "drain")
        if self.force_exit:
            self._patience.cancel()
        await asyncio.wait({self._patience})
        if interrupted := drain.interrupt():
            _log.warning("requests were interrupted", count=interrupted)
            await drain.over(LAST_WORDS)
        await super().shutdown(sockets)


class _Certificate:
    """The server's certificate, and a renewed one in its place as soon as its files hold one."""

    def __init__(self, context: ssl.SSLContext | None, files: list[str]) -> None:
        self._context = context
        self._files = files
        self._seen = self._stamps()

    def _stamps(self) -> list[int]:
        return [os.stat(file).st_mtime_ns for file in self._files]

    def renew(self) -> None:
        if self._context is None:
            return
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
