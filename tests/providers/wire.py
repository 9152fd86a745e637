"""Transcripts of providers, as the tests read them, and the dialects their answers are decoded with."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from headgate.dialects.base import Dialect
from headgate.dialects.sse import Parser
from headgate.model.events import Answer, Fold
from headgate.net import Call, Headers
from headgate.providers.base import Site
from headgate.providers.registry import all_providers
from headgate.providers.site import SiteConfig, build, call_headers, url

FOLDER = Path(__file__).parent / "transcripts"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def transcript(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


@cache
def site(name: str) -> Site:
    written = transcript(name)
    return build(name, all_providers()[name], SiteConfig(**written.get("config", {})), written["environment"])


def spoken(name: str, dialect: str) -> Any:
    return next(e for e in site(name).provider.endpoints if e.dialect == dialect)


def dialect(name: str) -> Dialect:
    return pytest.importorskip(f"headgate.dialects.{name}").DIALECT


async def token_service(call: Call, *, limit: int = 1 << 20) -> tuple[int, Headers, bytes]:
    """Every exchange succeeds with the token "token-1"."""
    return 200, [], b'{"access_token": "token-1", "expires_in": 3600, "expiration": 1, "token_type": "Bearer"}'


def built_url(name: str, dialect_name: str, operation: str = "generate", stream: bool = False) -> str:
    where, endpoint, model = site(name), spoken(name, dialect_name), transcript(name)["model"]
    path = dialect(dialect_name).path(model, operation, stream)
    origin = where.origin
    return f"{origin.scheme}://{origin.netloc}{url(where, endpoint, path, operation, model, stream)}"


def built_headers(name: str, dialect_name: str, client: Headers | None = None) -> dict[str, str]:
    pairs = asyncio.run(call_headers(site(name), spoken(name, dialect_name), token_service, client))
    assert len(dict(pairs)) == len(pairs), "a header stands twice"
    return {key.decode(): value.decode() for key, value in pairs}


def whole(dialect_name: str, body: bytes) -> Answer:
    decoder = dialect(dialect_name).decoder()
    fold = Fold()
    for event in (*decoder.whole(body).events, *decoder.end()):
        fold.feed(event)
    assert decoder.complete
    return fold.close()


def streamed(dialect_name: str, body: bytes, step: int) -> Answer:
    """A streamed body, fed in pieces of `step` bytes."""
    parser, decoder, fold = Parser(), dialect(dialect_name).decoder(), Fold()
    items = [item for at in range(0, len(body), step) for item in parser.feed(body[at : at + step])]
    for item in (*items, *parser.end()):
        if item.data is not None:
            for event in decoder.feed(item.event, item.data).events:
                fold.feed(event)
    for event in decoder.end():
        fold.feed(event)
    assert decoder.complete, "the stream's end was not seen"
    return fold.close()
