"""What the alerts are: Prefect automations as values. Pure; :mod:`infra.automations` applies them.

Five of them. A run *failed*. A run *does not end*. A run *vanished*: its heartbeats stopped, and it is
set to Crashed, so that the first one tells. *No fresh hours*: no scheduled ingest has completed, or *no
gap-fill*: none has ended, for too long; each deployment is watched by itself.

A part of a long gap-fill that fails is not told of: its gap-fill does what it left, or fails and tells.
One that does not end is: its gap-fill may be gone, and nobody else would tell.

Source: prefect/server/events/triggers.py, schemas/automations.py and actions.py of Prefect 3.8.8.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

#: The flows that are watched, and the parameter of each that names its project.
FLOWS = {"amplitude-extract": "credentials", "amplitude-gap-fill": "pipeline", "amplitude-ingest": "pipeline"}
#: Its runs are parts of every pipeline's gap-fills.
SHARED = ("amplitude-gap-fill/part",)
#: How the runs of parts are named, from the moment they are asked for.
PARTS = "gap-fill part *"

_INGEST, _GAP_FILL = "amplitude-ingest", "amplitude-gap-fill"
_FAILED = ("Failed", "Crashed", "TimedOut")
_ENDED = (*_FAILED, "Completed", "Cancelled")
_PIPELINE = "{% if flow_run.parameters.pipeline %}, pipeline {{ flow_run.parameters.pipeline }}{% endif %}"
_WHICH = "{{ flow.name }}, run {{ flow_run.name }}" + _PIPELINE
_WHOSE = "Watched: the scheduled runs of {{ flow.name }}/{{ deployment.name }}" + _PIPELINE
_LAST = "Last heard of: run {{ flow_run.name }}, {{ flow_run.state.name }}"
_LOOK = "see that a worker polls the work pool, that the schedule is active, that runs are not late"
_AGAIN = "Running it again is always safe: what is in the lake and in the table stays, the rest is taken."


@dataclass(frozen=True)
class Wishes:
    """What an alert depends on.

    Args:
        block: The id of the notification block's document.
        fresh_within: How long there may be no completed scheduled ingest.
        filled_within: The same for a scheduled gap-fill, ended however.
        stuck_after: How long a run may take.
        silent_after: How long a run may send no heartbeat; more than two of its intervals.
        ui_url: Where the pages are, without a password; used where the server itself does not know.
        pipeline: Whose alerts these are; None: every run of the flows.
        deployments: The ids of that pipeline's deployments, and of those that serve every pipeline.
    """

    block: UUID
    fresh_within: timedelta
    filled_within: timedelta
    stuck_after: timedelta
    silent_after: timedelta
    ui_url: str
    pipeline: str | None = None
    deployments: tuple[UUID, ...] = ()


def tag(pipeline: str | None) -> str:
    """The tag by which a set of alerts is known again."""
    return f"amplitude-alerts:{pipeline}" if pipeline else "amplitude-alerts"


def names(pipeline: str | None) -> dict[str, str]:
    """The name of each automation."""
    whose = f"amplitude ({pipeline})" if pipeline else "amplitude"
    return {
        "failed": f"{whose}: a run failed",
        "stuck": f"{whose}: a run does not end",
        "vanished": f"{whose}: a run vanished",
        "silent": f"{whose}: no fresh hours",
        "unfilled": f"{whose}: no gap-fill",
    }


def automations(wishes: Wishes) -> list[AutomationCore]:
    """All of them, as they should be."""
    return [_failed(wishes), _stuck(wishes), _vanished(wishes), _silent(wishes), _unfilled(wishes)]


def _failed(wishes: Wishes) -> AutomationCore:
    where = _runs_of(FLOWS, wishes)
    # By the run's name: of several tags or related resources, one that is not excluded would be enough.
    where["match"]["prefect.resource.name"] = f"!{PARTS}"
    each = {"prefect.resource.id"}
    trigger = EventTrigger(posture=Posture.Reactive, expect=_events(_FAILED), for_each=each, **where)
    return _automation(
        wishes,
        "failed",
        "Tells of each run that failed, crashed or timed out.",
        trigger,
        "{{ flow.name }}: {{ flow_run.state.name }}",
        _WHICH,
        "State: {{ flow_run.state.name }}",
        'Message: {{ (flow_run.state.message or "none")|truncate(1500, true) }}',
        what_to_do=f"open the run; its log names each hour with its reason. {_AGAIN} Missing hours are "
        "taken by the next hourly run; after a longer time: python -m flows.gap_fill.",
    )


def _stuck(wishes: Wishes) -> AutomationCore:
    trigger = EventTrigger(
        posture=Posture.Proactive,
        after=_events(("Pending", "Running")),
        expect=_events(_ENDED),
        for_each={"prefect.resource.id"},
        within=wishes.stuck_after,
        **_runs_of(FLOWS, wishes),
    )
    spell = spelled(wishes.stuck_after)
    return _automation(
        wishes,
        "stuck",
        f"Tells once of each run that has not ended after {spell}.",
        trigger,
        "{{ flow.name }}: a run does not end",
        f"{_WHICH} began {spell} ago and has not ended.",
        "Last known state: {{ flow_run.state.name }}",
        what_to_do="open the run. If its log moves, as in a gap-fill over a long range, wait. If not, "
        f"cancel it, and see that the worker is alive. {_AGAIN}",
    )


def _vanished(wishes: Wishes) -> AutomationCore:
    # A heartbeat is both what starts the wait and what is waited for: each one begins it anew.
    trigger = EventTrigger(
        posture=Posture.Proactive,
        after=_events(("heartbeat",)),
        expect=_events(("heartbeat", *_ENDED, "Paused", "Suspended")),
        for_each={"prefect.resource.id"},
        within=wishes.silent_after,
        **_runs_of(FLOWS, wishes),
    )
    spell = spelled(wishes.silent_after)
    message = f"No heartbeat for {spell}: the process or the machine of this run seems to be gone."
    return AutomationCore(
        name=names(wishes.pipeline)["vanished"],
        description=f"Sets a run without a heartbeat for {spell} to Crashed; another automation tells of it.",
        tags=[tag(wishes.pipeline)],
        trigger=trigger,
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)],
    )


def _silent(wishes: Wishes) -> AutomationCore:
    spell = spelled(wishes.fresh_within)
    return _automation(
        wishes,
        "silent",
        f"Tells of each deployment of {_INGEST} without a completed scheduled run for {spell}.",
        _scheduled(_INGEST, ("Completed",), wishes.fresh_within, wishes),
        f"{_INGEST}: no completed ingest for {spell}",
        f"No completed ingest for {spell}: hours may not be arriving.",
        _WHOSE,
        _LAST,
        what_to_do=f"{_LOOK}, and that none fails. When one completes again, it has taken what was missed.",
    )


def _unfilled(wishes: Wishes) -> AutomationCore:
    spell = spelled(wishes.filled_within)
    return _automation(
        wishes,
        "unfilled",
        f"Tells of each deployment of {_GAP_FILL} without a scheduled run that has ended for {spell}.",
        # One that failed has been told of already; here it is about those that do not take place.
        _scheduled(_GAP_FILL, (*_FAILED, "Completed"), wishes.filled_within, wishes),
        f"{_GAP_FILL}: none for {spell}",
        f"No gap-fill has ended for {spell}, neither well nor badly.",
        _WHOSE,
        _LAST,
        what_to_do=f"{_LOOK}. Until then nothing is settled or verified, and old gaps stay.",
    )


def _scheduled(flow: str, awaited: tuple[str, ...], within: timedelta, wishes: Wishes) -> EventTrigger:
    """No scheduled run of a deployment of this flow has come to one of these states for so long.

    Such a run begins the wait anew, to the minute; one that is late or begins does so only when there is
    no wait: so the alert comes again while the silence lasts, and without any run that ends.
    """
    where = _runs_of((flow,), wishes)
    # Runs by hand are not counted: they may be for another pipeline, or for hours of last year.
    where["match_related"] += [_related("tag", id=["prefect.tag.auto-scheduled"])]
    return EventTrigger(
        posture=Posture.Proactive,
        after=_events((*awaited, "Late", "Pending")),
        expect=_events(awaited),
        for_each={"related:deployment:prefect.resource.id"},
        within=within,
        **where,
    )


def _automation(
    wishes: Wishes, key: str, description: str, trigger: EventTrigger, *told: str, what_to_do: str
) -> AutomationCore:
    subject, *lines = told
    body = "\n".join([*lines, _link(wishes), f"What to do: {what_to_do}"])
    return AutomationCore(
        name=names(wishes.pipeline)[key],
        description=description,
        tags=[tag(wishes.pipeline)],
        trigger=trigger,
        actions=[SendNotification(block_document_id=wishes.block, subject=subject, body=body)],
    )


def _runs_of(flows: Iterable[str], wishes: Wishes) -> dict[str, Any]:
    """What an event must be about: a run of one of these flows, and of one of the pipeline's deployments."""
    related = [_related("flow", name=sorted(flows))]
    if wishes.pipeline:
        # Their ids, not their names: a heartbeat names no deployment.
        ids = [f"prefect.deployment.{one}" for one in sorted(wishes.deployments)]
        related.append(_related("deployment", id=ids))
    return {"match": {"prefect.resource.id": "prefect.flow-run.*"}, "match_related": related}


def _related(role: str, **labels: list[str]) -> dict[str, str | list[str]]:
    return {"prefect.resource.role": role} | {
        f"prefect.resource.{label}": values for label, values in labels.items()
    }


def _events(states: Iterable[str]) -> set[str]:
    return {f"prefect.flow-run.{state}" for state in states}


def _link(wishes: Wishes) -> str:
    """The run's page: as the server knows it, or as this machine reaches it."""
    # A server that was started without PREFECT_UI_URL and PREFECT_API_URL does not know its own address.
    here = f"{wishes.ui_url.rstrip('/')}/runs/flow-run/"
    return "{% if flow_run|ui_url %}{{ flow_run|ui_url }}{% else %}" + here + "{{ flow_run.id }}{% endif %}"


def spelled(duration: timedelta) -> str:
    """A duration in the largest unit that leaves no rest: 3 hours."""
    seconds = int(duration.total_seconds())
    sizes = ((3600, "hour"), (60, "minute"), (1, "second"))
    size, unit = next((size, unit) for size, unit in sizes if seconds % size == 0)
    return f"{seconds // size} {unit}" if seconds == size else f"{seconds // size} {unit}s"
