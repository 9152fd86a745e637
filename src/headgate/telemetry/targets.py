"""What becomes of targets: a log line for each change, and their states for a scrape.

Rules of this file:
- Nothing is done for a request: changes are told as they come about, states are read when somebody scrapes.
- Clients can name any model of a provider. Shown are LISTED targets at most, those that are not well before the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import structlog

from headgate import clock
from headgate.routing.standing import Change, Standings

LISTED = 500
STATES = {"closed": 0, "half_open": 1, "open": 2}
"""A breaker's state -> its number in metrics."""
_WORSE = frozenset(("open", "ejected"))

_log = structlog.get_logger("headgate.targets")


class Targets:
    """Hears of changes."""

    def __init__(self) -> None:
        self.ejections: Counter[str] = Counter()
        """Of each target ("other": beyond LISTED of them)."""

    def __call__(self, change: Change) -> None:
        if change.now == "ejected":
            name = f"{change.site}/{change.model}"
            self.ejections[name if name in self.ejections or len(self.ejections) < LISTED else "other"] += 1
        tell = _log.warning if change.now in _WORSE else _log.info
        told = {"site": change.site, "target": change.model, "from": change.was, "to": change.now, "why": change.why}
        tell("target changed", **told, **({"model": change.route} if change.route else {}))


def states(standings: Standings) -> Iterator[tuple[str, float]]:
    """(target, its breaker's state as a number)."""
    now = clock.mono()
    found = [(STATES[standing.breaker.state(now)], name) for name, standing in standings.all()]
    if len(found) > LISTED:
        found = sorted(found, key=lambda one: -one[0])[:LISTED]
    for state, name in found:
        yield name, state
