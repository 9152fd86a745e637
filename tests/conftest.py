"""Settings shared by all tests: hypothesis without a clock (machines are noisy), and the recordings' whereabouts."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

import recordings

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
