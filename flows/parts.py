"""The parts of a long gap-fill: runs of the deployment amplitude-gap-fill/part, or of the flow in here."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID, uuid4

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType, WorkPoolStatus
from prefect.client.schemas.responses import SetStateStatus
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling

import core.errors
from blocks.pipeline import AmplitudePipeline
from blocks.server import trouble_with_prefect
from core.errors import PipelineError
from core.fan_out.dispatch import Bounds, Dispatch
from core.fan_out.gather import LOST
from core.fan_out.progress import hours_left
from core.fan_out.runs import Phase, Seen
from core.fan_out.shares import Share, in_share
from core.gap_survey import GapSurvey
from core.timing import Span
from core.transfer import Transfer
from flows.gap_fill_part import gap_fill_part
from flows.opening import patiently
from flows.progress import Progress, watcher
from tasks.gather_shares import gather_shares
from tasks.plan_shares import plan_shares

A = TypeVar("A")
B = TypeVar("B")

DEPLOYMENT = "amplitude-gap-fill/part"
_POLL_SECONDS = 5.0

#: How Prefect writes an error into a run's state.
_EXCEPTION = re.compile(r"Flow run encountered an exception: (?P<kind>\w+): (?P<message>.*)", re.DOTALL)


def fan_out(surveyed: GapSurvey, block: AmplitudePipeline, name: str, progress: Progress) -> Transfer | None:
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
            runs=PartRuns(client, name, plan.now) if workers_expected(client) else None,
            here=partial(do_here, name, plan.now),
            left=lambda some: hours_left(block.open_lake(), some, plan.now),
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
        lost = [hour for hour, reason in transfer.failures.items() if reason == LOST]
        early = [*transfer.unpublished, *lost] if surveyed.identity is None else []
        if again := dict.fromkeys(whose[hour] for hour in early):
            transfer = gathered(dispatch.carry_out(again), Span(began, time.perf_counter()))
    return transfer


def workers_expected(client: SyncPrefectClient) -> bool:
    """Whether there is a deployment for parts, on a work pool that somebody serves; so too if nobody says."""

    def ask() -> bool:
        try:
            deployment = client.read_deployment_by_name(DEPLOYMENT)
            pool = client.read_work_pool(deployment.work_pool_name) if deployment.work_pool_name else None
        except ObjectNotFound:
            return False
        return pool is not None and pool.status is WorkPoolStatus.READY and not deployment.paused

    return _bearing("Whether there are workers could not be asked.", ask, otherwise=True)


@dataclass(frozen=True, slots=True)
class PartRuns:
    """Runs of the deployment, started by a flow and shown as its children.

    A server that does not answer is a warning: the next look will show.

    Attributes:
        pipeline: Name of the block.
        since: When the plan was made.
    """

    client: SyncPrefectClient
    pipeline: str
    since: datetime
    _session: UUID = field(default_factory=uuid4)

    def start(self, share: Share, before: int) -> UUID | None:
        """Ask for a run; asked again after an answer that was lost, it is the same one."""

        def ask() -> UUID:
            run: Any = run_deployment(
                DEPLOYMENT,
                parameters=_parameters(share, self.pipeline, self.since),
                timeout=0,
                flow_run_name=name_of(share),
                idempotency_key=f"{self._session} {share} {before}",
            )
            get_run_logger().info("%s: asked for a run, %s", share, run.id)
            return UUID(str(run.id))

        return _bearing(f"Part {share} could not be asked for.", ask, None)

    def look(self, run: UUID) -> Seen:
        """How far it is. A run that is pending has been begun: a container may take minutes to start."""

        def ask() -> Seen:
            try:
                state = self.client.read_flow_run(run).state
            except ObjectNotFound:
                return Seen(Phase.CANCELLED, "its run was deleted")
            if state is None or state.type is StateType.SCHEDULED:
                return Seen(Phase.WAITING)
            return seen(state.type, state.message or "")

        return _bearing(f"How far part {run} is could not be asked.", ask, Seen(Phase.RUNNING))

    def call_off(self, run: UUID) -> bool:
        """Cancel it, unless somebody has begun it; one that is begun meanwhile is ended by its worker."""
        return self.look(run).phase is Phase.WAITING and self._cancel(
            run, "Nobody began it; the gap-fill does it itself."
        )

    def cancel(self, run: UUID) -> None:
        """Cancel it; whoever carries it out ends it."""
        if self.look(run).phase in {Phase.WAITING, Phase.RUNNING}:
            self._cancel(run, "The gap-fill that asked for it goes on without it, or has ended.")

    def _cancel(self, run: UUID, message: str) -> bool:
        def ask() -> bool:
            # Only the server can tell a run that nobody has begun from one that is being begun.
            answer: Any = self.client.set_flow_run_state(run, Cancelling(message=message))
            if answer.state is not None and answer.state.type is StateType.CANCELLED:
                self.client.set_flow_run_state(run, Cancelled(message=message), force=True)
                return True
            return answer.status is SetStateStatus.ACCEPT

        return _bearing(f"Part {run} could not be cancelled.", ask, otherwise=False)


def _bearing(what: str, ask: Callable[[], A], otherwise: B) -> A | B:
    """The answer of Prefect's server; if it gives none, or does not know what it is asked for, go on."""
    try:
        return ask()
    except ObjectNotFound:
        trouble: str | None = "Prefect's server does not know it any more."
    except Exception as error:
        if (trouble := trouble_with_prefect(error)) is None:
            raise
    get_run_logger().warning("%s %s", what, trouble)
    return otherwise


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


def name_of(share: Share) -> str:
    """Of a run from its beginning: alerts know parts by it."""
    return f"gap-fill part {share.range.name}"


class _Moved(Progress):
    """Tells of each hour that a part in here is through with."""

    def __init__(self, moved: Callable[[], None]) -> None:
        self._moved = moved

    def hour_done(self) -> None:
        """Tell of it."""
        self._moved()


def do_here(pipeline: str, since: datetime, share: Share, moved: Callable[[], None]) -> Seen:
    """Carry a share out in this process, as a run below this one; whatever it fails with is told.

    Without Prefect's server it cannot be begun or ended: it has died then, whatever it has brought.
    """
    token = watcher.set(_Moved(moved))
    try:
        part = gap_fill_part.with_options(flow_run_name=name_of(share))
        state: Any = part(**_parameters(share, pipeline, since), return_state=True)
        error = None if state.type is StateType.COMPLETED else state.result(raise_on_failure=False)
    except Exception as escaped:  # noqa: BLE001  it is told, and the other shares go on
        error = escaped
    finally:
        watcher.reset(token)
    if error is None:
        return Seen(Phase.COMPLETE)
    if isinstance(error, PipelineError):
        return Seen(Phase.FAILED, str(error))
    if isinstance(error, Exception) and (trouble := trouble_with_prefect(error)) is not None:
        return Seen(Phase.DIED, trouble)
    return Seen(Phase.FAILED, f"{type(error).__name__}: {error}")


def _parameters(share: Share, pipeline: str, since: datetime) -> dict[str, Any]:
    return {"hours": share.told(), "since": since.isoformat(), "pipeline": pipeline}
