"""Ids of objects held upstream, wherever in a request's JSON they stand.

A list of the places would be one behind the provider's next item type, and what it missed would be another tenant's file: so the
members' names decide, at any depth. (An id that nobody here made is nobody's: `stages/resolve.py`.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_ONE = frozenset(
    (
        "file_id",
        "container",
        "container_id",
        "previous_response_id",
        "conversation",
        "cachedContent",
        "cached_content",
    )
)
_MANY = frozenset(("file_ids", "vector_store_ids"))


def held(value: Any) -> Iterator[str]:
    """The ids, or names, under the members that name such objects."""
    stack = [value]
    while stack:
        here = stack.pop()
        if isinstance(here, list):
            stack.extend(here)
            continue
        if not isinstance(here, dict):
            continue
        for key, item in here.items():
            if key in _ONE and isinstance(item, str):
                yield item
            elif key in _MANY and isinstance(item, list):
                yield from (id for id in item if isinstance(id, str))
            else:
                stack.append(item)
