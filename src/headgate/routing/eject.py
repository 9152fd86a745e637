"""Outlier ejection: which targets are far worse than their peers.

A breaker asks "is it bad?", this asks "is it worse than the others?": when all are bad, the fault is not the target's (the requests,
the network, a model that is down everywhere), and sending all traffic to the last one left would break that, too. So:

- Only targets with enough calls are judged, and only where enough of them are.
- A target is measured against the median of the others: one that is very bad does not move it.
- Never more than a share of the judged ones is ejected, the worst first.
- Who is ejected gets no calls where somebody else can take them, so its errors fade from the window and it is back.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from msgspec import Struct


class EjectTerms(Struct, frozen=True, kw_only=True):
    """When a target is an outlier. Rates are shares in [0, 1]."""

    minimum: int = 20
    """Calls within the window below which a target is not judged."""
    peers: int = 3
    """Judged targets (>= 2) below which nobody is ejected."""
    margin: float = 0.3
    """How far its error rate lies above the others' median."""
    floor: float = 0.2
    """An error rate below this is never an outlier's, however good the others are."""
    most: float = 0.5
    """Share of the judged targets that may be ejected at once; 0: nobody is ejected."""


def ejected(rates: Sequence[tuple[str, int, float]], terms: EjectTerms) -> dict[str, str]:
    """The outliers among `rates`: (target, its calls in the window, its error rate), a target once. Each with what shows it."""
    judged = sorted((rate, name) for name, calls, rate in rates if calls >= terms.minimum)
    if len(judged) < max(terms.peers, 2):
        return {}
    outliers = []
    for place, (rate, name) in enumerate(judged):
        others = median(rate for rate, _ in judged[:place] + judged[place + 1 :])
        if rate >= terms.floor and rate > others + terms.margin:
            outliers.append((name, f"{100 * rate:.0f} % errors against {100 * others:.0f} % of its peers"))
    room = int(terms.most * len(judged))
    return dict(outliers[len(outliers) - min(room, len(outliers)) :])
