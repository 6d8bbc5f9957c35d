"""amplitude-ingest: plan → download → gunzip → upload → copy → reconcile."""

from __future__ import annotations

import sys

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from blocks.pipeline import AmplitudePipeline
from core.hours import ExportHour
from core.report import IngestReport
from flows.artifacts import Shown
from flows.naming import name_run
from flows.opening import open_block, patiently, utc_now
from flows.passage import bring, conclude, load
from flows.progress import watcher
from flows.turn import turn
from tasks.plan_windows import plan_windows


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
    first, last = (ExportHour.parse(hour) if hour else None for hour in (start, end))
    explicit = first is not None or last is not None
    block = open_block(AmplitudePipeline, pipeline)
    progress = Shown(watcher.get(), "ingest", pipeline, block.link)
    progress.step("planning")
    with turn("ingest", pipeline, block.turn_seconds):
        surveyed = patiently(plan_windows, block.retry_seconds)(block, utc_now(), first, last)
        plan, claimed = surveyed.plan, surveyed.identity is not None
        name_run(f"ingest {plan.wanted.name}")
        transfer = bring(plan.windows, block, progress, claimed=claimed, every_window=explicit)
        report = IngestReport(wanted=plan.wanted, plan=plan, transfer=transfer, explicit=explicit)
        load(report, block, progress)
    conclude(report, progress)


if __name__ == "__main__":
    from flows.command_line import run_ingest

    sys.exit(run_ingest(ingest))
