"""One fault of each kind on its way through each flow; the whole matrix is in tests/core/test_faults.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import RunFailed
from core.hours import ExportHour
from emulators.amplitude import Fault
from emulators.snowflake.faults import Fault as SnowflakeFault
from flows.extract import extract
from flows.gap_fill import gap_fill
from flows.ingest import ingest
from tests.rehearsal import Rehearsal, hours_ago

pytestmark = pytest.mark.slow

FIRST, BAD, LAST = hours_ago(32), hours_ago(31), hours_ago(30)
DAMAGED = Fault("flipped-gzip", times=None, hours={ExportHour.parse(BAD)})


def trouble(stage: Rehearsal) -> None:
    """Something short at each of the three services."""
    stage.amplitude.faults.add(Fault("truncated"))
    stage.s3.fail("slow-down", key="/events/", times=1)
    if stage.snowflake is not None:
        stage.snowflake.faults.add(SnowflakeFault("^COMMIT", "lose_answer"))


@pytest.mark.parametrize("flow", [ingest, gap_fill])
def test_what_is_short_ends_complete_and_what_lasts_ends_failed_with_its_hour(
    stage: Rehearsal, flow: object
) -> None:
    assert callable(flow)
    trouble(stage)
    stage.amplitude.faults.add(DAMAGED)
    with pytest.raises(RunFailed, match=f"1 of 3 hours failed:\n  {BAD}: .*is not sound gzip"):
        flow(stage.name, start=FIRST, end=LAST)
    assert [row for row in stage.rows() if row[1] != BAD] == [
        row for row in stage.truth(FIRST, LAST) if row[1] != BAD
    ]

    stage.amplitude.faults.clear()
    trouble(stage)
    flow(stage.name, start=FIRST, end=LAST)
    assert stage.rows() == stage.truth(FIRST, LAST)


def test_an_extract_that_failed_is_completed_by_the_next(lake_only: Rehearsal, tmp_path: Path) -> None:
    credentials, folder = lake_only.name, tmp_path / "json"
    lake_only.amplitude.faults.add(Fault("cut"))
    lake_only.amplitude.faults.add(DAMAGED)
    with pytest.raises(RunFailed, match=f"  {BAD}: .*is not sound gzip"):
        extract(str(folder), start=FIRST, end=LAST, credentials=credentials)
    lake_only.amplitude.faults.clear()
    extract(str(folder), start=FIRST, end=LAST, credentials=credentials)
    lines = [line for path in folder.glob("*.json") for line in path.read_bytes().split(b"\n")]
    found = {json.loads(line)["uuid"] for line in lines if line}
    assert found == {uuid for uuid, _, _ in lake_only.truth(FIRST, LAST)}
