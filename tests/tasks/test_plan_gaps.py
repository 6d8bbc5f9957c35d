from __future__ import annotations

import pytest
from prefect.logging import disable_run_logger

from core.errors import InvalidInput
from core.gap_survey import GapSurvey
from core.gap_wishes import GapWishes
from core.gaps import Why
from tasks.plan_gaps import plan_gaps
from tests.blocks.test_pipeline import pipeline
from tests.tasks.conftest import FIRST, LAST, NOW, WANTED, Passage
from tests.tasks.receipts import is_small


@pytest.mark.slow
def test_what_is_due_is_cut_into_windows(passage: Passage) -> None:
    survey = passage.receipts["plan_gaps"]
    assert isinstance(survey, GapSurvey)
    assert survey.plan.why == {FIRST: Why.UNSETTLED, LAST: Why.UNSETTLED}
    assert (survey.plan.wanted, survey.plan.windows) == (WANTED, (WANTED,))
    assert survey.identity is not None
    assert survey.estimate is None
    assert is_small(survey, 2_000)


@pytest.mark.slow
def test_one_line_says_what_is_due_and_what_for(passage: Passage) -> None:
    assert passage.lines["plan_gaps"] == [f"{WANTED}: 2 of 2 hours to export, in 1 window (2 to be settled)"]


@pytest.mark.slow
def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(passage: Passage) -> None:
    stage = passage.stage
    stage.s3.forget_requests()
    with disable_run_logger():
        survey = plan_gaps.fn(stage.pipeline, NOW, GapWishes(FIRST - 5, FIRST - 3, dry_run=True))
    assert list(survey.plan.why.values()) == [Why.MISSING] * 3
    assert survey.estimate is not None
    assert survey.estimate.requests == 1
    assert stage.s3.count("PUT") == 0


def test_a_range_that_cannot_be_is_refused_before_the_lake_is_asked() -> None:
    with disable_run_logger(), pytest.raises(InvalidInput, match="The end lies before the start"):
        plan_gaps.fn(pipeline(), NOW, GapWishes(LAST, FIRST))
