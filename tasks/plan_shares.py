"""Cut a gap-fill into shares."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.pipeline import AmplitudePipeline
from core.amplitude.archive import GIB
from core.estimate import json_bytes_per_hour
from core.fan_out.shares import Share, shares_of
from core.gaps import GapPlan
from core.wording import counted
from tasks.retries import BACKOFF_SECONDS, JITTER_FACTOR, RETRIES, worth_retrying


@task(
    task_run_name="cut {plan.wanted.name} into parts",
    retries=RETRIES,
    retry_delay_seconds=BACKOFF_SECONDS,
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def plan_shares(pipeline: AmplitudePipeline, plan: GapPlan) -> tuple[Share, ...]:
    """Cut a plan into shares of at most ``part_hours`` hours and, by the hours that are there, ``part_gib``.

    Safe to repeat: it only reads.

    Raises:
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused, LakeConflict: Credentials, bucket, or something foreign in the lake. Permanent.
    """
    shares = shares_of(
        plan,
        max_hours=pipeline.part_hours,
        max_json_bytes=pipeline.part_gib * GIB,
        json_bytes_per_hour=json_bytes_per_hour(pipeline.open_lake()),
    )
    if len(shares) > 1:
        hours = counted(len(plan.why), "hour")
        get_run_logger().info("%s: %s in %s", plan.wanted, hours, counted(len(shares), "part"))
    return shares
