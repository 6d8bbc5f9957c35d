from __future__ import annotations

import contextlib

import pytest
from prefect.logging import disable_run_logger

from core.warehouse.loader import Reconciliation
from tasks.load_hours import load_hours
from tasks.reconcile import reconcile
from tests.tasks.conftest import LAST, WANTED, Passage
from tests.tasks.receipts import content, is_small

pytestmark = pytest.mark.slow


def test_rows_are_counted_against_manifests(passage: Passage) -> None:
    found = content(passage.receipts["reconcile"])
    assert isinstance(found, Reconciliation)
    assert found == Reconciliation(2, 60, 60, (), {})
    assert is_small(found, 1_000)


def test_one_line_says_how_they_compare(passage: Passage) -> None:
    (line,) = passage.lines["reconcile"]
    assert line == "2 hours: 60 events in the lake, 60 rows in the table; hours that differ: 0"


def test_any_hours_can_be_counted(passage: Passage) -> None:
    with disable_run_logger():
        one = content(reconcile.fn([LAST], passage.stage.pipeline, "run"))
        none = content(reconcile.fn([LAST + 5], passage.stage.pipeline, "run"))
    assert one == Reconciliation(1, 30, 30, (), {})
    assert none == Reconciliation(0, 0, 0, (), {})


def test_an_hour_that_lost_a_row_is_named(passage: Passage) -> None:
    stage = passage.stage
    hour = f"export_hour = '{LAST.start:%F %T}'"
    with (
        contextlib.closing(stage.connect()) as connection,
        connection.cursor() as cursor,
        disable_run_logger(),
    ):
        cursor.execute(f"DELETE FROM events_raw WHERE {hour} AND source_row = 1")
        found = content(reconcile.fn(list(WANTED), stage.pipeline, "run"))
        cursor.execute(f"DELETE FROM load_ledger WHERE {hour}")
        load_hours.fn(WANTED, stage.pipeline, "mend")
        mended = content(reconcile.fn(list(WANTED), stage.pipeline, "run"))
    assert list(found.mismatches) == [LAST]
    assert found.table_rows < found.lake_events
    assert (mended.mismatches, mended.table_rows) == ({}, 60)
