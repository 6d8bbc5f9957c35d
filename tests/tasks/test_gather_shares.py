from __future__ import annotations

import pytest

from core.transfer import Transfer
from tests.tasks.conftest import WANTED, Passage

pytestmark = pytest.mark.slow


def test_hours_that_no_run_has_brought_are_not_invented(passage: Passage) -> None:
    gathered = passage.receipts["gather_shares"]
    assert isinstance(gathered, Transfer)
    assert gathered.manifests == []  # nothing was exported since the plan was made
    assert (gathered.failures, gathered.unpublished, gathered.stopped_by) == ({}, [], None)


def test_one_line_says_what_came(passage: Passage) -> None:
    assert passage.lines["gather_shares"] == [f"{WANTED}: 0 events of 0 hours, from 1 part"]
