"""What a request that passes through names: the models that are to work on it, and objects that are held upstream.

Rules of this file:
- What a body calls itself decides nothing: all but a form is read as JSON, so that no content type leads past an allow-list.
- A form is read where a model works on it (RFC 7578), and passes as it comes where it is kept.
- A name that is given twice is refused: the provider might take the other one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import Struct

from headgate.dialects.base import Edit
from headgate.dialects.splice import apply, places
from headgate.errors import BadRequest

_MANY = ("requests", "params", "model")
"""Where a batch that brings its requests along names their models (Anthropic's Message Batches)."""


class Named(Struct, frozen=True):
    """`model` is the one name that the body gives, and `others` those of the requests inside it. `at`: where a form has the name."""

    model: str = ""
    others: tuple[str, ...] = ()
    json: Any = None
    at: tuple[int, int] | None = None


def in_json(body: bytes) -> Named:
    """Raises BadRequest for what is no JSON object, or names its model twice or not by a text."""
    try:
        json = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest("this path takes a JSON object, and the body is none") from error
    if not isinstance(json, dict):
        raise BadRequest("this path takes a JSON object, and the body is none")
    model = json.get("model")
    if not isinstance(model, str | None):
        raise BadRequest("model must be the name of a model", param="model")
    if model is not None:
        places(body, [("model",)])
    return Named(model or "", tuple(walk(json, _MANY)), json)


def in_form(body: bytes, content_type: bytes) -> Named:
    """Raises BadRequest for a form without a boundary, or with two models."""
    from email.parser import BytesHeaderParser  # only those who send forms have it loaded
    from email.utils import collapse_rfc2231_value

    boundary = BytesHeaderParser().parsebytes(b"content-type: " + content_type).get_boundary()
    if not boundary:
        raise BadRequest("the form has no boundary", param="content-type")
    found: list[tuple[int, int]] = []
    ends = [(m.start(), m.end()) for m in re.finditer(rb"(?:\r?\n|\A)--" + re.escape(boundary.encode("latin-1")), body)]
    for (_, begin), (end, _) in pairwise(ends):
        blank = re.compile(rb"\r?\n\r?\n").search(body, begin, end)
        if blank is None:
            continue
        head = BytesHeaderParser().parsebytes(body[begin : blank.start()].lstrip())
        name = head.get_param("name", header="content-disposition")
        if name is not None and collapse_rfc2231_value(name) == "model":
            found.append((blank.end(), end))
    if len(found) > 1:
        raise BadRequest("the form names two models", param="model")
    if not found:
        return Named()
    begin, end = found[0]
    return Named(body[begin:end].decode("utf-8", "replace"), at=found[0])


def renamed(body: bytes, named: Named, model: str) -> bytes:
    """The body with the provider's own name for its model."""
    if model == named.model:
        return body
    if named.at is not None:
        return body[: named.at[0]] + model.encode() + body[named.at[1] :]
    return apply(body, [Edit(name="model", path=("model",), value=msgspec.json.encode(model), present=True)])


def walk(json: Any, path: tuple[str, ...]) -> Iterator[str]:
    """The strings at a path; lists on the way are walked."""
    if isinstance(json, list):
        for item in json:
            yield from walk(item, path)
    elif not path:
        if isinstance(json, str) and json:
            yield json
    elif isinstance(json, dict) and path[0] in json:
        yield from walk(json[path[0]], path[1:])
