from __future__ import annotations

from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from core.errors import DamagedMember
from core.unpacking import UnpackedHour
from tasks.gunzip_hour import gunzip_hour
from tests.blocks.test_pipeline import pipeline
from tests.core.amplitude.archives import LINES, gzipped
from tests.core.test_unpacking import exported
from tests.tasks.conftest import LAST, Passage
from tests.tasks.receipts import content, is_small


def gunzip(folder: Path, *payloads: bytes, compression: str = "none") -> UnpackedHour:
    with disable_run_logger():
        timed = gunzip_hour.fn(
            exported(folder, *payloads), pipeline(compression=compression), folder / "unpacked"
        )
    unpacked = content(timed)
    assert isinstance(unpacked, UnpackedHour)
    return unpacked


def test_members_become_json_files(tmp_path: Path) -> None:
    unpacked = gunzip(tmp_path, gzipped(LINES), gzipped(b"{}\n"))
    assert unpacked.events == LINES.count(b"\n") + 1
    assert [part.path.read_bytes() for part in unpacked.parts] == [LINES, b"{}\n"]
    assert {part.path.parent for part in unpacked.parts} == {tmp_path / "unpacked"}
    assert is_small(unpacked, 2_000)


def test_the_pipeline_says_whether_they_stay_compressed(tmp_path: Path) -> None:
    unpacked = gunzip(tmp_path, gzipped(LINES), compression="gzip")
    assert [part.path.read_bytes() for part in unpacked.parts] == [gzipped(LINES)]
    assert unpacked.events == LINES.count(b"\n")


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedMember, match="_19#0"):
        gunzip(tmp_path, gzipped(LINES)[:-3])


@pytest.mark.slow
def test_one_line_an_hour_says_how_many_events_came_out(passage: Passage) -> None:
    assert passage.lines["gunzip_hour"][-1] == f"{LAST}: 30 events in 2 parts"
    assert len(passage.lines["gunzip_hour"]) == 2
