"""Upload one hour and commit it."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.pipeline import AmplitudePipeline
from core.lake.commit import commit_hour
from core.lake.manifest import Manifest
from core.scratch import disk_errors
from core.timing import Stopwatch, Timed
from core.unpacking import UnpackedHour
from core.wording import counted
from tasks.retries import BACKOFF_SECONDS, JITTER_FACTOR, RETRIES, worth_retrying


@task(
    task_run_name="upload {unpacked.receipt.hour}",
    retries=RETRIES,
    retry_delay_seconds=BACKOFF_SECONDS,
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def upload_hour(
    unpacked: Timed[UnpackedHour], pipeline: AmplitudePipeline, *, restore: bool = False
) -> Timed[Manifest]:
    """Put one hour's parts into the lake, then commit the hour with its manifest.

    Safe to repeat: parts have content-named keys, and the manifest goes last.

    Args:
        restore: Whether objects are missing or differ, so that the parts go up whatever the lake says.

    Raises:
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused: Credentials, bucket or key policy. Permanent.
        LakeConflict: The lake holds another project's events. Permanent.
    """
    stopwatch = Stopwatch()
    hour = unpacked.receipt
    with disk_errors(f"upload {hour.hour}"):
        manifest = commit_hour(
            pipeline.open_lake(),
            hour.hour,
            hour.parts,
            app_id=hour.app_id,
            api_host=pipeline.amplitude.host,
            exported_at=hour.exported_at,
            window=hour.window,
            compression=pipeline.compression,
            uploads_at_once=pipeline.uploads_at_once,
            restore=restore,
        )
    timed = stopwatch.stop(manifest)
    events, parts = counted(manifest.events, "event"), counted(len(manifest.parts), "part")
    get_run_logger().info("%s: %s in %s", manifest.hour, events, parts)
    return timed
