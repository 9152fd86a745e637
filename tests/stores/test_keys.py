"""Virtual keys as text, and the pepper's file."""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.stores import keys

ENTROPY = st.binary(min_size=32, max_size=64)


@given(ENTROPY)
def test_a_key_is_well_formed(entropy: bytes) -> None:
    """Prefix, 32 characters of chance, 6 of checksum, all of base 62: selected whole by a double click, safe in
    URLs."""
    key = keys.make(entropy)
    assert len(key) == 6 + 32 + 6
    assert key.startswith("sk-hg-") and key[6:].isalnum() and key.isascii()
    assert keys.well_formed(key)


@given(ENTROPY, st.data())
def test_a_typo_is_told_from_a_key(entropy: bytes, data: st.DataObject) -> None:
    """One character changed, two neighbours swapped, or cut: always noticed (CRC-32 finds every single change)."""
    key = keys.make(entropy)
    place = data.draw(st.integers(6, len(key) - 2))
    other = data.draw(st.sampled_from("09AZaz"))
    typo = key[:place] + other + key[place + 1 :]
    swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    for wrong in (typo, swapped, key[:-1], key + "0", key[:place]):
        assert keys.well_formed(wrong) == (wrong == key)


@pytest.mark.parametrize("text", ["", "sk-hg-", "sk-1234", "sk-hg-" + "é" * 38, "sk-hg-" + "\ud800" * 38])
def test_what_is_no_key(text: str) -> None:
    assert not keys.well_formed(text)
    assert len(keys.digest(b"p" * 32, text)) == 32


def test_chance_decides_the_key() -> None:
    """Every bit counts up to 62**32 (190 bits); less than 32 bytes are refused."""
    assert keys.make(bytes(31) + b"\1") != keys.make(bytes(32))
    assert keys.make(b"\1" + bytes(31)) != keys.make(bytes(32))
    with pytest.raises(ValueError, match="32 bytes"):
        keys.make(bytes(31))


def test_the_digest_is_hmac_sha256() -> None:
    key = keys.make(bytes(range(32)))
    assert keys.digest(b"pepper", key) == hmac.new(b"pepper", key.encode(), hashlib.sha256).digest()
    assert keys.hint(key) == key[-4:]


def test_the_pepper_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "data" / "pepper"
    value = keys.pepper(path)
    assert len(value) == 32 and len(set(value)) > 8
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.pepper(path) == value == path.read_bytes()


def test_processes_that_start_together_share_the_pepper(tmp_path: Path) -> None:
    script = "import sys,pathlib; from headgate.stores import keys; print(keys.pepper(pathlib.Path(sys.argv[1])).hex())"
    path = str(tmp_path / "pepper")
    children = [
        subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert {child.communicate(timeout=30)[0].strip() for child in children} == {
        (tmp_path / "pepper").read_bytes().hex()
    }


def test_a_damaged_or_open_pepper_is_refused(tmp_path: Path) -> None:
    """A cut file would make every key invalid, a readable one is no secret: both are told, not worked around."""
    path = tmp_path / "pepper"
    path.write_bytes(b"short")
    os.chmod(path, 0o600)
    with pytest.raises(ConfigError, match="5 bytes"):
        keys.pepper(path)
    path.write_bytes(bytes(32))
    os.chmod(path, 0o644)
    with pytest.raises(ConfigError, match="everybody"):
        keys.pepper(path)
