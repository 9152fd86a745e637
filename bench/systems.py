"""The compared systems: how each is configured, started and spoken to.

Rules of this file:
- All speak to the same upstream and get the same body; its `model` is SITE/m. Which upstream a site is, each is told in its way.
- One worker each. Retries, caches and whatever speaks to the outside are off.
- Headgate has on what it would have on: key check, a pattern guard on requests, answers and tool arguments, prices, the ledger,
  one log line a request, the trail. LiteLLM checks a key (without its database it has no ledger). Portkey's gateway and nginx
  check nothing.
- What is not there is None, and why is told by `missing`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from upstream import nginx_config

HERE = Path(__file__).parent
KEY = "sk-hg-key-of-the-bench"
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


@dataclass(frozen=True)
class Site:
    """An upstream behind a name. `base` ends before /v1."""

    base: str
    ca: Path | None = None
    streams: bool = False


@dataclass(frozen=True)
class System:
    """`speed`: how much it is asked, as a share of what Headgate is; `streams`: how many at once it carries without gluing chunks
    together."""

    name: str
    command: list[str]
    ready: str
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    headers: Callable[[str], dict[str, str]] = lambda site: {}
    path: Callable[[str, str], str] = lambda site, path: path
    speed: float = 1.0
    streams: int = 64
    start_seconds: float = 20.0
    crosses: bool = False
    """Whether Anthropic clients may come to a chat upstream."""

    def request(self, site: str, body: bytes, path: str = CHAT) -> bytes:
        """The whole request, head included."""
        headers = {
            "host": f"127.0.0.1:{self.port}",
            "authorization": f"Bearer {KEY}",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **self.headers(site),
        }
        if path == MESSAGES:
            headers["anthropic-version"] = "2023-06-01"
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {self.path(site, path)} HTTP/1.1\r\n{head}\r\n".encode() + body


def headgate(folder: Path, port: int, sites: Mapping[str, Site], pair: tuple[Path, Path] | None = None) -> System:
    """`pair`: certificate and key to listen with."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "server": {"port": port, **({"tls": {"cert_file": str(pair[0]), "key_file": str(pair[1])}} if pair else {})},
        "data": str(folder / "data"),
        "discover": False,
        "keys": [{"name": "bench", "key": KEY, "tenant": "bench", "scopes": ["trail"]}],
        "guards": [{"name": "ssn", "pattern": r"\b\d{3}-\d{2}-\d{4}\b"}],
        "prices": [{"model": "*", "input": 0.15, "output": 0.6}],
        "providers": {
            name: {
                "type": "openai_compatible",
                "base_url": f"{site.base}/v1",
                "api_key": "provider-key",
                **({"ca_file": str(site.ca)} if site.ca else {}),
            }
            for name, site in sites.items()
        },
    }
    path = folder / "headgate.yaml"
    path.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "headgate", "serve", "--config", str(path)]
    return System(name="headgate", command=command, ready="/health/ready", port=port, crosses=True)


def litellm(folder: Path, port: int, sites: Mapping[str, Site]) -> System:
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_list": [
            {
                "model_name": f"{name}/m",
                "litellm_params": {"model": "openai/m", "api_base": f"{site.base}/v1", "api_key": "provider-key"},
            }
            for name, site in sites.items()
        ],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {
            "num_retries": 0,
            "telemetry": False,
            "use_chat_completions_url_for_anthropic_messages": True,  # else it crosses to the Responses API
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    ca = next((site.ca for site in sites.values() if site.ca), None)
    return System(
        name="litellm",
        command=[
            str(HERE / ".venv/bin/litellm"),
            "--config",
            str(path),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--num_workers",
            "1",
        ],
        environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
        | ({name: str(ca) for name in TRUST} if ca else {}),
        ready="/health/readiness",
        port=port,
        speed=0.03,
        streams=6,
        start_seconds=120,
        crosses=True,
    )


def portkey(folder: Path, port: int, sites: Mapping[str, Site]) -> System:
    ca = next((site.ca for site in sites.values() if site.ca), None)
    return System(
        name="portkey",
        command=[
            "node",
            str(HERE / "node_modules/@portkey-ai/gateway/build/start-server.js"),
            f"--port={port}",
            "--headless",
        ],
        environment={"NODE_ENV": "production"} | ({name: str(ca) for name in TRUST} if ca else {}),
        headers=lambda site: {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{sites[site].base}/v1"},
        ready="/",
        port=port,
        speed=0.3,
        streams=24,
        start_seconds=60,
    )


def nginx(folder: Path, port: int, sites: Mapping[str, Site]) -> System:
    """A plain proxy: kept connections upstream, no log; streams pass unbuffered."""
    hosts = {name: site.base.split("/")[2] for name, site in sites.items()}
    groups = "".join(
        f"upstream {name} {{ server {host}; keepalive 64; keepalive_requests 100000000; }}\n"
        for name, host in hosts.items()
    )
    places = "".join(
        f"location /{name}/ {{ proxy_pass {site.base.split(':')[0]}://{name}/{site.base.split('/')[3]}/; "
        + (
            f"proxy_ssl_verify on; proxy_ssl_name localhost; proxy_ssl_trusted_certificate {site.ca}; "
            if site.ca
            else ""
        )
        + ("proxy_buffering off; proxy_read_timeout 600s; " if site.streams else "")
        + "}\n"
        for name, site in sites.items()
    )
    body = f"""{groups}
    server {{
      listen 127.0.0.1:{port} backlog=4096;
      proxy_http_version 1.1; proxy_set_header Connection "";
      location = /ready {{ return 200 "ok"; }}
      {places}
    }}"""
    path = nginx_config(folder, body, root=os.geteuid() == 0)
    return System(
        name="nginx",
        command=["nginx", "-p", str(folder), "-c", str(path)],
        ready="/ready",
        port=port,
        path=lambda site, path: f"/{site}{path}",
        speed=3.0,
    )


MAKERS: dict[str, Callable[..., System]] = {
    "headgate": headgate,
    "litellm": litellm,
    "portkey": portkey,
    "nginx": nginx,
}


def version(name: str) -> str | None:
    """What is installed of it; None: nothing."""
    try:
        if name == "headgate":
            from headgate import __version__

            return __version__
        if name == "nginx":
            told = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
            return str(re.findall(r"nginx/([\d.]+)", told)[0])
        if name == "litellm":
            found = next((HERE / ".venv").glob("lib/*/site-packages/litellm-*.dist-info/METADATA"))
            return str(re.findall(r"^Version: (.+)$", found.read_text(), re.M)[0])
        return str(json.loads((HERE / "node_modules/@portkey-ai/gateway/package.json").read_text())["version"])
    except (OSError, StopIteration, subprocess.CalledProcessError):
        return None


def missing(name: str) -> str:
    """Why it is not installed, in the installer's words."""
    told = HERE / ".venv/skipped" / name
    return told.read_text().strip() if told.exists() else "not installed"
