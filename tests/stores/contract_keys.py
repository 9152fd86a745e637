"""What every Keys store does."""

from __future__ import annotations

import pytest

from headgate.errors import BadRequest
from headgate.stores.base import Keys
from stores import rows
from stores.rows import NOON


class KeysContract:
    def test_what_is_added_is_listed(self, keys: Keys) -> None:
        """Every field comes back, oldest first."""
        first = rows.key(models=("gpt-*", "fast"), scopes=("trail",), expires=NOON + 1, priority=9)
        second = rows.key("key_2", "batch", "bb" * 32, created=NOON + 1)
        keys.add(second)
        keys.add(first)
        assert keys.all() == [first, second]

    @pytest.mark.parametrize("by", ["key_1", "web"])
    def test_revoked_by_id_or_name_once(self, keys: Keys, by: str) -> None:
        keys.add(rows.key())
        assert keys.revoke(by, NOON + 5)
        assert keys.all()[0].revoked == NOON + 5
        assert not keys.revoke(by, NOON + 6)
        assert keys.all()[0].revoked == NOON + 5

    def test_what_nobody_has_cannot_be_revoked(self, keys: Keys) -> None:
        assert not keys.revoke("nobody", NOON)

    def test_the_version_changes_with_each_change_and_only_then(self, keys: Keys) -> None:
        versions = [keys.version()]
        keys.add(rows.key())
        versions.append(keys.version())
        keys.revoke("web", NOON)
        versions.append(keys.version())
        keys.revoke("web", NOON)
        keys.all()
        assert len(set(versions)) == 3
        assert keys.version() == versions[-1]

    def test_a_name_is_unique_among_valid_keys(self, keys: Keys) -> None:
        """Revocation is by name: two of one name would be revoked together. A revoked key frees its name."""
        keys.add(rows.key())
        with pytest.raises(BadRequest, match="web") as refused:
            keys.add(rows.key("key_2", "web", "bb" * 32))
        assert refused.value.code == "key_exists"
        keys.revoke("key_1", NOON)
        keys.add(rows.key("key_2", "web", "bb" * 32))
        assert [key.id for key in keys.all()] == ["key_1", "key_2"]

    def test_a_digest_and_an_id_are_unique_for_ever(self, keys: Keys) -> None:
        """A revoked key cannot be brought back under another name."""
        keys.add(rows.key())
        keys.revoke("key_1", NOON)
        with pytest.raises(BadRequest):
            keys.add(rows.key("key_2", "other"))
        with pytest.raises(BadRequest):
            keys.add(rows.key("key_1", "other", "cc" * 32))
