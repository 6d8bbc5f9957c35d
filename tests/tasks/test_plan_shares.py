from __future__ import annotations

import pytest
from prefect.logging import disable_run_logger

from core.fan_out.shares import Share
from core.gaps import Why
from tasks.plan_shares import plan_shares
from tests.tasks.conftest import FIRST, LAST, SHARE, Passage
from tests.tasks.receipts import is_small

pytestmark = pytest.mark.slow


def test_what_one_run_can_do_alone_is_one_share_and_no_line_is_written(passage: Passage) -> None:
    assert passage.receipts["plan_shares"] == (SHARE,)
    assert is_small(passage.receipts["plan_shares"], 1_000)
    assert "plan_shares" not in passage.lines


def test_the_settings_say_how_large_a_share_may_be(passage: Passage) -> None:
    plan = passage.receipts["plan_gaps"].plan
    short = passage.stage.pipeline.model_copy(update={"part_hours": 1})
    with disable_run_logger():
        assert plan_shares.fn(short, plan) == (
            Share((FIRST,), (Why.UNSETTLED,)),
            Share((LAST,), (Why.UNSETTLED,)),
        )
