from __future__ import annotations

from datetime import timedelta

import pytest
from prefect.logging import disable_run_logger

from core.gap_survey import Review
from core.hours import ExportWindow
from tasks.review_lake import review_lake
from tests.core.lake.examples import manifest, part
from tests.tasks.conftest import FIRST, GIVEN_UP, LAST, RETRIED, Passage
from tests.tasks.receipts import is_small

pytestmark = pytest.mark.slow


def test_what_is_given_up_is_listed_with_its_reason(passage: Passage) -> None:
    found = passage.receipts["review_lake"]
    assert found == Review({}, {GIVEN_UP: "too large for the API"})
    assert is_small(found, 1_000)


def test_one_line_says_what_was_found(passage: Passage) -> None:
    told = "0 hold fewer events than before, 1 are given up"
    assert passage.lines["review_lake"] == [f"{ExportWindow(RETRIED, LAST)}: {told}"]


def test_an_hour_that_has_shrunk_is_named_and_nothing_is_written(passage: Passage) -> None:
    lake, hour = passage.stage.lake, FIRST - 10
    for events, later in ((10, 0), (7, 30)):
        exported_at = hour.complete_at + timedelta(hours=later)
        lake.put_manifest(manifest(part(hour, events=events), hour=hour, exported_at=exported_at))
    with disable_run_logger():
        named = review_lake.fn(ExportWindow(hour, hour), passage.stage.pipeline)
    assert list(named.shrunk) == [hour]
    assert "--accept-smaller" in named.shrunk[hour]
    assert len(lake.manifest_names(hour, hour)) == 2
