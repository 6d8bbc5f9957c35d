from __future__ import annotations

import pytest
from prefect.logging import disable_run_logger

from core.errors import InvalidInput
from core.survey import Survey
from tasks.plan_windows import plan_windows
from tests.blocks.test_pipeline import pipeline
from tests.rehearsal import BUCKET
from tests.tasks.conftest import FIRST, LAST, NOW, WANTED, Passage
from tests.tasks.receipts import is_small


@pytest.mark.slow
def test_what_is_missing_is_cut_into_windows(passage: Passage) -> None:
    survey = passage.receipts["plan_windows"]
    assert isinstance(survey, Survey)
    assert (survey.plan.wanted, survey.plan.windows, survey.identity) == (WANTED, (WANTED,), None)
    assert is_small(survey, 2_000)


@pytest.mark.slow
def test_one_line_says_what_is_missing(passage: Passage) -> None:
    assert passage.lines["plan_windows"] == [f"{WANTED}: 2 of 2 hours to export, in 1 window"]


@pytest.mark.slow
def test_where_wanted_hours_begin_is_written_down_once(passage: Passage) -> None:
    with disable_run_logger():
        again = plan_windows.fn(passage.stage.pipeline, NOW, FIRST, LAST)
    assert (again.plan.missing, again.plan.windows) == ((), ())
    assert again.identity is not None
    listed = passage.stage.s3.client().list_objects_v2(Bucket=BUCKET, Prefix="amplitude/wanted/")
    assert [found["Key"] for found in listed["Contents"]] == [f"amplitude/wanted/{FIRST}"]


def test_a_range_that_cannot_be_is_refused_before_the_lake_is_asked() -> None:
    with disable_run_logger(), pytest.raises(InvalidInput, match="The end lies before the start"):
        plan_windows.fn(pipeline(), NOW, LAST, FIRST)
