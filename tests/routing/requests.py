"""Exchanges as rules see them: a client's bytes, its headers, its key. Nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from headgate.model.exchange import Exchange, Request
from headgate.model.identity import Identity
from headgate.model.trail import Trail
from headgate.snapshot import DIALECTS

AT = datetime(2026, 11, 21, 22, 45, tzinfo=UTC).timestamp()
"""A Saturday."""
WHO = Identity(key_id="k1", key_name="ci-nightly", tenant="research", scopes=frozenset(("trail",)))


def request(
    body: Mapping[str, Any] | str = "hi",
    *,
    dialect: str = "openai_chat",
    headers: Mapping[str, str] | None = None,
    identity: Identity = WHO,
    identifier: str = "req_1",
) -> Exchange:
    """`body`: a request's JSON; a text is asked as a chat."""
    if isinstance(body, str):
        body = {"model": "auto", "messages": [{"role": "user", "content": body}]}
    data = json.dumps(body).encode()

    async def read_body() -> bytes:
        return data

    x = Exchange(
        id=identifier,
        at=AT,
        t0=0,
        request=Request(
            method="POST",
            path="/",
            query=b"",
            headers=[(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
            credential=b"",
            operation="generate",
            read_body=read_body,
        ),
        dialect=DIALECTS[dialect],
        trail=Trail(),
        identity=identity,
    )
    x.body = data
    x.head = x.dialect.head(data)
    return x
