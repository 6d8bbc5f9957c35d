"""Load what the ledger lacks."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.pipeline import AmplitudePipeline
from core.hours import ExportHour, ExportWindow
from core.loading import load_missing
from core.timing import Stopwatch, Timed
from core.warehouse.loader import LoadReceipt
from core.wording import counted
from tasks.retries import BACKOFF_SECONDS, JITTER_FACTOR, RETRIES, worth_retrying


@task(
    task_run_name="load {wanted.name}",
    retries=RETRIES,
    retry_delay_seconds=BACKOFF_SECONDS,
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def load_hours(
    wanted: ExportWindow,
    pipeline: AmplitudePipeline,
    run: str,
    suspects: Collection[ExportHour] = (),
    reject: Collection[ExportHour] = (),
) -> Timed[LoadReceipt]:
    """Bring the table to what the lake says of a range; hours under suspicion too, if their rows differ.

    Safe to repeat, to interrupt, and to run beside other loaders: the ledger says what is loaded.

    Args:
        reject: Hours of which Snowflake may refuse lines; they are kept in ``events_rejected``.

    Raises:
        WarehouseUnavailable, LakeUnavailable: Busy, or another loader holds the lock. Transient.
        WarehouseRefused, LakeRefused: Credentials, rights, missing objects. Permanent.
    """
    stopwatch = Stopwatch()
    receipt = load_missing(
        pipeline.open_lake(),
        partial(pipeline.open_warehouse, run=run),
        wanted,
        run=run,
        suspects=suspects,
        reject=reject,
    )
    timed = stopwatch.stop(receipt)
    events, hours = sum(receipt.loaded.values()), len(receipt.loaded)
    what = f"loaded {counted(events, 'event')} of {counted(hours, 'hour')}" if hours else "nothing to load"
    get_run_logger().info("%s: %s", wanted, what)
    return timed
