"""The resident directory: who is known, since when, and what happens when nobody can say."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from headgate.errors import Unavailable
from headgate.stores.base import KeyRow
from headgate.stores.directory import ResidentDirectory
from headgate.stores.memory import MemoryKeys
from headgate.stores.sqlite import open_stores
from stores import rows

AA, BB = bytes.fromhex("aa" * 32), bytes.fromhex("bb" * 32)


class CountedKeys(MemoryKeys):
    """Counts what is read, and fails on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.versions = 0
        self.down = False

    def all(self) -> list[KeyRow]:
        self.reads += 1
        return super().all()

    def version(self) -> int:
        if self.down:
            raise Unavailable("down")
        self.versions += 1
        return super().version()


def test_a_key_is_known_after_a_refresh() -> None:
    """With all that a request needs of it."""
    keys = CountedKeys()
    keys.add(rows.key(models=("gpt-*",), scopes=("trail",), expires=200.0))
    directory = ResidentDirectory(keys)
    directory.refresh(100.0)
    identity = directory.look(AA, 100.0)
    assert identity is not None
    assert (identity.key_id, identity.key_name, identity.tenant) == ("key_1", "web", "acme")
    assert identity.models == ("gpt-*",) and identity.scopes == {"trail"}
    assert directory.look(BB, 100.0) is None


def test_a_miss_asks_nobody() -> None:
    """Whoever tries random keys costs a look into a dict, not a read of the store."""
    keys = CountedKeys()
    directory = ResidentDirectory(keys)
    directory.refresh(100.0)
    for n in range(100):
        assert directory.look(n.to_bytes(32), 100.0) is None
    assert (keys.reads, keys.versions) == (1, 1)


def test_expiry_is_judged_at_the_look() -> None:
    keys = CountedKeys()
    keys.add(rows.key(expires=150.0))
    directory = ResidentDirectory(keys, max_stale=1000.0)
    directory.refresh(100.0)
    assert directory.look(AA, 149.9) is not None
    assert directory.look(AA, 150.0) is None


def test_the_store_is_read_only_when_its_version_changed() -> None:
    """And the version asked for at most every quarter of a second."""
    keys = CountedKeys()
    directory = ResidentDirectory(keys)
    assert directory.refresh(100.0)
    assert not directory.refresh(100.2)
    assert (keys.reads, keys.versions) == (1, 1)
    assert not directory.refresh(100.3)
    assert (keys.reads, keys.versions) == (1, 2)
    keys.add(rows.key())
    assert directory.refresh(100.6)
    assert (keys.reads, keys.versions) == (2, 3)


def test_a_clock_set_back_does_not_delay_a_revocation() -> None:
    keys = CountedKeys()
    keys.add(rows.key())
    directory = ResidentDirectory(keys)
    directory.refresh(10_000.0)
    keys.revoke("web", 10_000.0)
    assert directory.refresh(100.0)
    assert directory.look(AA, 100.0) is None


def test_a_stale_directory_lets_nobody_in() -> None:
    """Not even with a key that it knows; and everybody again once the store answers."""
    keys = CountedKeys()
    keys.add(rows.key())
    directory = ResidentDirectory(keys, max_stale=5.0)
    with pytest.raises(Unavailable):
        directory.look(AA, 100.0)
    directory.refresh(100.0)
    keys.down = True
    assert not directory.refresh(104.0)
    assert directory.look(AA, 105.0) is not None
    for digest in (AA, BB):
        with pytest.raises(Unavailable) as refused:
            directory.look(digest, 105.1)
        assert refused.value.retry_after
    keys.down = False
    directory.refresh(106.0)
    assert directory.look(AA, 106.0) is not None


def test_declared_keys_are_merged_in_and_win() -> None:
    """What the config declares cannot be revoked or renamed in the store; a declared key may be expired or revoked as
    well."""
    keys = CountedKeys()
    keys.add(rows.key(name="stored"))
    declared = [
        rows.key("file_1", "declared"),
        rows.key("file_2", "late", "bb" * 32, expires=90.0),
        rows.key("file_3", "revoked", "cc" * 32, revoked=50.0),
    ]
    directory = ResidentDirectory(keys, declared)
    directory.refresh(100.0)
    identity = directory.look(AA, 100.0)
    assert identity is not None and identity.key_name == "declared"
    assert directory.look(BB, 100.0) is None
    assert directory.look(bytes.fromhex("cc" * 32), 100.0) is None
    keys.revoke("stored", 100.0)
    directory.refresh(101.0)
    assert directory.look(AA, 101.0) is not None


def test_another_list_of_declared_keys_counts_at_once() -> None:
    """Before the store is asked again; its own keys stay, also one that a declared key had hidden."""
    keys = CountedKeys()
    keys.add(rows.key(name="stored"))
    directory = ResidentDirectory(keys, [rows.key("file_1", "first"), rows.key("file_2", "second", "bb" * 32)])
    directory.refresh(100.0)
    assert {identity.key_name for identity in directory.identities()} == {"first", "second"}
    directory.declare([rows.key("file_3", "third", "cc" * 32)])
    identity = directory.look(AA, 100.0)
    assert identity is not None and identity.key_name == "stored"
    assert directory.look(BB, 100.0) is None
    assert {identity.key_name for identity in directory.identities()} == {"stored", "third"}
    directory.refresh(101.0)
    assert directory.look(BB, 101.0) is None, "a refresh brings nothing back"
    assert len(directory) == 2


def test_a_revocation_by_another_process_acts_within_a_second(tmp_path: Path) -> None:
    """The gateway's directory has its own connection, as the command line has."""
    gateway, command = open_stores(tmp_path / "h.db"), open_stores(tmp_path / "h.db")
    command.keys.add(rows.key())
    directory = ResidentDirectory(gateway.keys)
    directory.start()
    assert directory.look(AA, time.time()) is not None
    command.keys.revoke("web", time.time())
    deadline = time.monotonic() + 1.0
    while directory.look(AA, time.time()) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    directory.close()
    gateway.close()
    command.close()
