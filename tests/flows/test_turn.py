"""One run of a kind at a time."""

from __future__ import annotations

import logging
import uuid

import pytest
from prefect import flow

from flows.turn import turn
from tasks.slots import slot

pytestmark = pytest.mark.slow


@flow
def waiting(pipeline: str, kind: str = "ingest") -> str:
    with turn(kind, pipeline, 0.5):
        return "went on"


def test_a_run_takes_its_turn_and_gives_it_back(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = uuid.uuid4().hex
    assert [waiting(pipeline), waiting(pipeline)] == ["went on"] * 2
    assert "still at work" not in caplog.text


def test_a_run_that_has_waited_long_enough_goes_on_beside_the_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pipeline = uuid.uuid4().hex
    caplog.set_level(logging.WARNING, "prefect.flow_runs")
    with slot(f"amplitude-ingest-{pipeline}", 1, wait_seconds=5):
        assert waiting(pipeline) == "went on"
        assert f"Another ingest of {pipeline} is still at work" in caplog.text
        caplog.clear()
        assert waiting(pipeline, "gap-fill") == "went on"  # another kind has a turn of its own
        assert "still at work" not in caplog.text


def test_whoever_waits_for_nobody_takes_no_turn() -> None:
    pipeline = uuid.uuid4().hex

    @flow
    def impatient() -> None:
        with turn("ingest", pipeline, 0), slot(f"amplitude-ingest-{pipeline}", 1, wait_seconds=5):
            pass

    assert impatient(return_state=True).is_completed()


def test_a_run_that_fails_gives_its_turn_back() -> None:
    pipeline = uuid.uuid4().hex

    @flow
    def failing() -> None:
        with turn("ingest", pipeline, 5):
            raise ZeroDivisionError

    for _ in range(2):
        assert failing(return_state=True).is_failed()
    with slot(f"amplitude-ingest-{pipeline}", 1, wait_seconds=1):
        pass
