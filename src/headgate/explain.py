"""The dry run: the pipeline decides on a request without calling anybody, through the code that serves.

What is shown: identity, route, every stage's verdict, and for each target the body that would go out, the named edits or the
losses, and the expected cost. The credential and the provider's address are not.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headgate import clock
from headgate.dispatch import Run
from headgate.errors import BadRequest, HeadgateError
from headgate.flights import wish
from headgate.http.ingress import Ingress
from headgate.http.routes import Match
from headgate.meter import most_tokens
from headgate.model.exchange import Exchange, Request
from headgate.model.identity import Identity
from headgate.model.trail import Trail
from headgate.model.usage import Usage
from headgate.stages.account import Price


async def explained(ingress: Ingress, identity: Identity, envelope: Any, price: Price) -> dict[str, Any]:
    """The explanation of `envelope` = {"path", "body"} for this identity; "headers", if given, are what rules see."""
    if (
        not isinstance(envelope, dict)
        or not isinstance(envelope.get("path"), str)
        or not isinstance(envelope.get("body"), dict)
    ):
        raise BadRequest('explain takes {"path": "/v1/chat/completions", "body": {...}}')
    path, _, query = envelope["path"].partition("?")
    match = ingress.routes("POST", path)
    if match.operation not in ("generate", "count"):
        raise BadRequest(f"{path} does not generate: there is nothing to explain", param="path")
    x = Exchange(
        id=clock.new_id("dry_"),
        at=clock.wall(),
        t0=clock.mono_ns(),
        request=_asked(match, path, query, envelope),
        dialect=ingress.dialects[match.dialect],
        trail=Trail(),
        dry=True,
        identity=identity,
    )
    refusal: HeadgateError | None = None
    targets: list[dict[str, Any]] = []
    try:
        await ingress.pipeline.decide(x)
        wish.look(x)
        targets = _targets(ingress, x, price)
    except HeadgateError as error:
        refusal = error
        x.trail.note("refused", error.code, status=error.status, message=error.message)
    return {
        "identity": None if x.identity is None else {"key": x.identity.key_name, "tenant": x.identity.tenant},
        "model": x.head.model if x.head is not None else None,
        "dialect": x.dialect.name,
        "verdict": "refused" if refusal is not None else "allowed",
        "error": None
        if refusal is None
        else {"code": refusal.code, "status": refusal.status, "message": refusal.message},
        "trail": x.trail.full(),
        "targets": targets,
    }


def _asked(match: Match, path: str, query: str, envelope: dict[str, Any]) -> Request:
    body, headers = msgspec.json.encode(envelope["body"]), _headers(envelope.get("headers", {}))

    async def read_body() -> bytes:
        return body

    return Request(
        method="POST",
        path=path,
        query=query.encode(),
        headers=headers,
        credential=b"",
        operation=match.operation,
        model=match.model,
        stream=match.stream,
        framing="json-array" if match.stream and "alt=sse" not in query else "sse",
        idempotent=any(name == wish.HEADER for name, _ in headers),
        site=match.site,
        read_body=read_body,
    )


def _headers(given: Any) -> list[tuple[bytes, bytes]]:
    """Raises BadRequest for what could be no header."""
    if not isinstance(given, dict) or not all(
        isinstance(value, str) and value.isprintable() for value in given.values()
    ):
        raise BadRequest('headers takes {"x-name": "value"}', param="headers")
    named = [(name.lower().encode(), value.encode("latin-1", errors="replace")) for name, value in given.items()]
    return [(b"content-type", b"application/json"), *named]


def _targets(ingress: Ingress, x: Exchange, price: Price) -> list[dict[str, Any]]:
    """Every target of the route: what it would be sent, and why it would be asked first, or not."""
    assert x.route is not None
    decision = Run(ingress.pipeline.dispatch, x).decide()
    whys = dict(decision.passed)
    if decision.target is None:
        x.trail.note("dispatch", "nobody is asked", why=decision.why)
    return [
        _target(ingress, x, number, price)
        | {"chosen": target == decision.target}
        | {"why": (decision.why or "the only target") if target == decision.target else whys.get(target, "")}
        for number, target in enumerate(x.route.targets)
    ]


def _target(ingress: Ingress, x: Exchange, number: int, price: Price) -> dict[str, Any]:
    assert x.route is not None and x.head is not None
    target = x.route.targets[number]
    told: dict[str, Any] = {"order": number + 1, "provider": target.site, "model": target.model}
    try:
        prepared = ingress.pipeline.dispatch.prepare(x, target)
    except HeadgateError as error:
        return told | {"refused": error.message, "code": error.code}
    tokens = most_tokens(prepared.body)
    told |= {
        "dialect": prepared.dialect.name,
        "crossing": not prepared.same,
        "edits": prepared.edits,
        "losses": [{"what": loss.what, "why": loss.why} for loss in prepared.losses],
        "body": msgspec.json.decode(prepared.body),
        "input_tokens_estimated": tokens,
    }
    provider = prepared.site.name
    at_most = x.head.max_output
    low, name = price(provider, target.model, Usage(input=tokens), x.at)
    high = price(provider, target.model, Usage(input=tokens, output=at_most), x.at)[0] if at_most else None
    return told | {"cost_input_nanos": low, "cost_at_most_nanos": high, "price": name}
