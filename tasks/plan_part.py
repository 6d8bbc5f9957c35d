"""Plan one part of a gap-fill."""

from __future__ import annotations

from datetime import datetime

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.pipeline import AmplitudePipeline
from core.fan_out.progress import rest_of
from core.fan_out.shares import Share
from core.gap_survey import GapSurvey
from core.wording import counted
from tasks.retries import BACKOFF_SECONDS, JITTER_FACTOR, RETRIES, worth_retrying


@task(
    task_run_name="plan part {share.range.name}",
    retries=RETRIES,
    retry_delay_seconds=BACKOFF_SECONDS,
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def plan_part(pipeline: AmplitudePipeline, share: Share, since: datetime) -> GapSurvey:
    """See which hours of a share have come since the plan was made, and cut the others into windows.

    Safe to repeat: it only reads.

    Raises:
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused, LakeConflict: Credentials, bucket, or something foreign in the lake. Permanent.
    """
    lake = pipeline.open_lake()
    plan = rest_of(lake, share, since, rules=pipeline.rules)
    hours, windows = counted(len(share), "hour"), counted(len(plan.windows), "window")
    get_run_logger().info("%s: %d of %s to export, in %s", share, len(plan.why), hours, windows)
    return GapSurvey(plan, lake.identity())
