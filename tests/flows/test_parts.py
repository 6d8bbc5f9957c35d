"""A gap-fill too long for one run: parts of their own, and what becomes of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import StateType
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Completed, Pending, Running

from core.errors import RunFailed
from core.fan_out.runs import Phase, Seen
from core.fan_out.shares import Share
from core.gaps import Why
from core.hours import ExportHour
from emulators.amplitude import EventSource, Fault
from flows.gap_fill import gap_fill
from flows.opening import utc_now
from flows.parts import DEPLOYMENT, PartRuns, do_here, seen, workers_expected
from tests.core.fan_out.examples import NOW, share_of
from tests.core.lake.examples import HOUR
from tests.rehearsal import Rehearsal, hours_ago, rehearsal

SHARE = Share((HOUR - 1, HOUR), (Why.MISSING, Why.ASKED))

_RAISED = "Flow run encountered an exception: "

# What a run's state says


@pytest.mark.parametrize(
    ("kind", "message", "phase", "told"),
    [
        (StateType.COMPLETED, "All states completed.", Phase.COMPLETE, ""),
        (StateType.PENDING, "", Phase.RUNNING, ""),
        (StateType.RUNNING, "", Phase.RUNNING, ""),
        (StateType.PAUSED, "", Phase.RUNNING, ""),
        (StateType.CANCELLED, "", Phase.CANCELLED, "its run was cancelled"),
        (StateType.CRASHED, "Flow run process exited with 9", Phase.DIED, "Flow run process exited with 9"),
        (StateType.FAILED, f"{_RAISED}RunFailed: 1 of 2 hours\n x", Phase.FAILED, "1 of 2 hours\n x"),
        (StateType.FAILED, f"{_RAISED}KeyError: 'x'", Phase.DIED, f"{_RAISED}KeyError: 'x'"),
        (StateType.FAILED, f"{_RAISED}annotations: x", Phase.DIED, f"{_RAISED}annotations: x"),
        (StateType.FAILED, "Flow could not be retrieved", Phase.DIED, "Flow could not be retrieved"),
    ],
)  # fmt: skip
def test_what_a_state_says_of_a_run(kind: StateType, message: str, phase: Phase, told: str) -> None:
    assert seen(kind, message) == Seen(phase, told)


# Without workers


@pytest.mark.slow
def test_without_a_deployment_the_parts_run_here_and_a_bad_hour_costs_nothing_else(stage: Rehearsal) -> None:
    stage.register(tuning={"part_hours": 2})
    first, last, bad = hours_ago(40), hours_ago(36), hours_ago(37)
    stage.amplitude.faults.add(Fault("flipped-gzip", times=None, hours=[ExportHour.parse(bad)]))

    with pytest.raises(RunFailed, match=f"1 of 5 hours failed:\n  {bad}: .* is not sound gzip"):
        gap_fill(stage.name, start=first, end=last)

    truth = [row for row in stage.truth(first, last) if row[1] != bad]
    assert stage.rows() == truth
    stage.amplitude.faults.clear()
    asked = len(stage.amplitude.requests)
    gap_fill(stage.name, start=first, end=last)
    assert stage.rows() == stage.truth(first, last)
    assert len(stage.amplitude.requests) == asked + 1


@pytest.mark.slow
def test_what_was_quiet_before_the_first_archive_is_asked_for_once_more(prefect_server: None) -> None:
    """The parts run oldest first, and only the last one's archive says whose events these are."""
    hours = [ExportHour.parse(hours_ago(ago)) for ago in (40, 39)]
    with rehearsal("late", source=EventSource(events_per_hour=40, quiet_hours=hours[:1])) as stage:
        stage.register(tuning={"part_hours": 1, "window_hours": 1})
        gap_fill(stage.name, start=str(hours[0]), end=str(hours[-1]))
        names = stage.lake.manifest_names(hours[0], hours[-1])
        assert [name.events > 0 for name in names] == [False, True]
        assert stage.rows() == stage.truth(str(hours[0]), str(hours[-1]))


@pytest.mark.slow
def test_whatever_a_part_fails_with_in_here_is_told(stage: Rehearsal) -> None:
    share = share_of(ExportHour.parse(hours_ago(40)))

    def broken() -> None:
        msg = "no such key"
        raise ValueError(msg)

    @flow
    def parent(name: str) -> Seen:
        return do_here(name, utc_now(), share, broken)

    assert parent(stage.name) == Seen(Phase.FAILED, "ValueError: no such key")
    told = parent("there-is-none")
    assert told.phase is Phase.FAILED
    assert told.message.startswith("There is no amplitude-pipeline block 'there-is-none'")


@pytest.mark.slow
def test_a_part_in_here_that_prefect_cannot_note_down_has_died(stage: Rehearsal) -> None:
    share = share_of(ExportHour.parse(hours_ago(40)))
    gone = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}

    @flow
    def parent() -> Seen:
        with temporary_settings(gone):
            return do_here(stage.name, utc_now(), share, lambda: None)

    seen = parent()
    assert seen.phase is Phase.DIED
    assert "cannot be reached" in seen.message or "Failed to reach API" in seen.message


# Runs of a deployment, with no worker but this test


@pytest.fixture
def client(prefect_server: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def pool(client: SyncPrefectClient) -> Iterator[str]:
    """A work pool, and a deployment for parts on it."""
    name = f"pool-{uuid.uuid4().hex[:8]}"
    client.create_work_pool(WorkPoolCreate(name=name, type="process"))
    flow_id = client.create_flow_from_name("amplitude-gap-fill")
    client.create_deployment(flow_id, name="part", work_pool_name=name, enforce_parameter_schema=False)
    yield name
    client.delete_deployment(client.read_deployment_by_name(DEPLOYMENT).id)
    client.delete_work_pool(name)


@pytest.mark.slow
def test_parts_are_run_elsewhere_only_if_somebody_serves_their_work_pool(
    client: SyncPrefectClient, pool: str
) -> None:
    assert not workers_expected(client)
    client.send_worker_heartbeat(pool, "a-worker", heartbeat_interval_seconds=30)
    assert workers_expected(client)
    client.delete_deployment(client.read_deployment_by_name(DEPLOYMENT).id)
    assert not workers_expected(client)
    client.create_deployment(client.create_flow_from_name("amplitude-gap-fill"), name="part")
    assert not workers_expected(client)


@pytest.mark.slow
def test_a_server_that_does_not_answer_for_a_while_ends_no_gap_fill(prefect_server: None) -> None:
    gone = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(gone), disable_run_logger(), get_client(sync_client=True) as client:
        runs, run = PartRuns(client, "shop", NOW), uuid.uuid4()
        assert runs.start(share_of(HOUR), 0) is None
        assert runs.look(run) == Seen(Phase.RUNNING)
        assert not runs.call_off(run)
        runs.cancel(run)
        assert workers_expected(client)


@pytest.fixture
def runs(client: SyncPrefectClient, pool: str) -> Iterator[PartRuns]:
    with disable_run_logger():
        yield PartRuns(client, "shop", NOW)


def started(runs: PartRuns, before: int = 0) -> uuid.UUID:
    run = runs.start(SHARE, before)
    assert run is not None
    return run


@pytest.mark.slow
def test_a_run_is_told_its_hours_and_one_that_is_asked_for_again_is_the_same(runs: PartRuns) -> None:
    run = started(runs)
    told = runs.client.read_flow_run(run)
    assert told.name == "gap-fill part 2025-12-23T18...T19"
    assert told.parameters == {
        "hours": {"missing": ["2025-12-23T18"], "asked": ["2025-12-23T19"]},
        "since": NOW.isoformat(),
        "pipeline": "shop",
    }
    assert started(runs) == run
    assert started(runs, before=1) != run
    assert started(PartRuns(runs.client, "shop", NOW)) != run


@pytest.mark.slow
def test_a_run_is_taken_back_unless_somebody_has_begun_it(runs: PartRuns) -> None:
    run, begun = started(runs), started(runs, before=1)
    assert runs.look(run) == Seen(Phase.WAITING)
    assert runs.call_off(run)
    called_off = runs.client.read_flow_run(run).state
    assert called_off is not None
    assert (called_off.name, called_off.message) == (
        "Cancelled",
        "Nobody began it; the gap-fill does it itself.",
    )

    runs.client.set_flow_run_state(begun, Pending())
    assert runs.look(begun) == Seen(Phase.RUNNING)
    assert not runs.call_off(begun)
    runs.client.delete_flow_run(begun)
    assert runs.look(begun) == Seen(Phase.CANCELLED, "its run was deleted")


@pytest.mark.slow
def test_a_run_that_is_begun_while_it_is_called_off_is_ended(runs: PartRuns) -> None:
    run = started(runs)

    class AMomentAgo(PartRuns):
        def look(self, run: uuid.UUID) -> Seen:
            return Seen(Phase.WAITING)

    runs.client.set_flow_run_state(run, Pending())
    runs.client.set_flow_run_state(run, Running())
    assert AMomentAgo(runs.client, "shop", NOW).call_off(run)
    state = runs.client.read_flow_run(run).state
    assert state is not None
    assert state.name == "Cancelling"  # its worker ends it


@pytest.mark.slow
def test_the_runs_of_a_gap_fill_that_ends_early_are_cancelled(runs: PartRuns) -> None:
    waiting, begun, over = (started(runs, before) for before in range(3))
    runs.client.set_flow_run_state(begun, Pending())
    runs.client.set_flow_run_state(begun, Running())
    runs.client.set_flow_run_state(over, Completed(), force=True)
    for run in (waiting, begun, over):
        runs.cancel(run)
    states = [runs.client.read_flow_run(run).state for run in (waiting, begun, over)]
    assert [state.name if state else "" for state in states] == ["Cancelled", "Cancelling", "Completed"]
