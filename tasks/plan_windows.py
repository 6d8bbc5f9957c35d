"""Plan what to export."""

from __future__ import annotations

from datetime import datetime

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.pipeline import AmplitudePipeline
from core.hours import ExportHour
from core.survey import Survey, survey
from core.wording import counted
from tasks.retries import BACKOFF_SECONDS, JITTER_FACTOR, RETRIES, worth_retrying


@task(
    task_run_name="plan",
    retries=RETRIES,
    retry_delay_seconds=BACKOFF_SECONDS,
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def plan_windows(
    pipeline: AmplitudePipeline, now: datetime, first: ExportHour | None, last: ExportHour | None
) -> Survey:
    """List what the lake holds and cut what is missing into windows.

    Safe to repeat: it only writes down from where on hours are wanted.

    Raises:
        InvalidInput: The range cannot be. Permanent.
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused, LakeConflict: Credentials, bucket, or something foreign in the lake. Permanent.
    """
    surveyed = survey(pipeline.open_lake(), now, first=first, last=last, rules=pipeline.rules)
    plan = surveyed.plan
    wanted, windows = counted(len(plan.wanted), "hour"), counted(len(plan.windows), "window")
    get_run_logger().info("%s: %d of %s to export, in %s", plan.wanted, len(plan.missing), wanted, windows)
    return surveyed
