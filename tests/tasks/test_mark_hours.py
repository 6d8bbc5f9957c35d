from __future__ import annotations

import pytest
from prefect.logging import disable_run_logger

from core.errors import LakeConflict
from core.gap_wishes import GapWishes
from core.lake.layout import Status
from tasks.mark_hours import mark_hours
from tests.tasks.conftest import FIRST, GIVEN_UP, MARKS, NOW, RETRIED, Passage

pytestmark = pytest.mark.slow


def marks(passage: Passage) -> list[tuple[str, Status, str]]:
    lake = passage.stage.lake
    names = lake.manifest_names(RETRIED, GIVEN_UP)
    assert {name.exported_at for name in names} == {NOW}
    return [(str(name.hour), name.status, lake.read_manifest(name).reason) for name in names]


def test_hours_are_given_up_for_a_reason_or_asked_for_again(passage: Passage) -> None:
    assert marks(passage) == [
        (str(RETRIED), Status.RETRY, ""),
        (str(GIVEN_UP), Status.GIVEN_UP, "too large for the API"),
    ]


def test_one_line_an_hour_says_what_was_written(passage: Passage) -> None:
    assert passage.lines["mark_hours"] == [
        f"{GIVEN_UP}: given up: too large for the API",
        f"{RETRIED}: asked for again",
    ]


def test_once_more_marks_nothing_anew(passage: Passage) -> None:
    before = marks(passage)
    with disable_run_logger():
        mark_hours.fn(passage.stage.pipeline, NOW, MARKS)
    assert marks(passage) == before


def test_a_lake_that_is_nobodys_yet_cannot_be_marked(passage: Passage) -> None:
    elsewhere = passage.stage.pipeline.bucket.model_copy(update={"bucket_folder": "elsewhere"})
    pipeline = passage.stage.pipeline.model_copy(update={"bucket": elsewhere})
    with disable_run_logger(), pytest.raises(LakeConflict, match="whose lake"):
        mark_hours.fn(pipeline, NOW, GapWishes(give_up=(FIRST,), reason="gone"))
    assert pipeline.open_lake().manifest_names(FIRST, FIRST) == []
