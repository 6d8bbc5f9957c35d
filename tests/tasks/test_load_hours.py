from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from core.errors import InvalidInput
from core.hours import ExportWindow
from core.lake.commit import commit_hour
from core.warehouse.loader import LoadReceipt
from tasks.load_hours import load_hours
from tests.core.lake.examples import APP
from tests.core.lakes import write_parts
from tests.tasks.conftest import FIRST, LAST, WANTED, Passage
from tests.tasks.receipts import content, is_small

pytestmark = pytest.mark.slow


def test_what_the_ledger_lacks_is_loaded(passage: Passage) -> None:
    receipt = content(passage.receipts["load_hours"])
    assert isinstance(receipt, LoadReceipt)
    assert (receipt.loaded, receipt.failures, receipt.files) == ({FIRST: 30, LAST: 30}, {}, 4)
    assert passage.stage.rows() == passage.stage.truth(str(FIRST), str(LAST))
    assert is_small(receipt, 1_000)


def test_one_line_says_what_was_loaded(passage: Passage) -> None:
    assert passage.lines["load_hours"] == [f"{WANTED}: loaded 60 events of 2 hours"]


def test_once_more_loads_nothing(passage: Passage) -> None:
    with disable_run_logger():
        again = content(load_hours.fn(WANTED, passage.stage.pipeline, "again"))
    assert again == LoadReceipt({}, {}, 0)


def test_lines_that_snowflake_refuses_cost_their_hour_unless_they_may_be_rejected(
    passage: Passage, tmp_path: Path
) -> None:
    stage, hour = passage.stage, FIRST - 20
    only = ExportWindow(hour, hour)
    commit_hour(
        stage.lake,
        hour,
        write_parts(tmp_path, hour, [b'{"uuid":"1"}\nno JSON\n']),
        app_id=APP,
        api_host=stage.pipeline.amplitude.host,
        exported_at=hour.complete_at,
        window=only,
        compression="none",
        uploads_at_once=1,
    )
    with disable_run_logger():
        strict = content(load_hours.fn(only, stage.pipeline, "strict"))
        lenient = content(load_hours.fn(only, stage.pipeline, "lenient", reject=[hour]))
    with contextlib.closing(stage.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM events_raw WHERE export_hour = '{hour.start:%F %T}'")
    assert (list(strict.failures), strict.loaded) == ([hour], {})
    assert (lenient.failures, lenient.loaded, lenient.rejected) == ({}, {hour: 1}, {hour: 1})


def test_without_a_warehouse_it_says_so(passage: Passage) -> None:
    pipeline = passage.stage.pipeline.model_copy(update={"warehouse": None})
    with disable_run_logger(), pytest.raises(InvalidInput, match="no warehouse"):
        load_hours.fn(WANTED, pipeline, "run")
