"""The page about providers says what the registry says."""

from __future__ import annotations

import runpy
from pathlib import Path

from headgate.providers.registry import BUILT_IN

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date() -> None:
    """`python docs/generate_providers.py` writes it anew."""
    generator = runpy.run_path(str(DOCS / "generate_providers.py"))
    assert (DOCS / "providers.md").read_text() == generator["render"]()


def test_the_page_knows_every_provider() -> None:
    text = (DOCS / "providers.md").read_text()
    assert [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")] == list(BUILT_IN)
