"""YAML as a tree of nodes with places: what is kept, what is refused, and that no small file becomes a large tree."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headgate.config.document import List, Malformed, Map, Mark, Node, Scalar, parse


def plain(node: Node | None) -> object:
    if isinstance(node, Map):
        return {text: plain(value) for text, (_, value) in node.pairs.items()}
    if isinstance(node, List):
        return [plain(child) for child in node.items]
    return node.text if node else None


def refused(text: str | bytes) -> str:
    with pytest.raises(Malformed) as caught:
        parse(text if isinstance(text, bytes) else text.encode())
    error = caught.value
    return f"{error.mark.line}:{error.mark.column}: {error} ({error.hint})"


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)
TREES = st.recursive(
    TEXTS, lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXTS, below, max_size=4), max_leaves=20
)


@given(tree=TREES, flow=st.booleans())
def test_texts_lists_and_mappings_come_back_as_they_were_written(tree: object, flow: bool) -> None:
    text = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True)
    assert plain(parse(text.encode())) == tree


@given(st.binary(max_size=60) | st.text("{}[]:,-&*#!|>?'\"%@<. \n\tab1\x85\ufeff\u2028", max_size=40).map(str.encode))
def test_any_bytes_are_a_tree_or_malformed(data: bytes) -> None:
    try:
        parse(data)
    except Malformed as error:
        assert error.mark >= Mark(1, 1)


def test_places_count_characters_and_lines_from_one() -> None:
    node = parse("a: 1\nüé: {ß: x, y: [p, q]}\n".encode())
    assert isinstance(node, Map)
    key, inner = node.pairs["üé"]
    assert key.mark == Mark(2, 1)
    assert isinstance(inner, Map)
    assert inner.pairs["ß"][1].mark == Mark(2, 9)
    listed = inner.pairs["y"][1]
    assert isinstance(listed, List)
    assert [child.mark for child in listed.items] == [Mark(2, 16), Mark(2, 19)]


def test_a_quoted_text_is_told_from_a_plain_one() -> None:
    node = parse(b"- no\n- 'no'\n- \"no\"\n- |-\n  no\n- >-\n  no\n")
    assert isinstance(node, List)
    assert [child.plain for child in node.items if isinstance(child, Scalar)] == [True, False, False, False, False]
    assert plain(node) == ["no"] * 5


def test_nothing_is_no_document() -> None:
    assert parse(b"") is None
    assert parse(b"# only a comment\n") is None
    assert parse(b"\xef\xbb\xbfa: 1") is not None, "a byte order mark is allowed"


def test_merges_take_what_is_not_given() -> None:
    text = b"base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\nown: {y: 9, <<: [*b, *m]}\nfirst: {<<: [*m, *b]}\n"
    assert plain(parse(text)) == {
        "base": {"x": "1", "y": "2"},
        "more": {"y": "3", "z": "4"},
        "own": {"y": "9", "x": "1", "z": "4"},
        "first": {"y": "3", "z": "4", "x": "1"},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1: the key `a` stands twice (first in line 1)"),
        ("a: {b: 1, b: 2}", "1:11: the key `b` stands twice (first in line 1)"),
        ("a: !!python/object:os.system x", "1:4: tags are not allowed (write the value alone; secrets go as ${VAR} or"),
        ("a: !secret x", "1:4: tags are not allowed"),
        ("a: 1\n---\nb: 2\n", "2:1: a config is one document"),
        ("a: *nowhere", '1:4: an alias without its anchor (quote a text that begins with "*")'),
        ("a: &a [*a]", "1:8: an anchor that holds itself"),
        ("? [a]\n: b", "1:3: a key must be a text"),
        ("a: {<<: x}", "1:9: << takes a mapping, or a list of them"),
        ("a: {key: ${VAR}}", '1:11: not valid YAML: while parsing a flow mapping did not find expected \',\' or \'}\' (between { } quote it: "${VAR}")'),  # noqa: E501
        ("a:\n\t- b", "2:1: not valid YAML: while scanning for the next token found character that cannot start any token (indent with spaces, not tabs)"),  # noqa: E501
        ("a: b: c", "1:5: not valid YAML: mapping values are not allowed in this context"),
        ("ü: x\n\x01", "2:1: not valid YAML: a control character"),
        (b"a: 1\nb: \xc3\xa9\xff", "2:5: the file is not UTF-8 text"),
    ],
)  # fmt: skip
def test_refusals_name_the_place_and_the_way_out(text: str | bytes, said: str) -> None:
    assert refused(text).startswith(said)


def test_aliases_cannot_make_a_small_file_a_large_tree() -> None:
    laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)
    )
    assert "more than 400000 values, aliases written out" in refused(laughs)
    text = "a: &a " + "x" * 100_000 + "\nb: [" + ",".join(["*a"] * 1000) + "]"
    assert "more than 400000 values" in refused(text), "long texts count for more than one"
    merges = "a: &a {" + ",".join(f"k{i}: 1" for i in range(1000)) + "}\nb: {<<: [" + ",".join(["*a"] * 1000) + "]}"
    assert "more than 400000 values" in refused(merges)


def test_depth_and_size_are_bounded() -> None:
    assert "nested deeper than 64 levels" in refused("[" * 500)
    assert "nested deeper than 64 levels" in refused("\n".join(" " * i + "a:" for i in range(200)))
    assert "nested deeper than 64 levels" in refused("[" * 900_000), "no depth reaches a stack"
    assert "larger than 4 MiB" in refused(b"#" * ((4 << 20) + 1))


def test_a_refusal_never_shows_what_may_be_a_secret() -> None:
    for text in ("a: *hunter2", "a: {sk-hunter2: 1, sk-hunter2: 2}", "a: 'hunter2", "a: @hunter2", "a: !hunter2 x"):
        assert "hunter2" not in refused(text)
