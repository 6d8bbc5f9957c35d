from __future__ import annotations

import pytest
from prefect.logging import disable_run_logger

from core.errors import LakeRefused
from core.lake.manifest import Manifest
from tasks.upload_hour import upload_hour
from tests.tasks.conftest import FIRST, LAST, NOW, Passage
from tests.tasks.receipts import content, is_small

pytestmark = pytest.mark.slow


def test_an_hour_is_committed_by_its_manifest(passage: Passage) -> None:
    manifest = content(passage.receipts["upload_hour"])
    assert isinstance(manifest, Manifest)
    assert (manifest.hour, manifest.events, manifest.exported_at) == (LAST, 30, NOW)
    lake = passage.stage.lake
    names = lake.manifest_names(FIRST, LAST)
    assert [(name.hour, name.events) for name in names] == [(FIRST, 30), (LAST, 30)]
    assert lake.read_manifest(names[-1]) == manifest
    assert is_small(manifest, 4_000)


def test_one_line_an_hour_says_what_was_committed(passage: Passage) -> None:
    assert passage.lines["upload_hour"] == [f"{hour}: 30 events in 2 parts" for hour in (FIRST, LAST)]


def test_once_more_uploads_no_part_again(passage: Passage) -> None:
    s3 = passage.stage.s3
    s3.forget_requests()
    with disable_run_logger():
        again = content(upload_hour.fn(passage.receipts["gunzip_hour"], passage.stage.pipeline))
    assert again.parts == content(passage.receipts["upload_hour"]).parts
    assert s3.count("PUT", "/events/") == 0


def test_an_hour_that_is_to_be_restored_goes_up_although_the_lake_knows_it(passage: Passage) -> None:
    s3 = passage.stage.s3
    s3.forget_requests()
    with disable_run_logger():
        again = content(upload_hour.fn(passage.receipts["gunzip_hour"], passage.stage.pipeline, restore=True))
    assert again.parts == content(passage.receipts["upload_hour"]).parts
    assert s3.count("PUT", "/events/") == len(again.parts)


def test_what_s3_denies_is_permanent_and_told(passage: Passage) -> None:
    s3 = passage.stage.s3
    s3.fail("denied", method="", times=100)
    try:
        with disable_run_logger(), pytest.raises(LakeRefused, match="AccessDenied"):
            upload_hour.fn(passage.receipts["gunzip_hour"], passage.stage.pipeline)
    finally:
        s3.heal()
