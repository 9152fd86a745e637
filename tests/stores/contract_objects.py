"""What every Objects store does."""

from __future__ import annotations

from headgate.stores.base import Objects
from stores import rows


class ObjectsContract:
    def test_the_owner_of_what_is_held(self, objects: Objects) -> None:
        held = rows.held(kind="file", site="azure-eu")
        objects.hold(held)
        assert objects.owner("resp_1") == held
        assert objects.owner("resp_2") is None

    def test_the_first_owner_keeps_it(self, objects: Objects) -> None:
        """Who holds an id is never overwritten: nobody takes an object over by claiming its id."""
        objects.hold(rows.held())
        objects.hold(rows.held(tenant="mallory"))
        owner = objects.owner("resp_1")
        assert owner is not None and owner.tenant == "acme"
