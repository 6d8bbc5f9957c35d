"""Look at the lake again when hours have been exported."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.pipeline import AmplitudePipeline
from core.gap_survey import Review, review
from core.hours import ExportWindow
from tasks.retries import BACKOFF_SECONDS, JITTER_FACTOR, RETRIES, worth_retrying


@task(
    task_run_name="review {wanted.name}",
    retries=RETRIES,
    retry_delay_seconds=BACKOFF_SECONDS,
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def review_lake(wanted: ExportWindow, pipeline: AmplitudePipeline) -> Review:
    """See which hours hold fewer events than before, and which are given up. Only reads.

    Raises:
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused, LakeConflict: Credentials, bucket, or something foreign in the lake. Permanent.
    """
    found = review(pipeline.open_lake(), wanted)
    get_run_logger().info(
        "%s: %d hold fewer events than before, %d are given up",
        wanted,
        len(found.shrunk),
        len(found.given_up),
    )
    return found
