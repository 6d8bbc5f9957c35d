from __future__ import annotations

import pytest
from prefect.logging import disable_run_logger

from core.gap_survey import GapSurvey
from core.gaps import Why
from tasks.plan_part import plan_part
from tests.tasks.conftest import FIRST, LAST, NOW, RESTED, SHARE, WANTED, Passage
from tests.tasks.receipts import is_small

pytestmark = pytest.mark.slow


def test_what_has_not_come_since_the_plan_is_planned_again(passage: Passage) -> None:
    surveyed = passage.receipts["plan_part"]
    assert isinstance(surveyed, GapSurvey)
    assert surveyed.plan.why == {FIRST: Why.UNSETTLED, LAST: Why.UNSETTLED}
    assert surveyed.plan.windows == (WANTED,)
    assert surveyed.plan.now == RESTED
    assert surveyed.identity is not None
    assert is_small(surveyed, 2_000)


def test_what_has_come_is_left_out(passage: Passage) -> None:
    with disable_run_logger():
        assert plan_part.fn(passage.stage.pipeline, SHARE, NOW).plan.why == {}


def test_one_line_says_what_is_left(passage: Passage) -> None:
    assert passage.lines["plan_part"] == [f"{WANTED}: 2 of 2 hours to export, in 1 window"]
