"""Opaque values of one family carried through a client of another.

A client sends back unchanged what its own dialect calls opaque: Anthropic's `signature`, Gemini's `thoughtSignature`, Responses'
`encrypted_content`, chat's `reasoning_details[].data`. Where an answer comes from another family, that slot holds our carrier:
base64 of `headgate1:` and the JSON of the part's extras. Nothing secret is in it that the client did not get anyway.

A body that holds a carrier never goes up raw: whoever sees MAGIC in a same-dialect body takes it through the neutral model.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from headgate.model.prompt import Extras

_PREFIX = b"headgate1:"
MAGIC = b"aGVhZGdhdGUx"
"""What every carrier begins with (base64 of "headgate1", nine bytes, so that it does not depend on what follows)."""


def wrap(extras: Extras) -> str:
    """`extras` as standard base64 text. Deterministic: keys are sorted."""
    return base64.b64encode(_PREFIX + msgspec.json.encode(extras, order="deterministic")).decode()


def unwrap(text: str) -> Extras | None:
    """The extras of a carrier; None for a value that is somebody's own."""
    if not text.startswith(MAGIC.decode()):
        return None
    try:
        return msgspec.json.decode(
            base64.b64decode(text, validate=True)[len(_PREFIX) :], type=dict[str, dict[str, object]]
        )
    except (binascii.Error, msgspec.DecodeError):
        return None
