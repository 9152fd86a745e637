"""Allow-lists of pass-through paths: what they must never hold, and what they must hold to be of use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

import recordings
from headgate.providers.base import Allow
from headgate.providers.registry import BUILT_IN, all_providers

GENERATION = re.compile(
    r"/(chat/completions|completions|responses|messages|chat|generate|complete|interactions|fim/completions)"
    r"|.*:(generateContent|streamGenerateContent|countTokens)|/messages/count_tokens|/responses/input_tokens"
)


def _rows() -> Iterator[tuple[str, Allow]]:
    for name in BUILT_IN:
        for allow in all_providers()[name].opaque:
            yield name, allow


def test_no_path_that_generates_text_is_passed_through() -> None:
    """It would pass the guards and the meter by; it has a dialect instead."""
    assert [(n, a.pattern) for n, a in _rows() if a.method == "POST" and GENERATION.fullmatch(a.pattern)] == []


def test_a_row_that_names_a_held_object_says_which_segment_it_is() -> None:
    for name, allow in _rows():
        assert not allow.uses or "{id}" in allow.pattern, (name, allow)
        assert allow.pattern.startswith("/") and not allow.prefix.endswith("/"), (name, allow)
        assert allow.method in ("GET", "POST", "PUT", "PATCH", "DELETE"), (name, allow)


def test_nothing_is_changed_or_deleted_without_being_the_tenants() -> None:
    for name, allow in _rows():
        if allow.method in ("DELETE", "PATCH", "PUT"):
            assert allow.uses, (name, allow)


@pytest.mark.parametrize("name", BUILT_IN)
def test_whatever_is_used_or_named_can_come_to_be_held(name: str) -> None:
    """Else its path would be 404 for ever. Responses come to be held by their dialect."""
    rows = all_providers()[name].opaque
    held = {a.creates for a in rows} | {kind for a in rows for _, kind in a.brings} | {"response"}
    needed = {a.uses for a in rows} | {a.lists for a in rows} | {kind for a in rows for _, kind in a.names}
    assert needed - held - {None} == set()


def test_no_row_stands_twice() -> None:
    for name in BUILT_IN:
        rows = [(a.method, a.pattern, a.prefix) for a in all_providers()[name].opaque]
        assert len(rows) == len(set(rows)), name


LEFT_OUT = re.compile(
    r"/(assistants|threads|realtime|complete$|interactions|conversations|responses/compact)"  # other dialects, or ended
    r"|/models/[^/]+$"  # deleting or reading a tuned model
)


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini"])
def test_recorded_calls_beside_generation_are_let_through(name: str) -> None:
    """Every path that recorded clients called at these providers is generation, left out by decision, or allowed."""
    provider = all_providers()[name]
    base = urlsplit(provider.base_url)
    seen = 0
    for row in recordings._rows():
        parts = urlsplit(row.url)
        if parts.netloc != base.netloc or not parts.path.startswith(base.path):
            continue
        path = parts.path.removeprefix(base.path)
        if GENERATION.fullmatch(path) or LEFT_OUT.search(path) or path == "/openai/chat/completions":
            continue
        seen += 1
        assert any(_fits(a, row.row["method"], path) for a in provider.opaque), (row.row["method"], path)
    assert seen > 0


def _fits(allow: Allow, method: str, path: str) -> bool:
    pattern = re.escape(allow.pattern).replace(r"\{id\}", "[^/]+").replace(r"\{rest\}", ".+")
    return allow.method == method and re.fullmatch(pattern, path) is not None
