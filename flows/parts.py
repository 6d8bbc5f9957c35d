"""The parts of a long gap-fill: runs of the deployment amplitude-gap-fill/part, or of the flow in here."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType, WorkPoolStatus
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled

import core.errors
from blocks.pipeline import AmplitudePipeline
from blocks.server import trouble_with_prefect
from core.errors import PipelineError
from core.fan_out.dispatch import Bounds, Dispatch, Phase, Seen
from core.fan_out.gather import hours_left
from core.fan_out.shares import Share, in_share
from core.gap_survey import GapSurvey
from core.gap_wishes import GapWishes
from core.timing import Span
from core.transfer import Transfer
from flows.gap_fill_part import gap_fill_part
from flows.opening import patiently
from flows.progress import Progress
from tasks.gather_shares import gather_shares
from tasks.plan_shares import plan_shares

DEPLOYMENT = "amplitude-gap-fill/part"
_POLL_SECONDS = 5.0

#: How Prefect writes an error into a run's state.
_EXCEPTION = re.compile(r"Flow run encountered an exception: (?P<kind>\w+): (?P<message>.*)", re.DOTALL)


def fan_out(
    surveyed: GapSurvey, block: AmplitudePipeline, name: str, wishes: GapWishes, progress: Progress
) -> Transfer | None:
    """Let several runs bring what is planned; None if one run can do it alone.

    Args:
        name: Of the pipeline's block.
    """
    plan = surveyed.plan
    if len(plan.windows) < 2 and len(plan.why) <= block.part_hours:  # noqa: PLR2004
        return None
    shares = patiently(plan_shares, block.retry_seconds)(block, plan)
    if len(shares) < 2:  # noqa: PLR2004
        return None
    progress.planned(len(plan.why))
    began = time.perf_counter()
    with get_client(sync_client=True) as client:
        dispatch = Dispatch(
            runs=PartRuns(client, name, wishes) if workers_expected(client) else None,
            here=partial(_here, name, wishes),
            left=partial(hours_left, block.open_lake(), plan),
            told=progress.hours_done,
            bounds=Bounds(
                block.parts_at_once, block.part_start_seconds, block.part_quiet_seconds, _POLL_SECONDS
            ),
            clock=time.monotonic,
            sleep=time.sleep,
        )
        gathered = partial(patiently(gather_shares, block.retry_seconds), block, plan)
        endings, whose = dispatch.carry_out(shares), in_share(shares)
        transfer = gathered(endings, Span(began, time.perf_counter()))
        # Where the first archive has opened the lake since, what was quiet before can be believed now.
        early = [*transfer.unpublished, *transfer.failures] if surveyed.identity is None else []
        if again := {whose[hour]: None for hour in early if endings[whose[hour]].complete}:
            transfer = gathered(dispatch.carry_out(again), Span(began, time.perf_counter()))
    return transfer


def workers_expected(client: SyncPrefectClient) -> bool:
    """Whether there is a deployment for parts, on a work pool that somebody serves."""
    try:
        deployment = client.read_deployment_by_name(DEPLOYMENT)
        pool = client.read_work_pool(deployment.work_pool_name) if deployment.work_pool_name else None
    except ObjectNotFound:
        return False
    return pool is not None and pool.status is WorkPoolStatus.READY and not deployment.paused


@dataclass(frozen=True, slots=True)
class PartRuns:
    """Runs of the deployment, started by a flow and shown as its children.

    Attributes:
        pipeline: Name of the block.
    """

    client: SyncPrefectClient
    pipeline: str
    wishes: GapWishes

    def start(self, share: Share) -> UUID:
        """Ask for a run."""
        run: Any = run_deployment(
            DEPLOYMENT,
            parameters=_parameters(share, self.pipeline, self.wishes),
            timeout=0,
            flow_run_name=f"gap-fill part {share}",
        )
        get_run_logger().info("%s: asked for a run, %s", share, run.id)
        return UUID(str(run.id))

    def look(self, run: UUID) -> Seen:
        """How far it is. A run that is pending has been begun: a container may take minutes to start.

        One that the server does not tell of at this moment counts as running; the next look will show.
        """
        try:
            state = self.client.read_flow_run(run).state
        except ObjectNotFound:
            return Seen(Phase.CANCELLED, "its run was deleted")
        except Exception as error:
            if (trouble := trouble_with_prefect(error)) is None:
                raise
            get_run_logger().warning("How far part %s is could not be asked. %s", run, trouble)
            return Seen(Phase.RUNNING)
        if state is None or state.type is StateType.SCHEDULED:
            return Seen(Phase.WAITING)
        return seen(state.type, state.message or "")

    def call_off(self, run: UUID) -> bool:
        """Cancel it, unless somebody has begun it."""
        if self.look(run).phase is not Phase.WAITING:
            return False
        self.client.set_flow_run_state(
            run, Cancelled(message="Nobody began it; the gap-fill does it itself.")
        )
        return True


def seen(kind: StateType, message: str) -> Seen:
    """What a run's state says; one that failed with an error that is not ours has said nothing."""
    if kind is StateType.COMPLETED:
        return Seen(Phase.COMPLETE)
    if kind in {StateType.CANCELLED, StateType.CANCELLING}:
        return Seen(Phase.CANCELLED, "its run was cancelled")
    if kind is StateType.CRASHED:
        return Seen(Phase.DIED, message)
    if kind is StateType.FAILED:
        told = _EXCEPTION.fullmatch(message)
        error = getattr(core.errors, told["kind"], None) if told else None
        ours = told is not None and isinstance(error, type) and issubclass(error, PipelineError)
        return Seen(Phase.FAILED, told["message"]) if told and ours else Seen(Phase.DIED, message)
    return Seen(Phase.RUNNING)


def _here(pipeline: str, wishes: GapWishes, share: Share) -> Seen:
    state: Any = gap_fill_part(**_parameters(share, pipeline, wishes), return_state=True)
    if state.type is StateType.COMPLETED:
        return Seen(Phase.COMPLETE)
    error = state.result(raise_on_failure=False)
    ours = isinstance(error, PipelineError)
    return Seen(Phase.FAILED, str(error) if ours else f"{type(error).__name__}: {error}")


def _parameters(share: Share, pipeline: str, wishes: GapWishes) -> dict[str, Any]:
    return {
        "start": str(share.range.first),
        "end": str(share.range.last),
        "pipeline": pipeline,
        "settle": wishes.settle,
        "verify": wishes.verify,
        "asked": [str(hour) for hour in share.asked],
    }
