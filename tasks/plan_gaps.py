"""Plan a gap-fill."""

from __future__ import annotations

from datetime import datetime

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.pipeline import AmplitudePipeline
from core.gap_survey import GapSurvey, survey_gaps
from core.gap_wishes import GapWishes
from core.gaps import Why
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
def plan_gaps(pipeline: AmplitudePipeline, now: datetime, wishes: GapWishes) -> GapSurvey:
    """List what the lake holds, look at the objects of the last days, and cut what is to export into windows.

    Safe to repeat. It writes down from where on hours are wanted and, if told so, accepts what has shrunk; a
    dry run writes nothing.

    Raises:
        InvalidInput: The range cannot be, nothing was ever asked for, or lines are to be rejected of an
            hour that is given up. Permanent.
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused, LakeConflict: Credentials, bucket, or something foreign in the lake. Permanent.
    """
    surveyed = survey_gaps(pipeline.open_lake(), now, wishes, rules=pipeline.rules)
    plan = surveyed.plan
    parts = [f"{len(hours)} {why}" for why in Why if (hours := plan.hours_for(why))]
    get_run_logger().info(
        "%s: %d of %s to export, in %s%s",
        plan.wanted,
        len(plan.why),
        counted(len(plan.wanted), "hour"),
        counted(len(plan.windows), "window"),
        f" ({', '.join(parts)})" if parts else "",
    )
    return surveyed
