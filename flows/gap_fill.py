"""amplitude-gap-fill: every missing, unsettled or damaged hour of a range, and what the ledger lacks."""

from __future__ import annotations

import sys

from prefect import flow, get_run_logger
from prefect.task_runners import ThreadPoolTaskRunner

from blocks.pipeline import AmplitudePipeline
from core.errors import LakeError
from core.gap_report import GapReport
from core.gap_survey import GapSurvey
from core.gap_wishes import GapWishes
from flows.artifacts import Shown
from flows.naming import name_run
from flows.opening import open_block, outcome, patiently, utc_now
from flows.parts import fan_out
from flows.passage import bring, conclude, load
from flows.progress import Progress, watcher
from flows.turn import turn
from tasks.mark_hours import mark_hours
from tasks.plan_gaps import plan_gaps
from tasks.review_lake import review_lake


@flow(name="amplitude-gap-fill", task_runner=ThreadPoolTaskRunner(max_workers=8))  # type: ignore[arg-type]
def gap_fill(  # noqa: PLR0913, PLR0917  # parameters of a deployment have names
    pipeline: str = "amplitude",
    start: str | None = None,
    end: str | None = None,
    settle: bool = True,  # noqa: FBT001, FBT002
    verify: bool = False,  # noqa: FBT001, FBT002
    accept_smaller: bool = False,  # noqa: FBT001, FBT002
    dry_run: bool = False,  # noqa: FBT001, FBT002
    give_up: list[str] | None = None,
    reason: str = "",
    retry: list[str] | None = None,
    reject_bad_lines: list[str] | None = None,
) -> None:
    """Export every hour of a range that is missing, unsettled or damaged, and load what the ledger lacks.

    Green when every complete hour of the range is committed and loaded, given up, or named as not yet
    published, and none holds fewer events than before. Safe to repeat, to interrupt anywhere, and to
    run beside others.

    Args:
        pipeline: Name of the Amplitude Pipeline block.
        start: First hour, UTC, such as 2025-12-23T00; left out: the earliest that any run has wanted.
        end: Last hour, included; left out: the newest complete one.
        settle: Export hours once more that have rested for settle_hours.
        verify: Compare objects and rows of the whole range, not of the last verify_days only.
        accept_smaller: Take hours that hold fewer events than before as they are now; needs start and end.
        dry_run: Say what would be done, and what it would cost; write nothing.
        give_up: Hours not to ask for any more; needs a reason.
        reason: Why they are given up.
        retry: Hours to export again, whether they were given up or not.
        reject_bad_lines: Hours of which Snowflake may refuse lines; these are kept in events_rejected.
    """
    now = utc_now()
    wishes = GapWishes.read(
        now,
        start,
        end,
        give_up=give_up or (),
        retry=retry or (),
        reject=reject_bad_lines or (),
        reason=reason,
        settle=settle,
        verify=verify,
        accept_smaller=accept_smaller,
        dry_run=dry_run,
    )
    block = open_block(AmplitudePipeline, pipeline)
    progress = Shown(watcher.get(), "gap-fill", pipeline, block.link)
    progress.step("planning")
    plan = patiently(plan_gaps, block.retry_seconds)
    if wishes.dry_run:
        rehearse(plan(block, now, wishes), progress)
        return
    with turn("gap-fill", pipeline, block.turn_seconds):
        now = utc_now()  # what others have exported meanwhile was not exported for this plan
        if wishes.give_up or wishes.retry:
            patiently(mark_hours, block.retry_seconds)(block, now, wishes)
        surveyed = plan(block, now, wishes)
        name_run(f"gap-fill {surveyed.plan.wanted.name}")
        report = fill(surveyed, block, pipeline, wishes, progress)
    conclude(report, progress)


def rehearse(surveyed: GapSurvey, progress: Progress) -> None:
    """Say what would be done."""
    name_run(f"gap-fill {surveyed.plan.wanted.name}, dry run")
    progress.finished(surveyed)
    for label, text in surveyed.told():
        get_run_logger().info("%s: %s", label, text)


def fill(
    surveyed: GapSurvey, block: AmplitudePipeline, pipeline: str, wishes: GapWishes, progress: Progress
) -> GapReport:
    """Export what is planned, here or by several runs; then load, in one place, what the ledger lacks."""
    plan, claimed = surveyed.plan, surveyed.identity is not None
    transfer = fan_out(surveyed, block, pipeline, progress)
    if transfer is None:
        damaged = plan.damaged.keys()
        transfer = bring(plan.windows, block, progress, claimed=claimed, every_window=True, restore=damaged)
    report = GapReport(
        wanted=plan.wanted,
        plan=plan,
        transfer=transfer,
        explicit=wishes.explicit,
        accepted=surveyed.accepted,
    )
    if not isinstance(transfer.stopped_by, LakeError):
        look = patiently(review_lake, block.retry_seconds)
        report.review, report.stopped_by = outcome(look(plan.wanted, block, return_state=True))
    if report.review:
        load(report, block, progress, reject=wishes.reject)
    return report


if __name__ == "__main__":
    from flows.command_line import run_gap_fill

    sys.exit(run_gap_fill(gap_fill))
