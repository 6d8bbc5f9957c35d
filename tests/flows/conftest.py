"""A real Prefect server for the tests that run flows, and a stage for each test."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from tests.rehearsal import Rehearsal, rehearsal

_LONGEST_TEST_SECONDS = 60


@pytest.fixture(autouse=True)
def _server_for_slow_tests(request: pytest.FixtureRequest) -> None:
    """Tests that take milliseconds start nothing."""
    if request.node.get_closest_marker("slow"):
        request.getfixturevalue("prefect_server")


@pytest.fixture(autouse=True)
def _within_one_hour(request: pytest.FixtureRequest) -> None:
    """Flows read the real clock: which hours are complete must not change in the middle of a test."""
    left_seconds = 3600 - time.time() % 3600
    if request.node.get_closest_marker("slow") and left_seconds < _LONGEST_TEST_SECONDS:
        time.sleep(left_seconds)


@pytest.fixture
def stage(prefect_server: None) -> Iterator[Rehearsal]:
    with rehearsal(f"rehearsal-{uuid.uuid4().hex[:8]}") as ready:
        yield ready


@pytest.fixture
def lake_only(prefect_server: None) -> Iterator[Rehearsal]:
    with rehearsal(f"rehearsal-{uuid.uuid4().hex[:8]}", warehouse=False) as ready:
        yield ready
