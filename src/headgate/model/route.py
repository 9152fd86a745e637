"""Where a request may go."""

from __future__ import annotations

from msgspec import Struct


class RouteTarget(Struct, frozen=True, kw_only=True):
    """A model at a site ("openai", "gpt-4o"). `dialect` overrides which of the site's dialects is spoken."""

    site: str
    model: str
    dialect: str | None = None
    weight: int | None = None


class Route(Struct, frozen=True, kw_only=True):
    """`alias` is the name the client used. Targets are in order of preference; where some
    have weights, the first is drawn among these. `strict`: a crossing that loses anything is
    refused. `answer_alias`: the answer's `model` is the alias instead of the provider's name."""

    alias: str
    targets: tuple[RouteTarget, ...]
    strict: bool = False
    answer_alias: bool = False
