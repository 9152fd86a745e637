"""The page on resilience is what the runs say, and the simulation comes to the same again."""

from __future__ import annotations

import gc
import importlib
import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FLAPPING, SOAK = (json.loads((ROOT / "bench" / f"{name}.json").read_text()) for name in ("flapping", "soak"))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A script of bench/ or docs/, as a module."""

    def loaded(folder: str, name: str) -> ModuleType:
        monkeypatch.syspath_prepend(str(ROOT / folder))
        return importlib.import_module(name)

    return loaded


def test_page_and_plot_are_what_the_runs_say(load: Any) -> None:
    generator = load("docs", "generate_resilience")
    assert generator.PAGE.read_text() == generator.render(FLAPPING, SOAK)
    assert generator.PLOT.read_text() == generator.plot(FLAPPING)


@pytest.mark.parametrize("policy", FLAPPING["few"])
def test_the_simulation_comes_to_the_same_again(load: Any, policy: str) -> None:
    """A smaller run of it: routing decisions that change, or chance that is not the seed's, show here. Where they were meant to,
    `python bench/flapping.py` and `make docs` write the figures anew."""
    flapping = load("bench", "flapping")
    assert flapping.simulate(policy, "rough", flapping.FEW) == FLAPPING["few"][policy]


def test_headgate_is_worth_it() -> None:
    """In each kind of day more requests succeed than with a round-robin, for less spent in vain, and what is slowest is not slower."""
    for severity, found in FLAPPING["found"].items():
        plain, own = found["round-robin, 3 retries"], found["Headgate"]
        assert own["success"] > plain["success"], severity
        assert own["extra"] < plain["extra"], severity
        assert own["p99"] < plain["p99"] * 1.05, severity


def test_the_money_of_the_soak_is_the_providers() -> None:
    """What else the run missed stands on the page, by name."""
    counts = SOAK["money"]["counts"]
    assert SOAK["minutes"] >= 30
    assert counts["completed"] > 10_000
    assert counts["estimated"] > 100
    wrong = ("not the provider's count", "below the bill", "billed and not in the ledger", "its price is unknown")
    assert not any(counts.get(kind) for kind in wrong), counts
    for kind in (
        "charged, though no provider took it up",
        "estimated, though it was completed",
        "charges and costs differ",
        "answers without an end",
        "errors in the log",
    ):
        assert kind not in SOAK["wrong"]


def test_failed_requests_leave_no_cycles(load: Any) -> None:
    """Of a storm's requests nothing waits for the garbage collector, whose full runs are rare: no frame, no body."""
    flapping = load("bench", "flapping")
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        flapping.simulate("Headgate", "storm", 200)
        gc.collect()
        left = Counter(type(one).__name__ for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left["frame"] + left["Exchange"] + left["Caller"] == 0, left
