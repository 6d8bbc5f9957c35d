"""Compare the table with the lake."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.pipeline import AmplitudePipeline
from core.hours import ExportHour
from core.loading import reconcile_hours
from core.timing import Stopwatch, Timed
from core.warehouse.loader import Reconciliation
from core.wording import counted
from tasks.retries import BACKOFF_SECONDS, JITTER_FACTOR, RETRIES, worth_retrying


@task(
    task_run_name="reconcile",
    retries=RETRIES,
    retry_delay_seconds=BACKOFF_SECONDS,
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def reconcile(hours: Collection[ExportHour], pipeline: AmplitudePipeline, run: str) -> Timed[Reconciliation]:
    """Count the rows of hours, member by member, against their manifests.

    Safe to repeat: it only reads.

    Raises:
        WarehouseUnavailable, LakeUnavailable: Busy. Transient.
        WarehouseRefused, LakeRefused: Credentials, rights, missing objects. Permanent.
    """
    stopwatch = Stopwatch()
    found = reconcile_hours(pipeline.open_lake(), partial(pipeline.open_warehouse, run=run), hours)
    timed = stopwatch.stop(found)
    get_run_logger().info(
        "%s: %s in the lake, %s in the table; hours that differ: %d",
        counted(found.hours, "hour"),
        counted(found.lake_events, "event"),
        counted(found.table_rows, "row"),
        len(found.mismatches),
    )
    return timed
