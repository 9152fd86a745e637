"""The benchmarks page is what the results say, and the results are whole."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
RESULTS: dict[str, Any] = json.loads((ROOT / "bench" / "results.json").read_text())


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmarks_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = loaded(ROOT / "docs" / "generate_benchmarks.py")
TARGETS = loaded(ROOT / "bench" / "targets.py")


def test_the_page_is_what_the_results_say() -> None:
    """`make bench` writes both, `make docs` the page."""
    assert (ROOT / "docs" / "benchmarks.md").read_text() == GENERATOR.render(RESULTS)


def test_the_front_pages_figures_are_those_of_the_results() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "<!-- figures -->" in readme
    assert GENERATOR.front(readme, RESULTS) == readme


def test_what_is_said_to_be_met_is_what_the_figures_give() -> None:
    assert RESULTS["targets"] == TARGETS.judge(RESULTS["figures"])


def test_every_request_that_was_asked_is_recorded() -> None:
    assert RESULTS["records"]["asked"] > 0
    assert set(RESULTS["records"].values()) == {RESULTS["records"]["asked"]}


@pytest.mark.parametrize("scenario", sorted({name for table in GENERATOR.TABLES for name, _ in table[2]}))
def test_every_scenario_was_measured_with_headgate(scenario: str) -> None:
    """Others may be absent; then the page says why."""
    assert RESULTS["figures"][scenario]["headgate"] is not None


def test_a_system_that_was_not_there_has_no_figures_and_a_reason() -> None:
    for name, version in RESULTS["versions"].items():
        if version is None:
            assert name in RESULTS["skipped"]
            assert all(figures.get(name) is None for figures in RESULTS["figures"].values())


def test_a_missed_target_shows_as_missed() -> None:
    figures = {"chunk": {"headgate": {"cpu_us": 25.1}}, "prompt": {"headgate": {"cpu_us": 3000.0}}}
    judged = {row["what"]: row for row in TARGETS.judge(figures)}
    assert judged["one streamed chunk, of some 4,000 a second"]["met"] is False
    assert judged["400 kB prompt"]["met"] is True
    assert judged["cold start"]["met"] is None
    page = GENERATOR.render(RESULTS | {"targets": list(judged.values())})
    assert "| one streamed chunk, of some 4,000 a second | 25 µs | 25.1 µs | **missed** |" in page
    assert "| cold start | 1.5 s | – | not measured |" in page
