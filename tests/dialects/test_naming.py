"""Ids and names in foreign grammars: unchanged where they fit, a pure function of themselves where not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.naming import call_id, tool_id, tool_name, tool_names

IDS = {
    "any": ".+",
    "google": ".+",
    "openai": "[ -~]{1,40}",
    "anthropic": "[a-zA-Z0-9_-]{1,64}",
    "mistral": "[a-zA-Z0-9]{9}",
}
NAMES = {
    "openai": "[a-zA-Z0-9_-]{1,64}",
    "anthropic": "[a-zA-Z0-9_-]{1,128}",
    "google": "[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}",
}


@pytest.mark.parametrize("grammar", IDS)
@given(id=st.text())
def test_an_id_fits_its_target_and_a_fitting_one_is_unchanged(grammar: str, id: str) -> None:
    made = tool_id(id, grammar)
    assert re.fullmatch(IDS[grammar], made, re.S)
    assert tool_id(made, grammar) == made
    if re.fullmatch(IDS[grammar], id, re.S):
        assert made == id


def test_ids_are_the_same_in_every_process() -> None:
    """Call and result may meet different workers: these very values are a contract."""
    assert tool_id("toolu_01A.x", "anthropic") == "toolu_M1DLDjvPoEV6XhdpzXO909I9"
    assert tool_id("call_abc", "mistral") == "T4MXtrTST"
    assert tool_id("x" * 41, "openai") == "call_w2LCGZi5CRZ7rRl13Il4iIzF"
    assert call_id("answer:get:0", 1) == "call_Cc3aXeNHafHopjcuZPgva2th"


@pytest.mark.parametrize("grammar", NAMES)
@given(names=st.lists(st.text(max_size=140), max_size=8))
def test_names_fit_and_stay_distinct(grammar: str, names: list[str]) -> None:
    mapped = tool_names(names, grammar)
    assert len(set(mapped.values())) == len(set(names))
    for name, made in mapped.items():
        assert re.fullmatch(NAMES[grammar], made)
        if re.fullmatch(NAMES[grammar], name):
            assert made == name


def test_a_name_changes_only_as_far_as_it_must() -> None:
    assert tool_name("files.read", ()) == "files_read"
    assert tool_name("files.read", (), "google") == "files.read"
    assert tool_name("files.read", {"files_read"}).startswith("files_read_")
    assert tool_name("1st", (), "google") == "_1st"
    assert len(tool_name("x" * 90, ())) == 64
