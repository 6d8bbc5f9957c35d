"""One worker that does one run at a time completes a gap-fill that is cut into parts."""

from __future__ import annotations

import time

import pytest

from tests.deployments.site import BACKFILL, PART, Site, hours_of, tell
from tests.rehearsal import hours_ago

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]


def test_one_worker_that_does_one_thing_at_a_time_completes_a_gap_fill_of_many_parts(site: Site) -> None:
    """The gap-fill has the only slot, so its parts cannot begin: it calls them off and does them itself."""
    first, last = hours_ago(30), hours_ago(25)
    small = {"part_hours": 2, "part_start_seconds": 5, "settle_hours": 0, "snowflake_login_seconds": 30}
    asked_for = {"start": first, "end": last, "pipeline": site.stage.register("one-worker", small)}
    site.forget(first, last)
    before = {run["id"] for run in site.runs_of(PART)}
    asked = len(site.stage.amplitude.requests)
    began = time.monotonic()
    with site.machine("alone", limit=1) as machine:
        backfill = site.trigger(BACKFILL, **asked_for)
        ended = site.end_of(backfill, seconds=300)
        assert ended["type"] == "COMPLETED", ended
        tell(f"one worker, one slot: a gap-fill of 3 parts was complete in {time.monotonic() - began:.0f} s")
        site.assert_lake_holds_the_truth(first, last)
        site.assert_table_holds_the_truth(first, last)
        # Its next run shows that the worker, whose slot is free now, has passed the parts over.
        site.watch(BACKFILL, **asked_for)
        assert not machine.runs()
    parts = [run for run in site.runs_of(PART) if run["id"] not in before]
    assert [run["state"]["type"] for run in parts] == ["CANCELLED"] * 3
    assert all("the gap-fill does it itself" in run["state"]["message"] for run in parts)
    assert not [run for run in parts if run["run_count"] or run["infrastructure_pid"]]
    for run in parts:
        assert set(site.states_of(run["id"])) <= {"SCHEDULED", "CANCELLED"}, "no worker has taken it"
    assert site.hours_asked(asked, first, last) == hours_of(first, last), "each hour once"
