"""A gateway as users run it: `headgate serve` in a process of its own, on a real socket, with a config of the test's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

KEY = "sk-hg-test-key-of-the-suite"


class Running:
    """A started gateway. `stop` ends it (SIGTERM) and gives its standard error; `kill` is kill -9."""

    def __init__(self, folder: Path, config: dict[str, Any], environment: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.data = folder / "data"
        defaults: dict[str, Any] = {
            "server": {"port": 0},
            "data": str(self.data),
            "discover": False,
            "keys": [{"name": "suite", "key": KEY, "tenant": "suite", "scopes": ["trail", "admin", "explain"]}],
        }
        self.config = folder / "headgate.yaml"
        self.config.write_text(yaml.safe_dump(defaults | config))
        self.log = (folder / "log").open("w+")
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headgate", "serve", "--config", str(self.config)],
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=kept | (environment or {}),
            text=True,
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        self.greeting = first
        if "listens on" not in first:
            self.process.wait(10)
            raise RuntimeError(f"the gateway did not start: {first}{self.errors()}")
        self.url = first.split("listens on ", 1)[1].strip()
        self.port = int(self.url.rsplit(":", 1)[1])

    def errors(self) -> str:
        self.log.flush()
        return (self.folder / "log").read_text()

    def lines(self) -> list[dict[str, Any]]:
        """The structured log lines so far."""
        return [json.loads(line) for line in self.errors().splitlines() if line.startswith("{")]

    def stop(self) -> str:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.log.close()
        return (self.folder / "log").read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()

    def wait_for(self, what: Any, seconds: float = 5.0) -> Any:
        """Polls `what` until it is true; its value."""
        deadline = time.monotonic() + seconds
        while not (value := what()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)
        return value


SITES = {
    "up_chat": ("openai_compatible", "openai_chat"),
    "up_completions": ("openai_compatible", "openai_completions"),
    "up_responses": ("openai_compatible", "openai_responses"),
    "up_anthropic": ("anthropic_compatible", "anthropic_messages"),
    "up_gemini": ("gemini_compatible", "gemini"),
}
"""A site for each dialect, all at the same scripted upstream: the prefix of a path chooses the upstream dialect."""


def sites(base: str) -> dict[str, Any]:
    return {
        name: {"type": kind, "base_url": base + "/base", "api_key": "provider-key", "dialects": [dialect]}
        for name, (kind, dialect) in SITES.items()
    }
