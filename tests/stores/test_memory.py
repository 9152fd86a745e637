"""The stores in memory keep the contracts, and the bounds that are theirs alone."""

from __future__ import annotations

import pytest

from headgate.stores.memory import MemoryBlobs, MemoryKeys, MemoryLedger, MemoryObjects, RecentObjects
from stores import rows
from stores.contract_blobs import BlobsContract
from stores.contract_keys import KeysContract
from stores.contract_ledger import LedgerContract
from stores.contract_objects import ObjectsContract


class TestMemoryLedger(LedgerContract):
    @pytest.fixture
    def ledger(self) -> MemoryLedger:
        return MemoryLedger()


class TestMemoryKeys(KeysContract):
    @pytest.fixture
    def keys(self) -> MemoryKeys:
        return MemoryKeys()


class TestMemoryObjects(ObjectsContract):
    @pytest.fixture
    def objects(self) -> MemoryObjects:
        return MemoryObjects()


class TestRecentObjects(ObjectsContract):
    @pytest.fixture
    def objects(self) -> RecentObjects:
        return RecentObjects(MemoryObjects())

    def test_what_is_no_longer_recent_is_known_behind(self) -> None:
        """It holds `limit` owners itself; older ones, and those of other processes, are the store's."""
        behind = MemoryObjects()
        objects = RecentObjects(behind, limit=2)
        for n in range(3):
            objects.hold(rows.held(f"resp_{n}"))
        assert objects.owner("resp_0") is None
        assert objects.owner("resp_2") is not None
        behind.hold(rows.held("resp_0"))
        assert objects.owner("resp_0") is not None

    def test_an_owner_known_behind_is_not_overruled(self) -> None:
        behind = MemoryObjects()
        behind.hold(rows.held())
        objects = RecentObjects(behind)
        objects.hold(rows.held(tenant="mallory"))
        owner = objects.owner("resp_1")
        assert owner is not None and owner.tenant == "acme"


class TestMemoryBlobs(BlobsContract):
    @pytest.fixture
    def blobs(self) -> MemoryBlobs:
        return MemoryBlobs()

    def test_the_least_recently_used_goes_first(self) -> None:
        """The bound is in bytes of keys and values together."""
        blobs = MemoryBlobs(limit=12)
        for name in "abc":
            blobs.put(name, b"xyz", 0.0, 60.0)
        assert (blobs.bytes, len(blobs)) == (12, 3)
        assert blobs.get("a", 1.0) == b"xyz"
        blobs.put("d", b"x", 1.0, 60.0)
        assert blobs.get("b", 1.0) is None
        assert [blobs.get(name, 1.0) for name in "acd"] == [b"xyz", b"xyz", b"x"]

    def test_a_value_beyond_the_bound_is_not_kept(self) -> None:
        """Nor does it drive the others out; the older value of its key is gone, as it is no longer true."""
        blobs = MemoryBlobs(limit=12)
        blobs.put("a", b"xyz", 0.0, 60.0)
        blobs.put("b", b"xyz", 0.0, 60.0)
        blobs.put("b", b"x" * 12, 0.0, 60.0)
        assert blobs.get("b", 0.0) is None
        assert blobs.get("a", 0.0) == b"xyz"
        assert blobs.bytes == 4

    def test_what_expired_frees_its_bytes(self) -> None:
        blobs = MemoryBlobs()
        blobs.put("a", b"xyz", 0.0, 1.0)
        assert blobs.get("a", 2.0) is None
        assert blobs.bytes == 0
