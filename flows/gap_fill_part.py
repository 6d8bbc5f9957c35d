"""One part of a long gap-fill: some hours into the lake. The gap-fill that started it loads them."""

from __future__ import annotations

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from blocks.pipeline import AmplitudePipeline
from core.gap_report import GapReport
from core.gap_wishes import GapWishes
from flows.naming import name_run
from flows.opening import open_block, patiently, utc_now
from flows.passage import bring, conclude
from flows.progress import Progress
from tasks.plan_gaps import plan_gaps


@flow(
    name="amplitude-gap-fill",
    task_runner=ThreadPoolTaskRunner(max_workers=8),  # type: ignore[arg-type]
    # A gap-fill that is run again counts its parts anew: kept, the result of another part would be taken.
    persist_result=False,
)
def gap_fill_part(  # parameters of a deployment have names
    start: str,
    end: str,
    pipeline: str = "amplitude",
    settle: bool = True,  # noqa: FBT001, FBT002
    verify: bool = False,  # noqa: FBT001, FBT002
    asked: list[str] | None = None,
) -> None:
    """Export every hour of a range that is missing, unsettled or damaged. Loads nothing.

    Green when every complete hour of the range is committed, given up, or named as not yet published. Safe
    to repeat, to interrupt anywhere, and to run beside others: what it brings is in the lake, and what is
    there already is left out.

    Args:
        start: First hour, UTC, such as 2025-12-23T00.
        end: Last hour, included.
        pipeline: Name of the Amplitude Pipeline block.
        settle: Export hours once more that have rested for settle_hours.
        verify: Compare the objects of the whole range, not of the last verify_days only.
        asked: Hours of the range to export again, whatever the lake holds.
    """
    now = utc_now()
    wishes = GapWishes.read(now, start, end, retry=asked or (), settle=settle, verify=verify)
    block = open_block(AmplitudePipeline, pipeline)
    surveyed = patiently(plan_gaps, block.retry_seconds)(block, now, wishes)
    plan, claimed = surveyed.plan, surveyed.identity is not None
    name_run(f"gap-fill part {plan.wanted}")
    nobody = Progress()
    transfer = bring(
        plan.windows, block, nobody, claimed=claimed, every_window=True, restore=plan.damaged.keys()
    )
    conclude(GapReport(wanted=plan.wanted, plan=plan, transfer=transfer, explicit=False), nobody)
