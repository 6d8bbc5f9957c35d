from __future__ import annotations

import pytest
from prefect.logging import disable_run_logger

from core.errors import InvalidInput
from core.warehouse.loader import LoadReceipt
from tasks.load_hours import load_hours
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


def test_without_a_warehouse_it_says_so(passage: Passage) -> None:
    pipeline = passage.stage.pipeline.model_copy(update={"warehouse": None})
    with disable_run_logger(), pytest.raises(InvalidInput, match="no warehouse"):
        load_hours.fn(WANTED, pipeline, "run")
