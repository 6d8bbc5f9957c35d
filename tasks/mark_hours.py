"""Give hours up, or ask for them again."""

from __future__ import annotations

from datetime import datetime

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.pipeline import AmplitudePipeline
from core.gap_wishes import GapWishes
from core.lake import marks
from tasks.retries import BACKOFF_SECONDS, JITTER_FACTOR, RETRIES, worth_retrying


@task(
    task_run_name="mark hours",
    retries=RETRIES,
    retry_delay_seconds=BACKOFF_SECONDS,
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def mark_hours(pipeline: AmplitudePipeline, now: datetime, wishes: GapWishes) -> None:
    """Write into the lake that hours are given up, and why; or that they are asked for again.

    Safe to repeat: the marks of one run have one time.

    Raises:
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeConflict: No archive has said yet whose lake this is. Permanent.
        LakeRefused: Credentials, bucket or key policy. Permanent.
    """
    lake, logger = pipeline.open_lake(), get_run_logger()
    for hour in wishes.give_up:
        marks.give_up(lake, hour, reason=wishes.reason, now=now)
        logger.info("%s: given up: %s", hour, wishes.reason)
    for hour in wishes.retry:
        marks.retry(lake, hour, now=now)
        logger.info("%s: asked for again", hour)
