"""amplitude-ingest: plan → download → gunzip → upload → copy → reconcile."""

from __future__ import annotations

import sys

import prefect.runtime.flow_run
from prefect import flow, get_run_logger
from prefect.task_runners import ThreadPoolTaskRunner

from blocks.pipeline import AmplitudePipeline
from core.errors import LakeError
from core.hours import ExportHour
from core.report import IngestReport
from core.scratch import scratch_folder
from flows.conveyor import Belt, move_into_lake
from flows.opening import open_block, outcome, patiently, utc_now
from flows.progress import watcher
from tasks.load_hours import load_hours
from tasks.plan_windows import plan_windows
from tasks.reconcile import reconcile


@flow(name="amplitude-ingest", task_runner=ThreadPoolTaskRunner(max_workers=8))  # type: ignore[arg-type]
def ingest(pipeline: str = "amplitude", start: str | None = None, end: str | None = None) -> None:
    """Bring every complete hour that is missing into the lake, and what the ledger lacks into Snowflake.

    Green when every complete hour of its range is committed and loaded, given up, or named as not
    yet published; otherwise Failed, with each hour and its reason. Safe to repeat, to interrupt
    anywhere, and to run beside others.

    Args:
        pipeline: Name of the Amplitude Pipeline block.
        start: First hour, UTC, such as 2025-12-23T00; left out: what is missing since shortly
            before the newest hour in the lake, and a week back on an empty lake.
        end: Last hour, included; left out: the newest complete one.
    """
    now = utc_now()
    first, last = (ExportHour.parse(hour) if hour else None for hour in (start, end))
    explicit = first is not None or last is not None
    block = open_block(AmplitudePipeline, pipeline)
    progress = watcher.get()
    progress.step("planning")
    surveyed = patiently(plan_windows, block.retry_seconds)(block, now, first, last)
    progress.planned(len(surveyed.plan.missing))
    with scratch_folder(block.scratch_folder) as scratch:
        belt = Belt(
            block.amplitude, scratch, utc_now, progress, block.retry_seconds, block.archives_in_flight
        )
        transfer = move_into_lake(surveyed, block, belt, every_window=explicit)
    report = IngestReport(surveyed.plan, transfer, explicit)
    if block.warehouse is not None and not isinstance(transfer.stopped_by, LakeError):
        progress.step("loading")
        _load(report, block)
    progress.finished(report)
    for warning in report.warnings():
        get_run_logger().warning(warning)
    report.raise_if_failed()


def _load(report: IngestReport, block: AmplitudePipeline) -> None:
    """Load what the ledger lacks of the run's range, count its rows, and load again what differs.

    A run that loaded and exported nothing counts nothing: only the ledger is asked.
    """
    # Names of runs come again; what the ledger notes of this one must not.
    run = f"{prefect.runtime.flow_run.name} {prefect.runtime.flow_run.id}"
    load, count = patiently(load_hours, block.retry_seconds), patiently(reconcile, block.retry_seconds)
    for _ in range(2):
        loaded = load(report.plan.wanted, block, run, report.suspects, return_state=True)
        report.load, report.stopped_by = outcome(loaded)
        if not report.load or not report.touched:
            return
        found = count(report.plan.wanted, block, run, return_state=True)
        report.reconciliation, report.stopped_by = outcome(found)
        if not report.suspects:
            return


if __name__ == "__main__":
    from flows.command_line import run_ingest

    sys.exit(run_ingest(ingest))
