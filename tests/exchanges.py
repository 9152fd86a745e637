"""Recorded exchanges as requests to a gateway: the path, the body and the reply of each dialect."""

from __future__ import annotations

import json
from random import Random
from typing import Any
from urllib.parse import quote, urlsplit

from fakes import Reply
from recordings import Recording
from scramble import cut, scramble

SITE_OF = {
    "openai_chat": "up_chat",
    "openai_completions": "up_completions",
    "openai_responses": "up_responses",
    "anthropic_messages": "up_anthropic",
    "gemini": "up_gemini",
}
"""Dialect -> the site of tests/running.py that speaks it."""

_PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_completions": "/v1/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
}
_MINIMAL: dict[str, dict[str, Any]] = {
    "openai_chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "openai_completions": {"model": "m", "prompt": "hi"},
    "openai_responses": {"model": "m", "input": "hi"},
    "anthropic_messages": {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


def request_of(row: Recording) -> dict[str, Any]:
    """The recorded request, or the smallest that would get such an answer."""
    body = dict(row.request) if row.request is not None else dict(_MINIMAL[row.dialect])
    if row.dialect != "gemini":
        body.setdefault("model", "m")
        if row.request is None and row.sse:
            body["stream"] = True
    return body


def streams(row: Recording, body: dict[str, Any]) -> bool:
    return row.endpoint == "gemini.streamGenerateContent" if row.dialect == "gemini" else bool(body.get("stream"))


def path_of(row: Recording, site: str) -> str:
    """The gateway's path for this exchange towards a site."""
    if row.dialect != "gemini":
        if row.request is not None and row.request.get("model", "") is None:
            return f"/{site}/deployments/named-in-the-path{_PATHS[row.dialect].removeprefix('/v1')}"
        return f"/{site}{_PATHS[row.dialect]}"
    url = urlsplit(row.url)
    model = url.path.rsplit("/", 1)[-1].partition(":")[0] or "gemini-2.0-flash"
    if row.endpoint == "gemini.generateContent":
        return f"/{site}/v1beta/models/{quote(model)}:generateContent"
    array = row.framing == "plain" and row.reply.lstrip().startswith(b"[")
    return f"/{site}/v1beta/models/{quote(model)}:streamGenerateContent{'' if array else '?alt=sse'}"


def reply_of(row: Recording, rng: Random) -> Reply:
    """The recorded answer, its JSON written anew, in pieces cut at random."""
    kind = "text/event-stream" if row.sse else "application/json"
    body = row.reply if row.sse or row.document is None else scramble(row.document, rng)
    return Reply(
        status=row.status, headers={"content-type": kind}, pieces=cut(body, rng), chunked=rng.random() < 0.5 or row.sse
    )


def body_of(row: Recording, rng: Random) -> bytes:
    return scramble(request_of(row), rng)


def same_json(a: bytes, b: bytes) -> bool:
    return bool(json.loads(a) == json.loads(b))
