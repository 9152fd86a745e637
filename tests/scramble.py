"""JSON text written in any of the ways that mean the same: recorded JSON is not byte-exact, so tests write it anew, at random.

White space, order of members, escapes (\\uXXXX, \\/), and forms of floats vary. Integers stay integers: to some readers 1.0 is none.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

_SPACE = ["", "", "", " ", "  ", "\n", "\t", "\r\n  "]


def scramble(value: Any, rng: Random) -> bytes:
    return _value(value, rng).encode("utf-8", "surrogatepass")


def _gap(rng: Random) -> str:
    return rng.choice(_SPACE)


def _value(value: Any, rng: Random) -> str:
    if isinstance(value, dict):
        members = list(value.items())
        rng.shuffle(members)
        inner = ",".join(
            f"{_gap(rng)}{_string(k, rng)}{_gap(rng)}:{_gap(rng)}{_value(v, rng)}{_gap(rng)}" for k, v in members
        )
        return "{" + inner + _gap(rng) + "}"
    if isinstance(value, list):
        return "[" + ",".join(f"{_gap(rng)}{_value(v, rng)}{_gap(rng)}" for v in value) + _gap(rng) + "]"
    if isinstance(value, str):
        return _string(value, rng)
    if isinstance(value, float):
        return rng.choice(
            [
                repr(value),
                f"{value!r}".upper(),
                repr(value) + "0" if "e" not in repr(value) and "." in repr(value) else repr(value),
            ]
        )
    return json.dumps(value)


def _string(text: str, rng: Random) -> str:
    style = rng.random()
    if style < 0.6:
        return json.dumps(text, ensure_ascii=style < 0.3)
    out = []
    for sign in text:
        if sign == "/" and rng.random() < 0.5:
            out.append("\\/")
        elif len(text) < 400 and rng.random() < 0.05:
            out.append(json.dumps(sign)[1:-1] if ord(sign) > 0xFFFF or ord(sign) < 32 else f"\\u{ord(sign):04X}")
        else:
            out.append(json.dumps(sign, ensure_ascii=False)[1:-1])
    return '"' + "".join(out) + '"'


def cut(data: bytes, rng: Random, most: int = 8) -> list[bytes]:
    """The bytes in up to `most` pieces, cut anywhere."""
    if len(data) < 2:
        return [data]
    edges = sorted({rng.randrange(1, len(data)) for _ in range(rng.randrange(most))})
    return [data[a:b] for a, b in zip([0, *edges], [*edges, len(data)], strict=True)]
