"""Which events the alerts are about, as the server's own matching sees it; nothing is started."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.server.events.schemas.automations import EventTrigger as Judge
from prefect.server.events.schemas.events import ReceivedEvent, ResourceSpecification

from flows.parts import DEPLOYMENT, name_of
from infra.alert_rules import FLOWS, PARTS, SHARED, Wishes, automations, names, spelled, tag
from tests.core.fan_out.examples import share_of
from tests.core.lake.examples import HOUR

ROOT = Path(__file__).resolve().parents[2]
BLOCK, OURS, THEIRS, RUN = uuid4(), uuid4(), uuid4(), uuid4()
WISHES = Wishes(
    block=BLOCK,
    fresh_within=timedelta(hours=3),
    filled_within=timedelta(hours=30),
    stuck_after=timedelta(hours=6),
    silent_after=timedelta(minutes=10),
    ui_url="http://127.0.0.1:4200/",
)
SHOP = replace(WISHES, pipeline="shop", deployments=(OURS,))
SCHEDULED = ["auto-scheduled"]
#: The alerts, each with a flow and a state that it is about.
ABOUT = {
    "failed": ("amplitude-ingest", "Failed"),
    "stuck": ("amplitude-ingest", "Running"),
    "vanished": ("amplitude-ingest", "heartbeat"),
    "silent": ("amplitude-ingest", "Completed"),
    "unfilled": ("amplitude-gap-fill", "Completed"),
}


def pick(key: str, wishes: Wishes = WISHES) -> AutomationCore:
    (one,) = (one for one in automations(wishes) if one.name == names(wishes.pipeline)[key])
    return one


def judge(key: str, wishes: Wishes = WISHES) -> Judge:
    """The trigger, as the server reads it."""
    return Judge.model_validate(pick(key, wishes).trigger.model_dump(mode="json"))


def event(
    state: str,
    flow: str = "amplitude-ingest",
    deployment: UUID | None = None,
    tags: Sequence[str] = (),
    kind: str = "flow-run",
    name: str = "brave-heron",
) -> ReceivedEvent:
    related = [
        {
            "prefect.resource.id": f"prefect.flow.{uuid4()}",
            "prefect.resource.role": "flow",
            "prefect.resource.name": flow,
        }
    ]
    if deployment:  # without a name, as in a heartbeat
        related.append(
            {
                "prefect.resource.id": f"prefect.deployment.{deployment}",
                "prefect.resource.role": "deployment",
            }
        )
    related += [{"prefect.resource.id": f"prefect.tag.{one}", "prefect.resource.role": "tag"} for one in tags]
    resource = {"prefect.resource.id": f"prefect.{kind}.{RUN}", "prefect.resource.name": name}
    return ReceivedEvent.model_validate(
        {
            "occurred": datetime(2026, 1, 1, tzinfo=UTC),
            "event": f"prefect.{kind}.{state}",
            "resource": resource,
            "related": related,
            "id": uuid4(),
        }
    )


def texts(wishes: Wishes = WISHES) -> dict[str, str]:
    return {
        one.name: f"{action.subject}\n{action.body}"
        for one in automations(wishes)
        for action in one.actions
        if isinstance(action, SendNotification)
    }


def test_every_flow_is_watched_and_says_by_its_parameter_whose_it_is() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "flows").glob("*.py")]
    flows = [(name, text) for text in texts for name in re.findall(r'@flow\(\s*name="([^"]+)"', text)]
    assert {name for name, _ in flows} == set(FLOWS)
    for name, text in flows:
        assert f'{FLOWS[name]}: str = "amplitude"' in text


@pytest.mark.parametrize("flow", ["amplitude-ingest", "amplitude-gap-fill", "amplitude-extract"])
@pytest.mark.parametrize("state", ["Failed", "Crashed", "TimedOut"])
def test_a_run_of_ours_that_failed_is_told(flow: str, state: str) -> None:
    trigger = judge("failed")
    assert trigger.covers(event(state, flow))
    assert trigger.immediate
    assert trigger.meets_threshold(1)


def test_what_did_not_fail_and_what_is_not_ours_is_not_told() -> None:
    trigger = judge("failed")
    assert not trigger.covers(event("Completed"))
    assert not trigger.covers(event("Cancelled"))
    assert not trigger.covers(event("Failed", "somebody-else"))
    assert not trigger.covers(event("Failed", kind="task-run"))


PART = "gap-fill part 2025-12-01T00…2025-12-03T23"


@pytest.mark.parametrize("state", ["Failed", "Crashed", "TimedOut"])
@pytest.mark.parametrize("tags", [[], ["amplitude", "part"]])
def test_a_part_that_failed_is_its_gap_fill_s_to_tell(state: str, tags: list[str]) -> None:
    for wishes in (WISHES, SHOP):
        part, whole = (
            event(state, "amplitude-gap-fill", OURS, tags, name=name)
            for name in (PART, "gap-fill 2025-12-01T00…2025-12-31T23")
        )
        assert not judge("failed", wishes).covers(part)
        assert judge("failed", wishes).covers(whole)


def test_a_part_is_told_apart_by_its_name_for_tags_could_not_do_it() -> None:
    without = judge("failed").model_copy(update={"match": judge("stuck").match})
    part = event("Failed", "amplitude-gap-fill", OURS, ["amplitude", "part"], name=PART)
    assert without.covers(part)
    not_tagged = ResourceSpecification(
        {"prefect.resource.role": "tag", "prefect.resource.id": "!prefect.tag.part"}
    )
    by_tag = without.model_copy(update={"match_related": [*without.match_related, not_tagged]})
    assert by_tag.covers(part), "the other tag is enough"
    assert not by_tag.covers(event("Failed")), "and a run by hand has no tag at all"


def test_parts_are_named_so_from_the_moment_they_are_asked_for() -> None:
    parts = (ROOT / "flows" / "parts.py").read_text("utf-8")
    assert fnmatchcase(name_of(share_of(HOUR - 2, HOUR)), PARTS)
    assert re.findall(r"flow_run_name=(\S+)[,)]", parts) == ["name_of(share)", "name_of(share)"]
    later = _names_of_runs("gap_fill_part.py")
    assert later
    assert all(fnmatchcase(name, PARTS) for name in later)
    assert not any(fnmatchcase(name, PARTS) for name in _names_of_runs("gap_fill.py"))
    assert (DEPLOYMENT,) == SHARED


def _names_of_runs(module: str) -> list[str]:
    return re.findall(r'name_run\(f?"([^"]+)"', (ROOT / "flows" / module).read_text("utf-8"))


@pytest.mark.parametrize("key", ["stuck", "vanished"])
def test_a_part_that_hangs_is_told_of_and_one_that_is_gone_is_called_crashed(key: str) -> None:
    state = ABOUT[key][1]
    assert judge(key).covers(event(state, "amplitude-gap-fill", OURS, name=PART))


@pytest.mark.parametrize("key", ABOUT)
def test_a_pipeline_hears_of_its_own_deployments_only(key: str) -> None:
    flow, state = ABOUT[key]
    ours, theirs, by_hand = (
        event(state, flow, deployment=one, tags=SCHEDULED) for one in (OURS, THEIRS, None)
    )
    assert [judge(key, SHOP).covers(one) for one in (ours, theirs, by_hand)] == [True, False, False]
    assert [judge(key).covers(one) for one in (ours, theirs, by_hand)] == [True, True, True]


def test_a_run_that_begins_is_waited_for_until_it_ends_however() -> None:
    trigger = judge("stuck")
    assert trigger.within == timedelta(hours=6)
    assert [one for one in ("Pending", "Running") if trigger.starts_after(f"prefect.flow-run.{one}")] == [
        "Pending",
        "Running",
    ]
    for state in ("Completed", "Failed", "Crashed", "TimedOut", "Cancelled"):
        assert trigger.expects(f"prefect.flow-run.{state}")
        assert not trigger.starts_after(f"prefect.flow-run.{state}")
    assert trigger.meets_threshold(0)
    assert not trigger.meets_threshold(1)
    assert trigger.bucketing_key(event("Running")) == (f"prefect.flow-run.{RUN}",)


def test_each_heartbeat_begins_the_wait_for_the_next_one() -> None:
    trigger = judge("vanished")
    beat = "prefect.flow-run.heartbeat"
    assert trigger.within == timedelta(minutes=10)
    assert trigger.starts_after(beat)
    for ending in ("heartbeat", "Completed", "Failed", "Crashed", "TimedOut", "Cancelled", "Paused"):
        assert trigger.expects(f"prefect.flow-run.{ending}")
    (action,) = pick("vanished").actions
    assert isinstance(action, ChangeFlowRunState)
    assert action.state.value == "CRASHED"
    assert not action.force  # a run that has ended stays as it ended


@pytest.mark.parametrize("key", ["silent", "unfilled"])
def test_one_deployment_s_runs_do_not_hide_the_silence_of_another(key: str) -> None:
    trigger = judge(key)
    ours, theirs = (event("Completed", deployment=one, tags=SCHEDULED) for one in (OURS, THEIRS))
    assert trigger.bucketing_key(ours) == (f"prefect.deployment.{OURS}",)
    assert trigger.bucketing_key(ours) != trigger.bucketing_key(theirs)
    assert judge(key, SHOP).bucketing_key(ours) == trigger.bucketing_key(ours)


def test_only_scheduled_runs_of_ingest_count_as_fresh_hours() -> None:
    trigger = judge("silent")
    assert trigger.within == timedelta(hours=3)
    assert trigger.covers(event("Completed", deployment=OURS, tags=SCHEDULED))
    assert not trigger.covers(event("Completed", deployment=OURS))
    assert not trigger.covers(event("Completed", "amplitude-gap-fill", OURS, SCHEDULED))
    assert trigger.expects("prefect.flow-run.Completed")
    assert not trigger.expects("prefect.flow-run.Failed")


def test_a_scheduled_gap_fill_that_ends_however_is_not_missed() -> None:
    trigger = judge("unfilled")
    assert trigger.within == timedelta(hours=30)
    assert trigger.covers(event("Failed", "amplitude-gap-fill", OURS, SCHEDULED))
    assert not trigger.covers(event("Completed", "amplitude-gap-fill", OURS))
    assert not trigger.covers(event("Completed", "amplitude-ingest", OURS, SCHEDULED))
    for state in ("Completed", "Failed", "Crashed", "TimedOut"):
        assert trigger.expects(f"prefect.flow-run.{state}")
    assert not trigger.expects("prefect.flow-run.Cancelled")
    assert trigger.meets_threshold(0)


@pytest.mark.parametrize("key", ["silent", "unfilled"])
@pytest.mark.parametrize("state", ["Completed", "Late", "Pending"])
def test_a_run_that_is_late_or_begins_starts_the_wait_too_so_that_the_alert_comes_again(
    key: str, state: str
) -> None:
    assert judge(key).starts_after(f"prefect.flow-run.{state}")


def test_names_and_tags_tell_sets_apart() -> None:
    assert [one.name for one in automations(WISHES)] == [
        "amplitude: a run failed",
        "amplitude: a run does not end",
        "amplitude: a run vanished",
        "amplitude: no fresh hours",
        "amplitude: no gap-fill",
    ]
    assert {one.name for one in automations(SHOP)} == set(names("shop").values())
    assert not set(names("shop").values()) & set(names(None).values())
    assert {tuple(one.tags) for one in automations(SHOP)} == {(tag("shop"),)}
    assert tag("shop") != tag(None)


def test_messages_say_which_run_in_which_state_where_and_what_to_do() -> None:
    for name, text in texts().items():
        for word in (
            "{{ flow_run.name }}",
            "{{ flow_run.state.name }}",
            "{{ flow_run.parameters.pipeline }}",
            "{{ flow_run|ui_url }}",
            "http://127.0.0.1:4200/runs/flow-run/{{ flow_run.id }}",
            "What to do: ",
        ):
            assert word in text, name
    assert "{{ flow.name }}" in texts()["amplitude: a run failed"]
    assert "flow_run.state.message" in texts()["amplitude: a run failed"]
    assert "{{ deployment.name }}" in texts()["amplitude: no fresh hours"]
    assert "{{ deployment.name }}" in texts()["amplitude: no gap-fill"]
    assert (
        "no completed ingest for 3 hours\nNo completed ingest for 3 hours"
        in texts()["amplitude: no fresh hours"]
    )
    assert "No gap-fill has ended for 30 hours" in texts()["amplitude: no gap-fill"]
    assert "began 6 hours ago" in texts()["amplitude: a run does not end"]


def test_the_same_wishes_make_equal_automations() -> None:
    assert automations(WISHES) == automations(WISHES)
    triggers: list[Any] = [one.trigger for one in automations(WISHES)]
    assert all(isinstance(one, EventTrigger) for one in triggers)


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(hours=1), "1 hour"),
        (timedelta(days=2), "48 hours"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(seconds=61), "61 seconds"),
        (timedelta(seconds=1), "1 second"),
    ],
)
def test_durations_are_spelled(duration: timedelta, words: str) -> None:
    assert spelled(duration) == words
