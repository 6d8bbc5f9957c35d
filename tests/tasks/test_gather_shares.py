from __future__ import annotations

import pytest
from prefect.logging import disable_run_logger

from core.fan_out.runs import Ending
from core.fan_out.shares import Share
from core.gaps import Why
from core.transfer import Transfer
from tasks.gather_shares import gather_shares
from tests.tasks.conftest import FIRST, LAST, RESTED, SHARE, SPAN, WANTED, Passage

pytestmark = pytest.mark.slow


def test_what_runs_have_brought_is_read_from_the_lake(passage: Passage) -> None:
    gathered = passage.receipts["gather_shares"]
    assert isinstance(gathered, Transfer)
    assert [(manifest.hour, manifest.events) for manifest in gathered.manifests] == [(FIRST, 30), (LAST, 30)]
    assert (gathered.failures, gathered.unpublished, gathered.stopped_by) == ({}, [], None)


def test_hours_that_no_run_has_brought_are_not_invented(passage: Passage) -> None:
    plan = passage.receipts["plan_gaps"].plan
    told = {
        Share((FIRST,), (Why.UNSETTLED,)): Ending(complete=False, reason="wrong key"),
        Share((LAST,), (Why.UNSETTLED,)): Ending(complete=True),
    }
    with disable_run_logger():
        gathered = gather_shares.fn(passage.stage.pipeline, plan, told, SPAN)
    assert plan.now == RESTED
    assert gathered.manifests == []  # nothing was exported since the plan was made
    assert gathered.failures == {FIRST: "wrong key"}


def test_one_line_says_what_came(passage: Passage) -> None:
    assert passage.lines["gather_shares"] == [f"{WANTED}: 60 events of 2 hours, from 1 part"]
    assert str(SHARE) == str(WANTED)
