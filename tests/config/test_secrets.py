"""`${...}`: what each form stands for, what is left alone, and that an error never shows a value."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.config.secrets import MAX_FILE, Secret, Unresolved, interpolate
from headgate.providers import base

ENVIRONMENT = {"KEY": "sk-1", "OPENAI_API_KEY": "sk-2", "EMPTY": "", "WITH-DASH": "d", "TRICK": "${KEY} $$ }"}


def resolved(text: str, folder: Path = Path()) -> str:
    return interpolate(text, ENVIRONMENT, folder, {})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${KEY}", "sk-1"),
        ("a${KEY}b${KEY}c", "ask-1bsk-1c"),
        ("${env:KEY}", "sk-1"),
        ("${env:WITH-DASH}", "d"),
        ("${EMPTY}", ""),
        ("${EMPTY:-other}", "other"),
        ("${NONE:-}", ""),
        ("${NONE:-${KEY}}", "sk-1"),
        ("${NONE:-a{b}c}", "a{bc}"),
        ("${env:NONE:-x:-y}", "x:-y"),
        ("$${KEY}", "${KEY}"),
        ("$$$$", "$$"),
        (r"^EMP-\d{6}$", r"^EMP-\d{6}$"),
        ("$KEY costs 5$", "$KEY costs 5$"),
        ("${TRICK}", "${KEY} $$ }"),
    ],
)
def test_forms(text: str, value: str) -> None:
    assert resolved(text) == value


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("${OPENAI_APIKEY}", "the variable OPENAI_APIKEY is not set", "did you mean OPENAI_API_KEY?"),
        ("${NOTHING_LIKE}", "the variable NOTHING_LIKE is not set", "set it, or write ${NOTHING_LIKE:-}"),
        ("${env:}", 'this "${...}" is none of', 'write "$${"'),
        ("${a b}", 'this "${...}" is none of', 'write "$${"'),
        ("${1,3}", 'this "${...}" is none of', 'write "$${"'),
        ("${KEY", 'a "${" is not closed', 'close it with "}"'),
        ("${NONE:-${KEY}", 'a "${" is not closed', 'close it with "}"'),
        ("${file:nowhere}", "the file nowhere cannot be read: No such file or directory", ""),
    ],
)
def test_what_stands_for_nothing_is_an_error(text: str, message: str, hint: str) -> None:
    with pytest.raises(Unresolved) as caught:
        resolved(text)
    assert str(caught.value).startswith(message)
    assert caught.value.hint.startswith(hint)


def test_files_begin_at_the_folder_and_lose_their_last_line_ends(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"sk-\xc3\xbc\nsecond\r\n\n")
    assert resolved("Bearer ${file:key}", tmp_path) == "Bearer sk-ü\nsecond"
    assert resolved(f"${{file:{tmp_path}/key}}", Path("/")) == "sk-ü\nsecond"
    assert interpolate("${file:${NAME}}", {"NAME": "key"}, tmp_path, {}) == "sk-ü\nsecond"


def test_files_are_bounded_and_text(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (MAX_FILE + 1))
    (tmp_path / "bytes").write_bytes(b"\xff")
    for name, message in (("large", "is larger than"), ("bytes", "is not UTF-8 text")):
        with pytest.raises(Unresolved, match=message):
            resolved(f"${{file:{name}}}", tmp_path)


@given(st.text())
def test_a_text_escaped_stands_for_itself(text: str) -> None:
    assert resolved(text.replace("$", "$$")) == text


@given(st.text("${}:-AKEY file", max_size=30))
def test_every_text_is_resolved_or_unresolved(text: str) -> None:
    try:
        assert isinstance(resolved(text), str)
    except Unresolved as error:
        assert "sk-1" not in f"{error}{error.hint}"


def test_a_secret_is_a_text_that_hides_itself_as_the_providers_own_does() -> None:
    for kind in (Secret, base.Secret):
        secret = kind("sk-1")
        assert secret == "sk-1"
        assert f"{secret}" == str(secret) == "sk-1"
        assert repr(secret) == "Secret(***)"
        assert "sk-1" not in repr({"key": [secret]})
