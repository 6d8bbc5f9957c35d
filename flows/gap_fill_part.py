"""One part of a long gap-fill: some hours into the lake. The gap-fill that started it loads them."""

from __future__ import annotations

from datetime import datetime

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from blocks.pipeline import AmplitudePipeline
from core.fan_out.shares import Share
from core.gap_report import GapReport
from core.gaps import Why
from core.planning import check_range
from flows.naming import name_run
from flows.opening import open_block, patiently, utc_now
from flows.passage import bring, conclude
from flows.progress import watcher
from tasks.plan_part import plan_part


@flow(
    name="amplitude-gap-fill",
    task_runner=ThreadPoolTaskRunner(max_workers=8),  # type: ignore[arg-type]
    # A gap-fill that is run again counts its parts anew: kept, the result of another part would be taken.
    persist_result=False,
)
def gap_fill_part(hours: dict[str, list[str]], since: datetime, pipeline: str = "amplitude") -> None:
    """Export hours that a gap-fill has planned and nobody has brought since. Loads nothing.

    Green when each of them is committed, given up, or named as not yet published. Safe to repeat, to
    interrupt anywhere, and to run beside others: what it brings is in the lake, and what has come since
    the plan was made is left out.

    Args:
        hours: For each reason (missing, unsettled, shrunk, asked, damaged) rows of hours, UTC:
            {"missing": ["2025-12-23T00...T23"]}.
        since: When the gap-fill made its plan.
        pipeline: Name of the Amplitude Pipeline block.
    """
    share = Share.read(hours)
    check_range(utc_now(), share.range.first, share.range.last)
    block = open_block(AmplitudePipeline, pipeline)
    name_run(f"gap-fill part {share.range.name}")
    surveyed = patiently(plan_part, block.retry_seconds)(block, share, since)
    plan, claimed = surveyed.plan, surveyed.identity is not None
    damaged = plan.hours_for(Why.DAMAGED)
    progress = watcher.get()
    transfer = bring(plan.windows, block, progress, claimed=claimed, every_window=True, restore=damaged)
    conclude(GapReport(wanted=plan.wanted, plan=plan, transfer=transfer, explicit=False), progress)
