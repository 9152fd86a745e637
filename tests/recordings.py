"""Recorded exchanges with real providers, read from where they stand (they are not part of the project).

`HEADGATE_CORPUS` names the folder; else ../shared/corpus beside the checkout; else FOLDER is None and tests that need them skip.
Each row carries its own origin and licence (source_repo, source_path, commit, licence).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

_named = os.environ.get("HEADGATE_CORPUS")
_beside = Path(__file__).parents[2] / "shared" / "corpus"
FOLDER: Path | None = Path(_named) if _named else _beside if _beside.is_dir() else None

DIALECTS = {
    "openai.chat": "openai_chat",
    "openai.completions": "openai_completions",
    "openai.responses": "openai_responses",
    "anthropic.messages": "anthropic_messages",
    "gemini.generateContent": "gemini",
    "gemini.streamGenerateContent": "gemini",
}
"""Endpoint of a recording -> our dialect."""


class Recording:
    """One exchange. `request` is a JSON value or None; `reply` the answer's bytes (JSON re-serialised: recordings are not
    byte-exact), `document` its JSON value if it is one."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.id: str = row["id"]
        self.endpoint: str = row["endpoint"]
        self.provider: str = row["provider"]
        self.dialect = DIALECTS.get(row["endpoint"], "")
        self.url: str = row["url"] or ""
        self.status: int = row["status"]
        self.framing: str = row["framing"]
        self.streaming: bool = row["streaming"]
        self.features: list[str] = row["features"]
        body = row.get("request_body")
        self.request: dict[str, Any] | None = body if isinstance(body, dict) and row["request_recorded"] else None

    @property
    def document(self) -> Any:
        """The answer's JSON value, or None for streams and other bodies."""
        body = self.row.get("response_body")
        return body if not isinstance(body, str) else None

    @property
    def reply(self) -> bytes:
        if "response_body_b64" in self.row:
            return base64.b64decode(self.row["response_body_b64"])
        body = self.row.get("response_body")
        return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()

    @property
    def sse(self) -> bool:
        return self.framing in ("sse", "sse-rebuilt-from-data-payloads")

    def __repr__(self) -> str:
        return f"<{self.id} {self.provider} {self.endpoint}>"


@cache
def _rows() -> tuple[Recording, ...]:
    if FOLDER is None:
        return ()
    return tuple(
        Recording(json.loads(line))
        for path in sorted(FOLDER.glob("*.jsonl"))
        if path.name != "realtime.jsonl"
        for line in path.read_text().splitlines()
        if line.strip()
    )


def recordings(dialect: str | None = None) -> Iterator[Recording]:
    """All recordings of a dialect, or of all four (and legacy completions)."""
    for row in _rows():
        if row.dialect and dialect in (None, row.dialect):
            yield row


@cache
def _index() -> dict[str, Recording]:
    return {row.id: row for row in _rows()}


def by_id(identity: str) -> Recording:
    return _index()[identity]
