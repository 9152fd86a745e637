"""The provider that every system speaks to: fixed answers from nginx, streams from a server of our own.

Rules of this file:
- `python bench/upstream.py PLAIN TLS CERT KEY PAUSE` serves streams: /chunksN/... sends N content chunks, one write each and
  PAUSE seconds between them, so that they do not arrive together; /busyN/... the same in a quarter of the time; /silent/... sends
  one and then nothing.
- Streams begin out of step: the first pause of each is another part of PAUSE.
- Answers are the same bytes every time; what it costs to make them is paid at start.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import cast

import uvloop

import bodies

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WORDS = [" water", " gate", " the", " canal", " lets", " in", " as", " much"]
PHASES = 16
BUSY = 4
"""How many times as fast the chunks of a busy stream come."""

NGINX = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  client_max_body_size 16m;
  client_body_buffer_size 1m;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  tcp_nodelay on;
  {body}
}}
"""


def nginx_config(folder: Path, body: str, *, root: bool) -> Path:
    """Writes a config of one worker, all of whose files are in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nginx.conf"
    path.write_text(NGINX.format(user="user root;" if root else "", folder=folder, body=body))
    return path


def fixed_answers(folder: Path, answers: dict[str, bytes], ports: tuple[int, int], pair: tuple[Path, Path]) -> str:
    """nginx's part of the config: POST /NAME/v1/chat/completions is answered with the bytes of NAME, plain and over TLS."""
    files = folder / "answers"
    files.mkdir(parents=True, exist_ok=True)
    for name, body in answers.items():
        (files / f"{name}.json").write_bytes(body)
    places = "".join(
        f"location = /{name}/v1/chat/completions {{ error_page 405 =200 /{name}.json; return 405; }}\n"
        for name in answers
    )
    return f"""
    sendfile on; open_file_cache max=16;
    default_type application/json;
    server {{
      listen 127.0.0.1:{ports[0]} backlog=4096;
      listen 127.0.0.1:{ports[1]} ssl backlog=4096;
      ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]};
      root {files};
      location = /ready {{ return 200 "ok"; }}
      {places}
    }}"""


class Streams(asyncio.Protocol):
    """One connection. Requests are not pipelined, so one that is whole is answered before the next one comes."""

    pause = 0.01
    begun = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.loop = asyncio.get_running_loop()
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(body) < length:
            return
        self.buffer = b""
        name = lines[0].split(b" ")[1].split(b"/")[1].decode()
        if name == "ready":
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        elif name == "silent":
            self.transport.write(HEAD + FIRST)
        elif name.startswith("busy"):
            self._stream(int(name.removeprefix("busy")), self.pause / BUSY)
        else:
            self._stream(int(name.removeprefix("chunks")), self.pause)

    def _stream(self, count: int, pause: float) -> None:
        self.transport.write(HEAD + FIRST)
        Streams.begun += 1
        phase = Streams.begun % PHASES / PHASES
        self.loop.call_later(pause * (1 + phase), self._next, 1, count, pause)

    def _next(self, number: int, count: int, pause: float) -> None:
        if self.transport.is_closing():
            return
        if number == count:
            self.transport.write(LAST)
            return
        self.transport.write(MIDDLE[number % len(MIDDLE)])
        self.loop.call_later(pause, self._next, number + 1, count, pause)


def _sent(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


FIRST = _sent(bodies.chunk("The"))
MIDDLE = [_sent(bodies.chunk(word)) for word in WORDS]
USAGE = {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300}
LAST = _sent(bodies.chunk(None, "stop") + bodies.chunk(None, usage=USAGE) + b"data: [DONE]\n\n") + b"0\r\n\r\n"


async def serve(ports: tuple[int, int], pair: tuple[str, str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    loop = asyncio.get_running_loop()
    await loop.create_server(Streams, "127.0.0.1", ports[0], backlog=4096)
    await loop.create_server(Streams, "127.0.0.1", ports[1], ssl=context, backlog=4096)
    await asyncio.Event().wait()


if __name__ == "__main__":
    plain, tls, cert, key, pause = sys.argv[1:]
    Streams.pause = float(pause)
    uvloop.run(serve((int(plain), int(tls)), (cert, key)))
