"""Characters cut in two: what is read of documents with lone surrogates."""

from __future__ import annotations

import json

import pytest

from headgate.dialects.surrogates import Halves


@pytest.mark.parametrize(
    ("documents", "read"),
    [
        ([rb'["hi \ud83d"]', rb'["\uDE00 x"]'], [["hi "], ["\U0001f600 x"]]),
        ([rb'["\ud83d", ["\ud83d"]]', rb'["\ude00", ["\ude00"]]'], [["", [""]], ["\U0001f600", ["\U0001f600"]]]),
        ([rb'["{\"a\":\"\ud83d"]', rb'["\ude00\"}"]'], [['{"a":"'], ['\U0001f600"}']]),
        ([rb'["\ud83d"]', b'["other"]', rb'["\ude00"]'], [[""], ["other"], ["\U0001f600"]]),
        ([rb'["\ud83d"]', rb'["\ude00"]', rb'["\ude00"]'], [[""], ["\U0001f600"], ["\ufffd"]]),
        ([rb'["\ud83d."]', rb'["\ude00"]'], [["\ufffd."], ["\ufffd"]]),
        ([rb'["\ud83d"]', rb'["\"\ude00"]'], [[""], ['"\ufffd']]),
        ([rb'["\ud83d\ude00 \\ud83d"]', rb'["\\ude00"]'], [["\U0001f600 \\ud83d"], ["\\ude00"]]),
    ],
    ids=[
        "two documents",
        "said twice",
        "in arguments",
        "others between",
        "once",
        "in a text",
        "not first",
        "no halves",
    ],
)
def test_halves_are_joined_where_the_second_comes(documents: list[bytes], read: list[object]) -> None:
    halves = Halves()
    assert [json.loads(halves.joined(document)) for document in documents] == read


def test_in_a_whole_document_a_half_is_no_character() -> None:
    assert json.loads(Halves(whole=True).joined(rb'["\ud83d", "\ude00"]')) == ["\ufffd", "\ufffd"]


def test_what_is_no_escape_stays_so() -> None:
    """The document is refused, as it was."""
    assert Halves().joined(rb'["\ud8"]"]') == rb'["\ud8"]"]'
