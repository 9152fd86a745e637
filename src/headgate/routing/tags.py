"""The words that a caller puts on a request, to be routed and found by."""

from __future__ import annotations

from headgate.model.exchange import Exchange

HEADER = b"x-headgate-tags"


def tags_of(x: Exchange) -> frozenset[str]:
    """From the header (`a,b`), and the names in the body's `metadata`. Raises BadRequest for a body that is no JSON object."""
    named = [tag.strip() for tag in x.request.header(HEADER).decode("latin-1").split(",")]
    metadata = x.request_json().get("metadata") if b'"metadata"' in x.body else None
    return frozenset(tag for tag in (*named, *(metadata if isinstance(metadata, dict) else ())) if tag)
