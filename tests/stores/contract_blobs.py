"""What every Blobs store does."""

from __future__ import annotations

from headgate.stores.base import Blobs


class BlobsContract:
    def test_put_and_get_until_it_expires(self, blobs: Blobs) -> None:
        blobs.put("a", b"one", 100.0, 10.0)
        assert blobs.get("a", 100.0) == b"one"
        assert blobs.get("a", 109.9) == b"one"
        assert blobs.get("a", 110.0) is None
        assert blobs.get("b", 100.0) is None

    def test_a_new_value_replaces_value_and_time(self, blobs: Blobs) -> None:
        blobs.put("a", b"one", 100.0, 10.0)
        blobs.put("a", b"two", 105.0, 10.0)
        assert blobs.get("a", 114.0) == b"two"
