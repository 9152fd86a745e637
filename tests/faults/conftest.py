"""A laboratory's provider, and gateways before it as users run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from threaded import Laboratory

from headgate.faults.scenarios import sites
from headgate.net import Deadlines
from running import Running


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    started = Laboratory(tmp_path_factory.mktemp("provider"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def gateways(laboratory: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Starts gateways before the laboratory's provider, with its usual deadlines; stops them."""
    started: list[Running] = []

    def start(**config: Any) -> Running:
        providers = {"providers": sites(laboratory.provider, Deadlines())}
        started.append(Running(tmp_path_factory.mktemp("gateway"), providers | config))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="module")
def patient(gateways: Callable[..., Running]) -> Running:
    """A gateway whose deadlines no test lives to see: what ends here, the caller ended."""
    return gateways()
