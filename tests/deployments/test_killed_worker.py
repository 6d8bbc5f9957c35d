"""A worker is killed when it has taken a run that has not begun. The schedule goes on without anybody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from infra.automations import remove
from tests.deployments.site import INGEST, Site, tell, wait_for
from tests.infra.test_alerts import LONG_ENOUGH, Listener, listening, seconds_long
from tests.rehearsal import hours_ago

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1200)]

#: Python imports this before anything else; a run's process gets no further.
HANG = """
import os, time
if "PREFECT__FLOW_RUN_ID" in os.environ:
    time.sleep(3600)
"""


@pytest.fixture
def told(site: Site) -> Iterator[Listener]:
    """What the alert on runs that do not end tells, with a wait of seconds instead of hours."""
    with listening() as listener, get_client(sync_client=True) as client:
        (stuck,) = seconds_long(client, "stuck")
        yield listener
        remove(client, [stuck.name], stuck.tags[0])


def test_a_worker_killed_with_a_pending_run_does_not_hold_up_the_schedule(
    site: Site, told: Listener, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HANG, "utf-8")
    site.forget(hours_ago(0))
    asked = len(site.stage.amplitude.requests)

    def by_schedule(state: str) -> set[str]:
        runs = site.runs_of(INGEST)
        return {run["id"] for run in runs if run["auto_scheduled"] and run["state_type"] == state}

    before = by_schedule("COMPLETED") | by_schedule("RUNNING")
    with site.machine("hanging", PYTHONPATH=str(tmp_path)) as machine:
        by_hand = site.trigger(INGEST)
        site.prefect("deployment", "schedule", "create", INGEST, "--interval", "30")

        def taken() -> bool:
            return by_hand in machine.runs() and bool(by_schedule("PENDING") & machine.runs())

        wait_for(taken, 120, "two runs that are taken")
        pending = [by_hand, *sorted(by_schedule("PENDING") & machine.runs())]
        time.sleep(2)  # they get no further
        assert {site.run(one)["state_type"] for one in pending} == {"PENDING"}
        assert machine.lose() > 1
    killed_at = time.monotonic()
    with site.machine("replacement"):
        wait_for(lambda: bool((by_schedule("RUNNING") | by_schedule("COMPLETED")) - before), 900, "the next")
        started = time.monotonic() - killed_at
        wait_for(lambda: bool(by_schedule("COMPLETED") - before), 900, "its end")
        seconds = time.monotonic() - killed_at
        site.prefect("deployment", "schedule", "pause", "--all", "--no-prompt")
    left = [site.run(one) for one in pending]
    tell(
        f"worker killed with pending runs: the schedule's next began within {started:.0f} s and was complete "
        f"after {seconds:.0f} s; the pending ones are {', '.join(run['state_name'] for run in left)}"
    )
    assert seconds < timedelta(minutes=15).total_seconds()
    assert len(site.stage.amplitude.requests) > asked
    site.assert_table_holds_the_truth(hours_ago(12))
    # Nobody takes them up again, or ends them. The alert names the one by hand now; one by schedule that was
    # made a moment before, up to 15 minutes late: Prefect waits for an event of it that was never sent.
    assert [(run["state_type"], run["start_time"]) for run in left] == [("PENDING", None)] * len(left)
    assert told.about(f"run {left[0]['name']}", LONG_ENOUGH)
