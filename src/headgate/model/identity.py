"""Who is calling, as the resident Directory knows it."""

from __future__ import annotations

from msgspec import Struct


class Identity(Struct, frozen=True, kw_only=True):
    """`tenant` owns what is held upstream and separates caches and memos; `models` are patterns ("gpt-*", "openai/*"), empty
    means all; `scopes`: "trail" shows the trail header, "admin" the management API, "explain" the dry run."""

    key_id: str
    key_name: str
    tenant: str
    models: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    expires: float | None = None
    regions: frozenset[str] = frozenset()
    """Where its requests must stay; any region where none is named. Its tenant may say more."""
    priority: int = 5
    """0 to 9: who waits where there is not room for all, and who is shed first (the lowest)."""

    def may_use(self, *names: str) -> bool:
        """Whether any of these names of one model (alias, provider/model) is allowed to this key."""
        return not self.models or any(matches(pattern, name) for pattern in self.models for name in names)


def matches(pattern: str, name: str) -> bool:
    """A model pattern: literal, or with one trailing "*"."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == name
