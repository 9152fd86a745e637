"""Settings shared by all tests: hypothesis without a clock (machines are noisy), and the recordings' whereabouts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import recordings
from fakes import Upstream
from running import Running, sites

settings.register_profile("headgate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headgate")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `corpus` are skipped, with the reason, where no recordings stand beside the project."""
    if recordings.FOLDER is None:
        skip = pytest.mark.skip(reason="no recordings here: set HEADGATE_CORPUS to their folder")
        for item in items:
            if item.get_closest_marker("corpus"):
                item.add_marker(skip)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    fake = Upstream()
    yield fake
    fake.close()


@pytest.fixture(scope="session")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One gateway for the tests that need no config of their own: a site for each upstream dialect."""
    running = Running(tmp_path_factory.mktemp("gateway"), {"providers": sites(upstream.url), "retry": {"attempts": 1}})
    yield running
    running.stop()


@pytest.fixture
def script(upstream: Upstream) -> Upstream:
    """The upstream, with nothing scripted and nothing seen."""
    upstream.reset()
    return upstream
