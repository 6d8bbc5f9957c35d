"""What ingest and gap-fill have in common: out of Amplitude into the lake, and on into the warehouse."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import prefect.runtime.flow_run
from prefect import get_run_logger

from blocks.pipeline import AmplitudePipeline
from core.conveyor import Belt, move_into_lake
from core.errors import LakeError
from core.gap_report import GapReport
from core.hours import ExportHour, ExportWindow
from core.landing import land
from core.report import IngestReport, LakeReport
from core.scratch import scratch_folder
from core.transfer import Transfer
from flows.crew import LakeTasks
from flows.opening import outcome, patiently, utc_now
from flows.progress import Progress
from tasks.load_hours import load_hours
from tasks.reconcile import reconcile


def bring(
    windows: Sequence[ExportWindow],
    block: AmplitudePipeline,
    progress: Progress,
    *,
    claimed: bool,
    every_window: bool,
    restore: Collection[ExportHour] = (),
) -> Transfer:
    """Export windows into the lake; see :func:`core.conveyor.move_into_lake`."""
    progress.planned(sum(map(len, windows)))
    with scratch_folder(block.scratch_folder) as scratch:
        crew = LakeTasks(
            block.amplitude, block.archive_limits, scratch, utc_now, block.retry_seconds, pipeline=block
        )
        return move_into_lake(
            windows,
            crew,
            Belt(scratch, progress.hour_done, block.archives_in_flight),
            block.rules,
            claimed=claimed,
            every_window=every_window,
            restore=restore,
        )


def load(
    report: LakeReport,
    block: AmplitudePipeline,
    progress: Progress,
    *,
    reject: Collection[ExportHour] = (),
) -> None:
    """Load what the ledger lacks of the run's range, count rows, and load again what differs.

    Does nothing without a warehouse, or if the lake could not be had.

    Args:
        reject: Hours of which Snowflake may refuse lines.
    """
    if block.warehouse is None or isinstance(report.transfer.stopped_by, LakeError):
        return
    progress.step("loading")
    # Names of runs come again; what the ledger notes of this one must not.
    run = f"{prefect.runtime.flow_run.name} {prefect.runtime.flow_run.id}"
    loading, counting = patiently(load_hours, block.retry_seconds), patiently(reconcile, block.retry_seconds)
    land(
        report,
        load=lambda suspects: outcome(
            loading(report.wanted, block, run, suspects, reject, return_state=True)
        ),
        count=lambda hours: outcome(counting(hours, block, run, return_state=True)),
    )


def conclude(report: IngestReport | GapReport, progress: Progress) -> None:
    """Say what there is to say, and end the run.

    Raises:
        PipelineError: The run is not green.
    """
    progress.finished(report)
    for warning in report.warnings():
        get_run_logger().warning(warning)
    report.raise_if_failed()
