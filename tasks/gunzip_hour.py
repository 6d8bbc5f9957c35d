"""Gunzip one hour's members."""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.pipeline import AmplitudePipeline
from core.amplitude.export import ExportedHour
from core.timing import Stopwatch, Timed
from core.unpacking import UnpackedHour, unpack_hour
from core.wording import counted
from tasks.retries import BACKOFF_SECONDS, JITTER_FACTOR, RETRIES, worth_retrying


@task(
    task_run_name="gunzip {exported.hour}",
    retries=RETRIES,
    retry_delay_seconds=BACKOFF_SECONDS,
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def gunzip_hour(exported: ExportedHour, pipeline: AmplitudePipeline, folder: Path) -> Timed[UnpackedHour]:
    """Gunzip an hour's members to scratch, verified and counted. Safe to repeat: files are written anew.

    Raises:
        DamagedMember: A member is broken inside a sound zip. Permanent: the hour fails, others land.
        ScratchUnusable: The disk is full or refuses. Permanent.
    """
    stopwatch = Stopwatch()
    unpacked = unpack_hour(exported, folder, compression=pipeline.compression, limits=pipeline.archive_limits)
    timed = stopwatch.stop(unpacked)
    events, parts = counted(unpacked.events, "event"), counted(len(unpacked.parts), "part")
    get_run_logger().info("%s: %s in %s", unpacked.hour, events, parts)
    return timed
