"""What a request asks of a model: media and tools as its dialect tells them, tokens by estimate.

The estimate is on the low side, because it keeps requests away from models: one that is too large for a window by it is too
large by every tokenizer in use. (The meter's is on the high side: it guards a budget.)
- JSON of English prose or code takes 3 to 5 bytes a token; nothing but long runs of one sign takes more than ASCII.
- Other scripts take up to 10 in UTF-8 (three bytes a letter, some three letters a token in Devanagari), and up to 24 where
  letters are escaped as \\uXXXX, as many clients do. Escapes are looked for at evenly spaced places: what hides between them
  is less than a SAMPLES-th of the body, and the slack of the rest is larger than that.
- Images, sounds and documents are billed by pixels, seconds and pages, not by bytes: with any of them no estimate is made.
"""

from __future__ import annotations

from headgate.model.ability import Need, Needs

from .base import Dialect, Head

ASCII, SPELLED, ESCAPED = 6, 12, 24
"""Bytes a token at most: ASCII, other letters, escaped letters."""
SMALL = 6_000
"""Bytes below which no body is too large for any model on sale (1,000 tokens)."""
SAMPLES, SAMPLE = 16, 64
_MEDIA: frozenset[Need] = frozenset(("images", "audio", "documents", "video"))


def needs_of(dialect: Dialect, head: Head) -> Needs:
    """`head`: what the dialect read of the body. Never raises: what has another shape needs nothing that we know of."""
    found = dialect.needs(head)
    return Needs(
        images="images" in found,
        audio="audio" in found,
        documents="documents" in found,
        video="video" in found,
        tools="tools" in found,
        schema="schema" in found,
        reasoning="reasoning" in found,
        tokens=0 if found & _MEDIA else least_tokens(head.body),
        output=head.max_output or 0,
    )


def least_tokens(body: bytes) -> int:
    """Tokens of text in a JSON body, by an estimate that is not too high."""
    if len(body) < SMALL:
        return 0
    bytes_a_token = ASCII if body.isascii() else SPELLED
    step = -(-len(body) // SAMPLES)
    if any(body.find(b"\\u", at, at + SAMPLE) >= 0 for at in range(0, len(body), step)):
        bytes_a_token = ESCAPED
    return len(body) // bytes_a_token
