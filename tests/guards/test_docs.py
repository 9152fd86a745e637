"""docs/guards.md says what happens: its config is accepted, and its texts become what its tables say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headgate.config.load import parse_config
from headgate.config.provision import plan
from headgate.guards.base import Guard
from headgate.guards.pattern import compile

PAGE = (Path(__file__).parents[2] / "docs" / "guards.md").read_text()
YAML = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
ROWS = [re.findall(r"`([^`]+)`", line) for line in PAGE.splitlines() if line.startswith("| `")]


def configured() -> tuple[Guard, ...]:
    assert YAML is not None
    return plan(parse_config(YAML[1].encode(), Path("headgate.yaml"), {}).config, {}).guards


@pytest.mark.parametrize("row", [row for row in ROWS if not row[0].startswith("sk-")], ids=str)
def test_the_texts_become_what_the_page_says(row: list[str]) -> None:
    patterns = compile(configured()).for_place("answer")
    assert patterns is not None
    assert patterns.redact(row[0])[0] == row[1]


@pytest.mark.parametrize("row", [row for row in ROWS if row[0].startswith("sk-")], ids=str)
def test_the_longer_matches_are_cut_as_the_page_says(row: list[str]) -> None:
    assert compile([Guard(name="g", pattern=row[0], max_length=8)]).redact("sk-abcdefgh")[0] == row[1]


def test_the_page_has_rows() -> None:
    assert len(ROWS) == 5
