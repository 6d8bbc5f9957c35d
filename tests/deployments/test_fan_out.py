"""A month over two machines, one of which is lost on the way; schedules, and an ingest that is killed.

What is found at the end is compared with what Amplitude holds, event by event, in lake and table.
"""

from __future__ import annotations

import subprocess
import time
from datetime import timedelta

import pytest

from emulators.amplitude import Fault
from tests.deployments.machines import PREFECT
from tests.deployments.prefect_file import ROOT
from tests.deployments.site import BACKFILL, EXPORTS_AT_ONCE, INGEST, PART, Site, tell, wait_for
from tests.rehearsal import hours_ago

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1800)]

MONTH_HOURS = 720


def test_a_month_over_two_machines_ends_complete_though_one_is_lost_on_the_way(site: Site) -> None:
    stage, (first_machine, second_machine, *_) = site.stage, site.machines
    stage.amplitude.faults.add(Fault("slow", times=None, seconds=1.5))
    first, last = hours_ago(MONTH_HOURS - 1), hours_ago(0)
    began = time.monotonic()
    with first_machine, second_machine:
        backfill = site.trigger(BACKFILL, start=first, end=last)
        wait_for(
            lambda: bool(second_machine.runs()) and len(stage.amplitude.requests) >= 4, 180, "parts under way"
        )
        parts = {run["id"] for run in site.runs_of(PART)}
        assert len(parts) == 8
        survivor = next(one for one in (first_machine, second_machine) if backfill in one.runs())
        other = second_machine if survivor is first_machine else first_machine
        assert other.lose() > 1
        wait_for(lambda: bool(survivor.runs() & parts), 120, "a part beside its gap-fill")
        assert survivor.kill_run(min(survivor.runs() & parts)) == 1
        ended = site.end_of(backfill)
        tell(f"backfill: {ended['type']} after {time.monotonic() - began:.0f} s")
        assert ended["type"] == "COMPLETED", ended
        truth, asked = stage.truth(first, last), len(stage.amplitude.requests)
        assert stage.rows() == truth
        site.assert_lake_holds_the_truth(first, last)
        site.watch(BACKFILL, start=first, end=last)
    stage.amplitude.faults.clear()
    assert len(stage.amplitude.requests) == asked
    assert stage.rows() == truth
    assert stage.amplitude.busiest == EXPORTS_AT_ONCE
    states = {run["state_type"] for run in site.runs_of(PART)}
    assert "COMPLETED" in states
    tell(f"parts ended {sorted(states)}; exports at once, at most: {stage.amplitude.busiest}")


def test_the_limit_alone_is_what_bounds_the_exports_under_way(site: Site) -> None:
    """Negative control of the month: the same work under a limit of 1000 is seen to go beyond three."""
    stage, first, last = site.stage, hours_ago(20), hours_ago(13)
    one_window_an_hour = {"window_hours": 1, "archives_in_flight": 8, "snowflake_login_seconds": 30}
    pipeline = stage.register("wide", {**one_window_an_hour, "settle_hours": 0})
    limit = {"name": "amplitude-exports-wide", "limit": EXPORTS_AT_ONCE}
    site.api.post("/v2/concurrency_limits/", json=limit).raise_for_status()
    stage.amplitude.faults.add(Fault("slow", times=None, seconds=3))
    busiest = {}
    with site.machines[0]:
        for slots in (EXPORTS_AT_ONCE, 1000):
            changed = {"limit": slots}
            site.api.patch("/v2/concurrency_limits/amplitude-exports-wide", json=changed).raise_for_status()
            site.forget(first, last)
            stage.amplitude.busiest = 0
            site.watch(BACKFILL, start=first, end=last, pipeline=pipeline)
            busiest[slots] = stage.amplitude.busiest
    stage.amplitude.faults.clear()
    tell(f"exports at once, at most, by limit: {busiest}")
    assert busiest[EXPORTS_AT_ONCE] == EXPORTS_AT_ONCE < busiest[1000]
    site.assert_table_holds_the_truth(first, last)


def test_the_schedule_fires_by_itself_and_two_runs_at_once_both_end_well(site: Site) -> None:
    with site.machines[0]:
        site.prefect("deployment", "schedule", "create", INGEST, "--interval", "30")

        def fired() -> bool:
            runs = site.runs_of(INGEST)
            return any(run["auto_scheduled"] and run["state_type"] == "COMPLETED" for run in runs)

        wait_for(fired, 240, "a run by schedule")
        site.prefect("deployment", "schedule", "pause", "--all", "--no-prompt")
        site.forget(hours_ago(0))  # so that there is something to fetch
        words = [*PREFECT, "deployment", "run", INGEST, "--watch"]
        both = [
            subprocess.Popen(words, cwd=ROOT, env=site.environment, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        said = [process.communicate(timeout=300)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0], said
    site.assert_table_holds_the_truth(hours_ago(12))


def test_after_a_killed_ingest_the_next_one_starts_unaided(site: Site) -> None:
    site.stage.amplitude.faults.add(Fault("slow", times=1, seconds=30))
    site.forget(hours_ago(0))
    asked = len(site.stage.amplitude.requests)
    with site.machines[0] as machine:
        site.trigger(INGEST)
        wait_for(lambda: site.stage.amplitude.busy > 0, 120, "an export under way")
        machine.lose()
    with site.machines[1]:
        began = time.monotonic()
        next_run = site.trigger(INGEST)
        assert site.end_of(next_run)["type"] == "COMPLETED"
        seconds = time.monotonic() - began
    tell(f"after a killed ingest the next one was complete in {seconds:.0f} s")
    assert seconds < timedelta(minutes=15).total_seconds()
    assert len(site.stage.amplitude.requests) > asked
    site.assert_table_holds_the_truth(hours_ago(12))
