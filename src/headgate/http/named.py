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
from headgate.dialects.splice import apply, places, sole
from headgate.errors import BadRequest

_MANY = ("requests", "params", "model")
"""Where a batch that brings its requests along names their models (Anthropic's Message Batches)."""
PARTS, PART_HEAD = 1000, 16_384
"""Bounds of a form: parts, and bytes of the head of one."""
_BLANK = re.compile(rb"\r?\n\r?\n")
_LINE = 0x0A


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
    if (
        model is not None and sole(body, "model") is None
    ):  # else the walk is spared: it takes seconds of millions of numbers
        places(body, [("model",)])
    return Named(model or "", tuple(walk(json, _MANY)), json)


def in_form(body: bytes, content_type: bytes) -> Named:
    """Raises BadRequest for a form without a boundary, or with two models."""
    from email.parser import BytesHeaderParser  # only those who send forms have it loaded
    from email.utils import collapse_rfc2231_value

    boundary = BytesHeaderParser().parsebytes(b"content-type: " + content_type).get_boundary()
    if not boundary or not boundary.isascii():  # RFC 2046 §5.1.1
        raise BadRequest("the form has no boundary of ASCII characters", param="content-type")
    found: list[tuple[int, int]] = []
    for (_, begin), (end, _) in pairwise(_delimiters(body, b"--" + boundary.encode())):
        blank = _BLANK.search(body, begin, min(end, begin + PART_HEAD))
        if blank is None:
            continue
        head = BytesHeaderParser().parsebytes(body[begin : blank.start()].lstrip())
        name = head.get_param("name", header="content-disposition")
        if name is not None and collapse_rfc2231_value(name) == "model":
            found.append((blank.end(), end - 1 if body[end - 1 : end] == b"\r" else end))
    if len(found) > 1:
        raise BadRequest("the form names two models", param="model")
    if not found:
        return Named()
    begin, end = found[0]
    return Named(body[begin:end].decode("utf-8", "replace"), at=found[0])


def _delimiters(body: bytes, delimiter: bytes) -> Iterator[tuple[int, int]]:
    """Begin, the line break before it counted in, and end of what parts a form. Raises BadRequest for very many of them."""
    at = body.find(delimiter)
    for _ in range(PARTS):
        if at < 0:
            return
        if at == 0 or body[at - 1] == _LINE:
            yield max(at - 1, 0), at + len(delimiter)
        at = body.find(delimiter, at + len(delimiter))
    raise BadRequest(f"the form has {PARTS} parts or more")


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
