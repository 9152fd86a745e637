"""The contracts assert too: have pytest explain their failures like those of the tests."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "stores.contract_blobs", "stores.contract_keys", "stores.contract_ledger", "stores.contract_objects"
)
